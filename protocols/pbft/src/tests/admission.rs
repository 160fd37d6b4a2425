//! Requests come in.

use super::bench::*;
use crate::{Effect, Rejection};
use mesh_proto::{
    id::Digest,
    pbft::{Message, Operations, Outcome, Request, RequestNumber},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The batches that were proposed, by the numbers of their gateways.
fn proposed(bench: &Bench) -> Vec<Vec<Digest>> {
    let proposals = bench.broadcasts().into_iter().filter_map(|message| match message {
        Message::PrePrepare(pre_prepare) => Some(pre_prepare.batch.requests.clone()),
        _ => None,
    });
    proposals.collect()
}

/// Checklist item 18: a backup relays what the primary has not proposed, and leaves a primary that ignores it.
#[test]
fn a_backup_relays_and_watches_that_very_request() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(1)).unwrap();
    bench.wait(Duration::from_millis(110));
    let primary = bench.node(0);
    let relayed = Message::Request(request(1));
    assert!(bench.sent_to(primary).contains(&&relayed));
    assert_eq!(bench.sent_to(primary).iter().filter(|message| **message == &relayed).count(), 1);
    bench.wait(Duration::from_millis(800));
    assert_eq!(bench.view(), view(1));
}

/// Checklist items 17 and 18: a repeat gets the stored reply, from a backup as well, and is not executed again.
#[test]
fn a_repeat_gets_the_stored_reply() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(5)]);
    bench.take();
    bench.ask(&request(5)).unwrap();
    let gateway = request(5).gateway;
    let expected = (5, request(5).digest(), Outcome::Executed(b"ok"[..].into()));
    assert_eq!(outcomes(&bench.sent_to(gateway)), [expected]);
    assert_eq!(bench.executions().len(), 0);
    // Relayed, it is dropped: the gateway did not ask here.
    bench.take();
    bench.give(2, Message::Request(request(5))).unwrap();
    assert!(bench.effects.is_empty());
}

/// Checklist item 17: one request in two ordered batches is executed once.
#[test]
fn a_request_in_two_batches_runs_once() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(5)]);
    bench.take();
    let again = batch(&[request(5), request(6)]);
    bench.ask(&request(6)).unwrap();
    bench.give(0, Message::Requests(vec![request(5)])).unwrap_err();
    bench.give(2, bench.decided(&[0, 2, 3], (view(0), seq(2)), &again)).unwrap();
    let executed: Vec<u64> = bench.executions()[0].requests.iter().map(|body| body.request.number.get()).collect();
    assert_eq!(executed, [6]);
    assert_eq!(bench.counters().skipped_requests, 1);
}

/// Checklist item 17: below the window a number is dropped, and the gateway is told.
#[test]
fn an_old_number_is_not_executed() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(100)]);
    bench.take();
    bench.ask(&request(92)).unwrap();
    let gateway = request(92).gateway;
    let too_old = (92, request(92).digest(), Outcome::TooOld(RequestNumber::new(92)));
    assert_eq!(outcomes(&bench.sent_to(gateway)), [too_old]);
    assert_eq!(bench.ask(&request(93)), Ok(()), "inside of the window, and not executed yet");
    assert_eq!(bench.counters().admitted, 2);
}

/// Checklist item 17: a number that claims a date far ahead is not executed, so that no floor rises above everybody.
#[test]
fn a_number_of_the_far_future_is_not_executed() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(u64::MAX)).unwrap();
    let gateway = request(1).gateway;
    assert_eq!(outcomes(&bench.sent_to(gateway)), [(u64::MAX, request(u64::MAX).digest(), Outcome::TooNew)]);
    // Nor if a faulty primary orders it.
    bench.take();
    let batch = batch(&[request(u64::MAX)]);
    bench.give(0, bench.decided(&[0, 2, 3], (view(0), seq(1)), &batch)).unwrap();
    bench.wait(Duration::from_millis(15));
    bench.give(0, Message::Requests(vec![request(u64::MAX)])).unwrap();
    assert_eq!(bench.executions().len(), 0);
    assert_eq!(bench.replica.executed(), seq(1));
}

