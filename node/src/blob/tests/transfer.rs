//! Between nodes, honest and otherwise.

use super::{super::wire, world::*, *};
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
use tokio::io::AsyncWriteExt;

const GROUP: u64 = 16 << 10;
const MIB: usize = 1 << 20;

fn fetch(id: BlobId, size: usize, providers: &[NodeId]) -> Fetch {
    Fetch { id, size: Some(size as u64), providers: providers.to_vec(), lease: None }
}

#[tokio::test]
async fn every_size_arrives_whole_with_its_tree() {
    for size in [0, 1, 1024, 1025, GROUP - 1, GROUP, GROUP + 1, 512 << 10, (512 << 10) + 1, 5 << 20, (5 << 20) - 3] {
        let data = content(size as usize);
        let (world, id, nodes) = World::new(&data, &[Manner::Honest]).await;
        let dir = tempfile::tempdir().unwrap();
        let here = store(&dir, config());
        let seen = Mutex::new(Progress::default());
        let fetched = here
            .fetch(fetch(id, size as usize, &nodes), |who| world.open(who), |now| *seen.lock().unwrap() = now)
            .await
            .unwrap();
        assert!(fs::read(fetched.hold.path()).unwrap() == data, "{size}");
        let tree = |dir: &tempfile::TempDir| fs::read(dir.path().join(format!("data/{id}.tree"))).ok();
        assert_eq!(tree(&dir), tree(&world._dirs[0]));
        assert_eq!(files(&dir.path().join("partial")), Vec::<String>::new());
        assert_eq!(here.usage().spent_bytes, here.usage().stored_bytes);
        if size > 0 {
            assert_eq!(*seen.lock().unwrap(), Progress { verified: size, size });
        }
    }
}

#[tokio::test]
async fn a_liar_is_caught_at_its_first_bad_chunk_and_the_next_goes_on_from_there() {
    let data = content(5 * MIB);
    for at in [0, 100, 70_000, 600_000, 3_000_000] {
        let (world, id, nodes) = World::new(&data, &[Manner::Flips(at), Manner::Honest]).await;
        let dir = tempfile::tempdir().unwrap();
        let here = store(&dir, config());
        let fetched = here.fetch(fetch(id, 5 * MIB, &nodes), |who| world.open(who), |_| {}).await.unwrap();
        assert!(fs::read(fetched.hold.path()).unwrap() == data);
        assert_eq!(fetched.from, Some(nodes[1]));
        let [(liar, ref failure @ ProviderFailure::Liar { at: caught })] = fetched.failures[..] else {
            panic!("{:?}", fetched.failures)
        };
        assert!(liar == nodes[0] && failure.is_lie());
        // Its stream is content and 1/256 of hashes: it is caught in the group that it spoiled.
        assert!(caught <= at && at - caught <= GROUP + at / 200 + 2048, "{at}: {caught}");
        // Every byte of content was received once; nothing that was verified was asked for again.
        assert_eq!(here.metrics().received.get(), 5 * MIB as u64);
        assert_eq!(here.metrics().verification_failures.get(), 1);
    }
}

#[tokio::test]
async fn who_cuts_off_or_hangs_or_is_away_is_passed_over() {
    let data = content(3 * MIB);
    for bad in [Manner::Cuts(1_000_000), Manner::Hangs(1_000_000), Manner::Cuts(0), Manner::Unreachable] {
        let (world, id, nodes) = World::new(&data, &[bad, Manner::Honest]).await;
        let dir = tempfile::tempdir().unwrap();
        let here = store(&dir, config());
        let fetched = here.fetch(fetch(id, 3 * MIB, &nodes), |who| world.open(who), |_| {}).await.unwrap();
        assert!(fs::read(fetched.hold.path()).unwrap() == data);
        assert_eq!((fetched.failures.len(), fetched.failures[0].1.is_lie()), (1, false));
        assert_eq!(here.metrics().received.get(), 3 * MIB as u64);
    }
}

