//! Leaving and entering views.

use super::bench::*;
use crate::{Config, Effect, Event, Input, Rejection};
use mesh_proto::pbft::{Batch, Fetch, Message, Prepared, Status, View, ViewChange};
use std::{sync::Arc, time::Duration};

fn own_changes(bench: &Bench) -> Vec<Arc<ViewChange>> {
    let messages = bench.broadcasts().into_iter().filter_map(|message| match message {
        Message::ViewChange(change) => Some(Arc::clone(change)),
        _ => None,
    });
    messages.collect()
}

/// Gives the view changes of these replicas.
fn call(bench: &mut Bench, replicas: &[u8], to: View, prepared: &[Prepared]) -> Vec<Arc<ViewChange>> {
    let changes: Vec<_> = replicas.iter().map(|replica| bench.view_change(*replica, to, prepared.to_vec())).collect();
    for (replica, change) in replicas.iter().zip(&changes) {
        match bench.give(*replica, Message::ViewChange(Arc::clone(change))) {
            Ok(()) | Err(No::Rejected(_)) => {}
            Err(refused) => panic!("{refused:?}"),
        }
    }
    changes
}

/// Replica 3 enters view 1 by the word of the others.
fn enter(bench: &mut Bench, prepared: &[Prepared]) {
    let changes = call(bench, &[0, 1, 2], view(1), prepared);
    bench.give(1, Message::NewView(Arc::new(bench.new_view(&changes)))).unwrap();
    assert_eq!((bench.view(), bench.is_active()), (view(1), true));
}

/// Checklist item 22: executing other requests does not move the time-out of a starved one.
#[test]
fn a_primary_that_starves_one_gateway_is_left() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request_of(103, 1)).unwrap();
    let mut sequence = 1;
    while bench.view() == view(0) && sequence < 100 {
        bench.order((view(0), seq(sequence)), &[request(sequence)]);
        if sequence % 8 == 0 {
            bench.stabilize(seq(sequence));
        }
        bench.wait(Duration::from_millis(50));
        sequence += 1;
    }
    assert_eq!(bench.view(), view(1));
    assert!((15..=17).contains(&sequence), "left after {sequence} rounds of 50 ms");
}

/// Checklist item 22: a slot that is prepared, and does not commit, is not stuck for good.
#[test]
fn a_slot_that_is_stuck_is_left() {
    let mut bench = Bench::new(1, 4);
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &Batch::null())).unwrap();
    bench.give(2, bench.prepare(2, (view(0), seq(1)), Batch::null().digest())).unwrap();
    bench.wait(Duration::from_millis(790));
    assert_eq!(bench.view(), view(0));
    bench.wait(Duration::from_millis(20));
    assert_eq!(bench.view(), view(1));
}

/// Checklist item 22: a new view runs a window of numbers again. A large committee on few machines takes longer for that
/// than a time-out, and once left each view before it was through.
#[test]
fn a_view_that_gets_on_with_what_was_executed_is_not_left() {
    let mut bench = Bench::new(3, 4);
    bench.order_up_to(seq(7));
    let null = Batch::null().digest();
    let known: Vec<Prepared> = (1..=8).map(|n| bench.prepared((view(0), seq(n)), null)).collect();
    bench.ask(&request(50)).unwrap();
    enter(&mut bench, &known);
    for number in 1..=7 {
        bench.wait(Duration::from_millis(330));
        assert_eq!((bench.view(), bench.is_active()), (view(1), true), "at {number}");
        for replica in [0, 2] {
            bench.give(replica, bench.prepare(replica, (view(1), seq(number)), null)).unwrap();
        }
    }
    // Number 8, which was not executed, has as long from there, and so has a request that waits.
    bench.wait(Duration::from_millis(700));
    assert_eq!((bench.view(), bench.is_active()), (view(1), true));
    bench.wait(Duration::from_millis(200));
    assert_eq!(bench.view(), view(2));
}

