//! An ordered map whose content has a root digest that does not depend on how the content came to be.
//!
//! The shape is described in `mesh_proto::ledger` beside the encoding of its nodes. Nodes are shared: cloning a map is
//! one reference, and a change copies the nodes between root and page that a clone still has, once. Digests of nodes are
//! computed when they are asked for and kept until the node changes, so that the root after a checkpoint costs what
//! changed since the one before. The digest of an entry is computed when it is made, which spreads that work evenly.

mod changes;
mod export;
mod import;
mod known;
mod node;
mod page;

pub use changes::Changes;
pub use import::{Import, ImportError};
pub use known::{Known, mark};

use mesh_proto::{id::Digest, ledger::Entry};
use node::Node;
use std::{ops::ControlFlow, sync::Arc};

/// Keys and values in order of the keys.
#[derive(Clone, Debug, Default)]
pub struct Map {
    root: Arc<Node>,
}

impl Map {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The map of these entries, of which the later wins where two have one key.
    #[must_use]
    pub fn from_entries(mut entries: Vec<Entry>) -> Self {
        // Stable, so that of equal keys the last stays last.
        entries.sort_by(|a, b| a.key().cmp(b.key()));
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            match kept.last_mut() {
                Some(last) if last.key() == entry.key() => *last = entry,
                _ => kept.push(entry),
            }
        }
        Self { root: Arc::new(Node::build(kept)) }
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.root.size().0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The weight of all entries: about the memory that they take, in bytes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.root.size().1
    }

    /// The digest of all that is in it. Costs what changed since it was last asked for.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root.digest()
    }

    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entry(key).map(Entry::value)
    }

    #[must_use]
    pub fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.root.get(key)
    }

    /// Puts the parts of `value`, one behind the other, at `key`.
    pub fn put(&mut self, key: &[u8], value: &[&[u8]]) {
        self.put_with(key, |_| Entry::new(key, value));
    }

    /// Puts in what is made of the entry that is there, if there is one, under the same key: one way down for both.
    pub fn put_with(&mut self, key: &[u8], make: impl FnOnce(Option<&Entry>) -> Entry) {
        node::put(&mut self.root, key, make);
    }

    /// Whether there was something.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        // A look first: what is not there must not cost copies of what is.
        self.entry(key).is_some() && node::remove(&mut self.root, key)
    }

    /// Shows the entries from `from` on, in order, until `visit` breaks.
    pub fn scan<'a>(&'a self, from: &[u8], mut visit: impl FnMut(&'a Entry) -> ControlFlow<()>) {
        // How the walk ended is in what the visitor kept.
        match self.root.scan(from, true, &mut visit) {
            ControlFlow::Continue(()) | ControlFlow::Break(()) => {}
        }
    }

    /// The first entry whose key begins so.
    #[must_use]
    pub fn first(&self, prefix: &[u8]) -> Option<&Entry> {
        let mut first = None;
        self.scan(prefix, |entry| {
            first = entry.key().starts_with(prefix).then_some(entry);
            ControlFlow::Break(())
        });
        first
    }

    /// The entries whose keys begin so, at most `limit`.
    #[must_use]
    pub fn below(&self, prefix: &[u8], limit: usize) -> Vec<&Entry> {
        let mut found = Vec::new();
        self.scan(prefix, |entry| {
            if found.len() == limit || !entry.key().starts_with(prefix) {
                return ControlFlow::Break(());
            }
            found.push(entry);
            ControlFlow::Continue(())
        });
        found
    }
}

#[cfg(test)]
mod tests;
