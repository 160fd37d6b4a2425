//! What stays and what goes.

use super::*;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

fn short() -> BlobConfig {
    BlobConfig { upload_lease: Duration::ZERO, ..config() }
}

async fn add(store: &BlobStore, size: usize) -> BlobId {
    store.ingest(&content(size)[..], None).await.unwrap().id
}

#[tokio::test]
async fn each_reason_keeps_a_blob_and_without_one_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, short());
    let mut ids = Vec::new();
    for size in 30_000..30_005 {
        ids.push(add(&store, size).await);
    }
    let [pinned, leased, held, referenced, needless] = ids[..] else { unreachable!() };
    store.pin(pinned).await.unwrap();
    store.renew_lease(leased, Duration::from_secs(60)).await.unwrap();
    let hold = store.hold(held).unwrap();
    let records = async |_: Vec<BlobId>| Ok(BTreeSet::from([referenced]));
    assert_eq!(store.collect(records).await.unwrap(), Collected { blobs: 1, bytes: 30_004 });
    assert!(!store.has(needless) && store.hold(needless).is_err());
    assert_eq!(files(&dir.path().join("data")).len(), 8);
    store.unpin(pinned).await.unwrap();
    drop(hold);
    assert_eq!(store.collect(nothing).await.unwrap().blobs, 3);
    assert!(store.has(leased));
    assert_eq!(store.metrics().collected_blobs.get(), 4);
}

#[tokio::test]
async fn a_lease_spares_a_blob_across_a_restart_until_it_runs_out() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(&dir, config());
    let id = add(&first, 100_000).await;
    drop(first);
    let second = store(&dir, config());
    assert_eq!(second.collect(nothing).await.unwrap().blobs, 0);
    let path = second.path(id).unwrap();
    drop(second);
    let past = std::time::SystemTime::now() - Duration::from_secs(1);
    fs::File::open(path).unwrap().set_modified(past).unwrap();
    let third = store(&dir, config());
    assert_eq!(third.collect(nothing).await.unwrap().blobs, 1);
    assert!(!third.has(id));
    assert_eq!(files(&dir.path().join("data")), Vec::<String>::new());
}

#[tokio::test]
async fn a_reference_or_hold_that_appears_while_collecting_saves_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, short());
    let id = add(&store, 20_000).await;
    // A record appears between the two questions.
    let asked = AtomicUsize::new(0);
    let later = async |ids: Vec<BlobId>| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(BTreeSet::new()),
        _ => Ok(ids.into_iter().collect()),
    };
    assert_eq!(store.collect(later).await.unwrap().blobs, 0);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // A hold, a lease, or an upload of the same turns up while the second answer is on its way.
    for reason in 0..3 {
        let asked = AtomicUsize::new(0);
        let kept = Mutex::new(None);
        let meanwhile = async |_: Vec<BlobId>| {
            if asked.fetch_add(1, Ordering::Relaxed) == 1 {
                match reason {
                    0 => *kept.lock().unwrap() = Some(store.hold(id).unwrap()),
                    1 => store.renew_lease(id, Duration::from_millis(200)).await.unwrap(),
                    _ => *kept.lock().unwrap() = Some(store.ingest(&content(20_000)[..], None).await.unwrap().hold),
                }
            }
            Ok(BTreeSet::new())
        };
        assert_eq!(store.collect(meanwhile).await.unwrap().blobs, 0, "reason {reason}");
        assert!(store.has(id));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    // An owner that does not answer removes nothing.
    let silent = store.collect(async |_| Err(Unanswered)).await;
    assert!(matches!(silent, Err(BlobError::Unanswered)));
    assert_eq!(store.collect(nothing).await.unwrap().blobs, 1);
}

#[tokio::test]
async fn the_operator_removes_only_what_is_not_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, config());
    let id = add(&store, 20_000).await;
    store.pin(id).await.unwrap();
    let refused = |by| move |result| matches!(result, Err(BlobError::InUse { by: b, .. }) if b == by);
    assert!(refused(InUse::Pinned)(store.remove(id, nothing).await));
    store.unpin(id).await.unwrap();
    let hold = store.hold(id).unwrap();
    assert!(refused(InUse::Held)(store.remove(id, nothing).await));
    drop(hold);
    let records = async |ids: Vec<BlobId>| Ok(ids.into_iter().collect());
    assert!(refused(InUse::Referenced)(store.remove(id, records).await));
    store.remove(id, nothing).await.unwrap();
    assert!(matches!(store.remove(id, nothing).await, Err(BlobError::NotFound { .. })));
    assert_eq!(store.usage().spent_bytes, 0);
}

