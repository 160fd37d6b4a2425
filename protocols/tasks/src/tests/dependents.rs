//! Tasks that are to start after others.

use super::{node::*, told::Told};
use crate::{Answer, Fact, Refusal, Waiter};
use mesh_proto::{
    id::{Digest, TaskId},
    task::{
        Attempt, Dependency, Ending, FailureKind, Fault, How, Item, Known, Outcome, Part, Place, Register, Spec, State,
        Status, Strategy, Take, Version,
    },
};
use std::{sync::Arc, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);

const WAITER: Waiter = Waiter { request: 1, index: 0 };

fn other(n: u8) -> TaskId {
    TaskId::from_bytes([n; 32])
}

fn after(others: &[TaskId]) -> Spec {
    let after = others.iter().map(|task| Dependency { task: *task, takes: Vec::new() }).collect();
    Spec { after, ..spec() }
}

fn waiting() -> Register {
    Register { state: State::Waiting, ..first_register(&[0, 1, 2], 1) }
}

/// The driver of a task that is to start after these, and what it said when it was born.
fn driver(spec: &Spec) -> (Node, Told) {
    let mut node = Node::new(0);
    node.hear(4, place(&birth_of(spec), birth_ballot(0, 7), &waiting(), None));
    let told = node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    (node, told)
}

fn asked(told: &Told) -> Vec<TaskId> {
    let mut asked: Vec<TaskId> = told
        .sent
        .iter()
        .filter_map(|(_, item)| match item {
            Item::Follow { task } => Some(*task),
            _ => None,
        })
        .collect();
    asked.dedup();
    asked.sort();
    asked.dedup();
    asked
}

fn says_ended(task: TaskId, how: How, outcome: Option<Outcome>) -> Item {
    let ending = Ending { how, by: None, outcome, at: START };
    let register = Register { joint: None, state: State::Ended(ending), ..first_register(&[0, 1, 2], 1) };
    Item::Ended { task, digest: Digest::of("d", &[]), register: Arc::new(register) }
}

/// What its last write says of the task.
fn state(told: &Told) -> Option<State> {
    told.facts.iter().rev().find_map(|fact| match fact {
        Fact::Written { register, .. } => Some(register.state.clone()),
        _ => None,
    })
}

fn cancelled_because(told: &Told) -> String {
    match state(told) {
        Some(State::Ended(Ending { how: How::Cancelled, by: None, outcome: Some(outcome), .. })) => {
            match outcome.status {
                Status::Failed(failure) if failure.kind == FailureKind::Dependency => failure.message,
                status => panic!("{status:?}"),
            }
        }
        state => panic!("{state:?}"),
    }
}

fn nobody_knows(node: &mut Node, task: TaskId) -> Told {
    let mut told = Told::nothing();
    for rank in 1..5 {
        told.facts.extend(node.hear(rank, Item::Unknown { task }).facts);
    }
    let after = node.pass_ms(0);
    told.facts.extend(after.facts);
    told.sent.extend(after.sent);
    told
}

#[test]
fn a_birth_that_is_to_start_after_others_is_granted_to_nobody() {
    for strategy in Strategy::ALL {
        let mut node = Node::new(4);
        let told = node.call(|tasks, cx| {
            let spec = Spec { strategy, ..after(&[other(9)]) };
            tasks.submit(cx, WAITER, encoded(&spec), false);
        });
        let states: Vec<&State> = told
            .sent
            .iter()
            .map(|(_, item)| match item {
                Item::Place { register, .. } => &register.state,
                item => panic!("{item:?}"),
            })
            .collect();
        assert_eq!(states, [&State::Waiting; 3], "{strategy:?}");
    }
}

#[test]
fn what_is_to_start_after_itself_is_refused() {
    let mut node = Node::new(4);
    let told = node.call(|tasks, cx| tasks.submit(cx, WAITER, encoded(&after(&[task()])), false));
    let why = Refusal::Malformed("it is to start after itself".into());
    assert_eq!(told.answers, [Answer::Refused { to: WAITER, task: Some(task()), why }]);
    assert!(told.sent.is_empty());
}

