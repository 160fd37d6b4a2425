//! How much of the disk is kept back: for finishing what was accepted, and for the store, which must take in what is
//! in the log before the log can give its room back.

use mesh_coordinator::Changes;

/// For the ends of what was accepted: results and their registers, appended when nothing new is taken any more.
const FINISH: u64 = 64 << 20;

/// Room that the store may need, in bytes of the log that it has not taken in. The store copies on write, and its old
/// pages are free only behind the transaction: a record of 600 bytes is a page of 4 KiB anew, one of 17 KiB lies in 32.
const STORE_PER_LOG: u64 = 4;

/// Short of room the store is brought up to date at so many bytes of log, and not only when a restart would be long:
/// until then the log holds room twice, as segments that are not released and as room that is kept for the store.
pub const SHORT: u64 = 8 << 20;

/// Whether new work may be taken with `headroom` bytes left, and `log_bytes` that the store has not taken in.
pub fn takes_work(headroom: u64, log_bytes: u64) -> bool {
    headroom > FINISH.saturating_add(log_bytes.saturating_mul(STORE_PER_LOG))
}

/// Bytes that a transaction with these changes may take of the disk: a run of pages for each value, which is a power of
/// two, one page for the neighbours that are written anew with it, and what the way there from the root takes.
pub fn of_changes(changes: &Changes) -> u64 {
    let pages = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
        let bytes = key.len() + value.as_ref().map_or(0, Vec::len) + ENTRY;
        (bytes.next_power_of_two().max(PAGE) + PAGE) as u64
    };
    let leaves: u64 = changes.iter().map(pages).sum();
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
        assert!(!takes_work(FINISH, 0) && takes_work(FINISH + 1, 0));
        let log = 60 << 20;
        assert!(!takes_work(FINISH + 4 * log, log) && takes_work(FINISH + 4 * log + 1, log));
        // The log knows no bound where its disk does not.
        assert!(takes_work(u64::MAX, log) && !takes_work(1 << 40, u64::MAX));
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
            let (foreseen, before) = (of_changes(&changes), taken(&path));
            position = position.next();
            store.write(position, changes).unwrap();
            let took = taken(&path).saturating_sub(before);
            assert!(took <= foreseen, "{took} bytes were taken for values of {size}, {foreseen} foreseen");
        }
    }
}
