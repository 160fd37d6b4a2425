//! Brings the store up to date with the log, in large transactions off the hot path, so that log segments can be used
//! again and a restart is short.

use super::{
    commit::{Job, LogState},
    fatal,
    reserve::{self, Room},
};
use crate::store::Store;
use mesh_coordinator::{Changes, agreement::Pages};
use mesh_proto::id::LogPosition;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// Log bytes after which the store is brought up to date.
const EVERY: u64 = 64 * 1024 * 1024;

/// So far a replica waits for a moment in which the store need not be given batches that the log has: the latest are told
/// again with all that is in them, and just before a checkpoint is stable that is as much as the log has since the last.
const AT_THE_LATEST: u64 = 2 * EVERY;

/// So many batches told again are few: those that were in flight when the checkpoint became stable.
const FEW_BATCHES: usize = 16;

/// Changed entries after which it is, too: to encode them takes the brain a turn of some 50 ms, and a node that says nothing
/// for longer than a placement may take is passed over. New records are appended to the store, so many small writes cost it
/// no more than a few large ones.
const EVERY_CHANGES: u64 = 16_384;

/// The same of a replica that waits for such a moment: a record that lets go of thousands is small in the log.
const CHANGES_AT_THE_LATEST: u64 = 250_000;

/// So often is looked whether there is room on the disk now; the commit thread measures it.
const LOOK: Duration = Duration::from_millis(200);

/// One snapshot at a time.
#[derive(Clone)]
pub struct Snapshots {
    busy: Arc<AtomicBool>,
    work: SyncSender<(LogPosition, Changes, Pages)>,
}

/// The store's own thread.
struct Writer {
    store: Store,
    commits: SyncSender<Job>,
    busy: Arc<AtomicBool>,
    log: LogState,
    /// Set when the node stops.
    stop: Arc<AtomicBool>,
}

impl Snapshots {
    /// With a thread of its own, that ends when this is dropped.
    pub fn start(
        store: Store,
        commits: SyncSender<Job>,
        log: LogState,
        stop: Arc<AtomicBool>,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let busy = Arc::new(AtomicBool::new(false));
        let (work, jobs) = sync_channel(1);
        let writer = Writer { store, commits, busy: Arc::clone(&busy), log, stop };
        let thread = thread::Builder::new().name("store".into()).spawn(move || writer.run(&jobs))?;
        Ok((Self { busy, work }, thread))
    }

    /// Whether to take one; if so it must be begun. `retold`: batches that it would have once more, on a replica.
    pub fn is_due(&self, room: &Room, retold: Option<usize>) -> bool {
        let every = match retold {
            Some(batches) if batches > FEW_BATCHES => (AT_THE_LATEST, CHANGES_AT_THE_LATEST),
            Some(_) | None => (EVERY, EVERY_CHANGES),
        };
        let (bytes, changes) = if room.is_short() { (reserve::SHORT, reserve::FEW) } else { every };
        (room.backlog >= bytes || room.changes >= changes) && !self.busy.swap(true, Ordering::AcqRel)
    }

    pub fn begin(&self, position: LogPosition, changes: Changes, pages: Pages) {
        if self.work.send((position, changes, pages)).is_err() {
            fatal("the store's thread has ended");
        }
    }
}

impl Writer {
    fn run(mut self, jobs: &Receiver<(LogPosition, Changes, Pages)>) {
        while let Ok((position, mut changes, pages)) = jobs.recv() {
            changes.extend(pages.changes());
            drop(pages);
            if !self.wait_for_room(&changes) {
                return;
            }
            let entries = changes.len();
            if let Err(error) = self.store.write(position, changes) {
                fatal(&format!("the store cannot be written: {error}"));
            }
            tracing::debug!(%position, entries, "the store has caught up with the log");
            if self.commits.send(Job::Release(position)).is_err() {
                return;
            }
            self.busy.store(false, Ordering::Release);
        }
    }