#[test]
fn it_is_granted_once_all_have_ended_well() {
    let (mut node, told) = driver(&after(&[other(8), other(9)]));
    assert_eq!(asked(&told), [other(8), other(9)]);
    assert_eq!(node.tasks.awaited_by(&task()), [other(8), other(9)]);
    let told = node.hear(1, says_ended(other(9), How::Done, Some(exit(0))));
    assert_eq!((told.facts, node.pass_ms(0)), (vec![], Told::nothing()));
    assert_eq!(node.tasks.awaited_by(&task()), [other(8)]);
    node.hear(2, says_ended(other(8), How::Done, Some(exit(0))));
    let told = node.pass_ms(0);
    assert!(matches!(state(&told), Some(State::Assigned(Attempt { number: 1, .. }))), "{told:?}");
    let story: Vec<String> = node.tasks.story_of(&task()).into_iter().map(|(_, text)| text).collect();
    assert!(story.contains(&format!("is to start after {}, {}", other(8), other(9))), "{story:?}");
    assert!(story.contains(&"all that it is to start after has ended well".to_owned()), "{story:?}");
}

#[test]
fn the_first_that_does_not_end_well_ends_it_and_says_why_down_the_chain() {
    for (how, outcome, why) in [
        (How::Failed, Some(exit(3)), "failed: exit code 3"),
        (How::Failed, Some(failure(FailureKind::TimeLimit)), "failed: because"),
        (How::Cancelled, None, "was cancelled"),
        (How::DeadlinePassed, None, "passed its deadline"),
    ] {
        let (mut node, _) = driver(&after(&[other(8), other(9)]));
        node.hear(1, says_ended(other(9), how, outcome));
        let told = node.pass_ms(0);
        assert_eq!(cancelled_because(&told), format!("task {} {why}", other(9)));
        assert_eq!(node.tasks.awaited_by(&task()), []);
        // Whatever comes of the rest.
        node.hear(1, says_ended(other(8), How::Done, Some(exit(0))));
        assert_eq!(node.pass_ms(0).facts, []);
    }
    let (mut node, _) = driver(&after(&[other(8)]));
    let root = "task 7 failed: exit code 3";
    let outcome = Outcome::failed(FailureKind::Dependency, root);
    node.hear(1, says_ended(other(8), How::Cancelled, Some(outcome)));
    assert_eq!(cancelled_because(&node.pass_ms(0)), root);
}

#[test]
fn what_nobody_knows_may_be_still_to_come_and_then_is_not_waited_for_any_more() {
    let (mut node, _) = driver(&after(&[other(9)]));
    let told = nobody_knows(&mut node, other(9));
    assert_eq!(told.facts, []);
    // It is asked for again, and again nobody knows it.
    for _ in 0..13 {
        assert_eq!(asked(&node.pass_ms(2_000)), [other(9)]);
        assert_eq!(nobody_knows(&mut node, other(9)).facts, []);
    }
    node.pass_ms(4_000);
    let told = nobody_knows(&mut node, other(9));
    let why = format!("task {} is not known: it was never submitted, or has been forgotten since it ended", other(9));
    assert_eq!(cancelled_because(&told), why);
}

/// One that was asked and has left since, and is there still, need not say anything more of tasks (simulator, seed 801769).
#[test]
fn who_has_left_and_says_nothing_keeps_no_task_waiting() {
    let (mut node, _) = driver(&after(&[other(9)]));
    for rank in 1..4 {
        node.hear(rank, Item::Unknown { task: other(9) });
    }
    // It is asked with all others that are there, and leaves.
    node.call(|tasks, cx| tasks.member(cx, at(4), holder(4).store, false));
    let mut told = Told::nothing();
    for _ in 0..60 {
        told.facts.extend(node.pass_ms(1_000).facts);
        for rank in 1..4 {
            told.facts.extend(node.hear(rank, Item::Unknown { task: other(9) }).facts);
        }
    }
    assert!(cancelled_because(&told).contains("is not known"));
}