#[tokio::test]
async fn an_upload_without_room_sets_off_a_collection() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, BlobConfig { quota_bytes: 1 << 20, ..short() });
    let (needless, referenced) = (add(&store, 500_000).await, add(&store, 400_000).await);
    let records = async |_: Vec<BlobId>| Ok(BTreeSet::from([referenced]));
    let data = content(450_000);
    tokio::select! {
        // Attached before room is wanted.
        biased;
        () = store.collect_always(records) => unreachable!(),
        uploaded = store.ingest(&data[..], None) => assert!(uploaded.unwrap().new),
    }
    assert!(!store.has(needless) && store.has(referenced));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_and_held_survives_a_storm_of_collections() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, short());
    let collector = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                store.collect(nothing).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let uploaders: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                // All upload the same few blobs, which go whenever nobody holds them.
                for round in 0..40 {
                    let data = content(20_000 + round % 3);
                    let ingested = store.ingest(&data[..], None).await.unwrap();
                    tokio::task::yield_now().await;
                    assert!(store.has(ingested.id));
                    assert_eq!(fs::read(ingested.hold.path()).unwrap(), data);
                }
            })
        })
        .collect();
    for uploader in uploaders {
        uploader.await.unwrap();
    }
    collector.abort();
    assert!(collector.await.unwrap_err().is_cancelled());
    store.collect(nothing).await.unwrap();
    assert_eq!(store.usage().spent_bytes, 0);
}

/// What a record on another node needs, as long as its holder says so.
#[tokio::test]
async fn what_a_holder_elsewhere_needs_stays_until_it_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let lease = Duration::from_millis(400);
    let store = store(&dir, BlobConfig { keep_lease: lease, quota_bytes: 1 << 20, ..short() });
    let started = Instant::now();
    let in_reach =
        |nodes: &[u8]| Reach { since: nodes.iter().map(|n| (node(*n), started)).collect(), all_since: Some(started) };
    let (id, other) = (add(&store, 600_000).await, BlobId::from_bytes([7; 32]));
    assert_eq!(store.need(node(1), [id, other]), [other], "what is not here is told");
    assert_eq!(store.collect(nothing).await.unwrap().blobs, 0);
    assert!(store.list(None, 1)[0].needed);
    let refused = store.remove(id, nothing).await;
    assert!(matches!(refused, Err(BlobError::InUse { by: InUse::Needed, .. })), "{refused:?}");
    // A full quota refuses, and does not take it.
    let full = store.ingest(&content(600_000)[..600_000 - 1], None).await;
    assert!(matches!(full, Err(BlobError::QuotaFull { .. })), "{full:?}");

    // Its holder is out of reach: it may well need it.
    tokio::time::sleep(2 * lease).await;
    assert_eq!(store.collect(nothing).await.unwrap().blobs, 0);
    // It is in reach, and says so again.
    store.set_reach(in_reach(&[1]));
    store.need(node(1), [id]);
    assert_eq!(store.collect(nothing).await.unwrap().blobs, 0);
    // It is in reach, and says nothing any more.
    while store.collect(nothing).await.unwrap().blobs == 0 {
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed() >= 3 * lease);
}

#[tokio::test]
async fn after_a_restart_nothing_goes_before_everybody_could_say_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let id = add(&store(&dir, short()), 20_000).await;
    let again = BlobStore::open(dir.path(), short()).unwrap();
    assert_eq!(again.collect(nothing).await.unwrap().blobs, 0, "nobody has been in reach yet");
    assert!(again.has(id));
    again.set_reach(Reach { all_since: Some(Instant::now()), ..Reach::default() });
    assert_eq!(again.collect(nothing).await.unwrap().blobs, 1);
}

#[tokio::test]
async fn what_was_just_used_is_spared_until_its_room_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, BlobConfig { quota_bytes: 1 << 20, warm: Duration::from_secs(600), ..short() });
    let id = add(&store, 600_000).await;
    assert_eq!(store.collect(nothing).await.unwrap().blobs, 0);
    let data = content(700_000);
    tokio::select! {
        biased;
        () = store.collect_always(nothing) => unreachable!(),
        uploaded = store.ingest(&data[..], None) => assert!(uploaded.unwrap().new),
    }
    assert!(!store.has(id));
}
