//! Content in and out on one node.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use tokio::io::AsyncReadExt;

const GROUP: usize = 16 << 10;

#[tokio::test]
async fn an_upload_is_what_b3sum_says_and_comes_out_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, config());
    for size in [0, 1, GROUP - 1, GROUP, GROUP + 1, 256 << 10, 5 << 20] {
        let data = content(size);
        let ingested = store.ingest(&data[..], Some(size as u64)).await.unwrap();
        assert_eq!(ingested.id.as_bytes(), blake3::hash(&data).as_bytes());
        assert_eq!((ingested.size, ingested.new), (size as u64, true));
        let (mut file, length) = store.read(ingested.id).await.unwrap();
        let mut back = Vec::new();
        file.read_to_end(&mut back).await.unwrap();
        assert_eq!((back, length), (data.clone(), size as u64));
        let again = store.ingest(&data[..], None).await.unwrap();
        assert_eq!((again.id, again.new), (ingested.id, false));
        assert_eq!(fs::metadata(ingested.hold.path()).unwrap().permissions().mode() & 0o777, 0o444);
        // A small blob is one file.
        assert_eq!(dir.path().join(format!("data/{}.tree", ingested.id)).exists(), size > GROUP);
    }
    assert_eq!(files(&dir.path().join("temp")), Vec::<String>::new());
    let usage = store.usage();
    assert_eq!((usage.blobs, usage.spent_bytes), (7, usage.stored_bytes));
}

#[tokio::test]
async fn an_upload_of_another_size_than_announced_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, config());
    let data = content(100_000);
    for expected in [99_999, 100_001] {
        let refused = store.ingest(&data[..], Some(expected)).await;
        assert!(matches!(refused, Err(BlobError::WrongSize { .. })), "{refused:?}");
    }
    let huge = store.ingest(&data[..], Some(u64::MAX)).await;
    assert!(matches!(huge, Err(BlobError::TooLarge { .. })), "{huge:?}");
    assert_eq!((store.usage().blobs, store.usage().spent_bytes), (0, 0));
    assert_eq!(files(&dir.path().join("temp")), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, BlobConfig { upload_idle: Duration::from_millis(50), ..config() });
    let (mut here, there) = tokio::io::duplex(64);
    tokio::io::AsyncWriteExt::write_all(&mut here, b"a start").await.unwrap();
    let stalled = store.ingest(there, None).await;
    assert!(matches!(stalled, Err(BlobError::UploadIdle(_))), "{stalled:?}");
}

#[tokio::test]
async fn files_are_moved_or_copied_and_links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let work = tempfile::tempdir().unwrap();
    let store = store(&dir, config());
    for (take, size) in [(Take::Move, 40_000), (Take::Copy, 40_001), (Take::Move, 0), (Take::Copy, 7)] {
        let (path, data) = (work.path().join("out"), content(size));
        fs::write(&path, &data).unwrap();
        let ingested = store.ingest_file(&path, take).await.unwrap();
        assert_eq!(ingested.id.as_bytes(), blake3::hash(&data).as_bytes());
        assert_eq!(fs::read(ingested.hold.path()).unwrap(), data);
        assert_eq!(path.exists(), take == Take::Copy);
    }
    // A file with a second name could be changed through it: it is copied.
    let (path, other) = (work.path().join("two"), work.path().join("names"));
    fs::write(&path, b"before").unwrap();
    fs::hard_link(&path, &other).unwrap();
    let linked = store.ingest_file(&path, Take::Move).await.unwrap();
    fs::write(&other, b"after!").unwrap();
    assert_eq!(fs::read(linked.hold.path()).unwrap(), b"before");

    let link = work.path().join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    let pipe = work.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for path in [link, pipe, work.path().to_path_buf()] {
        let refused = store.ingest_file(&path, Take::Move).await;
        assert!(matches!(refused, Err(BlobError::NotRegular { .. })), "{path:?}: {refused:?}");
        assert!(fs::symlink_metadata(&path).is_ok());
    }
}