#[test]
fn what_comes_late_is_waited_for() {
    let (mut node, _) = driver(&after(&[other(9)]));
    for _ in 0..10 {
        nobody_knows(&mut node, other(9));
        node.pass_ms(2_000);
    }
    let known = Known { digest: Digest::of("d", &[]), holders: vec![at(1), at(2), at(3)], confirmed: true };
    node.hear(1, Item::Following { task: other(9), known });
    // However long.
    for _ in 0..100 {
        let told = node.pass_ms(60_000);
        assert!(told.facts.is_empty(), "{told:?}");
    }
    node.hear(1, says_ended(other(9), How::Done, Some(exit(0))));
    assert!(matches!(state(&node.pass_ms(0)), Some(State::Assigned(_))));
    // Of one that waited for long before its driver took office nothing is awaited that nobody knows.
    let mut node = Node::new(0);
    node.now.wall = START + Duration::from_secs(60);
    node.hear(4, place(&birth_of(&after(&[other(9)])), birth_ballot(0, 7), &waiting(), None));
    node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    assert_eq!(nobody_knows(&mut node, other(9)).facts, [], "whatever its clock says, not at once");
    node.pass_ms(8_000);
    assert!(cancelled_because(&nobody_knows(&mut node, other(9))).contains("is not known"));
}

#[test]
fn what_a_task_waits_for_is_taken_when_it_comes_to_the_same_node() {
    let first = Spec { key: mesh_proto::task::TaskKey::Own(vec![77]), ..spec() };
    let (mut node, _) = driver(&after(&[first.id(&NETWORK)]));
    nobody_knows(&mut node, first.id(&NETWORK));
    let told = node.call(|tasks, cx| tasks.submit(cx, WAITER, encoded(&first), false));
    assert_eq!(told.answers, [], "it is no repeat");
    let placed = |item: &Item| matches!(item, Item::Place { birth, .. } if birth.task == first.id(&NETWORK));
    assert!(told.sent.iter().any(|(_, item)| placed(item)), "{told:?}");
}

#[test]
fn a_new_driver_asks_anew() {
    let spec = after(&[other(9)]);
    let mut node = Node::new(1);
    node.hear(4, place(&birth_of(&spec), birth_ballot(0, 7), &waiting(), None));
    node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(5_000);
    for rank in [2, 3] {
        let held = (rank == 2).then(|| held(&birth_of(&spec), birth_ballot(0, 7), &waiting()));
        node.hear(rank, Item::Promise { task: task(), ballot: node.promised().expect("its own"), held });
    }
    let mut told = Told::nothing();
    for _ in 0..2 {
        let ((ballot, version), _) = node.copy().expect("held");
        for rank in [2, 3] {
            told.sent.extend(node.hear(rank, Item::Wrote { task: task(), ballot, version }).sent);
        }
    }
    assert_eq!(asked(&told), [other(9)]);
    node.hear(2, says_ended(other(9), How::Done, Some(exit(0))));
    assert!(matches!(state(&node.pass_ms(0)), Some(State::Assigned(Attempt { number: 1, .. }))));
}

#[test]
fn what_waits_is_cancelled_and_passes_its_deadline_like_any_other() {
    let deadline = Some(START + std::time::Duration::from_secs(5));
    let spec = Spec { deadline, ..after(&[other(9)]) };
    let how = |told: &Told| match state(told) {
        Some(State::Ended(ending)) => (ending.how, ending.outcome),
        state => panic!("{state:?}"),
    };
    let (mut node, _) = driver(&spec);
    assert_eq!(how(&node.hear(4, Item::Cancel { task: task() })), (How::Cancelled, None));
    let (mut node, _) = driver(&spec);
    assert_eq!(how(&node.pass_ms(6_000)), (How::DeadlinePassed, None));
    // And nothing is asked for its sake any more.
    let ((ballot, version), _) = node.copy().expect("held");
    for rank in [1, 2] {
        node.hear(rank, Item::Wrote { task: task(), ballot, version });
    }
    node.pass_ms(60_000);
    assert_eq!(asked(&node.pass_ms(100_000)), []);
}

