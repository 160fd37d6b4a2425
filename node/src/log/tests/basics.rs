use super::{super::*, NEW, contents, open, record, small};
use crate::log::{segment::Name, sim_disk::SimDisk};
use mesh_proto::id::{LogPosition, StoreId};

#[test]
fn a_committed_record_is_there_after_a_restart_and_an_uncommitted_one_is_not() {
    let disk = SimDisk::new();
    let opened = open(&disk).unwrap();
    assert!(opened.fresh);
    assert_eq!((opened.store_id, opened.first), (NEW.store_id, LogPosition(1)));
    let mut log = opened.log;
    assert_eq!(log.append(b"one").unwrap(), LogPosition(1));
    assert_eq!(log.append(b"").unwrap(), LogPosition(2));
    assert_eq!(log.last(), LogPosition(0));
    assert_eq!(log.commit().unwrap(), LogPosition(2));
    log.append(b"never committed").unwrap();
    drop(log);
    disk.restart();

    let other = NewLog { store_id: StoreId(1), salt: 2 };
    let opened = Log::open(disk.mount(), &small(), other).unwrap();
    assert!(!opened.fresh);
    assert_eq!(opened.store_id, NEW.store_id);
    assert_eq!(contents(&opened.log, LogPosition(0)).unwrap(), [b"one".to_vec(), b"".to_vec()]);
    assert_eq!(contents(&opened.log, LogPosition(1)).unwrap(), [b"".to_vec()]);
    assert_eq!(opened.log.last(), LogPosition(2));
}

#[test]
fn a_commit_is_one_write_and_one_sync_however_many_records() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    for records in [1, 10, 20] {
        for n in 0..records {
            log.append(&record(n, 50)).unwrap();
        }
        let before = disk.operations();
        log.commit().unwrap();
        assert_eq!(disk.operations() - before, 2);
    }
    let before = disk.operations();
    log.commit().unwrap();
    assert_eq!(disk.operations(), before, "nothing to commit, nothing written");
}

#[test]
fn the_largest_record_fits_and_a_larger_one_is_refused_without_harm() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    let limit = log.max_record();
    log.append(b"before").unwrap();
    let refused = log.append(&record(1, limit + 1)).unwrap_err();
    assert!(matches!(refused, LogError::TooLarge { size, limit: l } if size == limit + 1 && l == limit));
    log.append(&record(2, limit)).unwrap();
    log.commit().unwrap();
    log.seal().unwrap();
    log.append(b"after").unwrap();
    log.commit().unwrap();
    disk.restart();
    let log = open(&disk).unwrap().log;
    let expected = [b"before".to_vec(), record(2, limit), b"after".to_vec()];
    assert_eq!(contents(&log, LogPosition(0)).unwrap(), expected);
    assert_eq!(log.segments().0, 3);
}

#[test]
fn one_commit_may_span_many_segments() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    let records: Vec<_> = (0..60).map(|n| record(n, 301)).collect();
    for record in &records {
        log.append(record).unwrap();
    }
    log.commit().unwrap();
    assert!(log.segments().0 > 4);
    assert_eq!(contents(&log, LogPosition(0)).unwrap(), records);
    disk.restart();
    let log = open(&disk).unwrap().log;
    assert_eq!(contents(&log, LogPosition(0)).unwrap(), records);
    for after in 0..60 {
        assert_eq!(contents(&log, LogPosition(after)).unwrap(), records[after as usize..]);
    }
}

#[test]
fn released_segments_are_used_again_and_their_records_are_gone() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    for n in 0..400 {
        log.append(&record(n, 500)).unwrap();
        log.commit().unwrap();
        if n % 20 == 19 {
            log.release(LogPosition(n - 5)).unwrap();
            assert_eq!(log.bytes_since_release(), 0);
            assert!(log.first() <= LogPosition(n - 4), "an unreleased record is gone");
            let (live, free) = log.segments();
            assert!(live <= 5 && free <= 2, "{live} live, {free} free");
        }
    }
    let first = log.first();
    let wanted = log.replay(LogPosition(first.0 - 2), |_, _| Ok::<(), LogError>(())).unwrap_err();
    assert!(matches!(wanted, LogError::Released { first: f, .. } if f == first));
    disk.restart();
    let opened = open(&disk).unwrap();
    assert_eq!(opened.first, first);
    let expected: Vec<_> = (first.0 - 1..400).map(|n| record(n, 500)).collect();
    assert_eq!(contents(&opened.log, LogPosition(first.0 - 1)).unwrap(), expected);
    assert!(opened.log.bytes_since_release() > 0);
}

/// The spare that was made last is used first, so that of two one can outlast the segment of its own number.
#[test]
fn a_released_segment_does_not_take_the_name_of_a_spare() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut n = 0;
    let mut fill = |log: &mut Log<_>| {
        let before = log.segments().0;
        while log.segments().0 == before {
            n += 1;
            log.append(&record(n, 500)).unwrap();
            log.commit().unwrap();
        }
    };
    // A spare with the number of the next segment, and before it is used another.
    fill(&mut log);
    log.prepare().unwrap();
    log.release(log.last()).unwrap();
    assert_eq!(log.segments(), (1, 2));
    // The next segment uses the other, is released, and there are two spares again, each of its own.
    fill(&mut log);
    log.release(log.last()).unwrap();
    fill(&mut log);
    log.release(log.last()).unwrap();
    for _ in 0..4 {
        fill(&mut log);
    }
    disk.restart();
    open(&disk).unwrap();
}

