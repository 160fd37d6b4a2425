//! Tests of the store as its users hold it.

mod collect;
mod crash;
mod local;
mod relay;
mod transfer;
mod world;

use super::*;
use std::{collections::BTreeSet, fs, time::Duration};

/// As by default, but patient with nothing.
pub(super) fn config() -> BlobConfig {
    BlobConfig {
        quota_bytes: 1 << 30,
        free_floor_bytes: 0,
        open_timeout: Duration::from_secs(1),
        reply_timeout: Duration::from_secs(2),
        segment_timeout: Duration::from_millis(500),
        room_wait: Duration::from_secs(1),
        collect_grace: Duration::ZERO,
        keep_lease: Duration::ZERO,
        keep_settle: Duration::ZERO,
        warm: Duration::ZERO,
        ..BlobConfig::default()
    }
}

pub(super) fn store(dir: &tempfile::TempDir, config: BlobConfig) -> BlobStore {
    let store = BlobStore::open(dir.path(), config).unwrap();
    store.set_reach(Reach { all_since: Some(Instant::now()), ..Reach::default() });
    store
}

/// Bytes that differ from group to group.
pub(super) fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

pub(super) fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

pub(super) async fn nothing(_: Vec<BlobId>) -> Result<BTreeSet<BlobId>, Unanswered> {
    Ok(BTreeSet::new())
}

pub(super) fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
