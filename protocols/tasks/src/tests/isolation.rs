//! Nodes that lose the mesh, and tasks that are not to go on there.

use super::{node::*, told::Told};
use mesh_proto::task::{Fault, Item, OnIsolation, Register, Spec, State};
use std::time::Duration;

fn stops() -> Spec {
    Spec { on_isolation: OnIsolation::Stop, ..spec() }
}

fn silent(node: &mut Node, rank: usize) -> Told {
    node.call(|tasks, cx| tasks.silent(cx, at(rank)))
}

fn not_running(attempt: u32) -> Item {
    Item::NotRunning { task: task(), attempt, why: "its node has lost the mesh".into() }
}

/// The second of the home list, which runs it, when it has lost the third and the fourth; the fifth goes next.
fn executor(spec: &Spec) -> Node {
    let mut node = Node::born(1, spec);
    assert!(node.tasks.executor.is_running(&task()));
    for rank in [2, 3] {
        silent(&mut node, rank);
        node.pass_ms(0);
        assert!(node.tasks.executor.is_running(&task()), "half of the others are there");
    }
    node
}

#[test]
fn what_is_to_stop_ends_when_most_of_the_others_are_gone_and_its_driver_hears_of_it() {
    let mut node = executor(&stops());
    silent(&mut node, 4);
    let told = node.pass_ms(0);
    assert_eq!(told.cancelled, [(task(), 1)]);
    assert!(told.sent.contains(&(0, not_running(1))), "{told:?}");
    assert!(!node.tasks.executor.is_running(&task()));
    // What comes of it yet is nobody's result, and whoever grants it once more hears that it is over.
    let late = node.call(|tasks, cx| tasks.executed(cx, task(), 1, std::sync::Arc::new(exit(1))));
    assert_eq!(late, Told::nothing());
    node.call(|tasks, cx| tasks.up(cx, at(4)));
    let told = node.hear(0, Item::Assign { task: task(), attempt: attempt(1, 1), birth: birth_of(&stops()) });
    let over = Item::NotRunning { task: task(), attempt: 1, why: "it was ended on its node".into() };
    assert_eq!(told, Told::sent(0, over));
    silent(&mut node, 4);
    // What it was is not remembered for ever, though nobody comes to settle it.
    assert!(node.tasks.executor.attempt_of(&task()).is_some());
    node.pass(Duration::from_secs(60));
    assert_eq!(node.tasks.executor.attempt_of(&task()), None);
    // Nor does it take such an attempt before the mesh is back.
    let assign = |number| Item::Assign { task: task(), attempt: attempt(number, 1), birth: birth_of(&stops()) };
    let told = node.hear(0, assign(2));
    assert!(told.executed.is_empty() && told.sent.contains(&(0, not_running(2))), "{told:?}");
    node.call(|tasks, cx| tasks.up(cx, at(4)));
    assert_eq!(node.hear(0, assign(3)).executed, [(task(), 3)]);
}

#[test]
fn everything_else_goes_on() {
    let mut node = executor(&spec());
    silent(&mut node, 4);
    let told = node.pass_ms(0);
    assert_eq!((told.cancelled, node.tasks.executor.is_running(&task())), (vec![], true));
}

#[test]
fn what_waits_for_a_slot_is_given_back_as_well() {
    let mut node = Node::new(1);
    let first = Spec { key: mesh_proto::task::TaskKey::Own(vec![9]), ..spec() };
    for (spec, number) in [(&first, 1), (&stops(), 1)] {
        let birth = birth_of(spec);
        node.hear(0, Item::Assign { task: birth.task, attempt: attempt(number, 1), birth });
    }
    for rank in [2, 3, 4] {
        silent(&mut node, rank);
    }
    let told = node.pass_ms(0);
    assert_eq!(told.sent.iter().filter(|(_, item)| *item == not_running(1)).count(), 1, "{told:?}");
    assert!(told.cancelled.is_empty());
}

/// Whoever took it for gone learns that it was only out of reach, and does not count that against the task.
#[test]
fn what_was_given_back_counts_against_nobody_in_the_end() {
    let mut node = Node::born(0, &stops());
    silent(&mut node, 1);
    node.call(|tasks, cx| tasks.up(cx, at(1)));
    node.hear(1, not_running(1));
    node.pass(Duration::from_secs(1));
    let failures =
        |register: &Register| register.failed.iter().map(|one| (one.attempt.number, one.fault)).collect::<Vec<_>>();
    let (_, register) = node.copy().expect("held");
    assert!(matches!(register.state, State::Assigned(attempt) if attempt.number == 2), "{register:?}");
    assert_eq!(failures(&register), [(1, Fault::Nobody)]);
}
