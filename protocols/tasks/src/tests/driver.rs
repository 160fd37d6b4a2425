use super::{node::*, told::Told};
use crate::{Config, Fact};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{
        Ending, FailedAttempt, FailureKind, Fault, Held, How, Item, Outcome, Register, Spec, State, Status, Version,
    },
};
use std::sync::Arc;

fn retrying(retries: u8) -> Spec {
    Spec { retries, ..spec() }
}

pub(super) fn report(number: u32, outcome: Outcome) -> Item {
    Item::Report { task: task(), attempt: number, outcome: Arc::new(outcome) }
}

fn lost(number: u32) -> Item {
    Item::NotRunning { task: task(), attempt: number, why: String::new() }
}

fn settled(number: u32) -> Item {
    Item::Settled { task: task(), attempt: number }
}

/// The register of the one write among the facts.
fn written(told: &Told) -> Register {
    match told.facts.as_slice() {
        [Fact::Written { register, .. }] => Register::clone(register),
        other => panic!("{other:?}"),
    }
}

/// All other holders have the present version on disk.
fn confirm(node: &mut Node) -> Told {
    let Some(((ballot, version), _)) = node.copy() else { panic!("nothing held") };
    let mut told = node.hear(1, Item::Wrote { task: task(), ballot, version });
    let more = node.hear(2, Item::Wrote { task: task(), ballot, version });
    assert!(more.facts.is_empty());
    told.sent.extend(more.sent);
    told
}

/// Where the present attempt runs, and its number.
fn current(node: &Node) -> (u32, usize) {
    match node.copy() {
        Some((_, Register { state: State::Assigned(attempt), .. })) => {
            let rank = (0..5).find(|rank| at(*rank) == attempt.executor).expect("one of the five");
            (attempt.number, rank)
        }
        other => panic!("{other:?}"),
    }
}

fn ending(register: &Register) -> (How, Option<(u32, NodeId)>) {
    match &register.state {
        State::Ended(Ending { how, by, .. }) => (*how, *by),
        State::Waiting | State::Assigned(_) => panic!("{register:?}"),
    }
}

#[test]
fn a_result_is_written_and_in_force_with_a_majority_and_then_everyone_is_told() {
    let mut node = Node::born(0, &spec());
    let told = node.hear(1, report(1, exit(0)));
    let at_now = node.now.wall;
    let ending = Ending { how: How::Done, by: Some((1, at(1))), outcome: Some(exit(0)), at: at_now };
    let register = Arc::new(Register {
        joint: None,
        passed_by: vec![],
        state: State::Ended(ending),
        ..first_register(&[0, 1, 2], 1)
    });
    let (ballot, version) = (birth_ballot(0, 7), Version(2));
    let fact = Fact::Written { task: task(), ballot, version, register: register.clone() };
    let write = |rank| (rank, Item::Write { task: task(), ballot, version, register: register.clone(), birth: None });
    assert_eq!(told, Told { facts: vec![fact], sent: vec![write(1), write(2)], ..Told::nothing() });
    let told = node.hear(2, Item::Wrote { task: task(), ballot, version });
    let ended = Item::Ended { task: task(), digest: birth().digest(), register };
    assert_eq!(told, Told { sent: vec![(1, settled(1)), (4, ended)], ..Told::nothing() });
    // And when all have it, that it may be forgotten in time.
    let in_force = |rank| (rank, Item::InForce { task: task(), ballot, version, complete: true });
    let told = node.hear(1, Item::Wrote { task: task(), ballot, version });
    assert_eq!(told, Told { sent: vec![in_force(1), in_force(2)], ..Told::nothing() });
    assert_eq!(node.tasks.totals().driving, 0, "nothing is left to do");
}

