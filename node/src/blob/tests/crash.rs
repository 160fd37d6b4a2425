//! Kill -9 between any two steps: the directory is copied as it is at each, and opened as after a restart.

use super::{
    super::store::{Step, Steps},
    *,
};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            fs::File::open(&target).unwrap().set_modified(modified).unwrap();
        }
    }
}

/// A store whose directory is copied to `images/<n>-<step>` at each step.
fn photographed(dir: &Path, images: &Path, taken: Arc<Mutex<Vec<(Step, PathBuf)>>>) -> BlobStore {
    let (from, images) = (dir.to_path_buf(), images.to_path_buf());
    let steps: Steps = Box::new(move |step| {
        let mut taken = taken.lock().unwrap();
        let image = images.join(format!("{}-{step:?}", taken.len()));
        copy(&from, &image);
        taken.push((step, image));
        Ok(())
    });
    BlobStore::open_with(dir, config(), steps).unwrap()
}

#[tokio::test]
async fn no_blob_is_seen_under_its_id_unless_complete() {
    let (dir, images) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let store = photographed(dir.path(), images.path(), Arc::clone(&taken));
    let data = content(700_000);
    let id = store.ingest(&data[..], None).await.unwrap().id;
    let taken = std::mem::take(&mut *taken.lock().unwrap());
    let steps: Vec<_> = taken.iter().map(|(step, _)| *step).collect();
    use Step::*;
    assert_eq!(steps, [Created, Written, Synced, TreeRenamed, Renamed, DirectorySynced]);
    for (step, image) in taken {
        let after = BlobStore::open(&image, config()).unwrap();
        let there = matches!(step, Renamed | DirectorySynced);
        assert_eq!(after.has(id), there, "{step:?}");
        assert_eq!(files(&image.join("temp")), Vec::<String>::new());
        assert_eq!(files(&image.join("data")).len(), if there { 2 } else { 0 }, "{step:?}");
        assert_eq!(after.usage().spent_bytes > 0, there);
        if there {
            assert_eq!(fs::read(after.path(id).unwrap()).unwrap(), data);
            assert!(after.list(None, 1)[0].lease.is_some());
        }
        // And it can be uploaded again.
        assert_eq!(after.ingest(&data[..], None).await.unwrap().new, !there);
    }
}

#[tokio::test]
async fn a_crash_at_the_end_of_a_download_costs_none_of_it() {
    for size in [10_000, 700_000] {
        let data = content(size);
        let (dir, images, far_dir) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let far = super::store(&far_dir, config());
        let id = far.ingest(&data[..], None).await.unwrap().id;
        let taken = Arc::new(Mutex::new(Vec::new()));
        let here = photographed(dir.path(), images.path(), Arc::clone(&taken));
        let opener = |_| {
            let (near, there) = tokio::io::duplex(64 << 10);
            let far = far.clone();
            tokio::spawn(async move { far.serve(there, node(2)).await });
            std::future::ready(Ok(near))
        };
        let fetch = Fetch { id, size: Some(size as u64), providers: vec![node(1)], lease: None };
        here.fetch(fetch.clone(), opener, |_| {}).await.unwrap();
        assert_eq!(files(&dir.path().join("partial")), Vec::<String>::new());
        let mut taken = std::mem::take(&mut *taken.lock().unwrap());
        taken.retain(|(step, _)| *step != Step::Received);
        assert_eq!(taken.len(), 5);
        for (step, image) in taken {
            let after = BlobStore::open(&image, config()).unwrap();
            assert_eq!(after.has(id), matches!(step, Step::Renamed | Step::DirectorySynced), "{step:?}");
            let fetched = after.fetch(fetch.clone(), opener, |_| {}).await.unwrap();
            assert_eq!(fs::read(fetched.hold.path()).unwrap(), data);
            // Between the renames of tree and data the tree is fetched again, and the data with it.
            let again = if step == Step::TreeRenamed && size > 16_384 { size as u64 } else { 0 };
            assert_eq!(after.metrics().received.get(), again, "{step:?}");
        }
    }
}

