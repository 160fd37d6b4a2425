//! Nodes of a state that came, by where they are in it: of a later state most are the same.

use mesh_ledger::map::{Import, mark};
use mesh_proto::{
    id::Digest,
    ledger::{FetchNodes, FetchedNode, NodePath},
    limits,
    task::Octets,
};
use std::collections::BTreeMap;

/// What a fetch has fetched, for the one that is begun when nobody has its state any more: without it a state that takes
/// longer to fetch than others keep it would never be there.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// By level and path: a parent is before its children.
    nodes: BTreeMap<(usize, NodePath), (Digest, Octets)>,
    bytes: u64,
}

impl Gathered {
    /// A node that was taken. No more is kept than a state may have, and what is not kept is fetched again.
    pub fn keep(&mut self, path: &NodePath, digest: Digest, bytes: &Octets, most_bytes: u64) {
        let size = bytes.len() as u64;
        if self.bytes + size <= most_bytes {
            self.bytes += size;
            let before = self.nodes.insert((path.0.len(), path.clone()), (digest, bytes.clone()));
            self.bytes -= before.map_or(0, |(_, before)| before.len() as u64);
        }
    }

    /// The digest of a node that is here just as it came again.
    pub fn digest(&self, node: &FetchedNode) -> Option<Digest> {
        let (digest, bytes) = self.nodes.get(&(node.path.0.len(), node.path.clone()))?;
        (*bytes == node.bytes).then_some(*digest)
    }

    /// The node at `path` is there: what it names below it and is here is not fetched. Each proves itself, as any does that
    /// comes.
    pub fn give_below(&self, path: &NodePath, import: &mut Import) {
        for level in path.0.len() + 1.. {
            let mut is_there = false;
            for ((_, at), (_, bytes)) in self.level_below(path, level) {
                is_there = true;
                // What is not wanted, or is another node by now, changes nothing.
                drop(import.take(at, bytes));
            }
            if !is_there {
                return;
            }
        }
    }

    /// Names in a question what is here below what it asks for, level by level, as far as there is room; where there is too
    /// little no further level is asked for.
    pub fn name_in(&self, fetch: &mut FetchNodes) {
        let mut known = fetch.known.to_vec();
        for levels in 0..fetch.levels {
            let further = 1 + usize::from(levels);
            let here = fetch.paths.iter().flat_map(|path| self.level_below(path, path.0.len() + further));
            let here = here.map(|(_, (digest, _))| mark(digest));
            let room = (limits::FETCH_KNOWN * limits::FETCH_KNOWN_BYTES - known.len()) / limits::FETCH_KNOWN_BYTES;
            let marks: Vec<_> = here.take(room + 1).collect();
            if marks.len() > room {
                fetch.levels = levels;
                break;
            }
            if marks.is_empty() {
                break;
            }
            known.extend(marks.into_iter().flatten());
        }
        fetch.known = known.into();
    }

    fn level_below<'a>(
        &'a self,
        path: &'a NodePath,
        level: usize,
    ) -> impl Iterator<Item = (&'a (usize, NodePath), &'a (Digest, Octets))> {
        let there = self.nodes.range((level, path.clone())..);
        there.take_while(move |((of, at), _)| *of == level && at.0.starts_with(&path.0))
    }
}
