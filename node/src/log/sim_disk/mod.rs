//! A disk in memory that forgets, tears and rots as real ones do: the second implementation of the seam.
//!
//! What a write leaves until the file is synced is, for each sector of 512 bytes on its own, any content that the
//! sector had since the last sync: so a write is lost, torn or overtaken by a later one. Creations, renames and
//! removals that were not synced survive a crash up to some point, as on a journaling file system.
//!
//! [`SimDisk`] is the medium and outlives the node; [`Mount`] is what one life of the node has of it. After
//! [`SimDisk::crash`] the mounts made before fail every call, so that threads of the earlier life change nothing.
//! Everything is deterministic: equal calls and choices give equal content.

mod file;
mod mount;
mod state;

pub use mount::{Mount, MountFile};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use state::State;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The medium. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// An empty disk without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as a node of this life has it.
    pub fn mount(&self) -> Mount {
        let life = self.state().life;
        Mount { disk: self.clone(), life }
    }

    /// The power fails: what was not synced is kept or not as drawn from `seed`, and all mounts are dead. Heals
    /// whatever [`SimDisk::lose_power_after`] and the failing calls had been asked for.
    pub fn crash(&self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        // Each crash leans its own way: with even chances, batches of many sectors would never survive or vanish
        // whole.
        let lean = random.random_range(0..3);
        self.crash_with(|options| match lean {
            0 => random.random_range(0..options),
            1 if random.random_ratio(7, 8) => options - 1,
            2 if random.random_ratio(7, 8) => 0,
            _ => random.random_range(0..options),
        });
    }

    /// Like [`SimDisk::crash`]; `choose(n)` gives a number below `n`, 0 for the oldest content or length and `n - 1`
    /// for the newest. It is asked for nothing of which there is only one version, in an order that depends only on
    /// what was done before.
    pub fn crash_with(&self, mut choose: impl FnMut(usize) -> usize) {
        self.state().crash(&mut choose);
    }

    /// The process ends, the machine does not: all mounts are dead, and what was written is still there, unsynced.
    pub fn restart(&self) {
        self.state().end_life();
    }

    /// An empty disk again; all mounts are dead.
    pub fn wipe(&self) {
        self.state().wipe();
    }

    /// The number of calls so far that change something or sync.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the power fail during the `n`-th operation from now on (0 is the next one): it is begun, and fails, as do
    /// all calls after it. [`SimDisk::crash`] then decides what of it was done.
    pub fn lose_power_after(&self, n: u64) {
        let mut state = self.state();
        state.power_until = Some(state.operations + n);
    }

    /// Takes [`SimDisk::lose_power_after`] back, where that has not come to pass.
    pub fn keep_power(&self) {
        let mut state = self.state();
        if state.power_until.is_some_and(|last| state.operations <= last) {
            state.power_until = None;
        }
    }

    /// Whether the power is lost.
    pub fn is_off(&self) -> bool {
        let state = self.state();
        state.power_until.is_some_and(|last| state.operations > last)
    }

    /// Lets the next `n` writes fail without writing anything.
    pub fn fail_writes(&self, n: u32) {
        self.state().failing_writes = n;
    }

    /// Lets the next `n` syncs of files fail. As on Linux, the content stays readable, counts as clean, and is only
    /// written to the medium if it is written anew.
    pub fn fail_syncs(&self, n: u32) {
        self.state().failing_syncs = n;
    }

    /// Lets the lengths of all files together not grow over `bytes`. `None`, the default, is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Turns one bit over, on the medium and in whatever a cache holds.
    pub fn flip(&self, name: &str, offset: u64, bit: u8) -> io::Result<()> {
        self.state().flip(name, offset, bit)
    }

    /// Turns a bit over somewhere in some file; says where. `None` if no file has content.
    pub fn rot(&self, seed: u64) -> Option<(String, u64)> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut state = self.state();
        let files: Vec<(String, u64)> = state.lengths().filter(|(_, len)| *len > 0).collect();
        let (name, len) = files.get(random.random_range(0..files.len().max(1)))?.clone();
        let offset = random.random_range(0..len);
        state.flip(&name, offset, random.random_range(0..8)).ok()?;
        Some((name, offset))
    }

    /// The files and their lengths, by name.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.state().lengths().collect()
    }

    /// The content of a file as a reader sees it now.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        self.state().content(name)
    }

    /// Removes a file for good, as an operator's mistake would.
    pub fn lose_file(&self, name: &str) -> bool {
        self.state().lose_file(name)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is held is a failed test on another thread; what is there is still consistent enough to
        // be looked at.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
