//! Maps by task that are quick and the same in every process.

use mesh_proto::id::TaskId;
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
};

/// Never iterate one where the order can be seen.
pub type TaskMap<V> = HashMap<TaskId, V, BuildHasherDefault<IdHasher>>;

/// As [`TaskMap`].
pub type TaskSet = HashSet<TaskId, BuildHasherDefault<IdHasher>>;

/// A task id is a hash already: takes its first eight bytes.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    // The length that comes before an array's bytes says nothing.
    fn write_usize(&mut self, _: usize) {}
}
