//! A map from another node, node by node, each checked against the root before anything is made of it.

use super::{
    Map,
    known::{self, Known},
    node::Node,
};
use mesh_proto::{
    id::Digest,
    ledger::{Entry, FetchNodes, FetchedNodes, Node as Encoded, NodeError, NodePath, slot},
    limits,
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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

#[derive(Clone, Debug)]
struct Claimed {
    digest: Digest,
    /// Entries and bytes; the root's are known when it is there.
    size: Option<(u64, u64)>,
    /// What this node has in its place, below which most will be the same.
    base: Option<Arc<Node>>,
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
        import.want(NodePath::default(), Claimed { digest: root, size: None, base: Some(base.root.clone()) });
        import
    }

    /// A question for at most `limit` nodes that are missing and known to be there, and for what is below them and
    /// differs from what this node has: `turn` 0 begins with the first of them, 1 behind what 0 asks for, and so on, so that
    /// several peers are asked for different ones.
    #[must_use]
    pub fn wanted(&self, limit: usize, turn: usize) -> FetchNodes {
        let mut bytes = 64;
        let missing = self.wanted.iter().skip(limit.saturating_mul(turn)).take(limit.min(limits::FETCHED_NODES));
        let fitting = missing.take_while(|(path, _)| {
            bytes += path.0.len() + 8;
            bytes <= limits::FETCH_BYTES
        });
        let (paths, bases): (Vec<NodePath>, Vec<_>) =
            fitting.map(|(path, claimed)| (path.clone(), claimed.base.as_ref())).unzip();
        let (levels, known) = known::below(bases.into_iter().flatten().collect());
        FetchNodes { root: self.root, paths, levels, known }
    }

    /// The digest that the node at `path` must have, if it is missing.
    #[must_use]
    pub fn missing(&self, path: &NodePath) -> Option<Digest> {
        self.wanted.get(path).map(|claimed| claimed.digest)
    }

    /// Whether something is missing that this answer to the question would have brought, had it room enough: what was asked
    /// for by its path, and below the nodes that came all that is not known.
    #[must_use]
    pub fn lacks(&self, fetch: &FetchNodes, fetched: &FetchedNodes) -> bool {
        let known = Known::of(fetch);
        let came: BTreeSet<&[u8]> = fetched.nodes.iter().map(|node| &*node.path.0).collect();
        fetch.paths.iter().any(|asked| {
            let mut below = self.wanted.range(asked..).take_while(|(path, _)| path.0.starts_with(&asked.0));
            let levels = usize::from(fetch.levels);
            below.any(|(path, claimed)| {
                let (_, parent) = path.0.split_last().unwrap_or((&0, &[]));
                let level = path.0.len() - asked.0.len();
                level == 0 || level <= levels && came.contains(parent) && !known.has(&claimed.digest)
            })
        })
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
        let claimed = self.wanted.get(path).ok_or(ImportError::NotWanted)?;
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
        let base = self.wanted.remove(path).and_then(|claimed| claimed.base);
        match node {
            Encoded::Page(entries) => self.entries.extend(entries),
            Encoded::Branch(branch) => {
                for child in branch.children {
                    let base = base.as_ref().and_then(|base| counterpart(base, branch.depth, child.slot));
                    let size = Some((child.entries, child.bytes));
                    self.want(path.below(child.slot), Claimed { digest: child.digest, size, base });
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

/// What is in the place of a child of a branch at `depth`, if `base` is in the place of that branch.
fn counterpart(base: &Arc<Node>, depth: u16, way: u8) -> Option<Arc<Node>> {
    let Node::Branch(branch) = &**base else { return None };
    match branch.depth.cmp(&depth) {
        Ordering::Equal => branch.children.get(usize::from(way))?.clone(),
        // A branch was put above.
        Ordering::Greater => (slot(branch.sample(), usize::from(depth)) == way).then(|| base.clone()),
        // Keys are gone that parted before; below which child the others were, no branch says.
        Ordering::Less => Some(base.clone()),
    }
}

fn index(node: &Arc<Node>, known: &mut BTreeMap<Digest, Arc<Node>>) {
    known.insert(node.digest(), node.clone());
    if let Node::Branch(branch) = &**node {
        branch.children.iter().flatten().for_each(|child| index(child, known));
    }
}
