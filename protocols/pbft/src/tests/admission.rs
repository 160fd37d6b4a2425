//! Requests come in.

use super::bench::*;
use crate::{Config, Effect, Rejection};
use mesh_proto::{
    id::{Digest, NodeId},
    limits,
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

/// Checklist item 17: what becomes too old while it waits is answered by the batch that makes it so, once, as it would be if
/// it were asked again: by the window of its own gateway, and by the floor that an eviction leaves.
#[test]
fn what_becomes_too_old_while_it_waits_is_answered_then() {
    let too_old = |request: &Request, floor| {
        let floor = Outcome::TooOld(RequestNumber::new(floor));
        (request.number.get(), request.digest(), floor)
    };
    let mut own = Bench::new(1, 4);
    let waiting = request(5);
    own.ask(&waiting).unwrap();
    own.order((view(0), seq(1)), &[request(100)]);
    let executed = (100, request(100).digest(), Outcome::Executed(b"ok"[..].into()));
    assert_eq!(outcomes(&own.sent_to(waiting.gateway)), [executed, too_old(&waiting, 92)]);
    own.take();
    own.ask(&waiting).unwrap();
    assert_eq!(outcomes(&own.sent_to(waiting.gateway)), [too_old(&waiting, 92)], "in the words of a retry");
    let mut evicted = Bench::new(1, 4);
    evicted.ask(&waiting).unwrap();
    for gateway in 101..=104 {
        evicted.order((view(0), seq(u64::from(gateway - 100))), &[request_of(gateway, 50)]);
    }
    assert_eq!(outcomes(&evicted.sent_to(waiting.gateway)), []);
    evicted.order((view(0), seq(5)), &[request_of(105, 60)]);
    assert_eq!(outcomes(&evicted.sent_to(waiting.gateway)), [too_old(&waiting, 50)]);
    evicted.order((view(0), seq(6)), &[request_of(106, 60)]);
    assert_eq!(outcomes(&evicted.sent_to(waiting.gateway)).len(), 1, "once");
    assert_eq!(evicted.replica.standing().waiting, 0);
}

/// Checklist items 17 and 38: of more than a batch may have, the replies are several: none is larger than its kind may be.
#[test]
fn more_that_is_too_old_than_a_batch_has_is_told_in_several_replies() {
    let mut bench = Bench::new(1, 4);
    (1..=7).for_each(|number| bench.ask(&request(number)).unwrap());
    bench.order((view(0), seq(1)), &[request(100)]);
    let replies = bench.sent_to(request(100).gateway).into_iter().filter_map(|message| match message {
        Message::Reply(reply) => Some(reply.outcomes.len()),
        _ => None,
    });
    assert_eq!(replies.collect::<Vec<_>>(), [4, 4], "a batch has four at most");
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

/// Checklist items 17, 18 and 22: what a backup has let in by a clock that is ahead is proposed, and all agree that it is too new:
/// the primary is not left for it. What no correct backup lets in is not.
#[test]
fn the_primary_takes_what_is_too_new_by_its_clock_alone() {
    let dated = |ms: u64| RequestNumber::starting(START + limits::CLOCK_SKEW + Duration::from_millis(ms)).get();
    let mut bench = Bench::new(0, 4);
    bench.ask(&request(dated(5_000))).unwrap();
    assert_eq!(bench.replica.standing().waiting, 0, "told by its gateway");
    bench.take();
    bench.give(2, Message::Request(request(dated(11_000)))).unwrap();
    assert_eq!((bench.replica.standing().waiting, bench.effects.len()), (0, 0));
    let early = request(dated(5_000));
    bench.give(2, Message::Request(Arc::clone(&early))).unwrap();
    assert_eq!(proposed(&bench), [[early.digest()]]);
    bench.give(2, bench.decided(&[1, 2, 3], (view(0), seq(1)), &batch(&[Arc::clone(&early)]))).unwrap();
    assert_eq!(bench.replica.standing().waiting, 0);
    let answer = (early.number.get(), early.digest(), Outcome::TooNew);
    assert_eq!(outcomes(&bench.sent_to(early.gateway)), [answer]);
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

/// Checklist item 39: who has taken all lanes of the primary does not keep it from having what backups wait for; and a member
/// that relays much has its own share, and not that of another.
#[test]
fn each_member_has_lanes_for_what_it_relays() {
    let config = Config { in_flight: 1, ..Config::default() };
    let mut bench = Bench::with(0, epoch(4), config, Vec::new(), false);
    let busy = Err(No::Rejected(Rejection::Busy));
    // The first is proposed at once.
    (101..=104).for_each(|gateway| bench.ask(&request_of(gateway, 1)).unwrap());
    assert_eq!(bench.ask(&request_of(105, 1)), busy);
    for gateway in 106..110 {
        assert_eq!(bench.give(3, Message::Request(request_of(gateway, 1))), Ok(()));
    }
    assert_eq!(bench.give(3, Message::Request(request_of(110, 1))), busy);
    assert_eq!(bench.give(3, Message::Request(request_of(106, 2))), Ok(()), "it has a lane");
    assert_eq!(bench.give(2, Message::Request(request_of(105, 1))), Ok(()));
    assert_eq!(bench.ask(&request_of(105, 2)), busy, "by itself it has none");
    // What is executed, or relayed and proposed, leaves its place to others: four requests are in a batch.
    for number in 1..=2 {
        let mut proposals = bench.broadcasts().into_iter().filter_map(|message| match message {
            Message::PrePrepare(pre_prepare) => Some(pre_prepare.batch.as_ref().clone()),
            _ => None,
        });
        let last = proposals.next_back().unwrap();
        bench.give(2, bench.decided(&[1, 2, 3], (view(0), seq(number)), &last)).unwrap();
        bench.serve();
    }
    assert_eq!(bench.give(3, Message::Request(request_of(110, 1))), Ok(()));
    assert_eq!(bench.ask(&request_of(105, 2)), Ok(()));
}

/// Checklist item 39: what is relayed to a backup is nothing that it waits for.
#[test]
fn a_relay_is_for_the_primary() {
    let mut bench = Bench::new(1, 4);
    assert_eq!(bench.give(3, Message::Request(request(1))), Err(No::Rejected(Rejection::Unasked)));
    bench.wait(Duration::from_secs(5));
    assert_eq!((bench.view(), bench.replica.standing().waiting), (view(0), 0));
}

/// A backup that bears with a primary that idles.
fn patient(relay_lanes: usize) -> Bench {
    Bench::with(1, epoch(4), Config { relay_lanes, idle_divisor: 1, ..Config::default() }, Vec::new(), false)
}

/// Of which gateways something was sent to the primary, in order.
fn relayed(bench: &Bench) -> Vec<NodeId> {
    let sent = bench.sent_to(bench.node(0)).into_iter().filter_map(|message| match message {
        Message::Request(request) => Some(request.gateway),
        _ => None,
    });
    sent.collect()
}

/// Checklist items 22 and 39: a backup has as much relayed as the primary has room for, and waits for that and no more: of
/// what was held back, the time begins when it is relayed.
#[test]
fn the_time_of_a_request_runs_when_the_primary_has_room_for_it() {
    let mut bench = patient(2);
    let gateways: Vec<NodeId> = (101..=104).map(|gateway| gateway_key(gateway).node_id()).collect();
    for gateway in 101..=104 {
        bench.ask(&request_of(gateway, 1)).unwrap();
        bench.wait(Duration::from_millis(1));
    }
    bench.wait(Duration::from_millis(146));
    assert_eq!(relayed(&bench), gateways[..2]);
    bench.wait(Duration::from_millis(550));
    bench.take();
    bench.order((view(0), seq(1)), &[request_of(101, 1), request_of(102, 1)]);
    bench.wait(Duration::from_millis(10));
    assert_eq!(relayed(&bench), gateways[2..]);
    bench.wait(Duration::from_millis(770));
    assert_eq!(bench.view(), view(0), "long after their first sight");
    bench.wait(Duration::from_millis(30));
    assert_eq!(bench.view(), view(1), "a time-out after they were relayed");
    assert!(!bench.is_active());
}

/// So many rounds of 50 ms, in each of which a request of gateway 100 is executed, under the numbers from 1 on; fewer if the
/// primary is left.
fn execute_lower(bench: &mut Bench, rounds: u64) {
    let first = bench.replica.executed().get() + 1;
    for number in first..first + rounds {
        if bench.view() != view(0) {
            return;
        }
        bench.order((view(0), seq(number)), &[request(number)]);
        if number.is_multiple_of(8) {
            bench.stabilize(seq(number));
        }
        bench.wait(Duration::from_millis(50));
    }
}

/// Checklist items 22 and 39: a gateway that keeps its lane at the primary full of lower numbers, and shows a far higher one
/// to the others, has the primary left only when that executes none of them.
#[test]
fn what_has_no_room_beside_lower_numbers_has_its_time_from_when_they_are_executed() {
    let mut bench = patient(4);
    bench.ask(&request(1_000)).unwrap();
    execute_lower(&mut bench, 60);
    assert_eq!((bench.view(), bench.replica.executed()), (view(0), seq(60)));
    bench.take();
    bench.wait(Duration::from_millis(52));
    assert_eq!(relayed(&bench).len(), 1, "the primary has room by now");
    bench.wait(Duration::from_millis(680));
    assert_eq!(bench.view(), view(0));
    bench.wait(Duration::from_millis(20));
    assert_eq!(bench.view(), view(1), "a time-out after the last of them");
}

/// Checklist item 22: of what there is room for, within the window and its share of the bytes, it begins once.
#[test]
fn what_has_room_beside_lower_numbers_has_its_time_from_its_first_sight() {
    let mut bench = patient(4);
    let window = u64::from(bench.epoch.client_window);
    bench.ask(&request(window)).unwrap();
    for number in 1..window {
        bench.order((view(0), seq(number)), &[request(number)]);
        assert_eq!(bench.view(), view(0));
        bench.wait(Duration::from_millis(119));
    }
    assert_eq!(bench.view(), view(1), "seven lower ones, within 833 ms");
}

/// Checklist items 22 and 39: a lane has its bound in bytes as well, which a few requests of a window may fill.
#[test]
fn what_has_no_room_beside_large_requests_has_its_time_from_when_they_are_executed() {
    let config = Config { idle_divisor: 1, lane_bytes: 8 * 8, ..Config::default() };
    let mut bench = Bench::with(1, epoch(4), config, Vec::new(), false);
    let window = u64::from(bench.epoch.client_window);
    bench.ask(&request(window)).unwrap();
    assert!(request(1).operations.as_bytes().len() > 8, "more than an eighth of the lane");
    for number in 1..window {
        bench.order((view(0), seq(number)), &[request(number)]);
        bench.wait(Duration::from_millis(700));
        assert_eq!(bench.view(), view(0));
    }
    bench.wait(Duration::from_millis(110));
    assert_eq!(bench.view(), view(1));
}

/// Checklist items 22 and 39: nor does it keep a primary from being left that starves another gateway, whose turn to be
/// relayed it is.
#[test]
fn what_has_no_room_beside_lower_numbers_is_in_nobodys_way() {
    let mut bench = patient(1);
    bench.ask(&request(1_000)).unwrap();
    bench.wait(Duration::from_millis(110));
    assert_eq!(relayed(&bench), [gateway_key(100).node_id()]);
    bench.ask(&request_of(101, 1)).unwrap();
    bench.take();
    execute_lower(&mut bench, 60);
    assert_eq!(bench.view(), view(1));
    assert!((16..=19).contains(&bench.replica.executed().get()), "after {} rounds", bench.replica.executed());
}

/// Checklist item 18: the primary may have had no room yet, or not have known the gateway.
#[test]
fn what_is_not_proposed_is_relayed_again() {
    let mut bench = patient(4);
    bench.ask(&request(1)).unwrap();
    for (wait, times) in [(99, 0), (2, 1), (100, 2), (200, 3), (298, 3)] {
        bench.wait(Duration::from_millis(wait));
        assert_eq!(relayed(&bench).len(), times);
    }
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.wait(Duration::from_secs(5));
    assert_eq!((relayed(&bench).len(), bench.view()), (3, view(0)));
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
