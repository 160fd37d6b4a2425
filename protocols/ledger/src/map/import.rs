//! A map from another node, node by node, each checked against the root before anything is made of it.

use super::{Map, node::Node};
use mesh_proto::{
    id::Digest,
    ledger::{Entry, FetchNodes, FetchedNodes, Node as Encoded, NodeError, NodePath},
    limits,
};
use std::{collections::BTreeMap, sync::Arc};

/// The fetching of the map with one root. Ask for what is [`wanted`](Import::wanted), of any peers in any order,
/// [`take`](Import::take) what they send, and [`finish`](Import::finish) when nothing is.
///
/// What is held is bounded by what the root certifies: each branch tells the entries and bytes below each child, and a
/// child that is not as its branch says is refused.
#[derive(Clone, Debug)]
pub struct Import {
    root: Digest,
    wanted: BTreeMap<NodePath, Claimed>,
    entries: Vec<Entry>,
    /// Parts that this node has already, by their digests.
    known: BTreeMap<Digest, Arc<Node>>,
    most_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Claimed {
    digest: Digest,
    /// Entries and bytes; the root's are known when it is there.
    size: Option<(u64, u64)>,
}

/// Why a node was not taken: its sender lies, or is broken. The import goes on without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("nobody asked for this node")]
    NotWanted,
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("{found:?} entries and bytes, and its branch says {claimed:?}")]
    Size { claimed: (u64, u64), found: (u64, u64) },
    #[error("a state of {bytes} bytes, above the limit of {limit}")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("not all is there yet")]
    Unfinished,
    #[error("all nodes are as certified, and their entries make another map: whoever certified it is broken")]
    OtherRoot,
}

impl Import {
    /// Of the map with `root`, which is certified. `base` is what this node has, of which no part is fetched again; no
    /// state of more than `most_bytes` is taken.
    #[must_use]
    pub fn new(root: Digest, base: &Map, most_bytes: u64) -> Self {
        let mut known = BTreeMap::new();
        index(&base.root, &mut known);
        let mut import = Self { root, wanted: BTreeMap::new(), entries: Vec::new(), known, most_bytes };
        import.want(NodePath::default(), Claimed { digest: root, size: None });
        import
    }

    /// A question for at most `limit` nodes that are missing and known to be there: `turn` 0 begins with the first of
    /// them, 1 behind what 0 asks for, and so on, so that several peers are asked for different ones.
    #[must_use]
    pub fn wanted(&self, limit: usize, turn: usize) -> FetchNodes {
        let mut bytes = 64;
        let missing = self.wanted.keys().skip(limit.saturating_mul(turn)).take(limit.min(limits::FETCHED_NODES));
        let fitting = missing.take_while(|path| {
            bytes += path.0.len() + 8;
            bytes <= limits::FETCH_BYTES
        });
        FetchNodes { root: self.root, paths: fitting.cloned().collect() }
    }

    /// Takes the nodes of an answer; how many of them were missing. On an error those before the bad one are taken.
    pub fn take_all(&mut self, fetched: &FetchedNodes) -> Result<usize, ImportError> {
        let mut taken = 0;
        for node in &fetched.nodes {
            match self.take(&node.path, &node.bytes) {
                Ok(()) => taken += 1,
                // Of two who were asked for the same the second comes too late.
                Err(ImportError::NotWanted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Takes the node at `path`. On an error nothing has changed.
    pub fn take(&mut self, path: &NodePath, bytes: &[u8]) -> Result<(), ImportError> {
        let claimed = *self.wanted.get(path).ok_or(ImportError::NotWanted)?;
        let node = Encoded::decode(bytes, &claimed.digest)?;
        let found = node.size();
        if let Some(claimed) = claimed.size.filter(|claimed| *claimed != found) {
            return Err(ImportError::Size { claimed, found });
        }
        // Of the root; what is below cannot be more.
        if found.1 > self.most_bytes {
            return Err(ImportError::TooLarge { bytes: found.1, limit: self.most_bytes });
        }
        // Else a branch that names itself as its child, certified by mistake, would be followed for ever.
        if path.0.len() > 2 * limits::ENTRY_KEY_BYTES {
            return Err(NodeError::Shape.into());
        }
        self.wanted.remove(path);
        match node {
            Encoded::Page(entries) => self.entries.extend(entries),
            Encoded::Branch(branch) => {
                for child in branch.children {
                    let path = NodePath([&path.0[..], &[child.slot]].concat().into());
                    self.want(path, Claimed { digest: child.digest, size: Some((child.entries, child.bytes)) });
                }
            }
        }
        Ok(())
    }

    /// The map, when all is there.
    pub fn finish(self) -> Result<Map, ImportError> {
        if !self.is_complete() {
            return Err(ImportError::Unfinished);
        }
        let map = Map::from_entries(self.entries);
        match map.root() == self.root {
            true => Ok(map),
            false => Err(ImportError::OtherRoot),
        }
    }

    fn want(&mut self, path: NodePath, claimed: Claimed) {
        match self.known.get(&claimed.digest) {
            Some(node) => node.collect(&mut self.entries),
            None => drop(self.wanted.insert(path, claimed)),
        }
    }
}

fn index(node: &Arc<Node>, known: &mut BTreeMap<Digest, Arc<Node>>) {
    known.insert(node.digest(), node.clone());
    if let Node::Branch(branch) = &**node {
        branch.children.iter().flatten().for_each(|child| index(child, known));
    }
}