/// Checklist item 22: votes alone are anybody's: they make no replica leave.
#[test]
fn votes_without_a_proposal_suspect_nobody() {
    let mut bench = Bench::new(1, 4);
    bench.give(2, bench.prepare(2, (view(0), seq(5)), Batch::null().digest())).unwrap();
    bench.give(2, bench.commit(2, (view(0), seq(7)), Batch::null().digest())).unwrap();
    bench.wait(Duration::from_secs(20));
    assert_eq!(bench.view(), view(0));
}

/// Checklist items 8 and 23: a replica that has left takes nothing of old views, and everything that proves itself.
#[test]
fn who_has_left_takes_no_old_votes() {
    let mut bench = Bench::new(3, 4);
    let digest = batch(&[request(1)]).digest();
    let old = [
        bench.pre_prepare((view(0), seq(1)), &batch(&[request(1)])),
        bench.prepare(0, (view(0), seq(1)), digest),
        bench.commit(0, (view(0), seq(1)), digest),
    ];
    let primary = bench.node(0);
    let verified = old.clone().map(|message| bench.verifier.verify(primary, message).unwrap());
    bench.ask(&request(1)).unwrap();
    bench.wait(Duration::from_millis(900));
    assert!(!bench.is_active());
    for message in old {
        assert!(matches!(bench.give(0, message), Err(No::Refused(crate::Refusal::View { .. }))));
    }
    // Nor what a verifier let pass that did not know of it yet.
    for message in verified {
        assert!(matches!(bench.input(Input::Message(message)), Err(Rejection::View { .. })));
    }
    // Certificates, checkpoints and state do not depend on views.
    bench.give(0, bench.decided(&[0, 1, 2], (view(0), seq(1)), &batch(&[request(1)]))).unwrap();
    bench.serve();
    assert_eq!(bench.replica.executed(), seq(1));
    for replica in 0..3 {
        bench.give(replica, bench.checkpoint(replica, seq(8), digest)).unwrap();
    }
}

/// Checklist item 34: a VIEW-CHANGE is sent again to who says that it does not hold it, and to nobody else.
#[test]
fn a_view_change_that_is_held_is_not_sent_again() {
    let mut bench = Bench::new(3, 4);
    bench.ask(&request(1)).unwrap();
    bench.wait(Duration::from_millis(900));
    assert_eq!((bench.view(), bench.is_active()), (view(1), false));
    let peer = bench.node(2);
    let mut sent = |at: View, active: bool, changes: Vec<View>| {
        bench.wait(Duration::from_millis(50));
        bench.take();
        let epoch = bench.epoch.epoch;
        let status =
            Status { epoch, view: at, active, leaves: false, stable: seq(0), executed: seq(0), wants: true, changes };
        bench.give(2, Message::Status(status)).unwrap();
        bench.sent_to(peer).iter().filter(|message| matches!(message, Message::ViewChange(_))).count()
    };
    assert_eq!(sent(view(0), true, vec![]), 1);
    assert_eq!(sent(view(0), true, vec![view(0), view(0), view(0), view(1)]), 0, "not moved by one, but knows");
    assert_eq!(sent(view(1), false, vec![view(1), view(0), view(1)]), 1);
    assert_eq!(sent(view(1), false, vec![view(0), view(0), view(1), view(1)]), 0);
    assert_eq!(sent(view(1), true, vec![]), 0, "has entered it");
}

/// Checklist item 34: and each says what it holds.
#[test]
fn a_status_names_the_view_changes_that_are_held() {
    let mut bench = Bench::new(3, 7);
    call(&mut bench, &[1], view(5), &[]);
    bench.take();
    bench.wait(Duration::from_secs(4));
    let held = |bench: &Bench| {
        let mut statuses = bench.broadcasts().into_iter().filter_map(|message| match message {
            Message::Status(status) => Some(status.changes.clone()),
            _ => None,
        });
        statuses.next_back()
    };
    assert_eq!(held(&bench), Some(vec![view(0), view(5)]));
    call(&mut bench, &[0, 2], view(7), &[]);
    bench.take();
    bench.wait(Duration::from_millis(200));
    assert_eq!(held(&bench), Some(vec![view(7), view(5), view(7), view(5)]));
}

