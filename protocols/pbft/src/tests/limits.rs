//! Bounded memory.

use super::bench::*;
use mesh_proto::{
    id::Digest,
    pbft::{Batch, Fetch, Message, Status},
};
use std::time::Duration;

/// Checklist item 38: a flood of one member fills its own places, and no more; honest traffic goes on beside it.
#[test]
fn a_flood_fills_its_senders_places_alone() {
    let mut bench = Bench::new(1, 4);
    let mut taken = 0;
    for round in 0u64..2_000 {
        let at = (view(round % 7), seq(round % 40));
        let digest = Digest::from_bytes([round as u8; 32]);
        taken += usize::from(bench.give(3, bench.prepare(3, at, digest)).is_ok());
        taken += usize::from(bench.give(3, bench.commit(3, at, digest)).is_ok());
        taken += usize::from(bench.give(3, bench.checkpoint(3, seq(round % 100 * 8), digest)).is_ok());
        let change = bench.view_change(3, view(1 + round % 50), Vec::new());
        taken += usize::from(bench.give(3, Message::ViewChange(change)).is_ok());
    }
    // A slot for each number of the window; in each its one prepare and commit; one view change; a few checkpoints.
    let (slots, ballots, checkpoints, changes) = bench.replica.held_for_others();
    assert!(slots <= 16 && ballots <= 2 * 16, "{slots} slots, {ballots} votes");
    assert!(checkpoints <= 3 && changes <= 1, "{checkpoints} checkpoints, {changes} view changes");
    assert!(taken < 3_000, "{taken}");
    assert_eq!(bench.view(), view(0));
    bench.order((view(0), seq(1)), &[request(1)]);
    assert_eq!(bench.replica.executed(), seq(1));
}

/// Checklist item 38: nothing is kept that nobody asked for.
#[test]
fn what_was_not_asked_for_is_not_kept() {
    let mut bench = Bench::new(1, 4);
    let rejected = Err(No::Rejected(crate::Rejection::Unasked));
    assert_eq!(bench.give(3, Message::Requests(vec![request(1), request(2)])), rejected);
    assert_eq!(bench.give(3, Message::Batch(std::sync::Arc::new(Batch::null()))), rejected);
    assert_eq!(bench.give_from(gateway_key(77).node_id(), Message::Request(request(1))), rejected, "no member");
    assert_eq!(bench.give(3, Message::Fetch(Fetch::Batch { digest: Digest::from_bytes([1; 32]) })), rejected);
}

/// Checklist item 38: answers to one peer come at a bounded rate.
#[test]
fn a_peer_that_asks_without_end_is_answered_now_and_then() {
    let mut bench = Bench::new(1, 4);
    (1..=6).for_each(|n| bench.order((view(0), seq(n)), &[request(n)]));
    let status = Status {
        epoch: bench.epoch.epoch,
        view: view(0),
        active: true,
        leaves: false,
        stable: seq(0),
        executed: seq(0),
        wants: true,
        changes: Vec::new(),
    };
    bench.take();
    let mut answered = 0;
    for _ in 0..100 {
        answered += usize::from(bench.give(3, Message::Status(status.clone())).is_ok());
        bench.wait(Duration::from_millis(1));
    }
    assert!(answered <= 3, "{answered}");
}

/// Checklist item 38: a primary and a gateway that collude make a backup fetch one batch's bytes for a number, no more.
#[test]
fn a_batch_too_large_is_not_fetched_to_its_end() {
    let mut epoch = epoch(4);
    (epoch.batch_bytes, epoch.request_bytes) = (30, 30);
    let mut bench = Bench::with(1, epoch, crate::Config::default(), Vec::new(), false);
    let requests: Vec<_> = (1..=32).map(request).collect();
    for (n, four) in (1..).zip(requests.chunks(4)) {
        bench.give(0, bench.pre_prepare((view(0), seq(n)), &batch(four))).unwrap();
    }
    bench.wait(Duration::from_millis(15));
    for request in &requests {
        drop(bench.give(0, Message::Requests(vec![request.clone()])));
        assert!(bench.replica.stashed_bytes() <= 30, "{}", bench.replica.stashed_bytes());
    }
    assert_eq!(bench.replica.stashed_bytes(), 0, "the third of each is beyond it");
    let voted = bench.broadcasts().into_iter().any(|message| matches!(message, Message::Prepare(_)));
    assert!(!voted);
}

/// An idle replica writes nothing and wakes seldom.
#[test]
fn with_nothing_to_do_nothing_is_written() {
    let mut bench = Bench::new(1, 4);
    bench.take();
    bench.wait(Duration::from_secs(60));
    assert!(!bench.effects.iter().any(|effect| matches!(effect, crate::Effect::Persist(_))));
    let told = bench.broadcasts().len();
    assert!((18..=21).contains(&told), "{told} messages in a minute");
}

/// Who has no vote is sent nothing that it does not ask for: it asks more often, or it would be behind by as much.
#[test]
fn who_does_not_vote_asks_more_often() {
    let mut bench = Bench::with(1, epoch(4), crate::Config::default(), Vec::new(), true);
    bench.take();
    bench.wait(Duration::from_secs(60));
    let told = bench.broadcasts().len();
    assert!((55..=61).contains(&told), "{told} messages in a minute");
}
