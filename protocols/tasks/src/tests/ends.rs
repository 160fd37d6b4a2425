use super::{node::*, told::Told};
use crate::Config;
use mesh_proto::{
    id::TaskId,
    task::{Item, Priority, Spec, TaskKey},
};
use std::sync::Arc;

/// The fourth of the home list, with one slot: runs what others drive.
fn executor() -> Node {
    Node::with(3, Config { slots: 1, ..Config::default() })
}

fn numbered(key: u8, priority: Priority) -> Spec {
    Spec { key: TaskKey::Own(vec![key]), priority, ..spec() }
}

fn id(key: u8) -> TaskId {
    numbered(key, Priority::Low).id(&NETWORK)
}

fn assign(node: &mut Node, key: u8, priority: Priority) -> Told {
    let birth = birth_of(&numbered(key, priority));
    node.hear(0, Item::Assign { task: id(key), attempt: attempt(1, 3), birth })
}

fn finish(node: &mut Node, key: u8) -> Told {
    node.call(|tasks, cx| tasks.executed(cx, id(key), 1, Arc::new(exit(0))))
}

fn started(key: u8) -> Told {
    Told { executed: vec![(id(key), 1)], ..Told::nothing() }
}

fn reported(told: &Told) -> Vec<TaskId> {
    let task = |item: &Item| match item {
        Item::Report { task, .. } => *task,
        other => panic!("{other:?}"),
    };
    told.sent.iter().map(|(_, item)| task(item)).collect()
}

#[test]
fn ends_are_written_together_where_others_wait_for_the_slot() {
    let mut node = executor();
    for key in 1..=5 {
        assign(&mut node, key, Priority::Low);
    }
    assert_eq!(finish(&mut node, 1), started(2), "its slot is given on at once");
    assert_eq!(node.pass_ms(30), Told::nothing());
    assert_eq!(finish(&mut node, 2), started(3));
    assert_eq!(node.pass_ms(19), Told::nothing());
    let told = node.pass_ms(1);
    assert_eq!((told.facts.len(), reported(&told)), (2, vec![id(1), id(2)]), "50 ms after the first");
    assert_eq!(node.pass_ms(100), Told::nothing(), "once");
    // Nobody waits behind the fifth: what was held back goes with the end that made room for it.
    assert_eq!(finish(&mut node, 3), started(4));
    let told = finish(&mut node, 4);
    assert_eq!((told.executed.clone(), reported(&told)), (vec![(id(5), 1)], vec![id(3), id(4)]));
    assert_eq!(reported(&finish(&mut node, 5)), [id(5)]);
}

#[test]
fn an_end_waits_for_none_of_lower_priority() {
    let mut node = executor();
    assign(&mut node, 1, Priority::High);
    assign(&mut node, 2, Priority::Low);
    let told = finish(&mut node, 1);
    assert_eq!((told.executed.clone(), reported(&told)), (vec![(id(2), 1)], vec![id(1)]));
}

#[test]
fn no_more_are_held_back_than_may_be_run_again() {
    let mut node = executor();
    for key in 1..=70 {
        assign(&mut node, key, Priority::Low);
    }
    for key in 1..64 {
        assert_eq!(finish(&mut node, key), started(key + 1));
    }
    assert_eq!(reported(&finish(&mut node, 64)).len(), 64);
}

#[test]
fn an_end_is_told_to_who_asks_and_when_the_node_stops() {
    let mut node = executor();
    for key in 1..=5 {
        assign(&mut node, key, Priority::Low);
    }
    finish(&mut node, 1);
    let told = node.hear(2, Item::Ask { task: id(1), attempt: 1, age_ms: 0 });
    assert_eq!(reported(&told), [id(1), id(1)], "to the driver that granted it, and to the one that asks");
    finish(&mut node, 2);
    let told = assign(&mut node, 2, Priority::Low);
    assert_eq!((told.executed.len(), reported(&told)), (0, vec![id(2), id(2)]), "it does not run again");
    finish(&mut node, 3);
    let told = node.call(|tasks, cx| tasks.release_ends(cx));
    assert_eq!(reported(&told), [id(3)]);
}

#[test]
fn what_was_settled_meanwhile_is_not_reported() {
    let mut node = executor();
    for key in 1..=3 {
        assign(&mut node, key, Priority::Low);
    }
    finish(&mut node, 1);
    assert_eq!(node.hear(0, Item::Settled { task: id(1), attempt: 1 }), Told::nothing());
    assert_eq!(node.pass_ms(50), Told::nothing());
    assert_eq!(node.tasks.totals().running, 1);
}

#[test]
fn a_start_rests_on_what_was_known_when_it_was_granted_and_on_nothing_since() {
    let mut node = executor();
    assign(&mut node, 1, Priority::Low);
    assign(&mut node, 2, Priority::Low);
    let granted = node.position;
    node.hear(4, place(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 3], 1), None));
    assert!(node.position > granted);
    finish(&mut node, 1);
    assert_eq!(node.rested_on, Some(granted));
}