#[tokio::test]
async fn a_full_quota_refuses_and_keeps_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, BlobConfig { quota_bytes: 1 << 20, ..config() });
    let first = store.ingest(&content(600_000)[..], None).await.unwrap();
    for expected in [Some(600_001), None] {
        let full = store.ingest(&content(600_001)[..], expected).await;
        assert!(matches!(full, Err(BlobError::QuotaFull { .. })), "{full:?}");
    }
    assert!(store.has(first.id));
    assert_eq!(store.usage().spent_bytes, store.usage().stored_bytes);
    // What fits comes in, also what is here already: its id is known only when it has been read.
    assert!(store.ingest(&content(300_000)[..], Some(300_000)).await.unwrap().new);
    store.ingest(&content(20_000)[..], None).await.unwrap();
    assert!(!store.ingest(&content(20_000)[..], None).await.unwrap().new);
    assert_eq!(store.metrics().refused_uploads.get(), 2);
}

#[tokio::test]
async fn a_nearly_full_disk_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, BlobConfig { free_floor_bytes: u64::MAX, ..config() });
    let full = store.ingest(&b"x"[..], None).await;
    assert!(matches!(full, Err(BlobError::DiskFull { .. })), "{full:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_uploaded_at_once_is_one_blob() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, config());
    let uploads = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.ingest(&content(300_000)[..], None).await.unwrap() })
    });
    let mut new = 0;
    for upload in uploads.collect::<Vec<_>>() {
        new += u32::from(upload.await.unwrap().new);
    }
    let usage = store.usage();
    assert_eq!((new, usage.blobs, usage.spent_bytes), (1, 1, usage.stored_bytes));
}

#[tokio::test]
async fn pins_and_blobs_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, config());
    let pinned = store.ingest(&content(50_000)[..], None).await.unwrap().id;
    let unpinned = store.ingest(&content(50_001)[..], None).await.unwrap().id;
    for id in [pinned, unpinned] {
        store.pin(id).await.unwrap();
    }
    store.unpin(unpinned).await.unwrap();
    let before = store.usage();
    drop(store);
    let store = super::store(&dir, config());
    assert_eq!(store.usage(), before);
    let shown: Vec<_> = store.list(None, 10).into_iter().map(|blob| (blob.id, blob.size, blob.pinned)).collect();
    let mut expected = vec![(pinned, 50_000, true), (unpinned, 50_001, false)];
    expected.sort();
    assert_eq!(shown, expected);
    assert_eq!(store.list(Some(expected[0].0), 10).len(), 1);
    assert!(store.list(None, 10).iter().all(|blob| blob.lease.is_some_and(|left| left > Duration::from_secs(3500))));
}

#[test]
fn limits_that_cannot_work_are_the_operators_error() {
    let dir = tempfile::tempdir().unwrap();
    let refused = BlobStore::open(dir.path(), BlobConfig { disk_jobs_max: 0, ..config() });
    assert!(matches!(refused, Err(OpenError::Config(BlobConfigError::Limit { name: "disk_jobs_max", value: 0 }))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the size and however the reader cuts it.
    #[test]
    fn content_survives(size in prop_oneof![0usize..40_000, 250_000usize..800_000], step in 1usize..100_000) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let data = content(size);
        runtime.block_on(async {
            let store = store(&dir, config());
            let reader = tokio_util::io::StreamReader::new(futures::stream::iter(
                data.chunks(step).map(Ok::<_, io::Error>),
            ));
            let ingested = store.ingest(reader, None).await.unwrap();
            prop_assert_eq!(*ingested.id.as_bytes(), *blake3::hash(&data).as_bytes());
            prop_assert!(fs::read(ingested.hold.path()).unwrap() == data);
            Ok(())
        })?;
    }
}
