use mesh_proto::task::How;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use utoipa::ToSchema;

/// How far a job's stream has come; shared by the batches of it.
#[derive(Debug, Default)]
pub struct Tally {
    read: AtomicU64,
    placed: AtomicU64,
    existing: AtomicU64,
    refused: AtomicU64,
    missing: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    deadline_passed: AtomicU64,
}

/// How far a job has come, in items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Progress {
    pub read: u64,
    pub placed: u64,
    /// Of the placed: submitted before, under the same key.
    pub existing: u64,
    pub refused: u64,
    /// Known to no node in reach.
    pub missing: u64,
    pub done: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub deadline_passed: u64,
}

impl Tally {
    pub fn read(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    pub fn placed(&self, existing: bool) {
        self.placed.fetch_add(1, Ordering::Relaxed);
        self.existing.fetch_add(existing.into(), Ordering::Relaxed);
    }

    pub fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub fn missing(&self) {
        self.missing.fetch_add(1, Ordering::Relaxed);
    }

    pub fn ended(&self, how: How) {
        let counter = match how {
            How::Done => &self.done,
            How::Failed => &self.failed,
            How::Cancelled => &self.cancelled,
            How::DeadlinePassed => &self.deadline_passed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn progress(&self) -> Progress {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            read: value(&self.read),
            placed: value(&self.placed),
            existing: value(&self.existing),
            refused: value(&self.refused),
            missing: value(&self.missing),
            done: value(&self.done),
            failed: value(&self.failed),
            cancelled: value(&self.cancelled),
            deadline_passed: value(&self.deadline_passed),
        }
    }
}

impl Progress {
    /// Items that came to an end of any kind.
    pub fn ended(&self) -> u64 {
        self.done + self.failed + self.cancelled + self.deadline_passed
    }
}