/// Checklist item 34: under load something is always unfinished; it is told when nothing comes of it.
#[test]
fn who_makes_progress_asks_for_nothing() {
    let mut bench = Bench::new(1, 4);
    let statuses =
        |bench: &Bench| bench.broadcasts().into_iter().filter(|message| matches!(message, Message::Status(_))).count();
    bench.ask(&request(999)).unwrap();
    bench.wait(Duration::from_millis(149));
    bench.take();
    for number in 1..=7 {
        bench.order((view(0), seq(number)), &[request(number)]);
        bench.wait(Duration::from_millis(90));
    }
    assert_eq!(statuses(&bench), 0, "in 630 ms");
    bench.wait(Duration::from_millis(70));
    assert_eq!(statuses(&bench), 1);
}

/// Checklist item 24: the view change has the certificate of the highest view for every number that ever prepared.
#[test]
fn a_view_change_has_the_highest_certificates() {
    let mut bench = Bench::new(3, 4);
    let null = Batch::null().digest();
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &Batch::null())).unwrap();
    bench.give(1, bench.prepare(1, (view(0), seq(1)), null)).unwrap();
    bench.give(0, bench.pre_prepare((view(0), seq(2)), &Batch::null())).unwrap();
    bench.give(1, bench.prepare(1, (view(0), seq(2)), null)).unwrap();
    // In view 1, number 1 prepares again; number 2 does not, as nobody there knows of it.
    let known = bench.prepared((view(0), seq(1)), null);
    enter(&mut bench, &[known]);
    bench.give(0, bench.prepare(0, (view(1), seq(1)), null)).unwrap();
    bench.give(2, bench.prepare(2, (view(1), seq(1)), null)).unwrap();
    bench.take();
    bench.ask(&request(5)).unwrap();
    bench.wait(Duration::from_secs(2));
    let change = own_changes(&bench).remove(0);
    let certificates: Vec<(u64, u64)> =
        change.change.prepared.iter().map(|prepared| (prepared.sequence.get(), prepared.view.get())).collect();
    assert_eq!(certificates, [(1, 1), (2, 0)], "entering a view forgets nothing");
    assert_eq!((change.change.stable, &change.change.proof), (seq(0), &None));
}

/// Checklist items 24 and 33: behind a stable checkpoint the proof is there and certificates below it are not.
#[test]
fn a_view_change_begins_at_the_stable_checkpoint() {
    let mut bench = Bench::new(3, 4);
    bench.order_up_to(seq(9));
    bench.stabilize(seq(8));
    bench.ask(&request(5)).unwrap();
    bench.wait(Duration::from_secs(2));
    let change = own_changes(&bench).remove(0);
    assert_eq!(change.change.stable, seq(8));
    assert_eq!(change.change.proof.as_ref().map(|proof| (proof.sequence, proof.votes.len())), Some((seq(8), 3)));
    let numbers: Vec<u64> = change.change.prepared.iter().map(|prepared| prepared.sequence.get()).collect();
    assert_eq!(numbers, [9]);
    // What it says of itself passes every check of the others.
    let mut other = Bench::new(1, 4);
    assert_eq!(other.give(3, Message::ViewChange(change)), Ok(()));
}

/// Checklist item 26: f + 1 others, and then the smallest of their views; fewer move nobody.
#[test]
fn a_replica_joins_the_smallest_view_that_enough_are_for() {
    let mut bench = Bench::new(3, 4);
    call(&mut bench, &[0], view(9), &[]);
    assert_eq!(bench.view(), view(0));
    call(&mut bench, &[1], view(5), &[]);
    assert_eq!((bench.view(), bench.is_active()), (view(5), false));
    let mut seven = Bench::new(6, 7);
    call(&mut seven, &[0, 1], view(3), &[]);
    assert_eq!(seven.view(), view(0), "f = 2: two are not enough");
    call(&mut seven, &[2], view(2), &[]);
    assert_eq!(seven.view(), view(2));
}

