//! Brings the store up to date with the log, in large transactions off the hot path, so that log segments can be used
//! again and a restart is short.

use super::{commit::Job, fatal};
use crate::store::Store;
use mesh_coordinator::Changes;
use mesh_proto::id::LogPosition;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Log bytes after which the store is brought up to date.
const EVERY: u64 = 64 * 1024 * 1024;

/// One snapshot at a time.
#[derive(Clone)]
pub struct Snapshots {
    busy: Arc<AtomicBool>,
    work: SyncSender<(LogPosition, Changes)>,
}

impl Snapshots {
    /// With a thread of its own, that ends when this is dropped.
    pub fn start(store: Store, commits: SyncSender<Job>) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let busy = Arc::new(AtomicBool::new(false));
        let (work, jobs) = sync_channel(1);
        let flag = Arc::clone(&busy);
        let thread = thread::Builder::new().name("store".into()).spawn(move || write(store, &jobs, &commits, &flag))?;
        Ok((Self { busy, work }, thread))
    }

    /// Whether to take one; if so it must be begun.
    pub fn is_due(&self, log_bytes: u64) -> bool {
        log_bytes >= EVERY && !self.busy.swap(true, Ordering::AcqRel)
    }

    pub fn begin(&self, position: LogPosition, changes: Changes) {
        if self.work.send((position, changes)).is_err() {
            fatal("the store's thread has ended");
        }
    }
}

fn write(mut store: Store, jobs: &Receiver<(LogPosition, Changes)>, commits: &SyncSender<Job>, busy: &AtomicBool) {
    while let Ok((position, changes)) = jobs.recv() {
        let entries = changes.len();
        if let Err(error) = store.write(position, changes) {
            fatal(&format!("the store cannot be written: {error}"));
        }
        tracing::debug!(%position, entries, "the store has caught up with the log");
        if commits.send(Job::Release(position)).is_err() {
            return;
        }
        busy.store(false, Ordering::Release);
    }
}