#[tokio::test]
async fn wrong_claims_of_size_are_refused_before_anything_is_written() {
    let data = content(MIB);
    for claim in [0, 1, MIB as u64 - 1, MIB as u64 + 1, u64::MAX] {
        let (world, id, nodes) = World::new(&data, &[Manner::Claims(claim)]).await;
        let dir = tempfile::tempdir().unwrap();
        let here = store(&dir, config());
        let Err(FetchError::NoProvider { failures, .. }) =
            here.fetch(fetch(id, MIB, &nodes), |who| world.open(who), |_| {}).await
        else {
            panic!("fetched")
        };
        assert_eq!(failures, [(nodes[0], ProviderFailure::WrongSize { claimed: claim, expected: MIB as u64 })]);
        // Without an expectation, a claim that does not fit is refused, and one that does is disproved by the content.
        let any = Fetch { size: None, ..fetch(id, 0, &nodes) };
        let failed = here.fetch(any.clone(), |who| world.open(who), |_| {}).await;
        let Err(FetchError::NoProvider { failures, .. }) = failed else { panic!("{failed:?}") };
        let at_fault =
            |failure: &ProviderFailure| failure.is_lie() || matches!(failure, ProviderFailure::TooLarge { .. });
        assert!(failures.iter().all(|(_, failure)| at_fault(failure)), "{claim}: {failures:?}");
        assert!(!here.has(id));
        let (honest, _, nodes) = World::new(&data, &[Manner::Honest]).await;
        let any = Fetch { providers: nodes, ..any };
        assert_eq!(here.fetch(any, |who| honest.open(who), |_| {}).await.unwrap().hold.size(), MIB as u64);
    }
}

