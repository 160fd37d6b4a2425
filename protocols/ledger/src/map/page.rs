//! The entries of one page, in order.

use mesh_proto::{
    id::Digest,
    ledger::{Entry, Node as Encoded, common_prefix, page_digest},
};
use std::{cmp::Ordering, sync::OnceLock};

#[derive(Clone, Debug, Default)]
pub struct Page {
    entries: Vec<Marked>,
    /// Bytes that all keys have in common.
    skip: usize,
    weight: u64,
    digest: OnceLock<Digest>,
}

/// An entry with the eight bytes of its key behind what all have in common. To find one in a page costs a look into the
/// page and one at a key; without, it is a look at five keys, each somewhere else in memory.
#[derive(Clone, Debug)]
struct Marked {
    mark: u64,
    entry: Entry,
}

impl Page {
    /// Of entries in order.
    pub fn new(entries: Vec<Entry>) -> Self {
        let weight = entries.iter().map(Entry::weight).sum();
        let entries = entries.into_iter().map(|entry| Marked { mark: 0, entry }).collect();
        let mut page = Self { entries, skip: 0, weight, digest: OnceLock::new() };
        page.mark();
        page
    }

    pub fn size(&self) -> (u64, u64) {
        (self.entries.len() as u64, self.weight)
    }

    pub fn fits(&self) -> bool {
        Encoded::fits_page(self.entries.len() as u64, self.weight)
    }

    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| page_digest(self.iter()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|marked| &marked.entry)
    }

    /// The entries from `from` on.
    pub fn iter_from(&self, from: &[u8]) -> impl Iterator<Item = &Entry> {
        let start = self.find(from).unwrap_or_else(|at| at);
        self.entries[start..].iter().map(|marked| &marked.entry)
    }

    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.find(key).ok().map(|at| &self.entries[at].entry)
    }

    pub fn put(&mut self, entry: Entry) {
        self.digest = OnceLock::new();
        self.weight += entry.weight();
        match self.find(entry.key()) {
            Ok(at) => {
                let old = std::mem::replace(&mut self.entries[at].entry, entry);
                self.weight -= old.weight();
            }
            Err(at) => {
                let shares = self.shares(entry.key());
                let mark = mark(entry.key(), self.skip);
                self.entries.insert(at, Marked { mark, entry });
                if !shares {
                    self.mark();
                }
            }
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        match self.find(key) {
            Ok(at) => {
                self.digest = OnceLock::new();
                self.weight -= self.entries.remove(at).entry.weight();
                true
            }
            Err(_) => false,
        }
    }

    pub fn into_entries(self) -> Vec<Entry> {
        self.entries.into_iter().map(|marked| marked.entry).collect()
    }

    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        if !self.shares(key) {
            return self.entries.binary_search_by(|marked| marked.entry.key().cmp(key));
        }
        let own = mark(key, self.skip);
        self.entries.binary_search_by(|marked| match marked.mark.cmp(&own) {
            // A key that ends has zeros in its mark, and so may one that goes on.
            Ordering::Equal => marked.entry.key().cmp(key),
            order => order,
        })
    }

    /// Whether a key has in common with the others what they have in common.
    fn shares(&self, key: &[u8]) -> bool {
        self.entries.first().is_some_and(|first| key.get(..self.skip) == Some(&first.entry.key()[..self.skip]))
    }

    fn mark(&mut self) {
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else { return };
        // In order, so what these two have in common all have.
        self.skip = common_prefix(first.entry.key(), last.entry.key()) / 2;
        for marked in &mut self.entries {
            marked.mark = mark(marked.entry.key(), self.skip);
        }
    }
}

fn mark(key: &[u8], skip: usize) -> u64 {
    let mut bytes = [0; 8];
    let rest = key.get(skip..).unwrap_or_default();
    let length = rest.len().min(8);
    bytes[..length].copy_from_slice(&rest[..length]);
    u64::from_be_bytes(bytes)
}