/// Checklist item 39: a gateway has a bounded lane, of which the lowest numbers stay, and others are not in it.
#[test]
fn a_lane_is_bounded_and_keeps_its_lowest_numbers() {
    let mut bench = Bench::new(1, 4);
    (11..=18).for_each(|n| bench.ask(&request(n)).unwrap());
    assert_eq!(bench.ask(&request(19)), Err(No::Rejected(Rejection::Busy)));
    assert_eq!(bench.ask(&request(1)), Ok(()), "a lower one takes the place of the highest");
    assert_eq!(bench.replica.standing().waiting, 8);
    assert_eq!(bench.ask(&request_of(101, 1)), Ok(()), "another gateway has its own");
    // Gateways are bounded as well: the epoch has 4.
    bench.ask(&request_of(102, 1)).unwrap();
    bench.ask(&request_of(103, 1)).unwrap();
    assert_eq!(bench.ask(&request_of(104, 1)), Err(No::Rejected(Rejection::Busy)));
}

/// Checklist item 39: a noisy gateway delays another by its share of a batch.
#[test]
fn lanes_are_served_in_turn() {
    let mut bench = Bench::new(0, 4);
    // In flight: the next waits for a whole batch, or its delay.
    bench.ask(&request_of(103, 1)).unwrap();
    bench.take();
    (1..=3).for_each(|n| bench.ask(&request_of(100, n)).unwrap());
    bench.ask(&request_of(101, 1)).unwrap();
    let batches = proposed(&bench);
    assert_eq!(batches.len(), 1);
    let all: BTreeSet<Digest> = batches[0].iter().copied().collect();
    assert!(all.contains(&request_of(101, 1).digest()), "the quiet one is in the first batch");
    (4..=8).for_each(|n| bench.ask(&request_of(100, n)).unwrap());
    bench.take();
    bench.ask(&request_of(102, 1)).unwrap();
    // Twice the delay, or thrice: for each batch that is in flight.
    bench.wait(Duration::from_millis(7));
    let waited = proposed(&bench).iter().position(|batch| batch.contains(&request_of(102, 1).digest()));
    assert!(waited.is_some_and(|batches| batches <= 1), "{waited:?}");
}

/// Two requests under one number: the first stays; nobody has to believe in both.
#[test]
fn a_number_is_used_once() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(1)).unwrap();
    assert_eq!(bench.ask(&other(1)), Err(No::Rejected(Rejection::Conflict)));
    assert_eq!(bench.ask(&request(1)), Err(No::Rejected(Rejection::Duplicate)));
}

/// Checklist item 17: who asks with another request under a number that was executed is told which one it was, so that it
/// does not take the answer for its own: at once, and where a primary orders the second one as well.
#[test]
fn a_second_request_of_a_number_gets_the_digest_of_the_first() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(5)]);
    bench.take();
    let gateway = request(5).gateway;
    let first = vec![(5, request(5).digest(), Outcome::Executed(b"ok"[..].into()))];
    bench.ask(&other(5)).unwrap();
    assert_eq!(outcomes(&bench.sent_to(gateway)), first);
    bench.take();
    bench.give(2, bench.decided(&[0, 2, 3], (view(0), seq(2)), &batch(&[other(5)]))).unwrap();
    bench.wait(Duration::from_millis(15));
    bench.give(0, Message::Requests(vec![other(5)])).unwrap();
    assert_eq!(bench.replica.executed(), seq(2));
    assert_eq!(bench.executions().len(), 0);
    assert_eq!(outcomes(&bench.sent_to(gateway)), first);
}

/// Another request under the same number, as a gateway makes it whose clock was set back.
fn other(number: u64) -> Arc<Request> {
    let operations = Operations::pack([&b"other"[..]]).unwrap();
    Arc::new(Request::sign(&gateway_key(100), &NETWORK, RequestNumber::new(number), operations))
}

/// Checklist item 16: replies are signed, once for all of a gateway in a batch.
#[test]
fn one_reply_carries_all_outcomes_of_a_batch() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1), request(2), request_of(101, 1)]);
    let replies = bench.sent_to(request(1).gateway);
    let replies = replies.iter().filter(|message| matches!(message, Message::Reply(_))).count();
    assert_eq!(replies, 1);
    assert_eq!(outcomes(&bench.sent_to(request(1).gateway)).len(), 2);
    assert_eq!(bench.counters().answered, 2);
    assert!(bench.effects.iter().any(|effect| matches!(effect, Effect::Execute(_))));
}