#[tokio::test]
async fn a_download_goes_on_after_a_restart_even_over_damage() {
    let data = content(4 * MIB);
    let (world, id, nodes) = World::new(&data, &[Manner::Cuts(2_500_000), Manner::Honest]).await;
    let dir = tempfile::tempdir().unwrap();
    let here = store(&dir, config());
    let only = fetch(id, 4 * MIB, &nodes[..1]);
    let config_once = BlobConfig { fetch_rounds: 1, ..config() };
    drop(here);
    let here = store(&dir, config_once);
    assert!(here.fetch(only, |who| world.open(who), |_| {}).await.is_err());
    let got = here.metrics().received.get();
    assert!((2_400_000..2_500_000).contains(&got), "{got}");
    let spent = here.usage().spent_bytes;
    assert!(spent > got && spent < got + 100_000, "{spent}");
    drop(here);
    // A write that a crash lost: the rest of the file behind it is worthless, what is before is not.
    let partial = dir.path().join(format!("partial/{id}.data"));
    let mut torn = fs::read(&partial).unwrap();
    torn[2_000_000..2_004_096].fill(0);
    fs::write(&partial, torn).unwrap();
    let here = store(&dir, config());
    assert_eq!(here.usage().spent_bytes / 4096, spent / 4096);
    let fetched = here.fetch(fetch(id, 4 * MIB, &nodes[1..]), |who| world.open(who), |_| {}).await.unwrap();
    assert!(fs::read(fetched.hold.path()).unwrap() == data);
    assert_eq!(here.metrics().received.get(), 4 * MIB as u64 - 2_000_000 / GROUP * GROUP);
    assert_eq!(here.usage().spent_bytes, here.usage().stored_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_of_one_id_share_one_download_and_its_failure() {
    let data = content(3 * MIB);
    let (world, id, nodes) = World::new(&data, &[Manner::Honest]).await;
    let world = Arc::new(world);
    let dir = tempfile::tempdir().unwrap();
    let here = store(&dir, config());
    let all = |world: &Arc<World>, nodes: &[NodeId]| {
        let each = (0..12).map(|_| {
            let (here, world, fetch) = (here.clone(), Arc::clone(world), fetch(id, 3 * MIB, nodes));
            tokio::spawn(async move {
                let opener = |who| {
                    let world = Arc::clone(&world);
                    async move { world.open(who).await }
                };
                here.fetch(fetch, opener, |_| {}).await.map(|fetched| fetched.hold.size())
            })
        });
        futures::future::join_all(each.collect::<Vec<_>>())
    };
    let (away, _, _) = World::new(&data, &[Manner::Unreachable]).await;
    let away = Arc::new(away);
    for result in all(&away, &nodes).await {
        assert!(matches!(result.unwrap(), Err(FetchError::NoProvider { .. })));
    }
    // Who came while it was being tried shares its end; who came later tried again.
    assert!(away.opened.load(Ordering::Relaxed) <= 12);
    for result in all(&world, &nodes).await {
        assert_eq!(result.unwrap().unwrap(), 3 << 20);
    }
    assert_eq!(world.opened.load(Ordering::Relaxed), 1);
    assert_eq!(here.metrics().received.get(), 3 << 20);
}

#[tokio::test]
async fn a_fetch_that_is_dropped_leaves_its_part_to_the_next() {
    let data = content(3 * MIB);
    let (world, id, nodes) = World::new(&data, &[Manner::Hangs(2_000_000), Manner::Honest]).await;
    let dir = tempfile::tempdir().unwrap();
    let here = store(&dir, BlobConfig { segment_timeout: Duration::from_secs(60), ..config() });
    let hanging = here.fetch(fetch(id, 3 * MIB, &nodes[..1]), |who| world.open(who), |_| {});
    assert!(tokio::time::timeout(Duration::from_millis(500), hanging).await.is_err());
    let fetched = here.fetch(fetch(id, 3 * MIB, &nodes[1..]), |who| world.open(who), |_| {}).await.unwrap();
    assert!(fs::read(fetched.hold.path()).unwrap() == data);
    // All but the segment that was being read.
    assert!(here.metrics().received.get() <= 3 << 20);
    assert_eq!(here.usage().spent_bytes, here.usage().stored_bytes);
}

#[tokio::test]
async fn a_blob_that_does_not_fit_is_not_fetched() {
    let data = content(3 * MIB);
    let (world, id, nodes) = World::new(&data, &[Manner::Honest]).await;
    let dir = tempfile::tempdir().unwrap();
    let here = store(&dir, BlobConfig { quota_bytes: 4 << 20, ..config() });
    let kept = here.ingest(&content(2 * MIB)[..], None).await.unwrap();
    let failed = here.fetch(fetch(id, 3 * MIB, &nodes), |who| world.open(who), |_| {}).await;
    assert!(matches!(failed, Err(FetchError::Local(BlobError::QuotaFull { .. }))), "{failed:?}");
    assert_eq!(world.opened.load(Ordering::Relaxed), 0);
    assert!(here.has(kept.id));
    assert_eq!(here.usage().spent_bytes, here.usage().stored_bytes);
}

/// A store here, one there, and what serving did.
async fn keep(
    here: &BlobStore,
    there: &BlobStore,
    id: BlobId,
) -> (Result<(), ReplicateError>, Result<Served, ServeError>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (from, to) = (here.clone(), there.clone());
    let asking = tokio::spawn(async move { from.replicate(near, id, Duration::from_secs(600)).await });
    let (asked, served) = tokio::join!(asking, to.serve(far, node(1)));
    (asked.unwrap(), served)
}

#[tokio::test]
async fn a_peer_keeps_a_copy_and_says_so_when_it_is_durable() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (store(&a, config()), store(&b, BlobConfig { quota_bytes: 8 << 20, ..config() }));
    for size in [0, 5, 16_385, 2 * MIB] {
        let data = content(size);
        let id = here.ingest(&data[..], None).await.unwrap().id;
        // The second time it only extends the lease.
        for _ in 0..2 {
            let (kept, served) = keep(&here, &there, id).await;
            kept.unwrap();
            assert_eq!(served.unwrap(), Served::Kept { id });
        }
        assert!(fs::read(there.path(id).unwrap()).unwrap() == data);
        let lease = there.list(None, 10).iter().find(|blob| blob.id == id).unwrap().lease.unwrap();
        assert!(lease > Duration::from_secs(590) && lease <= Duration::from_secs(600));
    }
    let full = here.ingest(&content(7 * MIB)[..], None).await.unwrap().id;
    let (refused, served) = keep(&here, &there, full).await;
    assert!(matches!(refused, Err(ReplicateError::Refused(Refusal::QuotaFull { .. }))), "{refused:?}");
    assert!(matches!(served, Ok(Served::Refused(_))));
    let large = here.ingest(&content(9 * MIB)[..], None).await.unwrap().id;
    let (refused, _) = keep(&here, &there, large).await;
    assert!(matches!(refused, Err(ReplicateError::Refused(Refusal::TooLarge { .. }))), "{refused:?}");
    drop(there);
    let there = store(&b, config());
    assert!(!there.has(full) && there.usage().blobs == 4);
}

#[tokio::test]
async fn content_that_is_pushed_is_checked_as_it_is_when_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let there = store(&dir, config());
    let (mut near, far) = tokio::io::duplex(64 << 10);
    let id = BlobId::from_bytes([9; 32]);
    let pusher = async {
        wire::write(&mut near, &Request::Keep { id, size: 100_000, lease_ms: 1 }).await.unwrap();
        assert_eq!(wire::read::<Reply>(&mut near).await.unwrap(), Reply::Send { start: 0 });
        near.write_all(&[0; 64]).await.unwrap();
        wire::read::<Reply>(&mut near).await.unwrap()
    };
    let (reply, served) = tokio::join!(pusher, there.serve(far, node(1)));
    assert_eq!(reply, Reply::Refused(Refusal::BadContent { at: 0 }));
    let error = served.unwrap_err();
    assert!(matches!(error, ServeError::BadContent { at: 0, .. }) && error.is_violation());
    assert!(!there.has(id));
}

