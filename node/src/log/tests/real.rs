use super::{super::*, NEW, contents, record};
use mesh_proto::id::LogPosition;
use std::os::unix::fs::PermissionsExt;

#[test]
fn real_files_hold_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let config = LogConfig { segment_size: 64 << 10, free_segments: 1 };
    let open = || Log::open(FileDisk::open(&path).unwrap(), &config, NEW).unwrap();
    let mut log = open().log;
    let records: Vec<_> = (0..1000).map(|n| record(n, (n % 997) as usize)).collect();
    for batch in records.chunks(37) {
        for record in batch {
            log.append(record).unwrap();
        }
        log.commit().unwrap();
    }
    assert_eq!(contents(&log, LogPosition(0)).unwrap(), records);
    log.release(LogPosition(600)).unwrap();
    let first = log.first();
    assert!(log.headroom().unwrap() > 0);
    drop(log);

    let opened = open();
    assert_eq!((opened.first, opened.fresh, opened.store_id), (first, false, NEW.store_id));
    assert_eq!(contents(&opened.log, LogPosition(600)).unwrap(), records[600..]);
    let mut log = opened.log;
    log.prepare().unwrap();
    for record in &records {
        log.append(record).unwrap();
    }
    log.commit().unwrap();
    assert_eq!(log.last(), LogPosition(2000));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in path.read_dir().unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_new_file_has_its_blocks_and_reads_as_zeros() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let mut disk = FileDisk::open(directory.path()).unwrap();
    let file = disk.create("x", 3 << 20).unwrap();
    let mut content = vec![1; 3 << 20];
    assert_eq!(file.read_at(&mut content, 0).unwrap(), 3 << 20);
    assert!(content.iter().all(|&byte| byte == 0));
    assert!(directory.path().join("x").metadata().unwrap().blocks() * 512 >= 3 << 20);
    assert_eq!(disk.create("x", 1).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(file.read_at(&mut content, (3 << 20) - 5).unwrap(), 5);
}