#[test]
fn many_that_wait_for_one_ask_once_and_go_on_a_part_at_a_time() {
    let mut node = Node::new(0);
    let mut births = Vec::new();
    for n in 0..6000u16 {
        let spec = Spec { key: mesh_proto::task::TaskKey::Own(n.to_le_bytes().into()), ..after(&[other(9)]) };
        let birth = birth_of(&spec);
        let home = node.tasks.roster().home(&birth.task, 5);
        if home[0] == holder(0) {
            let birth = mesh_proto::task::Birth { home: home.clone(), ..mesh_proto::task::Birth::clone(&birth) };
            births.push((Arc::new(birth), home));
        }
    }
    let mut asks = 0;
    for (birth, home) in &births {
        let register = Register { holders: home[..3].to_vec(), joint: Some(home.clone()), ..waiting() };
        node.hear(4, place(birth, birth_ballot(0, 7), &register, None));
        let told = node.hear(4, Item::Born { task: birth.task, ballot: birth_ballot(0, 7) });
        asks += told.sent.iter().filter(|(_, item)| matches!(item, Item::Follow { .. })).count();
    }
    assert!(births.len() > 1000 && asks <= 5, "{} {asks}", births.len());
    node.hear(1, says_ended(other(9), How::Done, Some(exit(0))));
    let mut turns = 0;
    while node.tasks.deadline() <= Some(node.now.mono) {
        node.pass_ms(0);
        turns += 1;
    }
    assert!(turns > 1);
    assert!(births.iter().all(|(birth, _)| {
        node.tasks
            .shelf()
            .copy(&birth.task)
            .is_some_and(|copy| copy.version == Version(2) && matches!(copy.register.state, State::Assigned(_)))
    }));
}

#[test]
fn what_may_be_on_those_that_are_away_is_waited_for_however_long() {
    let (mut node, _) = driver(&after(&[other(9)]));
    let but = |node: &mut Node, away: &[usize]| {
        let mut facts = Vec::new();
        for rank in (1..5).filter(|rank| !away.contains(rank)) {
            facts.extend(node.hear(rank, Item::Unknown { task: other(9) }).facts);
        }
        facts.extend(node.pass_ms(10_000).facts);
        facts
    };
    // Of one that was born when there were only these, the two that are left of its home list know nothing.
    for rank in [1, 2, 3] {
        node.call(|tasks, cx| tasks.silent(cx, at(rank)));
    }
    for n in 50..53 {
        let (id, store) = (mesh_proto::id::NodeId::from_bytes([n; 32]), mesh_proto::id::StoreId(u64::from(n)));
        node.call(|tasks, cx| tasks.member(cx, id, store, true));
    }
    for _ in 0..20 {
        assert_eq!(but(&mut node, &[1, 2, 3]), []);
    }
    assert_eq!(node.tasks.awaited_by(&task()), [other(9)]);
}

/// It may know others that have it, of whom nobody here has heard.
#[test]
fn as_long_as_one_is_away_and_not_taken_for_lost_nothing_is_given_up() {
    let (mut node, _) = driver(&after(&[other(9)]));
    // Long enough for what nobody knows.
    for _ in 0..3 {
        nobody_knows(&mut node, other(9));
        node.pass_ms(9_900);
    }
    node.call(|tasks, cx| tasks.silent(cx, at(4)));
    let others_know_nothing = |node: &mut Node| {
        let mut facts = node.pass_ms(5_000).facts;
        for rank in 1..4 {
            facts.extend(node.hear(rank, Item::Unknown { task: other(9) }).facts);
        }
        facts.extend(node.pass_ms(0).facts);
        facts
            .iter()
            .filter(|fact| matches!(fact, Fact::Written { register, .. } if register.ending().is_some()))
            .count()
    };
    for _ in 0..5 {
        assert_eq!(others_know_nothing(&mut node), 0);
    }
    let ended: usize = (0..3).map(|_| others_know_nothing(&mut node)).sum();
    assert!(ended > 0, "its copies are made anew by now");
}

/// For others, and for somebody able.
#[test]
fn who_drives_what_waits_says_so_and_hears_of_it_when_it_was_replaced() {
    let lacking = Spec { requirements: "gpu>=1".parse().unwrap(), ..spec() };
    for spec in [after(&[other(9)]), lacking] {
        let (mut node, _) = driver(&spec);
        let said = |told: &Told| -> Vec<usize> {
            let is_write = |item: &Item| matches!(item, Item::Write { version: Version::BIRTH, birth: None, .. });
            told.sent.iter().filter(|(_, item)| is_write(item)).map(|(rank, _)| *rank).collect()
        };
        node.pass_ms(7_400);
        for _ in 0..2 {
            assert_eq!(said(&node.pass_ms(7_600)), [1, 2]);
        }
        let refused = Item::Refused { task: task(), ballot: birth_ballot(0, 7), promised: ballot(1, 2) };
        node.hear(1, refused);
        let told = node.pass_ms(7_600);
        let pull = Item::Pull { task: task(), ballot: birth_ballot(0, 7), version: Version::BIRTH };
        assert_eq!(said(&told), []);
        assert!(told.sent.contains(&(2, pull)), "{told:?}");
    }
}

