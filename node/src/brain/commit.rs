//! The commit thread: one append and one sync for all that waits, then the effects that rested on it, in order.

use super::{
    backlog::Backlog,
    fatal,
    hands::{Encoded, Hands},
    reserve,
    room::Room,
    snapshot::Snapshots,
};
use crate::{
    api::Pulse,
    log::{Disk, Log},
    memory,
};
use mesh_coordinator::{Changes, Effect, agreement::Pages};
use mesh_proto::id::LogPosition;
use prometheus_client::metrics::counter::Counter;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// What the brain hands over after each turn.
pub enum Job {
    /// Encoded facts in order, and what may be done once they are on disk.
    Batch { records: Vec<Vec<u8>>, effects: Vec<Effect> },
    /// The changes of the store up to here: handed to it once the log has everything that they rest on.
    Snapshot(LogPosition, Changes, Pages),
    /// The store has absorbed all records up to here.
    Release(LogPosition),
    /// Everything before this is done; say so and end.
    Stop,
}

/// Batches that wait for the disk. The brain goes on while there are fewer; then the disk is the bound.
pub const WAITING: usize = 64;

/// Records after which a node that comes to rest gives memory back.
const BURST: u64 = 1_000;

/// Without an append for so long the log is at rest. So often is the room on the disk looked at.
const QUIET: Duration = Duration::from_secs(1);

/// What others may know of the log.
#[derive(Clone, Default)]
pub struct LogState {
    /// Bytes that the store has not taken in: when to write it.
    pub bytes: Arc<AtomicU64>,
    /// Of the last record on disk, or an earlier one.
    pub durable: Arc<AtomicU64>,
    /// Bytes that may still be appended.
    pub headroom: Arc<AtomicU64>,
    /// Bytes that are free on the disk, for whatever wants them.
    pub free: Arc<AtomicU64>,
    pub syncs: Counter,
    pub records: Counter,
}

impl LogState {
    /// With so many entries of the store that changed.
    pub fn room(&self, changes: usize) -> reserve::Room {
        let of = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        let changes = changes as u64;
        reserve::Room { headroom: of(&self.headroom), free: of(&self.free), backlog: of(&self.bytes), changes }
    }
}

/// Runs until `Stop`. A failed append or sync ends the process with every waiting effect undone: a promise that was
/// forgotten is one that may be contradicted.
pub fn run<D: Disk>(
    mut log: Log<D>,
    jobs: &Receiver<Job>,
    hands: &Hands,
    snapshots: &Snapshots,
    state: &LogState,
    room: &Room,
    pulse: &Pulse,
) {
    let mut waiting: Vec<Effect> = Vec::new();
    let mut records = 0u64;
    let mut since_rest = 0u64;
    let mut is_sealed = false;
    let mut backlog = Backlog::default();
    note_headroom(&log, state);
    state.bytes.store(backlog.bytes(log.bytes_since_release()), Ordering::Relaxed);
    let (mut appended, mut looked) = (Instant::now(), Instant::now());
    loop {
        pulse.log_turned();
        // Questions come by here as well, and do not keep the log from its rest.
        if appended.elapsed() >= QUIET {
            rest(&mut log, &mut is_sealed);
            if std::mem::take(&mut since_rest) >= BURST {
                waiting.shrink_to(0);
                memory::give_back();
            }
        }
        if looked.elapsed() >= QUIET {
            looked = Instant::now();
            note_headroom(&log, state);
        }
        let first = match jobs.recv_timeout(QUIET) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut release = None;
        let mut snapshot = None;
        // Bytes of the records that came after it, and are not in it.
        let mut behind = 0;
        let mut stop = false;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Batch { records: encoded, effects } => {
                    if snapshot.is_some() {
                        behind += encoded.iter().map(|record| record.len() as u64).sum::<u64>();
                    }
                    for record in &encoded {
                        if let Err(error) = log.append(record) {
                            fatal(&format!("the log refused a record: {error}"));
                        }
                    }
                    records += encoded.len() as u64;
                    waiting.extend(effects);
                }
                Job::Snapshot(position, changes, pages) => snapshot = Some((position, changes, pages)),
                Job::Release(upto) => release = Some(upto),
                Job::Stop => stop = true,
            }
            next = jobs.try_recv().ok();
        }
        room.made();
        if records > 0 {
            match log.commit() {
                Ok(position) => state.durable.store(position.0, Ordering::Release),
                Err(error) => fatal(&format!("the log cannot be written: {error}")),
            }
            state.records.inc_by(records);
            state.syncs.inc();
            since_rest += records;
            records = 0;
            appended = Instant::now();
            is_sealed = false;
        }
        let mut encoded = Encoded::default();
        for effect in waiting.drain(..) {
            hands.carry_out(effect, &mut encoded);
        }
        if let Some(upto) = release {
            backlog.release(log.bytes_since_release());
            if let Err(error) = log.release(upto) {
                fatal(&format!("the log cannot be released: {error}"));
            }
        }
        // After the release of the one before.
        if let Some((position, changes, pages)) = snapshot {
            backlog.begin(log.bytes_since_release().saturating_sub(behind));
            snapshots.begin(position, changes, pages);
        }
        state.bytes.store(backlog.bytes(log.bytes_since_release()), Ordering::Relaxed);
        if release.is_some() {
            note_headroom(&log, state);
        }
        if stop {
            rest(&mut log, &mut is_sealed);
            return;
        }
    }
}

/// With nothing to do: the last batch is sealed, so that rot in it cannot pass for a torn write, and the next segment
/// is made ready.
fn rest<D: Disk>(log: &mut Log<D>, is_sealed: &mut bool) {
    if *is_sealed {
        return;
    }
    if let Err(error) = log.seal().and_then(|()| log.prepare()) {
        fatal(&format!("the log cannot be written: {error}"));
    }
    *is_sealed = true;
}

fn note_headroom<D: Disk>(log: &Log<D>, state: &LogState) {
    match log.headroom().and_then(|headroom| Ok((headroom, log.free_bytes()?))) {
        Ok((headroom, free)) => {
            state.headroom.store(headroom, Ordering::Relaxed);
            state.free.store(free, Ordering::Relaxed);
        }
        Err(error) => tracing::warn!(%error, "cannot tell how much room the disk has"),
    }
}