#[tokio::test]
async fn strange_requests_are_refused_and_floods_cost_their_sender() {
    let dir = tempfile::tempdir().unwrap();
    let there = store(&dir, BlobConfig { serves_per_peer_max: 2, ..config() });
    let data = content(100_000);
    let id = there.ingest(&data[..], None).await.unwrap().id;
    let ask = async |request: Request| {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        let asker = async {
            wire::write(&mut near, &request).await.unwrap();
            wire::read::<Reply>(&mut near).await.unwrap()
        };
        tokio::join!(asker, there.serve(far, node(1))).0
    };
    let unknown = BlobId::from_bytes([1; 32]);
    assert_eq!(ask(Request::Get { id: unknown, start: 0 }).await, Reply::Refused(Refusal::Unknown));
    assert_eq!(ask(Request::Has { id: unknown }).await, Reply::Refused(Refusal::Unknown));
    assert_eq!(ask(Request::Has { id }).await, Reply::Blob { size: 100_000 });
    for start in [1, GROUP - 1, 100_001, u64::MAX] {
        assert_eq!(ask(Request::Get { id, start }).await, Reply::Refused(Refusal::BadRequest), "{start}");
    }
    let huge = Request::Keep { id: unknown, size: u64::MAX, lease_ms: u64::MAX };
    assert!(matches!(ask(huge).await, Reply::Refused(Refusal::TooLarge { .. })));

    for bytes in [&[0xff; 8][..], &[0, 0, 0, 1, 0xff]] {
        let (mut near, far) = tokio::io::duplex(1024);
        near.write_all(bytes).await.unwrap();
        let error = there.serve(far, node(1)).await.unwrap_err();
        assert!(error.is_violation(), "{error}");
    }
    // Two streams that say nothing take this peer's places, not another's; and not for ever.
    let (_near1, far1) = tokio::io::duplex(64);
    let (_near2, far2) = tokio::io::duplex(64);
    let idle = [
        tokio::spawn({
            let there = there.clone();
            async move { there.serve(far1, node(1)).await }
        }),
        tokio::spawn({
            let there = there.clone();
            async move { there.serve(far2, node(1)).await }
        }),
    ];
    tokio::task::yield_now().await;
    assert!(matches!(ask(Request::Has { id }).await, Reply::Refused(Refusal::Busy { .. })));
    let (mut near, far) = tokio::io::duplex(1024);
    wire::write(&mut near, &Request::Has { id }).await.unwrap();
    assert_eq!(there.serve(far, node(2)).await.unwrap(), Served::Told { id });
    for stream in idle {
        assert!(matches!(stream.await.unwrap(), Err(ServeError::Timeout(_))));
    }
    assert_eq!(ask(Request::Has { id }).await, Reply::Blob { size: 100_000 });
}

#[tokio::test]
async fn a_holder_tells_what_it_needs_and_hears_what_is_lacking() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let here = store(&dirs.0, config());
    let lasting = BlobConfig { upload_lease: Duration::ZERO, keep_lease: Duration::from_secs(60), ..config() };
    let there = store(&dirs.1, lasting);
    let id = there.ingest(&content(100_000)[..], None).await.unwrap().id;
    let blob = |id| BlobRef { id, size: 100_000, nodes: vec![node(2), node(3)] };
    let strange = blob(BlobId::from_bytes([1; 32]));
    let tell = async |blobs: Vec<BlobRef>| {
        let (near, far) = tokio::io::duplex(1 << 20);
        tokio::join!(here.tell_needed(near, blobs), there.serve(far, node(1)))
    };
    let (told, served) = tell(vec![blob(id), strange.clone()]).await;
    assert_eq!(told.unwrap(), [strange.id]);
    assert_eq!(served.unwrap(), Served::Needed { lacking: vec![strange.clone()] });
    assert_eq!(there.collect(nothing).await.unwrap().blobs, 0);
    // The largest that is sent, and one more than may be.
    let many = |n: usize| {
        let largest = |i: usize| BlobRef {
            id: BlobId::from_bytes(*blake3::hash(&i.to_le_bytes()).as_bytes()),
            size: u64::MAX,
            nodes: vec![node(0xff); mesh_proto::limits::BLOB_NODES],
        };
        (0..n).map(largest).collect::<Vec<_>>()
    };
    assert_eq!(tell(many(NEEDED_MAX)).await.0.unwrap().len(), NEEDED_MAX);
    let (told, served) = tell(many(NEEDED_MAX + 1)).await;
    assert!(matches!(told, Err(ReplicateError::Refused(Refusal::BadRequest))), "{told:?}");
    assert_eq!(served.unwrap(), Served::Refused(Refusal::BadRequest));
}

