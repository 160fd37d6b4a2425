//! What is on the disk before what is sent.

use super::{
    bench::*,
    checkpoints::{far, give_piece, questions},
};
use crate::{Config, Effect, Fact, Rejection};
use mesh_proto::{
    id::Digest,
    pbft::{Batch, Message},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The row of section D: this fact is in the effects before this message.
fn comes_before(bench: &Bench, fact: impl Fn(&Fact) -> bool, message: impl Fn(&Message) -> bool) {
    let written = place(&bench.effects, |effect| matches!(effect, Effect::Persist(one) if fact(one)));
    let sent = place(&bench.effects, |effect| is_sent(effect, &message));
    assert!(written.is_some() && sent.is_some(), "{written:?} {sent:?}");
    assert!(written < sent, "written at {written:?}, sent at {sent:?}");
}

/// Checklist item 20: each row of section D, for a backup.
#[test]
fn facts_come_before_what_rests_on_them() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    comes_before(&bench, |f| matches!(f, Fact::Accepted { .. }), |m| matches!(m, Message::Prepare(_)));
    comes_before(&bench, |f| matches!(f, Fact::Prepared { .. }), |m| matches!(m, Message::Commit(_)));
    bench.order_up_to(seq(8));
    comes_before(&bench, |f| matches!(f, Fact::Checkpoint { .. }), |m| matches!(m, Message::Checkpoint(_)));
    bench.stabilize(seq(8));
    let stable = place(&bench.effects, |effect| matches!(effect, Effect::Persist(Fact::Stable { .. })));
    let release = place(&bench.effects, |effect| matches!(effect, Effect::Release { .. }));
    assert!(stable < release && stable.is_some());
    bench.take();
    bench.ask(&request(9)).unwrap();
    bench.wait(Duration::from_millis(900));
    comes_before(&bench, |f| matches!(f, Fact::Left { .. }), |m| matches!(m, Message::ViewChange(_)));
}

/// Checklist item 20: and for primaries, old and new.
#[test]
fn a_primary_writes_before_it_proposes() {
    let mut bench = Bench::new(0, 4);
    bench.ask(&request(1)).unwrap();
    comes_before(&bench, |f| matches!(f, Fact::Accepted { .. }), |m| matches!(m, Message::PrePrepare(_)));
    let mut bench = Bench::new(1, 4);
    for replica in [2, 3] {
        bench.give(replica, Message::ViewChange(bench.view_change(replica, view(1), Vec::new()))).unwrap();
    }
    comes_before(&bench, |f| matches!(f, Fact::Entered { .. }), |m| matches!(m, Message::NewView(_)));
}

/// Checklist item 20: a prepare for an entry of O rests on the new view and on that entry.
#[test]
fn a_backup_writes_the_new_view_before_it_prepares_for_it() {
    let mut bench = Bench::new(3, 4);
    bench.ask(&request(1)).unwrap();
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &batch(&[request(1)]))).unwrap();
    bench.take();
    let prepared = bench.prepared((view(0), seq(1)), batch(&[request(1)]).digest());
    enter(&mut bench, vec![prepared]);
    comes_before(&bench, |f| matches!(f, Fact::Entered { .. }), |m| matches!(m, Message::Prepare(_)));
    let accepted =
        place(&bench.effects, |e| matches!(e, Effect::Persist(Fact::Accepted { view, .. }) if view.get() == 1));
    let prepare = place(&bench.effects, |effect| is_sent(effect, |m| matches!(m, Message::Prepare(_))));
    assert!(accepted.is_some() && accepted < prepare);
}

/// Moves to view 1 by the word of replicas 0, 1 and 2.
fn enter(bench: &mut Bench, prepared: Vec<mesh_proto::pbft::Prepared>) {
    let changes: Vec<_> = [0, 1, 2].map(|replica| bench.view_change(replica, view(1), prepared.clone())).into();
    for change in &changes {
        bench.give(change.change.replica.index() as u8, Message::ViewChange(Arc::clone(change))).unwrap();
    }
    let new_view = bench.new_view(&changes);
    bench.give(1, Message::NewView(Arc::new(new_view))).unwrap();
    assert!(bench.is_active());
}

/// Checklist item 20: after a restart votes, checkpoints and view changes are the stored bytes, and a number has no second
/// proposal.
#[test]
fn after_a_restart_the_same_words_are_said() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.order_up_to(seq(9));
    bench.give(0, bench.pre_prepare((view(0), seq(10)), &Batch::null())).unwrap();
    let said: BTreeSet<Vec<u8>> = bench.broadcasts().iter().map(|message| message.encode()).collect();
    let mut again = bench.restart();
    let lagging = mesh_proto::pbft::Status {
        epoch: again.epoch.epoch,
        view: view(0),
        active: true,
        leaves: false,
        stable: seq(0),
        executed: seq(0),
        wants: true,
        changes: Vec::new(),
    };
    again.take();
    again.give(3, Message::Status(lagging)).unwrap();
    let peer = again.node(3);
    let answers = again.sent_to(peer);
    let votes: Vec<_> = answers
        .iter()
        .filter(|message| matches!(message, Message::Prepare(_) | Message::Commit(_) | Message::Checkpoint(_)))
        .collect();
    assert!(votes.len() >= 19, "{}", votes.len());
    assert!(votes.iter().all(|vote| said.contains(&vote.encode())));
    // Another proposal for a number that it has prepared: refused, as before the crash.
    let other = again.pre_prepare((view(0), seq(10)), &batch(&[request(7)]));
    assert_eq!(again.give(0, other), Err(No::Rejected(crate::Rejection::Conflict)));
}

