//! How much of the disk is kept back: for finishing what was accepted, and for the store, which must take in what is
//! in the log before the log can give its room back.

use mesh_coordinator::Changes;

/// For the ends of what was accepted: results and their registers, appended when nothing new is taken any more.
const FINISH: u64 = 64 << 20;

/// Room that the store may need, in bytes of the log that it has not taken in: values, each in pages of its own.
const STORE_PER_LOG: u64 = 4;
/// And for each entry that changed: the store copies on write, and its old pages are free only behind the transaction.
const STORE_PER_CHANGE: u64 = 10 << 10;

/// Short of room the store is brought up to date at so many bytes of log, and not only when a restart would be long:
/// until then the log holds room twice, as segments that are not released and as room that is kept for the store.
pub const SHORT: u64 = 8 << 20;
/// And at so many changed entries.
pub const FEW: u64 = 4_096;

/// The disk, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// May still be appended to the log: what is free, and segments that are used again. These are of no use to the store.
    pub headroom: u64,
    pub free: u64,
    /// Of the log, not in the store.
    pub backlog: u64,
    /// Entries of the store that changed, a number.
    pub changes: u64,
}

impl Room {
    /// Whether new work may be taken. However little is in the log, less than makes a snapshot due changes nothing: who
    /// refused work for want of that little would wait for one that never comes.
    pub fn takes_work(&self) -> bool {
        self.is_beyond(1)
    }

    /// Whether the store should be brought up to date before there is no room to do it in.
    pub fn is_short(&self) -> bool {
        !self.is_beyond(2)
    }

    fn is_beyond(&self, times: u64) -> bool {
        let values = self.backlog.max(SHORT).saturating_mul(STORE_PER_LOG * times);
        let store = values.saturating_add(self.changes.max(FEW).saturating_mul(STORE_PER_CHANGE * times));
        self.headroom > FINISH.saturating_add(store) && self.free > store
    }
}

/// Bytes that a transaction with these changes may take of the disk, of a store with so many entries in so many bytes: a run
/// of pages for each value, which is a power of two, two pages for the neighbours that are written anew with it, and what the way there from
/// the root takes. Pages of neighbours there are no more than entries, nor than the store has. Neighbours that are all large take more: then the
/// write may fail, and the node ends with what is in the log.
pub fn of_changes(changes: &Changes, entries: u64, store: u64) -> u64 {
    let pages = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
        let bytes = key.len() + value.as_ref().map_or(0, Vec::len) + ENTRY;
        // A page takes several of the small ones, and is half full at the least.
        let packed = if bytes < PAGE / 3 { bytes * 2 } else { bytes.next_power_of_two().max(PAGE) };
        packed as u64
    };
    let neighbours = (entries.min(changes.len() as u64) * 2 * PAGE as u64).min(store);
    let leaves = changes.iter().map(pages).sum::<u64>() + neighbours;
    leaves + leaves / 8 + BESIDE
}

/// The store's page.
const PAGE: usize = 4096;
/// What an entry takes in its page beside key and value.
const ENTRY: usize = 64;
/// Roots, and the store's own book of free pages.
const BESIDE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreConfig};
    use mesh_proto::id::{LogPosition, StoreId};
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn room_for_the_store_is_not_given_to_new_work() {
        let room = |free: u64, backlog, changes| Room { headroom: free, free, backlog, changes };
        let mib = 1 << 20;
        for (backlog, changes, store) in
            [(0, 0, 72 * mib), (SHORT, FEW, 72 * mib), (60 * mib, FEW, 280 * mib), (SHORT, 102_400, 1_032 * mib)]
        {
            let room = |free| room(free, backlog, changes);
            assert!(!room(FINISH + store).takes_work() && room(FINISH + store + 1).takes_work(), "{backlog} {changes}");
            let twice = FINISH + 2 * store;
            assert!(room(twice).is_short() && !room(twice + 1).is_short(), "{backlog} {changes}");
        }
        // The log's free segments are not the store's.
        assert!(!Room { headroom: 1 << 30, ..room(72 * mib, 0, 0) }.takes_work());
        // The log knows no bound where its disk does not.
        assert!(room(u64::MAX, 60 * mib, 0).takes_work() && !room(1 << 40, u64::MAX, 0).takes_work());
    }

    /// Blocks of the disk that the store has.
    fn taken(path: &std::path::Path) -> u64 {
        std::fs::metadata(path).unwrap().blocks() * 512
    }

    #[test]
    fn a_transaction_takes_no_more_than_is_foreseen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        let mut store = Store::open_file(&path, StoreId(1), &StoreConfig::default()).unwrap();
        let mut position = LogPosition::START;
        // Keys as tasks have them, in no order; small values, and some that just miss a run of pages.
        for (round, size) in [(0_u64, 600), (1, 17_000), (2, 300), (0, 9_000), (3, 4_000), (1, 100)] {
            let key = |at: u64| blake3::hash(&(round << 32 | at).to_be_bytes()).as_bytes().to_vec();
            let changes: Changes = (0..1_000).map(|at| (key(at), Some(vec![7; size]))).collect();
            let (foreseen, before) = (of_changes(&changes, store.len().unwrap(), store.disk_bytes()), taken(&path));
            position = position.next();
            store.write(position, changes).unwrap();
            let took = taken(&path).saturating_sub(before);
            assert!(took <= foreseen, "{took} bytes were taken for values of {size}, {foreseen} foreseen");
        }
    }
}