// What is needed of those that have ended.

fn needed(told: &Told) -> Vec<(usize, bool)> {
    let needed = |(to, item): &(usize, Item)| match item {
        Item::Needed { task, still } if *task == other(9) => Some((*to, *still)),
        _ => None,
    };
    told.sent.iter().filter_map(needed).collect()
}

fn taking(others: &[TaskId]) -> Spec {
    let takes = vec![Take { part: Part::Output, place: Place::Input }];
    let after = others.iter().map(|task| Dependency { task: *task, takes: takes.clone() }).collect();
    Spec { after, ..spec() }
}

/// How it ended is on nobody's disk but its holders'.
#[test]
fn the_holders_of_what_it_is_to_start_after_are_told_that_it_is_needed_until_it_has_ended() {
    let (mut node, _) = driver(&after(&[other(8), other(9)]));
    let known = Known { digest: Digest::of("d", &[]), holders: vec![at(1), at(2), at(3)], confirmed: true };
    assert_eq!(needed(&node.hear(1, Item::Following { task: other(9), known })), [(1, true)]);
    assert_eq!(needed(&node.hear(1, says_ended(other(9), How::Done, Some(exit(0))))), [(1, true), (2, true)]);
    for _ in 0..3 {
        // However long the other takes: and of this one it is asked again how it ended.
        let told = node.pass(HOUR / 4);
        assert!(asked(&told).contains(&other(9)), "{told:?}");
        let told = node.hear(2, says_ended(other(9), How::Done, Some(exit(0))));
        assert_eq!((needed(&told), told.facts), (vec![(1, true), (2, true)], vec![]));
    }
    assert_eq!(node.tasks.awaited_by(&task()), [other(8)]);
    // Its end may come to nothing, and is in force when another has it.
    let told = node.hear(4, Item::Cancel { task: task() });
    assert_eq!(needed(&told), []);
    let ((ballot, version), _) = node.copy().expect("held");
    let told = node.hear(1, Item::Wrote { task: task(), ballot, version });
    assert_eq!(needed(&told), [(1, false), (2, false)]);
    for _ in 0..20 {
        let told = node.pass(HOUR / 4);
        assert!(needed(&told).is_empty() && !asked(&told).contains(&other(9)), "{told:?}");
    }
}

/// Whoever would drive it next may be gone before it has said anything.
#[test]
fn who_is_replaced_ends_nothing_and_says_no_more() {
    for is_ended in [false, true] {
        let (mut node, _) = driver(&after(&[other(8), other(9)]));
        node.hear(1, says_ended(other(9), How::Done, Some(exit(0))));
        if is_ended {
            node.hear(4, Item::Cancel { task: task() });
        }
        let told = node.hear(2, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START });
        assert!(told.sent.iter().any(|(_, item)| matches!(item, Item::Promise { .. })), "{told:?}");
        assert_eq!(needed(&told), []);
        let told = node.pass(HOUR / 4);
        assert!(needed(&told).is_empty() && !asked(&told).contains(&other(9)), "{told:?}");
    }
}

/// In force: and so whoever drives it next does not ask how those ended.
#[test]
fn what_was_granted_needs_those_of_whose_results_it_takes_and_no_others() {
    for (spec, is_needed) in [(after(&[other(9)]), false), (taking(&[other(9)]), true)] {
        let (mut node, _) = driver(&spec);
        node.hear(1, says_ended(other(9), How::Done, Some(exit(0))));
        let told = node.pass_ms(0);
        assert!(matches!(state(&told), Some(State::Assigned(_))) && needed(&told).is_empty(), "{told:?}");
        let ((ballot, version), _) = node.copy().expect("held");
        let told = node.hear(1, Item::Wrote { task: task(), ballot, version });
        assert_eq!(needed(&told).is_empty(), is_needed, "{told:?}");
        assert_eq!(asked(&node.pass(HOUR / 4)).contains(&other(9)), is_needed);
    }
}

