use super::{journal::Paper, machine::Tape};
use crate::{
    log::LogStore,
    machine::Adapter,
    snapshot::Snapshots,
    types::{Batch, Entry, LogId, Member, StorageError, Types, Vote},
};
use openraft::{
    CommittedLeaderId, EntryPayload, RaftLogReader as _,
    storage::{RaftLogStorage as _, RaftLogStorageExt as _},
    testing::{StoreBuilder, Suite},
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::watch;

struct Builder;

impl StoreBuilder<Types, LogStore, Adapter<Tape>, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Adapter<Tape>), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = LogStore::open(Paper::default(), all()).unwrap();
        let snapshots = Snapshots::open(dir.path().join("raft")).unwrap();
        let machine = Adapter::open(Arc::new(Tape::default()), snapshots).await.unwrap();
        Ok((dir, log, machine))
    }
}

/// What openraft asks of any storage.
#[test]
fn the_storage_is_one_by_the_suite_of_openraft() {
    Suite::test_all(Builder).unwrap();
}

/// There is a snapshot of whatever is let go of.
fn all() -> watch::Receiver<Option<u64>> {
    watch::Sender::new(Some(u64::MAX)).subscribe()
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, Member::from(1)), index)
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(Batch::default()) }
}

/// All that a log says.
async fn told(log: &mut LogStore) -> (Option<LogId>, Vec<LogId>, Option<Vote>) {
    let state = log.get_log_state().await.unwrap();
    let entries = log.try_get_log_entries(0..).await.unwrap();
    let ids: Vec<LogId> = entries.iter().map(|entry| entry.log_id).collect();
    assert_eq!(state.last_log_id, ids.last().copied().or(state.last_purged_log_id));
    (state.last_purged_log_id, ids, log.read_vote().await.unwrap())
}

/// Whatever is done, a crash right behind it finds the same: nothing that was answered is lost, and nothing that was
/// taken back is there again, however much of the journal was let go of.
#[tokio::test]
async fn a_crash_behind_any_step_finds_what_was_answered() {
    for seed in 0..20u64 {
        let (paper, mut dice) = (Paper::default(), Dice(seed));
        let (mut log, _) = LogStore::open(paper.clone(), all()).unwrap();
        let (mut term, mut next, mut purged) = (1, 0u64, None::<u64>);
        for step in 0..120 {
            match dice.below(10) {
                0..5 => {
                    let count = 1 + dice.below(4);
                    log.blocking_append((next..next + count).map(|index| entry(term, index))).await.unwrap();
                    next += count;
                }
                5 => log.save_vote(&Vote::new(term, Member::from(dice.below(3)))).await.unwrap(),
                6 => log.save_committed(next.checked_sub(1).map(|last| log_id(term, last))).await.unwrap(),
                // A new leader takes the end of the log back.
                7 if next > purged.map_or(0, |purged| purged + 1) => {
                    let first = purged.map_or(0, |purged| purged + 1);
                    let from = first + dice.below(next - first);
                    log.truncate(log_id(term, from)).await.unwrap();
                    (next, term) = (from, term + 1);
                }
                8 if next > purged.map_or(0, |purged| purged + 1) => {
                    let first = purged.map_or(0, |purged| purged + 1);
                    let upto = first + dice.below(next - first);
                    let of = log.try_get_log_entries(upto..=upto).await.unwrap()[0].log_id;
                    log.purge(of).await.unwrap();
                    purged = Some(upto);
                }
                // A snapshot of a leader that is further.
                9 => {
                    let upto = next + dice.below(3);
                    log.purge(log_id(term, upto)).await.unwrap();
                    (purged, next) = (Some(upto), upto + 1);
                }
                _ => {}
            }
            let expected = told(&mut log).await;
            let (mut found, _) = LogStore::open(paper.crashed(), all()).unwrap();
            assert_eq!(told(&mut found).await, expected, "seed {seed}, step {step}");
            let (committed, last) = (found.read_committed().await.unwrap(), expected.1.last().copied().or(expected.0));
            assert!(committed <= last, "seed {seed}, step {step}: {committed:?} of {last:?}");
        }
    }
}

/// The journal does not grow with what the log has let go of.
#[tokio::test]
async fn what_is_purged_goes_from_the_journal() {
    let paper = Paper::default();
    let (mut log, _) = LogStore::open(paper.clone(), all()).unwrap();
    for index in 0..1000 {
        log.blocking_append([entry(1, index)]).await.unwrap();
        if index % 100 == 99 {
            log.purge(log_id(1, index - 9)).await.unwrap();
        }
    }
    assert!(paper.records() < 40, "{}", paper.records());
}

/// openraft has the log cut while a snapshot that came is still being written: behind a crash there would be neither.
#[tokio::test]
async fn nothing_is_let_go_of_before_a_snapshot_covers_it() {
    let (paper, covers) = (Paper::default(), watch::Sender::new(Some(3)));
    let (mut log, _) = LogStore::open(paper.clone(), covers.subscribe()).unwrap();
    log.blocking_append((0..10).map(|index| entry(1, index))).await.unwrap();
    let mut other = log.clone();
    let mut purge = std::pin::pin!(other.purge(log_id(1, 9)));
    assert!(tokio::time::timeout(Duration::from_millis(50), purge.as_mut()).await.is_err());
    let (mut found, _) = LogStore::open(paper.crashed(), all()).unwrap();
    assert_eq!(told(&mut found).await.1.len(), 10);
    covers.send_replace(Some(9));
    purge.await.unwrap();
    assert_eq!(told(&mut log).await.1.len(), 0);
}

/// A follower is sent as much as a message holds, and never nothing.
#[tokio::test]
async fn entries_are_read_by_their_bytes() {
    let (mut log, _) = LogStore::open(Paper::default(), all()).unwrap();
    let large = |index| {
        let bytes = vec![7; 50 * 1024];
        let requests = vec![mesh_proto::pbft::Operations::pack([&bytes[..]]).unwrap()];
        let payload = EntryPayload::Normal(Batch { time: Default::default(), requests });
        Entry { log_id: log_id(1, index), payload }
    };
    log.blocking_append((0..10).map(large)).await.unwrap();
    let read = log.limited_get_log_entries(3, 10).await.unwrap();
    assert_eq!(read.iter().map(|entry| entry.log_id.index).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(log.limited_get_log_entries(9, 10).await.unwrap().len(), 1);
}

/// SplitMix64: a run is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
