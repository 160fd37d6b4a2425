use super::{super::*, contents, open, record, small};
use crate::log::sim_disk::SimDisk;
use mesh_proto::id::LogPosition;

/// A log of three segments with frames of one and of several records, seals, and an empty record.
fn log(sealed: bool) -> (SimDisk, Vec<Vec<u8>>, usize) {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap().log;
    let batches: [&[usize]; 7] = [&[40], &[0, 13, 700], &[2000], &[1500, 1900], &[900, 800, 100], &[64], &[300, 20]];
    let mut records = Vec::new();
    for (n, batch) in batches.iter().enumerate() {
        for &len in *batch {
            records.push(record(records.len() as u64, len));
            log.append(records.last().unwrap()).unwrap();
        }
        log.commit().unwrap();
        if n == 1 || (sealed && n + 1 == batches.len()) {
            log.seal().unwrap();
        }
    }
    assert_eq!(log.segments().0, 3);
    (disk, records, batches[batches.len() - 1].len())
}

/// Checklist item 21.
#[test]
fn a_flipped_bit_is_never_wrong_data_and_never_loses_a_sealed_record() {
    for sealed in [false, true] {
        let (disk, records, last_batch) = log(sealed);
        let files: Vec<_> = disk.files().into_iter().map(|(name, _)| (disk.content(&name).unwrap(), name)).collect();
        let (mut damaged, mut cut, mut harmless) = (0, 0, 0);
        for (content, name) in &files {
            for offset in 0..content.len() {
                let disk = copy(&files);
                disk.flip(name, offset as u64, (offset % 8) as u8).unwrap();
                match open(&disk) {
                    Err(LogError::Damaged { segment, .. }) => {
                        assert_eq!(&segment, name);
                        damaged += 1;
                    }
                    Err(error) => panic!("{name} at {offset}: {error}"),
                    Ok(opened) => {
                        let found = contents(&opened.log, LogPosition(0)).unwrap();
                        if found == records {
                            harmless += 1;
                        } else {
                            assert!(!sealed, "{name} at {offset}: a record is lost without a word");
                            assert_eq!(found, records[..records.len() - last_batch], "{name} at {offset}");
                            cut += 1;
                        }
                    }
                }
            }
        }
        assert!(damaged > 3 * 64 + records.iter().map(Vec::len).sum::<usize>() - 400, "{damaged}");
        assert_eq!(cut > 0, !sealed, "{cut}");
        assert!(harmless > 0);
    }
}

#[test]
fn rot_that_comes_after_opening_is_found_by_the_replay() {
    let (disk, ..) = log(true);
    disk.restart();
    let log = open(&disk).unwrap().log;
    disk.flip("segment-0000000000000002.log", 600, 3).unwrap();
    assert!(matches!(contents(&log, LogPosition(0)), Err(LogError::Damaged { damage: Damage::Record, .. })));
}

#[test]
fn a_missing_segment_is_damage() {
    let (disk, ..) = log(true);
    assert!(disk.lose_file("segment-0000000000000002.log"));
    disk.restart();
    let error = open(&disk).unwrap_err();
    let named = matches!(&error, LogError::Damaged { segment, damage: Damage::MissingSegment, .. }
        if segment == "segment-0000000000000002.log");
    assert!(named, "{error}");
}

#[test]
fn a_cut_or_foreign_segment_is_damage() {
    let (disk, ..) = log(true);
    let name = "segment-0000000000000002.log";
    disk.mount().open(name).unwrap().set_len(4000).unwrap();
    assert!(matches!(open(&disk), Err(LogError::Damaged { damage: Damage::Short, .. })));

    let (disk, ..) = log(true);
    let mut mount = disk.mount();
    mount.rename("segment-0000000000000003.log", name).unwrap();
    assert!(matches!(open(&disk), Err(LogError::Damaged { damage: Damage::Foreign, .. })));

    let (disk, ..) = log(true);
    let other = SimDisk::new();
    let new = NewLog { salt: 1, ..super::NEW };
    let mut log = Log::open(other.mount(), &small(), new).unwrap().log;
    for n in 0..3 {
        log.append(&record(n, 3000)).unwrap();
    }
    log.commit().unwrap();
    let content = other.content(name).unwrap();
    disk.mount().open(name).unwrap().write_at(&content, 0).unwrap();
    assert!(matches!(open(&disk), Err(LogError::Damaged { damage: Damage::Foreign, .. })));
}

fn copy(files: &[(Vec<u8>, String)]) -> SimDisk {
    let disk = SimDisk::new();
    let mut mount = disk.mount();
    for (content, name) in files {
        let mut file = mount.create(name, content.len() as u64).unwrap();
        file.write_at(content, 0).unwrap();
        file.sync_data().unwrap();
    }
    mount.sync().unwrap();
    disk
}