/// Checklist item 26: f liars that call for views for ever move nobody.
#[test]
fn calls_of_f_members_move_nobody() {
    let mut bench = Bench::new(3, 4);
    for to in 1..200 {
        call(&mut bench, &[2], view(to), &[]);
        assert_eq!(bench.view(), view(0));
    }
    assert!(bench.broadcasts().iter().all(|message| matches!(message, Message::Status(_))));
}

/// Checklist item 27: the time-out of a new view starts with a quorum, and doubles with each expiry.
#[test]
fn the_time_out_waits_for_a_quorum_and_doubles() {
    let mut bench = Bench::new(3, 4);
    bench.ask(&request(1)).unwrap();
    bench.wait(Duration::from_millis(1000));
    assert_eq!(bench.view(), view(1));
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.view(), view(1), "alone it waits for ever");
    let mut expected = Duration::from_millis(1600);
    for to in 1..4 {
        call(&mut bench, &[0, 1], view(to), &[]);
        bench.wait(expected - Duration::from_millis(10));
        assert_eq!(bench.view(), view(to));
        bench.wait(Duration::from_millis(20));
        assert_eq!(bench.view(), view(to + 1), "after {expected:?}");
        expected *= 2;
    }
}

/// Checklist item 27: it has a cap, and is halved again only after sustained progress.
#[test]
fn the_time_out_shrinks_after_sustained_progress() {
    let config = Config { shrink_after: 4, timeout_max: Duration::from_millis(1200), ..Config::default() };
    let mut bench = Bench::with(3, epoch(4), config, Vec::new(), false);
    let leave = |bench: &mut Bench, to: u64| {
        let from = bench.now.mono;
        bench.give(1, bench.pre_prepare((view(to - 1), bench.replica.executed().next()), &Batch::null())).ok();
        bench.ask(&request(1_000 + to)).unwrap();
        while bench.view() < view(to) {
            bench.wait(Duration::from_millis(10));
        }
        bench.now.mono.since(from)
    };
    let first = leave(&mut bench, 1);
    assert!(first < Duration::from_millis(300), "idle: {first:?}");
    enter(&mut bench, &[]);
    // 1,200 ms at most, a quarter of which the primary may be idle.
    bench.give(1, bench.pre_prepare((view(1), seq(1)), &batch(&[request(1_001)]))).unwrap();
    let stuck = |bench: &mut Bench| {
        let from = bench.now.mono;
        let before = bench.view();
        while bench.view() == before {
            bench.wait(Duration::from_millis(10));
        }
        bench.now.mono.since(from)
    };
    let mut other =
        Bench::with(3, bench.epoch.clone(), Config { shrink_after: 4, ..Config::default() }, Vec::new(), false);
    let capped = stuck(&mut bench);
    assert!((1190..1250).contains(&capped.as_millis()), "{capped:?}");
    leave(&mut other, 1);
    enter(&mut other, &[]);
    for n in 1..=4 {
        other.order((view(1), seq(n)), &[request(n)]);
    }
    other.order((view(1), seq(5)), &[request(1_001)]);
    other.give(1, other.pre_prepare((view(1), seq(6)), &Batch::null())).unwrap();
    let shrunk = stuck(&mut other);
    assert!((790..850).contains(&shrunk.as_millis()), "{shrunk:?}");
}