#[tokio::test]
async fn a_bad_disk_makes_no_liar() {
    let data = content(MIB);
    for damage in ["tree", "no tree", "data", "short"] {
        let (world, id, nodes) = World::new(&data, &[Manner::Honest]).await;
        let (there, _) = &world.providers[&nodes[0]];
        let (file, tree) = (there.path(id).unwrap(), world._dirs[0].path().join(format!("data/{id}.tree")));
        let spoil = |path: &Path, bytes: &[u8]| {
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let mut wrong = data.clone();
        wrong[700_000] ^= 1;
        match damage {
            "tree" => spoil(&tree, &[1; 2000]),
            "no tree" => fs::remove_file(&tree).unwrap(),
            "data" => spoil(&file, &wrong),
            _ => spoil(&file, &data[..MIB - 1]),
        }
        let dir = tempfile::tempdir().unwrap();
        let here = store(&dir, config());
        let result = here.fetch(fetch(id, MIB, &nodes), |who| world.open(who), |_| {}).await;
        if damage.ends_with("tree") {
            assert!(fs::read(result.unwrap().hold.path()).unwrap() == data);
            assert!(tree.exists());
        } else {
            let Err(FetchError::NoProvider { failures, .. }) = result else { panic!("{result:?}") };
            assert!(failures.iter().all(|(_, failure)| !failure.is_lie()), "{failures:?}");
            assert!(!there.has(id) && !file.exists());
            assert_eq!(there.metrics().damaged_blobs.get(), 1);
        }
    }
}

/// Resident memory of this process, in bytes.
fn rss() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Set `MESHD_TEST_BLOB_MIB=1024` to measure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_blob_goes_through_in_constant_memory() {
    let mib: u64 = std::env::var("MESHD_TEST_BLOB_MIB").map_or(96, |text| text.parse().unwrap());
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let large = BlobConfig { quota_bytes: 16 << 30, segment_timeout: Duration::from_secs(30), ..config() };
    let (here, there) = (store(&a, large.clone()), store(&b, large));
    let before = rss();
    let peak = Arc::new(AtomicU64::new(0));
    let watch = tokio::spawn({
        let peak = Arc::clone(&peak);
        async move {
            loop {
                peak.fetch_max(rss(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let piece = content(MIB);
    let stream = futures::stream::iter((0..mib).map(|n| {
        let mut piece = piece.clone();
        piece[..8].copy_from_slice(&n.to_le_bytes());
        Ok::<_, io::Error>(io::Cursor::new(piece))
    }));
    let begin = Instant::now();
    let ingested = there.ingest(tokio_util::io::StreamReader::new(stream), Some(mib << 20)).await.unwrap();
    let ingest_time = begin.elapsed();
    let begin = Instant::now();
    let opener = |_| {
        let (near, far) = tokio::io::duplex(256 << 10);
        let there = there.clone();
        tokio::spawn(async move { there.serve(far, node(2)).await });
        std::future::ready(Ok(near))
    };
    let fetched = here.fetch(fetch(ingested.id, (mib as usize) << 20, &[node(1)]), opener, |_| {}).await.unwrap();
    let fetch_time = begin.elapsed();
    assert_eq!(fetched.hold.size(), mib << 20);
    watch.abort();
    let grown = peak.load(Ordering::Relaxed).saturating_sub(before) >> 20;
    let speed = |time: Duration| mib as f64 / time.as_secs_f64();
    println!(
        "{mib} MiB: ingest {:.0} MiB/s, fetch {:.0} MiB/s, memory grew by {grown} MiB",
        speed(ingest_time),
        speed(fetch_time)
    );
    // Other tests run in the same process; alone it is about 10.
    assert!(grown < 64, "{grown} MiB");
}
