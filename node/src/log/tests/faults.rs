use super::{super::*, contents, crash::Choices, open, record};
use crate::log::{segment::Name, sim_disk::SimDisk};
use mesh_proto::id::LogPosition;

#[test]
fn after_a_failed_commit_everything_is_refused() {
    for sync in [false, true] {
        let disk = SimDisk::new();
        let mut log = open(&disk).unwrap().log;
        log.append(b"kept").unwrap();
        log.commit().unwrap();
        log.append(b"doubtful").unwrap();
        if sync {
            disk.fail_syncs(1);
        } else {
            disk.fail_writes(1);
        }
        assert!(matches!(log.commit(), Err(LogError::Io { .. })));
        assert_eq!(log.last(), LogPosition(1));
        assert!(matches!(log.append(b"more"), Err(LogError::Poisoned)));
        assert!(matches!(log.commit(), Err(LogError::Poisoned)));
        assert!(matches!(log.seal(), Err(LogError::Poisoned)));
        assert!(matches!(log.prepare(), Err(LogError::Poisoned)));
        assert!(matches!(log.release(LogPosition(1)), Err(LogError::Poisoned)));
        disk.crash(1);
        let log = open(&disk).unwrap().log;
        assert!(contents(&log, LogPosition(0)).unwrap().starts_with(&[b"kept".to_vec()]));
    }
}

/// The kernel forgets that pages of a failed sync were never written. What the next life reads from them, and tells
/// others, must be written by then, or a later loss of power takes it back.
#[test]
fn what_recovery_returns_is_durable_even_if_the_last_sync_had_failed() {
    for failing in ["commit", "seal"] {
        let disk = SimDisk::new();
        let mut log = open(&disk).unwrap().log;
        log.append(b"first").unwrap();
        log.commit().unwrap();
        if failing == "commit" {
            log.append(&record(7, 1500)).unwrap();
            disk.fail_syncs(1);
            log.commit().unwrap_err();
        } else {
            disk.fail_syncs(1);
            log.seal().unwrap_err();
        }
        disk.restart();
        let mut log = open(&disk).unwrap().log;
        let found = contents(&log, LogPosition(0)).unwrap();
        log.append(b"next").unwrap();
        log.commit().unwrap();
        disk.crash_with(|_| 0);
        let log = open(&disk).unwrap_or_else(|error| panic!("{failing}: {error}")).log;
        let kept = contents(&log, LogPosition(0)).unwrap();
        assert_eq!(kept[..kept.len() - 1], found, "{failing}");
        assert_eq!(kept.last().unwrap(), b"next");
    }
}

/// The proof behind a frame may not be on disk before the frame is.
#[test]
fn recovery_writes_what_was_only_cached_before_it_seals_it() {
    let mut crashes = 0;
    for m in 0..8 {
        let mut choices = Choices::default();
        while choices.next(256) {
            let disk = SimDisk::new();
            let mut log = open(&disk).unwrap().log;
            log.append(b"first").unwrap();
            log.commit().unwrap();
            log.append(&record(7, 1500)).unwrap();
            disk.fail_syncs(1);
            log.commit().unwrap_err();
            disk.restart();
            disk.lose_power_after(m);
            let returned = open(&disk).map(|opened| opened.log.last());
            disk.crash_with(|options| choices.choose(options));
            let log = open(&disk).unwrap_or_else(|error| panic!("power lost at {m}: {error}")).log;
            assert!(log.last() >= returned.unwrap_or(LogPosition(1)));
            crashes += 1;
        }
    }
    assert!(crashes > 30, "{crashes}");
}

#[test]
fn nothing_is_left_behind_a_cut_off_tail() {
    for used_before in [false, true] {
        let disk = SimDisk::new();
        let mut log = open(&disk).unwrap().log;
        if used_before {
            for n in 0..3 {
                log.append(&record(n, 3000)).unwrap();
                log.commit().unwrap();
                log.release(log.last()).unwrap();
            }
        }
        log.append(&record(10, 1000)).unwrap();
        log.commit().unwrap();
        let kept = log.last();
        log.append(&record(11, 2000)).unwrap();
        disk.lose_power_after(1);
        log.commit().unwrap_err();
        // All sectors of the torn frame are there but for the first.
        let mut sectors = 0;
        disk.crash_with(|options| {
            sectors += 1;
            if sectors == 1 { 0 } else { options - 1 }
        });
        assert!(sectors > 3);
        let log = open(&disk).unwrap().log;
        assert_eq!(log.last(), kept);
        disk.crash_with(|_| 0);
        let live = Name::Live(if used_before { 4 } else { 1 }).to_string();
        let content = disk.content(&live).unwrap();
        let tail = 512 + 1040 + 32; // header, frame, seal
        assert!(content[tail - 32..tail].iter().any(|&byte| byte != 0));
        assert!(content[tail..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn a_full_disk_fails_the_commit_and_costs_no_committed_record() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(4 * 4096 + 100));
    let mut log = open(&disk).unwrap().log;
    assert_eq!(log.headroom().unwrap(), (4096 - 512) * 4);
    let mut committed = Vec::new();
    let mut headroom = log.headroom().unwrap();
    let failed = loop {
        let record = record(committed.len() as u64, 700);
        log.append(&record).unwrap();
        match log.commit() {
            Ok(_) => committed.push(record),
            Err(error) => break error,
        }
        let now = log.headroom().unwrap();
        assert!(now < headroom);
        headroom = now;
    };
    assert!(matches!(&failed, LogError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
    assert!(headroom < 700 + 64);
    assert_eq!(committed.len(), 16);
    disk.restart();
    let mut log = open(&disk).unwrap().log;
    assert_eq!(contents(&log, LogPosition(0)).unwrap(), committed);
    // The store has absorbed all: there is room again without a byte of new space.
    log.release(log.last()).unwrap();
    log.append(&record(99, 3000)).unwrap();
    log.commit().unwrap();
}