fn wrote_all(node: &mut Node) -> Told {
    let ((ballot, version), _) = node.copy().expect("held");
    let mut told = Told::nothing();
    for rank in [1, 2] {
        told.sent.extend(node.hear(rank, Item::Wrote { task: task(), ballot, version }).sent);
    }
    told
}

/// Whoever runs it cannot have what it takes.
fn without_input(node: &mut Node, kind: FailureKind) -> Told {
    let Some(attempt) = node.copy().and_then(|(_, register)| register.attempt()) else { return Told::nothing() };
    let executor = (0..5).find(|rank| at(*rank) == attempt.executor).expect("one of the five");
    let outcome = Arc::new(failure(kind));
    match executor {
        0 => node.call(|tasks, cx| tasks.executed(cx, task(), attempt.number, outcome)),
        rank => node.hear(rank, Item::Report { task: task(), attempt: attempt.number, outcome }),
    }
}

fn taking_driver() -> Node {
    let (mut node, _) = driver(&taking(&[other(9)]));
    node.hear(1, says_ended(other(9), How::Done, Some(exit(0))));
    node.pass_ms(0);
    wrote_all(&mut node);
    node
}

#[test]
fn what_was_lost_of_what_it_takes_ends_it_with_the_cause_and_blames_nobody() {
    let mut node = taking_driver();
    assert_eq!(asked(&without_input(&mut node, FailureKind::GivenBack)), [other(9)]);
    let mut last = Told::nothing();
    for _ in 0..30 {
        if node.copy().is_some_and(|(_, register)| register.ending().is_some()) {
            break;
        }
        last = nobody_knows(&mut node, other(9));
        last.facts.extend(node.pass_ms(2_000).facts);
        wrote_all(&mut node);
        last.facts.extend(without_input(&mut node, FailureKind::GivenBack).facts);
    }
    let why = format!("task {} is not known: it was never submitted, or has been forgotten since it ended", other(9));
    assert_eq!(cancelled_because(&last), why);
    assert!(node.copy().is_some_and(|(_, register)| register.failed.iter().all(|one| one.fault == Fault::Nobody)));
}

#[test]
fn no_node_is_thought_less_of_for_want_of_an_input() {
    let mut node = taking_driver();
    without_input(&mut node, FailureKind::InputUnavailable);
    assert!(node.tasks.roster().iter().all(|(_, seat)| seat.performance == 500_000));
}

/// It may have it.
#[test]
fn what_runs_is_not_ended_by_the_loss_of_what_it_took() {
    let mut node = taking_driver();
    node.pass(HOUR / 4);
    for _ in 0..30 {
        nobody_knows(&mut node, other(9));
        node.pass_ms(2_000);
    }
    assert!(node.copy().is_some_and(|(_, register)| register.ending().is_none()));
}

#[test]
fn who_takes_over_what_was_granted_asks_for_what_it_takes() {
    let spec = taking(&[other(9)]);
    let mut node = Node::new(1);
    node.hear(4, place(&birth_of(&spec), birth_ballot(0, 7), &waiting(), None));
    node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    let granted = Register { joint: None, ..first_register(&[0, 1, 2], 2) };
    let register = Arc::new(granted);
    let (ballot, version) = (birth_ballot(0, 7), Version(2));
    node.hear(0, Item::Write { task: task(), ballot, version, register: register.clone(), birth: None });
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(5_000);
    let held = mesh_proto::task::Held { birth: birth_of(&spec), ballot, version, register };
    node.hear(2, Item::Promise { task: task(), ballot: node.promised().expect("its own"), held: Some(held) });
    let ((ballot, version), _) = node.copy().expect("held");
    let told = node.hear(2, Item::Wrote { task: task(), ballot, version });
    assert_eq!(asked(&told), [other(9)]);
    assert_eq!(needed(&node.hear(2, says_ended(other(9), How::Done, Some(exit(0))))), [(2, true)]);
}
