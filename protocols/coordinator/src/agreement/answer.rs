//! An answer to a question for nodes of a state, held against the question: what fills it up counts for nothing.

use mesh_ledger::map::Known;
use mesh_proto::{
    id::Digest,
    ledger::{FetchNodes, FetchedNode, NodePath},
    limits,
};
use std::collections::BTreeMap;

/// What came in one answer, node by node.
pub struct Answer<'a> {
    asked: Vec<&'a NodePath>,
    levels: usize,
    known: Known,
    /// How many levels each that came is below one that was asked for by its path.
    came: BTreeMap<&'a [u8], usize>,
    is_padded: bool,
    nodes: usize,
    bytes: usize,
}

impl<'a> Answer<'a> {
    pub fn to(question: &'a FetchNodes) -> Self {
        let mut asked: Vec<&NodePath> = question.paths.iter().collect();
        asked.sort_unstable();
        Self {
            asked,
            levels: usize::from(question.levels),
            known: Known::of(question),
            came: BTreeMap::new(),
            is_padded: false,
            nodes: 0,
            bytes: 0,
        }
    }

    /// The next node of it; whether it was asked for and has not come before. Who answers as it should sends a node before
    /// those below it.
    pub fn comes(&mut self, path: &'a NodePath) -> bool {
        let parent = path.0.split_last().and_then(|(_, parent)| self.came.get(parent));
        let level = match self.asked.binary_search(&path) {
            Ok(_) => Some(0),
            Err(_) => parent.map(|level| level + 1).filter(|level| *level <= self.levels),
        };
        let is_good = level.is_some_and(|level| self.came.insert(&path.0, level).is_none());
        self.is_padded |= !is_good;
        is_good
    }

    /// A node that was asked for and proved itself.
    pub fn count(&mut self, node: &FetchedNode) {
        self.nodes += 1;
        self.bytes += node.path.0.len() + node.bytes.len() + 16;
    }

    /// Whether the question named this node as one that the asker has.
    pub fn is_known(&self, digest: &Digest) -> bool {
        self.known.has(digest)
    }

    /// Whether something came twice, or was not asked for.
    pub fn is_padded(&self) -> bool {
        self.is_padded
    }

    /// Whether nothing of it proved itself.
    pub fn is_empty(&self) -> bool {
        self.nodes == 0
    }

    /// Whether it has as much as an answer can have.
    pub fn is_full(&self) -> bool {
        self.bytes > limits::FETCHED_BYTES || self.nodes >= limits::FETCHED_NODES
    }
}
