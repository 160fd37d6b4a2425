//! Memory of one program: all its linear memories and tables together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::{ResourceLimiter, Result};

/// What is told of it while it runs and when it is over.
#[derive(Debug, Default)]
pub struct Tally {
    peak: AtomicU64,
    /// The most that it asked for and did not get; 0: it got all.
    denied: AtomicU64,
}

impl Tally {
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    pub fn denied(&self) -> Option<u64> {
        Some(self.denied.load(Ordering::Relaxed)).filter(|wanted| *wanted > 0)
    }
}

pub struct Limiter {
    limit: u64,
    used: u64,
    /// What the last growth added, should it fail after all.
    last: u64,
    tally: Arc<Tally>,
}

/// A reference on this machine.
const ELEMENT_BYTES: u64 = 8;
/// Of a component's parts. Programs have one to five of each.
const MOST_INSTANCES: usize = 128;
const MOST_TABLES: usize = 128;
/// Each reserves gigabytes of addresses.
const MOST_MEMORIES: usize = 16;

impl Limiter {
    pub fn new(limit: u64, tally: Arc<Tally>) -> Self {
        Self { limit, used: 0, last: 0, tally }
    }

    fn grow(&mut self, more: u64) -> bool {
        let wanted = self.used.saturating_add(more);
        if wanted > self.limit {
            self.tally.denied.fetch_max(wanted, Ordering::Relaxed);
            return false;
        }
        (self.used, self.last) = (wanted, more);
        self.tally.peak.fetch_max(wanted, Ordering::Relaxed);
        true
    }

    fn give_back(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last));
    }
}

/// A program that asks for too much is told that there is none, as by a machine without more: it may do with less.
impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> Result<()> {
        tracing::debug!(%error, "a program's memory did not grow");
        self.give_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(self.grow((desired.saturating_sub(current) as u64).saturating_mul(ELEMENT_BYTES)))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> Result<()> {
        tracing::debug!(%error, "a program's table did not grow");
        self.give_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}