/// Checklist items 20 and 24: the prepared certificate survives a restart and is in the view change.
#[test]
fn a_certificate_survives_a_restart() {
    let mut bench = Bench::new(1, 4);
    let digest = batch(&[request(1)]).digest();
    bench.ask(&request(1)).unwrap();
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &batch(&[request(1)]))).unwrap();
    bench.give(2, bench.prepare(2, (view(0), seq(1)), digest)).unwrap();
    let mut again = bench.restart();
    again.take();
    again.ask(&request(2)).unwrap();
    again.wait(Duration::from_millis(1700));
    let changes = again.broadcasts().into_iter().filter_map(|message| match message {
        Message::ViewChange(change) => Some(Arc::clone(change)),
        _ => None,
    });
    let changes: Vec<_> = changes.collect();
    let change = changes.last().expect("it left");
    assert_eq!(change.change.prepared.len(), 1);
    assert_eq!(change.change.prepared[0].digest, digest);
}

/// Checklist item 20: a view change is sent again as it was, and not built anew.
#[test]
fn a_view_change_is_said_again_in_the_same_words() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(1)).unwrap();
    bench.wait(Duration::from_millis(900));
    let said: Vec<Vec<u8>> = bench
        .broadcasts()
        .iter()
        .filter(|message| matches!(message, Message::ViewChange(_)))
        .map(|message| message.encode())
        .collect();
    let mut again = bench.restart();
    assert_eq!((again.view(), again.is_active()), (bench.view(), false));
    again.take();
    let behind = mesh_proto::pbft::Status {
        epoch: again.epoch.epoch,
        view: view(0),
        active: true,
        leaves: false,
        stable: seq(0),
        executed: seq(0),
        wants: true,
        changes: Vec::new(),
    };
    again.give(2, Message::Status(behind)).unwrap();
    let peer = again.node(2);
    let sent: Vec<Vec<u8>> = again
        .sent_to(peer)
        .iter()
        .filter(|message| matches!(message, Message::ViewChange(_)))
        .map(|message| message.encode())
        .collect();
    assert_eq!(sent.last(), said.last());
    assert_eq!(sent.len(), 1);
}

/// Checklist item 20: the log that is told anew leads to the same replica.
#[test]
fn what_is_told_anew_is_the_same() {
    let mut bench = Bench::new(3, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.order_up_to(seq(8));
    bench.stabilize(seq(8));
    bench.order((view(0), seq(9)), &[request(2)]);
    bench.ask(&request(3)).unwrap();
    bench.give(0, bench.pre_prepare((view(0), seq(10)), &batch(&[request(3)]))).unwrap();
    let mut retold = Bench::with(3, bench.epoch.clone(), Config::default(), bench.replica.retell(), false);
    let mut replayed = bench.restart();
    assert_eq!(retold.replica.retell(), replayed.replica.retell());
    assert_eq!(retold.replica.standing(), replayed.replica.standing());
    for one in [&mut retold, &mut replayed] {
        one.take();
        one.ask(&request(7)).unwrap();
        one.wait(Duration::from_millis(900));
    }
    let said = |bench: &Bench| -> Vec<Vec<u8>> {
        let messages = bench.broadcasts();
        let changes = messages.iter().filter(|message| matches!(message, Message::ViewChange(_)));
        changes.map(|message| message.encode()).collect()
    };
    assert_eq!(said(&retold), said(&replayed));
    assert!(!said(&retold).is_empty());
}

/// Checklist item 20: what is left out of a fact is in one before it, also behind a log that was begun anew in between.
#[test]
fn a_body_of_a_batch_that_was_given_up_is_told_again() {
    let mut bench = Bench::new(3, 4);
    bench.ask(&request(1)).unwrap();
    bench.ask(&request(2)).unwrap();
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &batch(&[request(1)]))).unwrap();
    enter(&mut bench, Vec::new());
    bench.give(1, bench.pre_prepare((view(1), seq(1)), &batch(&[request(2)]))).unwrap();
    // The store is brought up to date here: the first batch is in no entry any more.
    let mut facts = bench.replica.retell();
    bench.take();
    bench.give(1, bench.pre_prepare((view(1), seq(2)), &batch(&[request(1)]))).unwrap();
    facts.extend(bench.effects.iter().filter_map(|effect| match effect {
        Effect::Persist(fact) => Some(fact.clone()),
        _ => None,
    }));
    let again = Bench::with(3, bench.epoch.clone(), Config::default(), facts, false);
    for number in [1, 2] {
        assert!(again.replica.kept(&request(number).digest()).is_some(), "request {number}");
    }
}