/// Checklist items 28 and 29: the primary makes the new view of a quorum, its own word among them; backups follow.
#[test]
fn the_primary_of_the_new_view_begins_it() {
    let mut bench = Bench::new(1, 4);
    let digest = batch(&[request(1)]).digest();
    bench.ask(&request(1)).unwrap();
    let known = bench.prepared((view(0), seq(2)), digest);
    call(&mut bench, &[2, 3], view(1), &[known]);
    let new_view = bench.broadcasts().into_iter().find_map(|message| match message {
        Message::NewView(new_view) => Some(Arc::clone(new_view)),
        _ => None,
    });
    let new_view = new_view.expect("it is the primary");
    let named: Vec<usize> = new_view.changes.iter().map(|(replica, _)| replica.index()).collect();
    assert_eq!(named, [1, 2, 3]);
    let digests: Vec<_> = new_view.proposals.iter().map(|proposal| proposal.digest).collect();
    assert_eq!(digests, [Batch::null().digest(), digest], "null where nothing prepared");
}

/// Checklist item 29: a set O that does not follow from the view changes is found out, and the next view is called for.
#[test]
fn a_wrong_new_view_is_refused_and_left() {
    let digest = batch(&[request(1)]).digest();
    type Damage = fn(&mut mesh_proto::pbft::NewView, &Bench);
    let damages: [Damage; 3] = [
        |new_view, _| new_view.proposals.clear(),
        |new_view, bench| {
            let null = Batch::null().digest();
            let at = (view(1), seq(1));
            let epoch = bench.epoch.epoch;
            let signature = mesh_proto::pbft::PrePrepare::sign_digest(&bench.keys[1], &NETWORK, epoch, at, &null);
            new_view.proposals[0] = mesh_proto::pbft::Reproposal { digest: null, signature };
        },
        |new_view, bench| {
            let at = (view(1), seq(2));
            let (epoch, digest) = (bench.epoch.epoch, Batch::null().digest());
            let signature = mesh_proto::pbft::PrePrepare::sign_digest(&bench.keys[1], &NETWORK, epoch, at, &digest);
            new_view.proposals.push(mesh_proto::pbft::Reproposal { digest, signature });
        },
    ];
    for damage in damages {
        let mut bench = Bench::new(3, 4);
        let known = bench.prepared((view(0), seq(1)), digest);
        let changes = call(&mut bench, &[0, 1, 2], view(1), &[known]);
        let mut forged = bench.new_view(&changes);
        damage(&mut forged, &bench);
        let forged = forged.signed(&bench.keys[1], &NETWORK);
        let given = bench.give(1, Message::NewView(Arc::new(forged)));
        assert_eq!(given, Err(No::Rejected(Rejection::WrongNewView)));
        assert_eq!((bench.view(), bench.is_active()), (view(2), false));
        assert_eq!(bench.counters().wrong_new_views, 1);
    }
}

/// Checklist item 38: a new view names its view changes; one that did not come is fetched, and an equivocator that showed
/// another one here does not matter.
#[test]
fn a_view_change_that_did_not_come_is_fetched() {
    let mut bench = Bench::new(3, 4);
    let null = Batch::null().digest();
    let shown_here = bench.view_change(2, view(1), vec![bench.prepared((view(0), seq(1)), null)]);
    bench.give(2, Message::ViewChange(shown_here)).unwrap();
    let changes: Vec<_> = [0, 1, 2].map(|replica| bench.view_change(replica, view(1), Vec::new())).into();
    for change in &changes[..2] {
        bench.give(change.change.replica.index() as u8, Message::ViewChange(Arc::clone(change))).unwrap();
    }
    bench.give(1, Message::NewView(Arc::new(bench.new_view(&changes)))).unwrap();
    assert!(!bench.is_active());
    bench.take();
    bench.wait(Duration::from_millis(105));
    let question = Message::Fetch(Fetch::ViewChange { view: view(1), digest: changes[2].change.digest() });
    let asked = |bench: &Bench| -> Vec<usize> {
        (0..3).map(|n| bench.sent_to(bench.node(n)).iter().filter(|message| **message == &question).count()).collect()
    };
    assert_eq!(asked(&bench), [0, 1, 0], "the primary");
    bench.wait(Duration::from_millis(100));
    assert_eq!(asked(&bench), [0, 1, 1], "whose it is");
    bench.wait(Duration::from_millis(100));
    assert_eq!(asked(&bench), [0, 1, 2], "and two more, of which this replica is one");
    bench.wait(Duration::from_millis(100));
    assert_eq!(asked(&bench), [1, 2, 2]);
    bench.give(1, Message::ViewChange(Arc::clone(&changes[2]))).unwrap();
    assert!(bench.is_active());
    assert!(bench.effects.contains(&Effect::Event(Event::Entered(view(1)))));
}

