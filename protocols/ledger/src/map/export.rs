//! A map as nodes that another can check one by one, and as the path that proves one entry.

use super::{Map, known::Known, node::Node};
use mesh_proto::{
    codec,
    ledger::{Branch, FetchNodes, FetchedNode, FetchedNodes, Inclusion, Node as Encoded, NodePath, slot},
    limits,
    task::Octets,
};
use std::{collections::VecDeque, sync::Arc};

impl Map {
    /// The encoding of the node that is reached from the root by these slots; none where there is no such node.
    #[must_use]
    pub fn node(&self, path: &[u8]) -> Option<Vec<u8>> {
        Some(codec::encode(&encoded(self.at(path)?)))
    }

    /// The nodes that are asked for, and behind them those below that the asker does not know, level by level, as many of
    /// them as fit an answer; none if they are asked of another state.
    #[must_use]
    pub fn fetched(&self, fetch: &FetchNodes) -> FetchedNodes {
        let root = self.root();
        let known = Known::of(fetch);
        let there = fetch.paths.iter().filter(|_| fetch.root == root);
        let there = there.filter_map(|path| Some((path.clone(), self.at(&path.0)?, 0)));
        let mut queue: VecDeque<(NodePath, &Arc<Node>, u8)> = there.take(limits::FETCHED_NODES).collect();
        let (mut nodes, mut bytes) = (Vec::new(), 0);
        while let Some((path, node, level)) = queue.pop_front().filter(|_| bytes <= limits::FETCHED_BYTES) {
            if let Node::Branch(branch) = &**node
                && level < fetch.levels
            {
                let children = (0u8..).zip(&branch.children).filter_map(|(slot, child)| Some((slot, child.as_ref()?)));
                let news = children.filter(|(_, child)| !known.has(&child.digest()));
                // No more than will be sent.
                let room = limits::FETCHED_NODES - 1 - nodes.len() - queue.len();
                queue.extend(news.take(room).map(|(slot, child)| (path.below(slot), child, level + 1)));
            }
            let encoded = codec::encode(&encoded(node));
            bytes += path.0.len() + encoded.len() + 16;
            nodes.push(FetchedNode { path, bytes: encoded.into() });
        }
        FetchedNodes { root, nodes }
    }

    fn at(&self, path: &[u8]) -> Option<&Arc<Node>> {
        let mut node = &self.root;
        for way in path {
            match &**node {
                Node::Branch(branch) => node = branch.children.get(usize::from(*way))?.as_ref()?,
                Node::Page(_) => return None,
            }
        }
        Some(node)
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
