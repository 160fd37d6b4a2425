//! The map with types: records by their keys.

use crate::{Event, Map, key, meta::Meta};
use mesh_proto::{codec, ledger::Committee, limits, time::Wall};
use serde::{Serialize, de::DeserializeOwned};

/// The state while a batch is executed.
#[derive(Clone, Debug)]
pub struct State {
    pub map: Map,
    /// In the map too, as of the end of the last batch.
    pub meta: Meta,
    /// In the map too: it is asked for by most commands that are not memory.
    pub committee: Committee,
    /// Of the batch being executed.
    pub events: Vec<Event>,
    /// Last versions of what this batch deleted from memory.
    pub graves: std::collections::BTreeMap<Vec<u8>, u64>,
}

impl State {
    /// # Panics
    /// If what is there is no such record. `Ledger::open` has looked at every entry, and nothing else is written.
    pub fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Option<T> {
        self.map.get(key).map(record)
    }

    pub fn put<T: Serialize>(&mut self, key: &[u8], record: &T) {
        self.map.put(key, &[&codec::encode(record)]);
    }

    pub fn now(&self) -> Wall {
        self.meta.time
    }

    /// Whether so much more would be too much.
    pub fn is_full(&self, more: usize) -> bool {
        self.map.weight().saturating_add(more as u64) > self.meta.rules.state_bytes
    }

    pub fn expect_at(&mut self, time: Wall, what: &[u8]) {
        self.map.put(&key::at(key::DEADLINE, time, what), &[]);
    }

    pub fn expect_no_more(&mut self, time: Wall, what: &[u8]) {
        self.map.remove(&key::at(key::DEADLINE, time, what));
    }

    pub fn keep_committee(&mut self) {
        let bytes = codec::encode(&self.committee);
        self.map.put(key::COMMITTEE, &[&bytes]);
    }

    pub fn keep_meta(&mut self) {
        let bytes = codec::encode(&self.meta);
        self.map.put(key::META, &[&bytes]);
    }
}

/// A record of the state.
///
/// # Panics
/// As [`State::get`].
pub fn record<T: DeserializeOwned>(bytes: &[u8]) -> T {
    codec::decode(bytes, limits::ENTRY_BYTES).expect("every entry was looked at when the state was opened")
}