#[test]
fn the_current_segment_is_never_released() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.append(b"x").unwrap();
    log.commit().unwrap();
    log.release(log.last()).unwrap();
    assert_eq!(log.segments(), (1, 0));
    disk.restart();
    assert_eq!(open(&disk).unwrap().log.last(), LogPosition(1));
}

#[test]
fn what_somebody_knows_was_durable_can_be_required() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.append(b"x").unwrap();
    log.require(LogPosition(0)).unwrap();
    assert!(matches!(log.require(LogPosition(1)), Err(LogError::Lost { .. })));
    log.commit().unwrap();
    log.require(LogPosition(1)).unwrap();
    let lost = log.replay(LogPosition(2), |_, _| Ok::<(), LogError>(()));
    assert!(matches!(lost, Err(LogError::Lost { last: LogPosition(1), known: LogPosition(2) })));
}

#[test]
fn an_unknown_version_is_named_and_nothing_is_rewritten() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.append(b"of the future").unwrap();
    log.commit().unwrap();
    let name = Name::Live(1).to_string();
    let mut sector = disk.content(&name).unwrap()[..512].to_vec();
    sector[8] = 9;
    let check = blake3::derive_key("meshd log segment header", &sector[..56]);
    sector[56..64].copy_from_slice(&check[..8]);
    let mut mount = disk.mount();
    let mut file = mount.open(&name).unwrap();
    file.write_at(&sector, 0).unwrap();
    file.sync_data().unwrap();
    mount.sync().unwrap();
    disk.restart();
    let (before, operations) = (disk.content(&name), disk.operations());
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, LogError::Version { found: 9, supported: 1, .. }), "{error}");
    assert_eq!(error.to_string(), format!("log: `{name}` has format version 9, this build reads version 1"));
    assert_eq!((disk.content(&name), disk.operations()), (before, operations));
}

#[test]
fn segments_of_another_configured_size_are_read_and_not_used_again() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    let records: Vec<_> = (0..30).map(|n| record(n, 900)).collect();
    for record in &records[..15] {
        log.append(record).unwrap();
        log.commit().unwrap();
    }
    log.release(LogPosition(4)).unwrap();
    disk.restart();
    let config = LogConfig { segment_size: 8192, free_segments: 2 };
    let mut log = Log::open(disk.mount(), &config, NEW).unwrap().log;
    for record in &records[15..] {
        log.append(record).unwrap();
        log.commit().unwrap();
    }
    let first = log.first().0 as usize;
    assert_eq!(contents(&log, LogPosition(first as u64 - 1)).unwrap(), records[first - 1..]);
    log.release(LogPosition(29)).unwrap();
    assert!(disk.files().iter().all(|(_, len)| *len == 8192));
    let bad = LogConfig { segment_size: 5000, free_segments: 2 };
    assert!(matches!(Log::open(disk.mount(), &bad, NEW), Err(LogError::SegmentSize { size: 5000, .. })));
}

#[test]
fn files_of_others_are_left_alone() {
    let disk = SimDisk::new();
    for name in ["store.redb", "segment-1.log", "segment-000000000000000g.log", "segment-0000000000000001.bak"] {
        disk.mount().create(name, 3).unwrap();
    }
    let mut log = open(&disk).unwrap().log;
    log.append(b"x").unwrap();
    log.commit().unwrap();
    disk.restart();
    open(&disk).unwrap();
    assert_eq!(disk.files().len(), 5);
}

#[test]
fn a_prepared_segment_spares_the_commit_the_allocation() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.prepare().unwrap();
    log.prepare().unwrap();
    assert_eq!(log.segments(), (1, 1));
    log.append(&record(1, 2000)).unwrap();
    log.append(&record(2, 2000)).unwrap();
    log.commit().unwrap();
    assert_eq!(log.segments(), (2, 0));
    disk.restart();
    assert_eq!(open(&disk).unwrap().log.last(), LogPosition(2));
}

#[test]
fn a_seal_is_written_once_and_not_into_an_open_batch() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    let operations = disk.operations();
    log.seal().unwrap();
    assert_eq!(disk.operations(), operations, "an empty log needs none");
    log.append(b"a").unwrap();
    log.commit().unwrap();
    log.append(b"b").unwrap();
    let operations = disk.operations();
    log.seal().unwrap();
    assert_eq!(disk.operations(), operations);
    log.commit().unwrap();
    log.seal().unwrap();
    log.seal().unwrap();
    assert_eq!(disk.operations(), operations + 4);
    log.append(b"c").unwrap();
    log.commit().unwrap();
    disk.restart();
    let log = open(&disk).unwrap().log;
    assert_eq!(contents(&log, LogPosition(0)).unwrap(), [b"a", b"b", b"c"]);
}