/// Checklist item 30: O runs all phases again; what was executed is not executed again; the next number is max + 1.
#[test]
fn the_new_view_runs_all_phases_again() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    let digest = batch(&[request(1)]).digest();
    bench.take();
    let known = bench.prepared((view(0), seq(1)), digest);
    call(&mut bench, &[2, 3], view(1), &[known]);
    assert!(bench.is_active());
    for replica in [2, 3] {
        bench.give(replica, bench.prepare(replica, (view(1), seq(1)), digest)).unwrap();
    }
    let commits = |bench: &Bench| {
        let messages = bench.broadcasts().into_iter().filter(|message| matches!(message, Message::Commit(_)));
        messages.count()
    };
    assert_eq!(commits(&bench), 1);
    for replica in [2, 3] {
        bench.give(replica, bench.commit(replica, (view(1), seq(1)), digest)).unwrap();
    }
    bench.serve();
    assert_eq!((bench.executions().len(), bench.replica.executed()), (0, seq(1)));
    bench.ask(&request(2)).unwrap();
    let proposals = bench.broadcasts().into_iter().filter_map(|message| match message {
        Message::PrePrepare(pre_prepare) => Some(pre_prepare.sequence),
        _ => None,
    });
    assert_eq!(proposals.collect::<Vec<_>>(), [seq(2)]);
}

/// Checklist item 30: a request whose slot became null is still waiting, and is proposed again.
#[test]
fn a_request_whose_slot_became_null_is_proposed_again() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(1)).unwrap();
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &batch(&[request(1)]))).unwrap();
    bench.take();
    // Nobody else knows of it; something prepared at number 2.
    let known = bench.prepared((view(0), seq(2)), Batch::null().digest());
    call(&mut bench, &[2, 3], view(1), &[known]);
    let proposals = bench.broadcasts().into_iter().filter_map(|message| match message {
        Message::PrePrepare(pre_prepare) => Some((pre_prepare.sequence, pre_prepare.batch.requests.clone())),
        _ => None,
    });
    let proposals: Vec<_> = proposals.collect();
    assert!(proposals.is_empty(), "two numbers of the new view are in flight: {proposals:?}");
    // The delay is waited for each of them.
    bench.wait(Duration::from_millis(3));
    assert!(!bench.broadcasts().iter().any(|message| matches!(message, Message::PrePrepare(_))));
    bench.wait(Duration::from_millis(2));
    let proposals = bench.broadcasts().into_iter().filter_map(|message| match message {
        Message::PrePrepare(pre_prepare) => Some((pre_prepare.sequence, pre_prepare.batch.requests.clone())),
        _ => None,
    });
    assert_eq!(proposals.collect::<Vec<_>>(), [(seq(3), vec![request(1).digest()])]);
}

/// Checklist item 30: null requests execute as no-ops, and count for checkpoints.
#[test]
fn null_requests_count_for_checkpoints() {
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(8));
    assert_eq!(bench.executions().len(), 0);
    assert_eq!(bench.own_checkpoint(seq(8)).sequence, seq(8));
}