#[tokio::test]
async fn a_step_that_fails_acknowledges_nothing_and_leaves_nothing() {
    use Step::*;
    for fatal in [Created, Written, Synced, TreeRenamed, Renamed, DirectorySynced] {
        let dir = tempfile::tempdir().unwrap();
        let steps: Steps = Box::new(move |step| match step == fatal {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        });
        let store = BlobStore::open_with(dir.path(), config(), steps).unwrap();
        let failed = store.ingest(&content(100_000)[..], None).await;
        assert!(matches!(failed, Err(BlobError::Io { .. })), "{fatal:?}: {failed:?}");
        assert_eq!(store.usage().spent_bytes, 0, "{fatal:?}");
        assert_eq!(store.list(None, 10), Vec::new());
        drop(store);
        let after = BlobStore::open(dir.path(), config()).unwrap();
        assert_eq!(after.usage().blobs, 0, "{fatal:?}");
        assert_eq!(files(&dir.path().join("data")), Vec::<String>::new(), "{fatal:?}");
    }
}

#[tokio::test]
async fn strange_files_are_left_alone_and_lone_trees_go() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(&dir, config()));
    let id = BlobId::from_bytes([7; 32]);
    fs::write(dir.path().join("data/README"), b"whose?").unwrap();
    fs::write(dir.path().join(format!("data/{id}.tree")), b"of nothing").unwrap();
    fs::write(dir.path().join("temp/12"), b"half").unwrap();
    let store = store(&dir, config());
    assert_eq!(store.usage().blobs, 0);
    assert_eq!(files(&dir.path().join("data")), ["README"]);
    assert_eq!(files(&dir.path().join("temp")), Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_that_fills_up_while_receiving_fails_the_fetch_and_keeps_what_came() {
    let data = content(3 << 20);
    let far_dir = tempfile::tempdir().unwrap();
    let far = super::store(&far_dir, config());
    let id = far.ingest(&data[..], None).await.unwrap().id;
    let opener = |_| {
        let (near, there) = tokio::io::duplex(64 << 10);
        let far = far.clone();
        tokio::spawn(async move { far.serve(there, node(2)).await });
        std::future::ready(Ok(near))
    };
    let dir = tempfile::tempdir().unwrap();
    let pieces = Arc::new(AtomicUsize::new(0));
    let steps: Steps = Box::new({
        let pieces = Arc::clone(&pieces);
        // The fourth piece finds no room.
        move |step| match step == Step::Received && pieces.fetch_add(1, Ordering::Relaxed) == 3 {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    });
    let here = BlobStore::open_with(dir.path(), config(), steps).unwrap();
    let fetch = Fetch { id, size: Some(data.len() as u64), providers: vec![node(1), node(1)], lease: None };
    let failed = here.fetch(fetch.clone(), opener, |_| {}).await;
    // Nobody else is asked: it is this disk that is full.
    let Err(FetchError::Local(error)) = failed else { panic!("{failed:?}") };
    assert!(error.is_want_of_room(), "{error}");
    assert_eq!(pieces.load(Ordering::Relaxed), 4);
    assert!(!here.has(id));
    let kept = here.usage().spent_bytes;
    assert!((3 << 19..2 << 20).contains(&kept), "{kept}");
    // When there is room again only the rest is asked for.
    let before = here.metrics().received.get();
    assert!(fs::read(here.fetch(fetch, opener, |_| {}).await.unwrap().hold.path()).unwrap() == data);
    assert_eq!(here.metrics().received.get() - before, 3 << 19);

    // A peer that pushes is told that there is no room, and not that the disk is broken.
    let full: Steps = Box::new(|step| match step {
        Step::Received => Err(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Ok(()),
    });
    let dir = tempfile::tempdir().unwrap();
    let there = BlobStore::open_with(dir.path(), config(), full).unwrap();
    let (near, stream) = tokio::io::duplex(64 << 10);
    let (kept, served) = tokio::join!(far.replicate(near, id, Duration::from_secs(60)), there.serve(stream, node(2)));
    assert!(matches!(kept, Err(ReplicateError::Refused(Refusal::QuotaFull { .. }))), "{kept:?}");
    assert!(matches!(served, Ok(Served::Refused(_))), "{served:?}");
}

#[tokio::test]
async fn a_lone_tree_of_a_download_does_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(&dir, config()));
    fs::write(dir.path().join(format!("partial/{}.tree", BlobId::from_bytes([7; 32]))), b"").unwrap();
    let store = store(&dir, config());
    assert!(store.usage().spent_bytes > 0);
    store.collect(nothing).await.unwrap();
    assert_eq!(files(&dir.path().join("partial")), Vec::<String>::new());
    assert_eq!(store.usage().spent_bytes, 0);
}