    /// A store that runs out of room ends the process, and does so again at each start. The log has everything, so it
    /// can wait until somebody makes room; meanwhile no new work is taken. `false` when the node stops first.
    fn wait_for_room(&self, changes: &Changes) -> bool {
        let entries = self.store.len().unwrap_or_else(|error| fatal(&format!("the store cannot be read: {error}")));
        let needed = reserve::of_changes(changes, entries, self.store.disk_bytes());
        let mut is_told = false;
        while self.log.free.load(Ordering::Relaxed) < needed {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(needed, "the store waits for room on the disk: free so many bytes");
            }
            thread::park_timeout(LOOK);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreConfig;
    use mesh_proto::id::StoreId;

    /// Snapshots of a store on a disk without room, with one begun.
    struct Full {
        log: LogState,
        stop: Arc<AtomicBool>,
        jobs: Receiver<Job>,
        snapshots: Snapshots,
        thread: thread::JoinHandle<()>,
        directory: tempfile::TempDir,
    }

    const AT: LogPosition = LogPosition(7);

    fn full() -> Full {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory);
        let (commits, jobs) = sync_channel(4);
        let (log, stop) = (LogState::default(), Arc::new(AtomicBool::new(false)));
        let (snapshots, thread) = Snapshots::start(store, commits, log.clone(), Arc::clone(&stop)).unwrap();
        assert!(snapshots.is_due(&roomy(EVERY), None));
        snapshots.begin(AT, vec![(b"key".to_vec(), Some(b"value".to_vec()))], Pages::default());
        Full { log, stop, jobs, snapshots, thread, directory }
    }

    fn roomy(backlog: u64) -> Room {
        Room { headroom: u64::MAX, free: u64::MAX, backlog, changes: 0 }
    }

    fn tight(backlog: u64) -> Room {
        Room { headroom: 0, free: 0, backlog, changes: 0 }
    }

    fn open(directory: &tempfile::TempDir) -> Store {
        Store::open_file(&directory.path().join("store.redb"), StoreId(1), &StoreConfig::default()).unwrap()
    }

    #[test]
    fn the_store_waits_for_room_and_then_goes_on() {
        let Full { log, jobs, snapshots, thread, directory, .. } = full();
        assert!(jobs.recv_timeout(LOOK * 2).is_err(), "written without room");
        assert!(!snapshots.is_due(&tight(u64::MAX), None), "one at a time");
        log.free.store(u64::MAX, Ordering::Relaxed);
        assert!(matches!(jobs.recv().unwrap(), Job::Release(AT)));
        drop(snapshots);
        thread.join().unwrap();
        assert_eq!(open(&directory).position(), AT);
    }

    #[test]
    fn a_node_that_stops_does_not_wait_for_room() {
        let Full { stop, thread, directory, .. } = full();
        stop.store(true, Ordering::Release);
        thread.join().unwrap();
        assert_eq!(open(&directory).position(), LogPosition::START);
    }

    #[test]
    fn short_of_room_the_log_is_taken_in_early() {
        let Full { log, jobs, snapshots, .. } = full();
        log.free.store(u64::MAX, Ordering::Relaxed);
        assert!(matches!(jobs.recv().unwrap(), Job::Release(AT)));
        let of_replica = |room: Room, retold| {
            // Until the writer has said that it is done.
            while snapshots.busy.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let due = snapshots.is_due(&room, retold);
            snapshots.busy.store(false, Ordering::Release);
            due
        };
        let due = |room| of_replica(room, None);
        assert!(!due(roomy(EVERY - 1)) && due(roomy(EVERY)));
        let changed = |room, changes| Room { changes, ..room };
        assert!(!due(changed(roomy(0), EVERY_CHANGES - 1)) && due(changed(roomy(0), EVERY_CHANGES)));
        assert!(!due(changed(tight(0), reserve::FEW - 1)) && due(changed(tight(0), reserve::FEW)));
        assert!(!due(tight(reserve::SHORT - 1)) && due(tight(reserve::SHORT)));
        // A replica waits until few batches are told again, but not for ever, and not where room is short.
        for (retold, every) in [(0, EVERY), (FEW_BATCHES, EVERY), (FEW_BATCHES + 1, AT_THE_LATEST)] {
            assert!(!of_replica(roomy(every - 1), Some(retold)) && of_replica(roomy(every), Some(retold)), "{retold}");
        }
        for (retold, every) in [(FEW_BATCHES, EVERY_CHANGES), (FEW_BATCHES + 1, CHANGES_AT_THE_LATEST)] {
            let changed = |changes| of_replica(Room { changes, ..roomy(0) }, Some(retold));
            assert!(!changed(every - 1) && changed(every), "{retold}");
        }
        assert!(of_replica(tight(reserve::SHORT), Some(usize::MAX)));
    }
}
