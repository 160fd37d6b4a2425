//! A map as nodes that another can check one by one, and as the path that proves one entry.

use super::{Map, node::Node};
use mesh_proto::{
    codec,
    ledger::{Branch, FetchNodes, FetchedNode, FetchedNodes, Inclusion, Node as Encoded, slot},
    limits,
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

    /// The nodes that are asked for, as many of them as fit an answer; none if they are asked of another state.
    #[must_use]
    pub fn fetched(&self, fetch: &FetchNodes) -> FetchedNodes {
        let root = self.root();
        let (mut nodes, mut bytes) = (Vec::new(), 0);
        let there = fetch.paths.iter().filter(|_| fetch.root == root);
        for (path, node) in there.filter_map(|path| Some((path, self.node(&path.0)?))) {
            if bytes > limits::FETCHED_BYTES || nodes.len() == limits::FETCHED_NODES {
                break;
            }
            bytes += path.0.len() + node.len() + 16;
            nodes.push(FetchedNode { path: path.clone(), bytes: node.into() });
        }
        FetchedNodes { root, nodes }
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
        Node::Page(page) => Encoded::Page(page.iter().cloned().collect()),
        Node::Branch(branch) => Encoded::Branch(Branch { depth: branch.depth, children: branch.described().collect() }),
    }
}
