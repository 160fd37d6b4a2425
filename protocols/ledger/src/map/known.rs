//! What who fetches a map has already, as its question names it: by the beginnings of digests. One that names too much is
//! not sent what it lacks, and asks for that by its path.

use super::node::Node;
use mesh_proto::{id::Digest, ledger::FetchNodes, limits, task::Octets};
use std::{collections::BTreeSet, sync::Arc};

/// The beginning of a digest.
type Mark = [u8; limits::FETCH_KNOWN_BYTES];

/// What a question names, to be looked up.
pub struct Known(Vec<Mark>);

impl Known {
    #[must_use]
    pub fn of(fetch: &FetchNodes) -> Self {
        let (marks, _) = fetch.known.as_chunks();
        let mut marks = marks.to_vec();
        marks.sort_unstable();
        Self(marks)
    }

    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.0.binary_search(&mark(digest)).is_ok()
    }
}

/// The nodes below these, level by level, as far as whole levels can be named; and of how many levels below the first an
/// answer is to bring what is not among them. All, if nothing is left unnamed.
pub fn below(mut level: Vec<&Arc<Node>>) -> (u8, Octets) {
    let mut named = Vec::new();
    for levels in 0..u8::MAX {
        // What stands for several is named once, in the order of the slots: where it is in memory is another in each run.
        let mut seen = BTreeSet::new();
        level.retain(|node| seen.insert(node.digest()));
        let next = level.into_iter().flat_map(children);
        // One more than there is room for says enough.
        let next: Vec<&Arc<Node>> = next.take(limits::FETCH_KNOWN + 1).collect();
        if next.is_empty() {
            break;
        }
        if named.len() / limits::FETCH_KNOWN_BYTES + next.len() > limits::FETCH_KNOWN {
            return (levels, named.into());
        }
        next.iter().for_each(|node| named.extend(mark(&node.digest())));
        level = next;
    }
    (u8::MAX, named.into())
}

/// A node's name in a question.
pub fn mark(digest: &Digest) -> Mark {
    let mut mark = Mark::default();
    mark.copy_from_slice(&digest.as_bytes()[..limits::FETCH_KNOWN_BYTES]);
    mark
}

fn children(node: &Arc<Node>) -> impl Iterator<Item = &Arc<Node>> {
    let children = match &**node {
        Node::Branch(branch) => &branch.children[..],
        Node::Page(_) => &[],
    };
    children.iter().flatten()
}
