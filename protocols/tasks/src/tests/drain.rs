//! Nodes that are to hold and run nothing more.

use super::{node::*, takeover::holding, told::Told};
use crate::{Fact, Holding, Waiter};
use mesh_proto::task::{Holder, Item, Register, Spec, TaskKey, Version};
use std::{sync::Arc, time::Duration};

/// A member says that it drains, or that it does no more.
fn drains(node: &mut Node, rank: usize, drains: bool) -> Told {
    let Holder { node: who, store } = holder(rank);
    let holding = if drains { Holding::Drains } else { Holding::Holds };
    node.call(|tasks, cx| tasks.member(cx, who, store, holding))
}

fn assign(spec: &Spec, number: u32) -> Item {
    let birth = birth_of(spec);
    Item::Assign { task: birth.task, attempt: attempt(number, 1), birth }
}

fn another() -> Spec {
    Spec { key: TaskKey::Own(vec![9]), ..spec() }
}

fn not_running(spec: &Spec, attempt: u32) -> Item {
    Item::NotRunning { task: spec.id(&NETWORK), attempt, why: "its node drains".into() }
}

/// The second of the home list, at which one task runs and another waits for the slot.
fn busy() -> Node {
    let mut node = Node::born(1, &spec());
    assert!(node.tasks.executor.is_running(&task()));
    assert_eq!(node.hear(0, assign(&another(), 1)), Told::nothing());
    node
}

#[test]
fn what_waits_is_given_back_and_what_runs_goes_on() {
    let mut node = busy();
    drains(&mut node, 1, true);
    assert_eq!(node.pass_ms(0), Told::sent(0, not_running(&another(), 1)));
    assert!(node.tasks.executor.is_running(&task()));
    // Whoever has not heard of it grants another: it is told.
    assert_eq!(node.hear(0, assign(&another(), 2)), Told::sent(0, not_running(&another(), 2)));
    let ended = node.call(|tasks, cx| tasks.executed(cx, task(), 1, Arc::new(exit(0))));
    assert!(ended.executed.is_empty());
    drains(&mut node, 1, false);
    node.pass_ms(50);
    assert_eq!(node.hear(0, assign(&another(), 3)).executed, [(another().id(&NETWORK), 3)]);
}

#[test]
fn what_runs_is_ended_when_it_is_not_waited_for_any_longer() {
    let mut node = busy();
    assert_eq!(node.call(|tasks, cx| tasks.stop_running(cx)), Told::nothing(), "it does not drain");
    drains(&mut node, 1, true);
    node.pass_ms(0);
    let told = node.call(|tasks, cx| tasks.stop_running(cx));
    assert_eq!((told.cancelled, told.sent), (vec![(task(), 1)], vec![(0, not_running(&spec(), 1))]));
}

#[test]
fn no_copy_is_placed_on_it_where_there_are_others() {
    let mut node = Node::new(4);
    drains(&mut node, 0, true);
    let submit = |node: &mut Node, key: u8| {
        let spec = Spec { key: TaskKey::Own(vec![1, key]), ..spec() };
        let to = Waiter { request: u64::from(key), index: 0 };
        let told = node.call(|tasks, cx| tasks.submit(cx, to, encoded(&spec), false));
        let place = |item: &Item| match item {
            Item::Place { birth, register, .. } => Some((birth.home.len(), register.holders.clone())),
            _ => None,
        };
        told.sent.iter().find_map(|(_, item)| place(item)).expect("it is placed")
    };
    for key in 0..20 {
        let (home, holders) = submit(&mut node, key);
        assert!(home == 5 && holders.len() == 3 && !holders.contains(&holder(0)), "{key}: {home} {holders:?}");
    }
    for rank in [1, 2] {
        drains(&mut node, rank, true);
    }
    // Two births of one id meet in a majority of five: too few stay.
    let (_, holders) = submit(&mut node, 20);
    assert!(holders.len() == 3 && [3, 4].iter().all(|rank| holders[..2].contains(&holder(*rank))), "{holders:?}");
}