/// Checklist item 13: what a certificate proposes again is judged by no clock.
#[test]
fn an_old_time_in_a_new_view_is_no_matter() {
    let mut bench = Bench::new(3, 4);
    bench.ask(&request(1)).unwrap();
    let old = Batch { time: mesh_proto::time::Wall(START.0 - 3_600_000), ..batch(&[request(1)]) };
    let fresh = bench.give(0, bench.pre_prepare((view(0), seq(1)), &old));
    assert!(matches!(fresh, Err(No::Rejected(Rejection::Time { .. }))));
    let known = bench.prepared((view(0), seq(1)), old.digest());
    enter(&mut bench, &[known]);
    bench.wait(Duration::from_millis(15));
    bench.give(1, Message::Batch(Arc::new(old))).unwrap();
    assert!(bench.broadcasts().iter().any(|message| matches!(message, Message::Prepare(_))));
}

/// Checklist item 31: a primary that is idle while a request waits is left before the time-out.
#[test]
fn an_idle_primary_is_left_early() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(1)).unwrap();
    bench.wait(Duration::from_millis(190));
    assert_eq!(bench.view(), view(0));
    bench.wait(Duration::from_millis(20));
    assert_eq!((bench.view(), bench.counters().idle_primaries), (view(1), 1));
}

/// Checklist item 31: a primary that proposes a little now and then, inside every time-out, falls below the floor of the
/// views before it.
#[test]
fn a_primary_below_the_floor_is_left() {
    let config = Config { pace_period: Duration::from_millis(250), ..Config::default() };
    let mut bench = Bench::with(3, epoch(4), config, Vec::new(), false);
    // View 0 reaches 64 requests a second.
    let mut sequence = 0;
    let mut number = 0;
    for _ in 0..3 {
        for _ in 0..16 {
            sequence += 1;
            let requests: Vec<_> = (0..4)
                .map(|_| {
                    number += 1;
                    request(number)
                })
                .collect();
            bench.order((view(0), seq(sequence)), &requests);
            if sequence % 8 == 0 {
                bench.stabilize(seq(sequence));
            }
            bench.wait(Duration::from_millis(62));
        }
    }
    let stable = bench.own_checkpoint(seq(48));
    let proof = bench.certificate(&stable).certificate;
    let changes: Vec<_> = [0, 1, 2]
        .map(|replica| {
            let change = bench.change(replica, view(1), Vec::new());
            bench.sign_change(mesh_proto::pbft::Change { stable: seq(48), proof: Some(proof.clone()), ..change })
        })
        .into();
    for change in &changes {
        bench.give(change.change.replica.index() as u8, Message::ViewChange(Arc::clone(change))).unwrap();
    }
    bench.give(1, Message::NewView(Arc::new(bench.new_view(&changes)))).unwrap();
    assert!(bench.is_active());
    // View 1 orders one request at a time, though more wait; each within the time-out.
    let mut waited = 0;
    while bench.view() == view(1) && waited < 50 {
        for more in 0..3 {
            drop(bench.ask(&request_of(101, 1_000 + waited * 3 + more)));
        }
        sequence += 1;
        let oldest = request_of(101, 1_000 + waited);
        let next = batch(&[Arc::clone(&oldest)]);
        drop(bench.give(1, bench.pre_prepare((view(1), seq(sequence)), &next)));
        for replica in [0, 2] {
            drop(bench.give(replica, bench.prepare(replica, (view(1), seq(sequence)), next.digest())));
            drop(bench.give(replica, bench.commit(replica, (view(1), seq(sequence)), next.digest())));
        }
        bench.serve();
        waited += 1;
        bench.wait(Duration::from_millis(150));
    }
    assert_eq!(bench.view(), view(2));
    assert_eq!(bench.counters().slow_primaries, 1, "{waited} rounds: {:?}", bench.counters());
}

/// With nobody else there, a time-out changes nothing.
#[test]
fn a_replica_alone_leaves_no_view() {
    let mut bench = Bench::new(0, 1);
    bench.ask(&request(1)).unwrap();
    assert_eq!(bench.executions().len(), 1, "alone it orders at once");
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.view(), view(0));
}
