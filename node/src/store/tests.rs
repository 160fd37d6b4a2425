use super::{Store, StoreConfig, StoreError};
use crate::log::{Disk, DiskFile, sim_disk::SimDisk};
use mesh_proto::id::{LogPosition, StoreId};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;

const ID: StoreId = StoreId(0xfeed);

fn open(disk: &SimDisk) -> Result<Store, StoreError> {
    Store::open_disk(&mut disk.mount(), "store.redb", ID, &StoreConfig { cache_bytes: 64 << 10 })
}

fn contents(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = Vec::new();
    store
        .for_each(|key, value| {
            found.push((key.to_vec(), value.to_vec()));
            Ok::<(), StoreError>(())
        })
        .unwrap();
    assert!(found.is_sorted());
    found.into_iter().collect()
}

#[test]
fn changes_and_position_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let config = StoreConfig::default();
    let mut store = Store::open_file(&path, ID, &config).unwrap();
    assert_eq!(store.position(), LogPosition::START);
    assert!(store.is_empty().unwrap());
    let set = |key: &str, value: &str| (key.as_bytes().to_vec(), Some(value.as_bytes().to_vec()));
    store.write(LogPosition(3), vec![set("b", "1"), set("a", "2"), set("c", "3"), set("b", "4")]).unwrap();
    store.write(LogPosition(5), vec![(b"c".to_vec(), None), (b"never".to_vec(), None)]).unwrap();
    assert!(matches!(
        store.write(LogPosition(4), vec![set("x", "y")]),
        Err(StoreError::Backwards { position: LogPosition(5), upto: LogPosition(4) })
    ));
    store.close().unwrap();

    let store = Store::open_file(&path, ID, &config).unwrap();
    assert_eq!(store.position(), LogPosition(5));
    assert_eq!(store.get(b"b").unwrap().unwrap(), b"4");
    assert_eq!(store.get(b"c").unwrap(), None);
    assert_eq!(store.len().unwrap(), 2);
    let expected = [(b"a".to_vec(), b"2".to_vec()), (b"b".to_vec(), b"4".to_vec())];
    assert_eq!(contents(&store), expected.into());
    // A second node on the same file.
    assert!(matches!(Store::open_file(&path, ID, &config), Err(StoreError::Database { .. })));
}

#[test]
fn a_store_of_another_log_is_refused() {
    let disk = SimDisk::new();
    open(&disk).unwrap().close().unwrap();
    let error = Store::open_disk(&mut disk.mount(), "store.redb", StoreId(1), &StoreConfig::default()).unwrap_err();
    assert!(matches!(error, StoreError::OtherStore { found: ID, expected: StoreId(1) }));
    assert_eq!(error.to_string(), "store: belongs to store id 000000000000feed, the log to 0000000000000001");
    open(&disk).unwrap();
}

#[test]
fn an_unknown_version_is_named() {
    let disk = SimDisk::new();
    let store = open(&disk).unwrap();
    store.write_format(7);
    store.close().unwrap();
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, StoreError::Version { found: 7, supported: 3 }), "{error}");
    assert!(error.to_string().contains('7') && error.to_string().contains('3'));
}

#[test]
fn a_store_of_the_format_before_is_read_and_becomes_one_of_this_with_its_first_write() {
    let disk = SimDisk::new();
    let store = open(&disk).unwrap();
    store.write_format(2);
    store.close().unwrap();
    let mut store = open(&disk).unwrap();
    assert_eq!(store.format(), 2);
    store.write(LogPosition(1), vec![(b"key".to_vec(), Some(b"value".to_vec()))]).unwrap();
    assert_eq!(store.format(), 3);
    store.close().unwrap();
    assert_eq!(open(&disk).unwrap().position(), LogPosition(1));
}

#[test]
fn the_loss_of_power_at_any_operation_leaves_position_and_content_of_one_write() {
    let mut crashes = 0;
    let mut survived = [0; 2];
    for seed in 0..400 {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut states = vec![BTreeMap::new()];
        let mut acknowledged = 0;
        for _ in 0..random.random_range(1..5) {
            disk.lose_power_after(random.random_range(0..150));
            let ended = open(&disk).and_then(|mut store| {
                check(seed, &store, &mut states, &mut acknowledged);
                for _ in 0..random.random_range(1..8) {
                    let mut next = states.last().unwrap().clone();
                    let mut changes = Vec::new();
                    for _ in 0..random.random_range(1..30) {
                        let key = vec![random.random_range(0..60); random.random_range(1..5)];
                        let value =
                            random.random_ratio(3, 4).then(|| vec![random.random(); random.random_range(0..3000)]);
                        match &value {
                            Some(value) => next.insert(key.clone(), value.clone()),
                            None => next.remove(&key),
                        };
                        changes.push((key, value));
                    }
                    states.push(next);
                    store.write(LogPosition(states.len() as u64 - 1), changes)?;
                    acknowledged = states.len() - 1;
                }
                Ok(())
            });
            assert!(ended.is_ok() || disk.is_off(), "seed {seed}: {ended:?}");
            survived[usize::from(ended.is_ok())] += 1;
            crashes += 1;
            disk.crash(random.random());
        }
        let store = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        check(seed, &store, &mut states, &mut acknowledged);
    }
    assert!(crashes > 500 && survived.iter().all(|&n| n > 50), "{crashes} {survived:?}");
}

/// Of a value, of a key, and of the position. The log finds rot in its records by its own checksum
/// (`log/tests/rot.rs`); what the store has taken in is in no log any more.
#[test]
fn a_flipped_bit_of_what_is_stored_is_found() {
    let (position, key, value) = (0x1122_3344_5566_7788_u64, b"under this key", b"a fact that a promise rests on");
    let disk = SimDisk::new();
    let mut store = open(&disk).unwrap();
    store.write(LogPosition(position), vec![(key.to_vec(), Some(value.to_vec()))]).unwrap();
    store.close().unwrap();
    let content = disk.content("store.redb").unwrap();
    for what in [&position.to_le_bytes()[..], key, value] {
        let place = content.windows(what.len()).position(|found| found == what).unwrap();
        for byte in place..place + what.len() {
            let disk = SimDisk::new();
            let mut file = disk.mount().create("store.redb", content.len() as u64).unwrap();
            file.write_at(&content, 0).unwrap();
            file.sync_data().unwrap();
            disk.mount().sync().unwrap();
            disk.flip("store.redb", byte as u64, (byte % 8) as u8).unwrap();
            let found = open(&disk).map(|store| (store.position(), contents(&store)));
            assert!(matches!(found, Err(StoreError::Database { .. })), "byte {} of {what:?}: {found:?}", byte - place);
        }
    }
}

/// What is there must be the state of some write since the last acknowledged one, whole.
fn check(seed: u64, store: &Store, states: &mut Vec<BTreeMap<Vec<u8>, Vec<u8>>>, acknowledged: &mut usize) {
    let position = store.position().0 as usize;
    assert!(position >= *acknowledged, "seed {seed}: {acknowledged} was acknowledged, {position} is there");
    assert!(position < states.len(), "seed {seed}: {position} was never written");
    assert!(contents(store) == states[position], "seed {seed}: other content at {position}");
    states.truncate(position + 1);
    *acknowledged = position;
}
