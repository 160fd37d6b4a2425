//! Nodes of a state that came, by where they are in it: of a later state most are the same.

use mesh_ledger::map::Import;
use mesh_proto::{ledger::NodePath, task::Octets};
use std::collections::BTreeMap;

/// What a fetch has fetched, for the one that is begun when nobody has its state any more: without it a state that takes
/// longer to fetch than others keep it would never be there.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    nodes: BTreeMap<NodePath, Octets>,
    bytes: u64,
}

impl Gathered {
    /// A node that was taken. No more is kept than a state may have, and what is not kept is fetched again.
    pub fn keep(&mut self, path: &NodePath, bytes: &Octets, most_bytes: u64) {
        let size = bytes.len() as u64;
        if self.bytes + size <= most_bytes {
            self.bytes += size;
            let before = self.nodes.insert(path.clone(), bytes.clone());
            self.bytes -= before.map_or(0, |before| before.len() as u64);
        }
    }

    /// The node at `path` is there: what it names below it and is here is not fetched. Each proves itself, as any does that
    /// comes. A parent is before its children in the order.
    pub fn give_below(&self, path: &NodePath, import: &mut Import) {
        let below = self.nodes.range(path..).take_while(|(at, _)| at.0.starts_with(&path.0));
        for (at, bytes) in below {
            // What is not wanted, or is another node by now, changes nothing.
            drop(import.take(at, bytes));
        }
    }
}