#[test]
fn where_it_is_needed_for_a_majority_it_takes_one() {
    let mut node = Node::new(1);
    drains(&mut node, 1, true);
    let told = node.hear(4, place(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1), None));
    assert_eq!(told.sent, [(4, Item::Placed { task: task(), ballot: birth_ballot(0, 7) })]);
    // What it is to run goes elsewhere.
    let told = node.hear(4, Item::Born { task: task(), ballot: birth_ballot(0, 7) });
    assert_eq!((told.executed, told.sent), (vec![], vec![(0, not_running(&spec(), 1))]));
}

#[test]
fn it_is_asked_for_what_it_has() {
    let mut node = Node::new(4);
    for rank in [0, 1] {
        drains(&mut node, rank, true);
    }
    let told = node.call(|tasks, cx| tasks.follow(cx, Waiter { request: 1, index: 0 }, task()));
    let asked: Vec<usize> =
        told.sent.iter().filter(|(_, item)| matches!(item, Item::Follow { .. })).map(|(at, _)| *at).collect();
    assert_eq!(asked, [0, 1, 2, 3]);
}

#[test]
fn its_copies_are_replaced_at_once_by_the_first_holder_that_stays() {
    for (rank, asks) in [(1, true), (2, false)] {
        let mut node = Node::born(rank, &spec());
        drains(&mut node, 0, true);
        let told = node.pass(Duration::from_secs(1));
        let promised = |fact: &Fact| matches!(fact, Fact::Promised { ballot, .. } if ballot.driver == at(rank));
        assert_eq!(told.facts.iter().any(promised), asks, "{rank}: {told:?}");
    }
}

#[test]
fn its_copy_is_let_go_for_another() {
    let mut node = Node::born(0, &spec());
    let is_moved = |told: &Told| told.facts.iter().any(|fact| matches!(fact, Fact::Written { .. }));
    for rank in [3, 4] {
        drains(&mut node, rank, true);
    }
    drains(&mut node, 1, true);
    assert!(!is_moved(&node.pass(Duration::from_secs(1))), "of two holders both are needed");
    drains(&mut node, 3, false);
    let told = node.pass(Duration::from_secs(1));
    assert!(is_moved(&told), "{told:?}");
    let (_, register) = node.copy().expect("held");
    assert_eq!(register.holders, holders(&[0, 2, 3]));
}

#[test]
fn it_moves_nothing_itself_and_tells_how_much_is_left() {
    let mut node = Node::born(0, &spec());
    node.pass(Duration::from_secs(1));
    assert_eq!(node.tasks.totals().to_move, None);
    drains(&mut node, 0, true);
    assert_eq!(node.tasks.totals().to_move, Some(None), "it has not looked yet");
    let told = node.pass(Duration::from_secs(1));
    assert!(told.facts.is_empty(), "{told:?}");
    assert_eq!(node.tasks.totals().to_move, Some(Some(1)));
    written(&mut node, 3, &[1, 2, 3]);
    node.pass(Duration::from_secs(1));
    assert_eq!(node.tasks.totals().to_move, Some(Some(0)));
}

#[test]
fn where_nobody_else_holds_it_who_drains_moves_it_itself() {
    let mut node = Node::born(0, &spec());
    let alone = written(&mut node, 3, &[0]);
    assert_eq!(alone.sent, [(1, Item::Wrote { task: task(), ballot: ballot(1, 1), version: Version(3) })]);
    drains(&mut node, 0, true);
    let told = node.pass(Duration::from_secs(1));
    let promised = |fact: &Fact| matches!(fact, Fact::Promised { ballot, .. } if ballot.driver == at(0));
    assert!(told.facts.iter().any(promised), "{told:?}");
}

/// By the second, whose holders are these from then on.
fn written(node: &mut Node, version: u32, ranks: &[usize]) -> Told {
    let register = Register { joint: None, ..first_register(ranks, 1) };
    let (ballot, version) = (ballot(1, 1), Version(version));
    node.hear(1, Item::Write { task: task(), ballot, version, register: Arc::new(register), birth: None })
}

#[test]
fn what_is_left_is_counted_from_the_first_record_on() {
    // More than are looked at in one round.
    let mut node = holding(1_200);
    node.pass(Duration::from_secs(1));
    drains(&mut node, 0, true);
    node.pass_ms(50);
    assert_eq!(node.tasks.totals().to_move, Some(None), "a part is not all");
    node.pass_ms(50);
    assert_eq!(node.tasks.totals().to_move, Some(Some(1_200)));
}
