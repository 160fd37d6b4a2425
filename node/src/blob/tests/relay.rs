//! Passing a blob on without keeping it.

use super::{world::*, *};
use bytes::Bytes;
use futures::TryStreamExt;
use std::sync::atomic::Ordering;

const MIB: usize = 1 << 20;

/// All bytes of a range, by a node that has nothing.
async fn pass_on(
    here: &BlobStore,
    world: World,
    id: BlobId,
    nodes: &[NodeId],
    range: std::ops::Range<usize>,
) -> io::Result<Vec<u8>> {
    let world = Arc::new(world);
    let opener = move |who| {
        let world = Arc::clone(&world);
        async move { world.open(who).await }
    };
    let relay = here.relay(id, nodes.to_vec(), opener).await.map_err(io::Error::other)?.expect("a slot is free");
    let parts: Vec<Bytes> = relay.into_stream(range.start as u64, range.len() as u64).try_collect().await?;
    Ok(parts.concat())
}

#[tokio::test]
async fn every_size_and_range_is_passed_on_and_nothing_of_it_kept() {
    for size in [0, 1, 16 << 10, (512 << 10) - 1, 512 << 10, (512 << 10) + 1, (2 << 20) + 7] {
        let data = content(size);
        let ranges = [0..size, 0..size / 2, size / 3..size, size.saturating_sub(1)..size, size / 2..size / 2];
        for range in ranges {
            let (world, id, nodes) = World::new(&data, &[Manner::Honest]).await;
            let dir = tempfile::tempdir().unwrap();
            let here = store(&dir, config());
            let passed = pass_on(&here, world, id, &nodes, range.clone()).await.unwrap();
            assert!(passed == data[range.clone()], "{range:?} of {size}");
            assert_eq!((here.usage().spent_bytes, files(&dir.path().join("partial")).len()), (0, 0));
        }
    }
}

#[tokio::test]
async fn what_a_liar_spoiled_or_kept_back_comes_from_the_next() {
    let data = content(3 * MIB);
    let at = [0, 100, 70_000, 600_000, 2_000_000];
    let flips = at.map(Manner::Flips);
    let silent = at.map(Manner::Hangs).into_iter().chain(at.map(Manner::Cuts));
    for bad in flips.into_iter().chain(silent).chain([Manner::Unreachable, Manner::Claims(5), Manner::Claims(u64::MAX)])
    {
        let (world, id, nodes) = World::new(&data, &[bad, Manner::Honest]).await;
        let dir = tempfile::tempdir().unwrap();
        let here = store(&dir, config());
        assert!(pass_on(&here, world, id, &nodes, 0..data.len()).await.unwrap() == data);
        let lies = u64::from(matches!(bad, Manner::Flips(_) | Manner::Claims(5)));
        assert_eq!(here.metrics().verification_failures.get(), lies);
    }
}

#[tokio::test]
async fn without_an_honest_provider_the_stream_ends_in_an_error_and_never_with_a_wrong_byte() {
    let data = content(2 * MIB);
    let dir = tempfile::tempdir().unwrap();
    let here = store(&dir, config());
    let (world, id, nodes) = World::new(&data, &[Manner::Flips(1_500_000)]).await;
    let world = Arc::new(world);
    let opener = |who| {
        let world = Arc::clone(&world);
        async move { world.open(who).await }
    };
    let relay = here.relay(id, nodes.clone(), opener).await.unwrap().unwrap();
    let mut passed = Vec::new();
    let stream = relay.into_stream(0, data.len() as u64);
    let ended = stream.try_for_each(|bytes| {
        passed.extend_from_slice(&bytes);
        futures::future::ready(Ok(()))
    });
    assert!(ended.await.is_err());
    assert!(passed == data[..MIB], "whole segments before the lie");
    assert_eq!(world.opened.load(Ordering::Relaxed), 1, "a liar is not asked again");
    let away = here.relay(id, Vec::new(), |who| world.open(who)).await;
    assert!(matches!(away, Err(error) if !error.may_pass()));
}

#[tokio::test]
async fn no_more_are_passed_on_at_once_than_there_is_memory_for() {
    let data = content(MIB);
    let dir = tempfile::tempdir().unwrap();
    let here = store(&dir, BlobConfig { relays_max: 1, ..config() });
    let (world, id, nodes) = World::new(&data, &[Manner::Honest]).await;
    let open = |who| world.open(who);
    let first = here.relay(id, nodes.clone(), open).await.unwrap();
    assert!(first.is_some());
    assert!(here.relay(id, nodes.clone(), open).await.unwrap().is_none());
    drop(first);
    assert!(here.relay(id, nodes, open).await.unwrap().is_some());
}