#[test]
fn an_end_never_changes() {
    let mut node = Node::born(0, &spec());
    node.hear(1, report(1, exit(0)));
    let end = node.copy();
    // Not yet in force: neither another result nor a cancellation is written over it.
    for item in [report(1, exit(1)), report(1, exit(0)), lost(1)] {
        let told = node.hear(1, item);
        assert_eq!(told.facts, [], "{told:?}");
    }
    node.hear(4, Item::Cancel { task: task() });
    confirm(&mut node);
    // In force: who reports late is settled.
    for (from, item) in [(1, report(1, exit(0))), (3, report(2, exit(0)))] {
        let number = if from == 1 { 1 } else { 2 };
        assert_eq!(node.hear(from, item), Told::sent(from, settled(number)));
    }
    assert_eq!(node.pass_ms(3_600_000).facts, []);
    assert_eq!(node.copy(), end);
}

#[test]
fn a_decided_end_is_told_while_its_holders_change_and_one_that_forgot_it_counts_as_having_it() {
    let mut node = Node::born(0, &spec());
    node.hear(1, report(1, exit(0)));
    let (ballot, version) = (birth_ballot(0, 7), Version(2));
    node.hear(1, Item::Wrote { task: task(), ballot, version });
    // The last holder is gone: another takes its place, with the consent of the majorities of both.
    node.call(|tasks, cx| tasks.silent(cx, at(2)));
    let mut told = Told::nothing();
    for _ in 0..120 {
        told = node.pass_ms(1000);
        if !told.facts.is_empty() {
            break;
        }
    }
    let [Fact::Written { register, version: Version(3), .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!(register.joint, Some(holders(&[0, 1, 2])));
    let ended = |told: Told| told.sent.iter().any(|(to, item)| (*to, item.task()) == (3, Some(task())) && is_end(item));
    assert!(ended(node.hear(3, Item::Follow { task: task() })), "the end is what it was");
    // The second holder has outlived it meanwhile. It never takes anything else of the task: nothing else can be decided.
    let told = node.hear(1, Item::TooOld { task: task(), floor: START, ended: Some(START) });
    let [Fact::Written { register, version: Version(4), .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!(register.joint, None);
}

#[test]
fn a_change_of_holders_is_aimed_anew_when_the_new_ones_are_lost() {
    let mut node = Node::born(0, &spec());
    let (ballot, old) = (birth_ballot(0, 7), holders(&[0, 1, 2]));
    let aim = |node: &mut Node, gone: &[usize]| {
        for rank in gone {
            node.call(|tasks, cx| tasks.silent(cx, at(*rank)));
        }
        for _ in 0..120 {
            let told = node.pass_ms(1000);
            if let [Fact::Written { register, version, .. }] = told.facts.as_slice() {
                return (*version, register.clone());
            }
        }
        panic!("nothing is written without {gone:?}")
    };
    let (version, first) = aim(&mut node, &[2]);
    assert_eq!((version, first.joint.as_ref(), &first.holders[..2]), (Version(2), Some(&old), &old[..2]));
    let third = (3..5).find(|rank| first.holders[2] == holder(*rank)).expect("one of the others");
    let fourth = 7 - third;
    // It never took it.
    let (version, second) = aim(&mut node, &[third]);
    assert_eq!((version, second.joint.as_ref()), (Version(3), Some(&old)));
    assert_eq!(second.holders, holders(&[0, 1, fourth]));
    let told = node.hear(1, Item::Wrote { task: task(), ballot, version });
    let [Fact::Written { register, version: Version(4), .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!((register.joint.as_ref(), &register.holders), (None, &second.holders));
}

#[test]
fn a_change_of_holders_that_was_adopted_is_not_aimed_at_others() {
    // The first driver wrote a change to the fourth, which may have been in force; then it was lost.
    let mut node = Node::born(1, &spec());
    let change = Register { joint: Some(holders(&[0, 1, 2])), ..first_register(&[0, 1, 3], 1) };
    let (first, second) = (birth_ballot(0, 7), ballot(1, 1));
    let register = Arc::new(change.clone());
    node.hear(
        0,
        Item::Write { task: task(), ballot: first, version: Version(2), register: register.clone(), birth: None },
    );
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(0);
    let held = Held { birth: birth(), ballot: first, version: Version(2), register };
    node.hear(2, Item::Promise { task: task(), ballot: second, held: None });
    let told = node.hear(3, Item::Promise { task: task(), ballot: second, held: Some(held) });
    let Some(Fact::Written { register, version: Version(3), .. }) = told.facts.first() else { panic!("{told:?}") };
    assert_eq!(Register::clone(register), change);
    // The fourth goes, too, before it has that on its disk.
    node.call(|tasks, cx| tasks.silent(cx, at(3)));
    for _ in 0..120 {
        let told = node.pass_ms(1000);
        assert_eq!(told.facts, [], "those named decide without the old ones, if it was in force");
    }
}

#[test]
fn an_end_that_its_first_holder_is_without_is_looked_after_by_who_wrote_it() {
    let mut node = Node::born(1, &spec());
    // All lost power before the first had it on its disk, and this node forgot that it was driving.
    let write = |ballot, register| {
        let (version, register) = (Version(2), Arc::new(register));
        Item::Write { task: task(), ballot, version, register, birth: None }
    };
    node.hear(1, write(ballot(1, 1), ended(START)));
    let campaigns = |told: &Told| matches!(told.facts.as_slice(), [Fact::Promised { .. }]);
    let delay = Config::default().repair_delay;
    assert!(!(0..2 * delay.as_secs() - 1).any(|_| campaigns(&node.pass_ms(1000))), "the first may still do it");
    assert!((0..10).any(|_| campaigns(&node.pass_ms(1000))));
    // What another wrote is not this node's to look after, while that one is there and does.
    let mut node = Node::born(1, &spec());
    node.hear(2, write(ballot(1, 2), ended(START)));
    let pull = Item::Pull { task: task(), ballot: ballot(1, 2), version: Version(2) };
    let asks = |told: &Told| told.sent.contains(&(2, pull.clone()));
    let rounds: Vec<Told> = (0..10).map(|_| node.pass(3 * delay)).collect();
    assert!(rounds.iter().all(asks) && !rounds.iter().any(campaigns));
    node.call(|tasks, cx| tasks.silent(cx, at(2)));
    assert!(campaigns(&node.pass(3 * delay)), "it is this node's turn");
    // Nor when it says that all have it.
    let mut node = Node::born(1, &spec());
    node.hear(2, write(ballot(1, 2), ended(START)));
    node.hear(2, Item::InForce { task: task(), ballot: ballot(1, 2), version: Version(2), complete: true });
    assert!(!(0..10).map(|_| node.pass(3 * delay)).any(|told| asks(&told) || campaigns(&told)));
    // And who is asked says so again.
    let mut node = Node::born(0, &spec());
    node.hear(1, report(1, exit(0)));
    let (ballot, version) = (birth_ballot(0, 7), Version(2));
    confirm(&mut node);
    let told = node.hear(1, Item::Pull { task: task(), ballot, version });
    assert_eq!(told, Told::sent(1, Item::InForce { task: task(), ballot, version, complete: true }));
}

#[test]
fn an_end_that_one_holder_alone_has_is_brought_to_others() {
    let mut node = Node::new(0);
    let register = Arc::new(Register { holders: holders(&[0]), ..ended(START) });
    let write = Item::Write { task: task(), ballot: ballot(1, 1), version: Version(2), register, birth: Some(birth()) };
    node.hear(1, write);
    let told = (0..120).map(|_| node.pass_ms(1000)).find(|told| !told.facts.is_empty()).expect("it is short of copies");
    let [.., Fact::Written { register, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!((register.holders.len(), register.joint.as_deref()), (3, Some(&holders(&[0])[..])));
    assert_eq!(told.sent.iter().filter(|(_, item)| matches!(item, Item::Write { .. })).count(), 2, "{told:?}");
}

fn is_end(item: &Item) -> bool {
    matches!(item, Item::Ended { .. })
}

#[test]
fn a_program_that_fails_is_run_again_as_often_as_its_user_said() {
    for retries in [0, 1, 3] {
        let mut node = Node::born(0, &retrying(retries));
        for failure in 0..u32::from(retries) {
            let (number, executor) = current(&node);
            assert_eq!(number, failure + 1);
            // Nothing is written for it alone.
            if executor == 0 {
                let outcome = Arc::new(exit(1));
                let told = node.call(|tasks, cx| tasks.executed(cx, task(), number, outcome));
                assert_eq!(told, Told::nothing());
            } else {
                let told = node.hear(executor, report(number, exit(1)));
                assert_eq!(told, Told::sent(executor, settled(number)));
            }
            let told = node.pass_ms(100 << failure);
            let register = written(&told);
            assert_eq!(register.failed.len() as u32, failure + 1);
            assert!(
                register
                    .failed
                    .iter()
                    .all(|failed| failed.fault == Fault::Program && failed.why == "exited with code 1")
            );
            confirm(&mut node);
        }
        let (number, executor) = current(&node);
        let register = written(&node.hear(executor, report(number, exit(1))));
        assert_eq!(ending(&register), (How::Failed, Some((number, at(executor)))));
        assert_eq!(register.failed.len(), usize::from(retries));
    }
}

#[test]
fn a_lost_attempt_does_not_count_against_the_tasks_own_retries() {
    let mut node = Node::born(0, &retrying(1));
    let mut fail = |item: &dyn Fn(u32) -> Item| {
        let (number, executor) = current(&node);
        node.hear(executor, item(number));
        node.pass_ms(10_000);
        confirm(&mut node);
        current(&node).0
    };
    assert_eq!(fail(&lost), 2);
    assert_eq!(fail(&|number| report(number, failure(FailureKind::CannotStart))), 3);
    assert_eq!(fail(&|number| report(number, exit(1))), 4);
    assert_eq!(fail(&lost), 5);
    let (number, executor) = current(&node);
    let register = written(&node.hear(executor, report(number, exit(1))));
    assert_eq!(ending(&register).0, How::Failed);
    let faults: Vec<Fault> = register.failed.iter().map(|failed| failed.fault).collect();
    assert_eq!(faults, [Fault::Node, Fault::Node, Fault::Program, Fault::Node]);
}

#[test]
fn a_task_that_every_node_would_refuse_ends_with_the_first_that_does() {
    let mut node = Node::born(0, &spec());
    let (number, executor) = current(&node);
    let register = written(&node.hear(executor, report(number, failure(FailureKind::BadTask))));
    assert_eq!(ending(&register), (How::Failed, Some((number, at(executor)))));
}

#[test]
fn a_task_that_loses_its_executors_is_given_up_as_poison() {
    let mut node = Node::born(0, &retrying(9));
    for number in 1..5 {
        let (current_number, executor) = current(&node);
        assert_eq!(current_number, number);
        node.hear(executor, lost(number));
        node.pass_ms(10_000);
        confirm(&mut node);
    }
    let (_, executor) = current(&node);
    let told = node.hear(executor, lost(5));
    let register = written(&told);
    let State::Ended(Ending { how: How::Failed, outcome: Some(outcome), .. }) = &register.state else {
        panic!("{register:?}")
    };
    let Status::Failed(failure) = &outcome.status else { panic!("{outcome:?}") };
    assert_eq!(failure.kind, FailureKind::Lost);
    assert!(failure.message.starts_with("given up after 5 lost attempts"), "{}", failure.message);
    assert_eq!(register.failed.len(), 5);
    assert_eq!(node.tasks.counters().poisoned, 1);
}

#[test]
fn an_execution_that_came_to_nothing_through_nobodys_fault_is_tried_again_without_end() {
    let mut node = Node::born(0, &retrying(0));
    for _ in 0..12 {
        let (number, executor) = current(&node);
        node.hear(executor, report(number, failure(FailureKind::GivenBack)));
        node.pass_ms(20_000);
        confirm(&mut node);
        assert_eq!(current(&node).0, number + 1);
    }
    let Some((_, register)) = node.copy() else { panic!("nothing held") };
    assert!(register.failed.iter().all(|failed| failed.fault == Fault::Nobody), "{:?}", register.failed);
}

#[test]
fn what_is_given_back_is_tried_elsewhere_without_end_and_counts_against_nothing() {
    // The driver's own queue is full as well.
    let mut node = Node::with(0, Config { queue_max: 0, ..Config::default() });
    node.hear(4, place(&birth_of(&retrying(1)), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1), None));
    node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    let mut pauses = Vec::new();
    let mut executors = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let (number, executor) = current(&node);
        executors.insert(executor);
        if executor != 0 {
            let back = Item::NotRunning { task: task(), attempt: number, why: "its queue is full".into() };
            assert_eq!(node.hear(executor, back).facts, []);
        }
        let mut waited = 0;
        while node.pass_ms(50).facts.is_empty() {
            waited += 50;
        }
        pauses.push(waited + 50);
        confirm(&mut node);
    }
    assert_eq!(pauses[..8], [100, 200, 400, 800, 1600, 3200, 6400, 10_000]);
    assert!(pauses[8..].iter().all(|pause| *pause == 10_000), "it does not spin: {pauses:?}");
    assert_eq!(executors.len(), 5, "everybody was asked");
    let (_, register) = node.copy().expect("held");
    assert_eq!(register.failed.len(), 8, "the record stays small");
    assert_eq!(current(&node).0, 201);
    // It has all its chances yet: a retry of its own, and four losses.
    let mut failures = vec![report(0, exit(1)), lost(0), lost(0), lost(0), lost(0), lost(0)].into_iter();
    loop {
        let (number, executor) = current(&node);
        if executor != 0 {
            let item = match failures.next() {
                Some(Item::Report { task, outcome, .. }) => Item::Report { task, attempt: number, outcome },
                _ => lost(number),
            };
            let told = node.hear(executor, item);
            if failures.len() == 0 {
                assert_eq!(ending(&written(&told)).0, How::Failed);
                return;
            }
            assert_eq!(told.facts, []);
        }
        node.pass_ms(10_000);
        confirm(&mut node);
    }
}

#[test]
fn an_attempt_that_was_given_back_while_nobody_drove_is_not_lost() {
    // The first holder drives and runs it, and stops.
    let mut node = Node::new(1);
    node.hear(4, place(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 0), None));
    node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    node.hear(0, Item::NotRunning { task: task(), attempt: 1, why: "its node stops".into() });
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(0);
    let held = node.tasks.shelf().copy(&task()).map(|copy| copy.to_held());
    node.hear(2, Item::Promise { task: task(), ballot: ballot(1, 1), held });
    node.hear(3, Item::Promise { task: task(), ballot: ballot(1, 1), held: None });
    for rank in [2, 3] {
        node.hear(rank, Item::Wrote { task: task(), ballot: ballot(1, 1), version: Version(2) });
    }
    let register = written(&node.pass_ms(100));
    let faults: Vec<Fault> = register.failed.iter().map(|failed| failed.fault).collect();
    assert_eq!(faults, [Fault::Nobody]);
}

#[test]
fn an_executor_that_may_have_been_started_again_is_asked_before_the_grant_is_repeated() {
    let mut node = Node::born(0, &spec());
    let ask = Item::Ask { task: task(), attempt: 1, age_ms: 2000 };
    let told = node.call(|tasks, cx| tasks.up(cx, at(1)));
    assert_eq!(told, Told::nothing());
    assert_eq!(node.pass_ms(0), Told::sent(1, ask));
}

#[test]
fn whom_an_attempt_counts_against_is_asked_when_it_is_back_and_cleared_if_it_was_only_away() {
    let mut node = Node::born(0, &spec());
    // Long enough out of reach that the attempt counts as lost; the next is granted elsewhere.
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    let told = node.pass_ms(2000);
    let Some(Fact::Written { register, .. }) = told.facts.first() else { panic!("{told:?}") };
    assert_eq!(register.failed.iter().map(|one| one.fault).collect::<Vec<_>>(), [Fault::Node]);
    let (second, rank) = current(&node);
    node.hear(2, Item::Wrote { task: task(), ballot: birth_ballot(0, 7), version: Version(2) });
    let told = node.call(|tasks, cx| tasks.up(cx, at(1)));
    let asked = |(to, item): &(usize, Item)| matches!(item, Item::Ask { attempt: 1, .. } if *to == 1);
    assert!(told.sent.iter().any(asked), "{told:?}");
    node.hear(1, Item::Running { task: task(), attempt: 1 });
    // What is written next says so.
    node.hear(rank, lost(second));
    let told = node.pass_ms(60_000);
    let Some(Fact::Written { register, .. }) = told.facts.first() else { panic!("{told:?}") };
    let faults: Vec<_> = register.failed.iter().map(|one| (one.attempt.number, one.fault)).collect();
    assert_eq!(faults, [(1, Fault::Nobody), (second, Fault::Node)]);
}

#[test]
fn who_is_back_within_the_pause_is_cleared_unless_it_was_started_again_since() {
    for (is_started_again, fault) in [(false, Fault::Nobody), (true, Fault::Node)] {
        let mut node = Node::born(0, &spec());
        node.call(|tasks, cx| tasks.silent(cx, at(1)));
        node.call(|tasks, cx| tasks.up(cx, at(1)));
        node.hear(1, Item::Running { task: task(), attempt: 1 });
        if is_started_again {
            node.hear(1, lost(1));
        }
        let told = (0..100).map(|_| node.pass_ms(100)).find(|told| !told.facts.is_empty()).expect("the next attempt");
        let failed: Vec<_> = written(&told).failed.iter().map(|one| (one.attempt.number, one.fault)).collect();
        assert_eq!(failed, [(1, fault)]);
    }
}

#[test]
fn an_executor_that_never_answers_is_given_up() {
    let mut node = Node::born(0, &spec());
    for _ in 0..3600 {
        node.pass_ms(100);
        if current(&node).0 > 1 {
            let (_, register) = node.copy().expect("held");
            assert_eq!(register.failed[0].why, "its executor does not answer");
            assert_eq!(register.failed[0].fault, Fault::Nobody);
            return;
        }
    }
    panic!("it waits for ever");
}

#[test]
fn failed_attempts_never_exceed_what_a_record_holds() {
    let config = Config { poison_limit: 1_000, backoff: std::time::Duration::ZERO, ..Config::default() };
    let mut node = Node::with(0, config);
    node.hear(4, place(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1), None));
    node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    for _ in 0..200 {
        let Some((_, Register { state: State::Assigned(attempt), .. })) = node.copy() else { break };
        let rank = (0..5).find(|rank| at(*rank) == attempt.executor).expect("one of the five");
        node.hear(rank, lost(attempt.number));
        node.pass_ms(1);
        confirm(&mut node);
    }
    let (_, register) = node.copy().expect("held");
    assert_eq!(ending(&register).0, How::Failed);
    assert!(register.failed.len() <= mesh_proto::limits::FAILED_ATTEMPTS, "{}", register.failed.len());
}

#[test]
fn pauses_double_to_their_longest() {
    let mut node = Node::born(0, &retrying(12));
    for pause in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
        let (number, executor) = current(&node);
        node.hear(executor, report(number, exit(1)));
        let told = node.pass_ms(pause - 1);
        assert_eq!(told.facts, [], "{pause}");
        assert_eq!(node.pass_ms(1).facts.len(), 1, "{pause}");
        confirm(&mut node);
    }
}

#[test]
fn nothing_runs_before_its_attempt_is_in_force() {
    let mut node = Node::born(0, &retrying(1));
    node.hear(1, report(1, exit(1)));
    let told = node.pass_ms(100);
    let register = written(&told);
    let State::Assigned(attempt) = register.state else { panic!("{register:?}") };
    assert_eq!((attempt.number, attempt.executor), (2, at(0)), "the first that has not failed it");
    assert_eq!(told.executed, []);
    let told = node.hear(2, Item::Wrote { task: task(), ballot: birth_ballot(0, 7), version: Version(2) });
    assert_eq!(told.executed, [(task(), 2)]);
}

#[test]
fn a_late_success_of_an_attempt_given_up_is_accepted_and_who_runs_the_task_now_is_told() {
    let mut node = Node::born(0, &spec());
    // The second attempt goes to the third holder.
    node.tasks.load_of(at(2), crate::Load { slots: 1, running: 0, queued: 0 });
    node.tasks.load_of(at(0), crate::Load { slots: 1, running: 1, queued: 0 });
    node.hear(1, lost(1));
    node.pass_ms(100);
    let (number, executor) = current(&node);
    confirm(&mut node);
    assert_eq!(number, 2);
    let register = written(&node.hear(1, report(1, exit(0))));
    assert_eq!(ending(&register), (How::Done, Some((1, at(1)))));
    let told = confirm(&mut node);
    assert!(told.sent.contains(&(1, settled(1))), "{told:?}");
    if executor == 0 {
        assert_eq!(told.cancelled, [(task(), 2)]);
    } else {
        assert!(told.sent.contains(&(executor, settled(2))), "{told:?}");
    }
}

#[test]
fn a_late_success_stops_the_attempt_of_another_node() {
    let mut node = Node::born(0, &spec());
    // This node's own attempt fails as well: the third attempt is on another.
    node.hear(1, lost(1));
    node.pass_ms(100);
    confirm(&mut node);
    assert_eq!(current(&node), (2, 0));
    node.call(|tasks, cx| {
        tasks.executed(cx, task(), 2, Arc::new(failure(FailureKind::CannotStart)));
    });
    node.pass_ms(200);
    confirm(&mut node);
    assert_eq!(current(&node), (3, 2));
    node.hear(1, report(1, exit(0)));
    let told = confirm(&mut node);
    assert!(told.sent.contains(&(2, settled(3))), "the attempt under way is stopped: {told:?}");
}

#[test]
fn a_result_of_an_attempt_that_was_never_granted_is_not_taken() {
    let mut node = Node::born(0, &spec());
    for (from, number) in [(2, 1), (1, 2)] {
        assert_eq!(node.hear(from, report(number, exit(0))), Told::nothing());
    }
    assert_eq!(
        node.hear(3, Item::Report { task: TaskId::from_bytes([8; 32]), attempt: 1, outcome: Arc::new(exit(0)) }),
        Told::sent(3, Item::Unknown { task: TaskId::from_bytes([8; 32]) })
    );
    let mut other = Node::born(2, &spec());
    let driven = Item::DrivenBy { task: task(), driver: at(0) };
    assert_eq!(other.hear(1, report(1, exit(0))), Told::sent(1, driven), "a holder that does not drive it");
}

#[test]
fn an_executor_that_is_gone_has_failed_its_attempt() {
    let mut node = Node::born(0, &spec());
    assert_eq!(node.call(|tasks, cx| tasks.silent(cx, at(1))), Told::nothing());
    let register = written(&node.pass_ms(100));
    let why = "its executor is gone".to_owned();
    assert_eq!(register.failed, [FailedAttempt { attempt: attempt(1, 1), at: START, why, fault: Fault::Node }]);
    assert_eq!(current(&node), (2, 0));
}

#[test]
fn a_cancelled_task_ends_and_its_executor_is_told() {
    let mut node = Node::born(0, &spec());
    let register = written(&node.hear(4, Item::Cancel { task: task() }));
    assert_eq!(ending(&register), (How::Cancelled, None));
    let told = confirm(&mut node);
    assert!(told.sent.contains(&(1, settled(1))), "{told:?}");
    assert!(told.sent.iter().any(|(to, item)| *to == 4 && matches!(item, Item::Ended { .. })), "{told:?}");
}

#[test]
fn a_deadline_ends_a_task_when_it_passes() {
    let mut node = Node::born(0, &Spec { deadline: Some(START + std::time::Duration::from_secs(1)), ..spec() });
    assert_eq!(node.pass_ms(999).facts, []);
    let register = written(&node.pass_ms(1));
    assert_eq!(ending(&register), (How::DeadlinePassed, None));
}
