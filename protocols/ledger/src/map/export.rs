//! A map as nodes that another can check one by one, and as the path that proves one entry.

use super::{Map, node::Node};
use mesh_proto::{
    codec,
    ledger::{Branch, Inclusion, Node as Encoded, slot},
    task::Octets,
};
use std::sync::Arc;

impl Map {
    /// The encoding of the node that is reached from the root by these slots; none where there is no such node.
    #[must_use]
    pub fn node(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut node = &self.root;
        for way in path {
            match &**node {
                Node::Branch(branch) => node = branch.children.get(usize::from(*way))?.as_ref()?,
                Node::Page(_) => return None,
            }
        }
        Some(codec::encode(&encoded(node)))
    }

    /// What proves to whoever knows the root what is at this key, or that nothing is.
    #[must_use]
    pub fn inclusion(&self, key: &[u8]) -> Inclusion {
        let mut nodes = Vec::new();
        let mut next = Some(&self.root);
        while let Some(node) = next {
            nodes.push(Octets::from(codec::encode(&encoded(node))));
            next = match &**node {
                Node::Branch(branch) => branch.children[usize::from(slot(key, usize::from(branch.depth)))].as_ref(),
                Node::Page(_) => None,
            };
        }
        Inclusion::new(nodes)
    }
}

pub(super) fn encoded(node: &Arc<Node>) -> Encoded {
    match &**node {
        Node::Page(page) => Encoded::Page(page.entries.clone()),
        Node::Branch(branch) => Encoded::Branch(Branch { depth: branch.depth, children: branch.described().collect() }),
    }
}