/// Checklist item 21: who lost its disk learns and serves, and votes no more; not after another restart either.
#[test]
fn who_lost_its_disk_does_not_vote() {
    let mut bench = Bench::with(1, epoch(4), Config::default(), Vec::new(), true);
    assert_eq!(bench.facts, [Fact::Amnesia]);
    bench.order((view(0), seq(1)), &[request(1)]);
    assert_eq!(bench.replica.executed(), seq(1), "it learns");
    bench.order_up_to(seq(8));
    bench.wait(Duration::from_secs(3));
    let mut later = Bench::with(1, epoch(4), Config::default(), bench.facts.clone(), false);
    later.order((view(0), seq(9)), &[request(2)]);
    later.wait(Duration::from_secs(3));
    for one in [&bench, &later] {
        let votes = one.broadcasts().into_iter().filter(|message| !matches!(message, Message::Status(_)));
        assert_eq!(votes.count(), 0);
    }
    assert!(!later.replica.standing().is_voting);
    // It serves what it has.
    bench.take();
    let fetch = mesh_proto::pbft::Fetch::ViewChange { view: view(1), digest: request(1).digest() };
    assert!(bench.give(2, Message::Fetch(fetch)).is_err());
    let status = mesh_proto::pbft::Status {
        epoch: bench.epoch.epoch,
        view: view(0),
        active: true,
        leaves: false,
        stable: seq(0),
        executed: seq(0),
        wants: true,
        changes: Vec::new(),
    };
    bench.give(2, Message::Status(status)).unwrap();
    let peer = bench.node(2);
    assert!(bench.sent_to(peer).iter().any(|message| matches!(message, Message::Decided(_))));
}

/// What is left of it, after a restart from what it has written, and from what its store tells.
fn stays_halted(bench: &Bench) {
    let alarm = bench.replica.standing().halted.expect("it has stopped");
    let told = bench.replica.retell();
    for facts in [bench.facts.clone(), told] {
        let mut again = Bench::with(bench.me, bench.epoch.clone(), Config::default(), facts, false);
        assert_eq!(again.take(), [Effect::Halt(alarm.clone())], "it is said again, and nothing else");
        assert_eq!(again.replica.held(), bench.replica.held());
        let standing = again.replica.standing();
        assert_eq!((standing.halted.as_ref(), standing.is_voting), (Some(&alarm), false));
        let stable = again.certificate(&again.summary(seq(8)));
        for message in [
            again.pre_prepare((view(0), seq(9)), &Batch::null()),
            again.decided(&[0, 2, 3], (view(0), seq(9)), &Batch::null()),
            Message::Stable(Arc::new(stable)),
            Message::Request(request(1)),
        ] {
            let from = if matches!(message, Message::Request(_)) { request(1).gateway } else { again.node(0) };
            let given = again.give_from(from, message);
            assert!(matches!(given, Err(No::Rejected(Rejection::Halted(_)))), "{given:?}");
        }
        again.wait(Duration::from_secs(60));
        assert!(again.effects.is_empty(), "{:?}", again.effects);
    }
}

/// Checklist item 33: who has diverged keeps its state, and does not take over another one after a restart.
#[test]
fn who_has_diverged_is_halted_for_ever() {
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(8));
    for replica in [0, 2, 3] {
        bench.give(replica, bench.checkpoint(replica, seq(8), Digest::from_bytes([1; 32]))).unwrap();
    }
    stays_halted(&bench);
}

/// Checklist items 5 and 11: who has seen two decisions for one number takes neither for the right one after a restart.
#[test]
fn who_has_seen_two_decisions_is_halted_for_ever() {
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(8));
    for batch in [Batch::null(), batch(&[request(1)])] {
        bench.give(2, bench.decided(&[0, 2, 3], (view(0), seq(9)), &batch)).unwrap();
    }
    stays_halted(&bench);
}

/// Checklist item 33: nor is a state put in its place that was on its way when it was found to be another one.
#[test]
fn who_has_diverged_installs_nothing() {
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(7));
    bench.is_summing_up = true;
    bench.order_up_to(seq(8));
    let far = far(&bench);
    bench.take();
    bench.give(0, Message::Stable(Arc::new(far.certificate.clone()))).unwrap();
    for piece in questions(&bench) {
        give_piece(&mut bench, &far, piece).unwrap();
    }
    for replica in [0, 2, 3] {
        bench.give(replica, bench.checkpoint(replica, seq(8), Digest::from_bytes([1; 32]))).unwrap();
    }
    bench.is_summing_up = false;
    bench.serve();
    stays_halted(&bench);
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Install { .. })));
}
