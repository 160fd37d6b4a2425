use super::{node::*, told::Told};
use crate::{Fact, takeover::TAKEOVERS};
use mesh_proto::{
    id::TaskId,
    task::{Birth, Item, Octets, Register, Spec, State, TaskKey, Version},
};
use std::sync::Arc;

/// More than are taken over at a time.
const MANY: usize = TAKEOVERS + 88;

/// Births that the member of rank 1 drives and this node is the second to hold, all of them confirmed: those with an even
/// number wait for somebody, the others run at the member of rank 2.
fn holding_many() -> Node {
    holding(MANY)
}

pub fn holding(many: usize) -> Node {
    let mut node = Node::new(0);
    for n in 0..many {
        let spec = Spec { key: TaskKey::Own(n.to_be_bytes().to_vec()), ..spec() };
        let task = spec.id(&NETWORK);
        let home = node.tasks.roster().home(&task, 5);
        let spec: Octets = encoded(&spec);
        let birth = Arc::new(Birth { task, spec, born: START, gateway: at(4), placed: START, home: home.clone() });
        let state = if n % 2 == 0 { State::Waiting } else { State::Assigned(attempt(1, 2)) };
        let register = Register { joint: Some(home), state, ..first_register(&[1, 0, 2], 2) };
        node.hear(4, place(&birth, birth_ballot(1, 7), &register, None));
        node.hear(4, Item::Born { task, ballot: birth_ballot(1, 7) });
    }
    assert_eq!(node.tasks.shelf().live().len(), many);
    node
}

/// The tasks that it asks for promises of.
fn prepared(told: &Told) -> Vec<TaskId> {
    let promised = |fact: &Fact| match fact {
        Fact::Promised { task, ballot, .. } if ballot.driver == at(0) => Some(*task),
        _ => None,
    };
    told.facts.iter().filter_map(promised).collect()
}

fn waits(node: &Node, task: &TaskId) -> bool {
    node.tasks.shelf().copy(task).expect("held").register.state == State::Waiting
}

#[test]
fn what_a_dead_node_drove_is_taken_over_so_many_at_a_time_and_first_what_ran() {
    let mut node = holding_many();
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    let begun = prepared(&node.pass_ms(0));
    assert_eq!(begun.len(), TAKEOVERS);
    assert_eq!(node.tasks.totals().orphaned, MANY - TAKEOVERS);
    // One is taken over: another begins, of those that ran.
    let task = begun[0];
    let ballot = ballot(1, 0);
    for rank in [2, 3] {
        node.hear(rank, Item::Promise { task, ballot, held: None });
    }
    assert_eq!(node.tasks.shelf().stamp(&task), Some((ballot, Version(2))));
    assert_eq!(prepared(&node.pass_ms(0)), []);
    for rank in [2, 3] {
        node.hear(rank, Item::Wrote { task, ballot, version: Version(2) });
    }
    let next = prepared(&node.pass_ms(0));
    assert_eq!(next.len(), 1);
    assert!(!waits(&node, &next[0]));
    assert_eq!(node.tasks.totals().orphaned, MANY - TAKEOVERS - 1);
}

#[test]
fn takeovers_that_find_no_majority_do_not_keep_the_others_from_theirs() {
    let mut node = holding_many();
    for rank in 1..5 {
        node.call(|tasks, cx| tasks.silent(cx, at(rank)));
    }
    assert_eq!(prepared(&node.pass_ms(0)).len(), TAKEOVERS);
    assert_eq!(prepared(&node.pass_ms(999)), []);
    assert_eq!(prepared(&node.pass_ms(1)).len(), MANY - TAKEOVERS);
    assert_eq!(node.tasks.totals().orphaned, 0);
}

#[test]
fn who_is_written_to_by_another_driver_does_not_wait_to_drive_it() {
    let mut node = holding_many();
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    let begun = prepared(&node.pass_ms(0));
    let live: Vec<TaskId> = node.tasks.shelf().live().iter().copied().collect();
    let waiting = live.into_iter().find(|task| !begun.contains(task)).expect("some wait");
    let register = node.tasks.shelf().copy(&waiting).expect("held").register.clone();
    let told =
        node.hear(2, Item::Write { task: waiting, ballot: ballot(1, 2), version: Version(2), register, birth: None });
    assert_eq!(told.sent, [(2, Item::Wrote { task: waiting, ballot: ballot(1, 2), version: Version(2) })]);
    assert_eq!(node.tasks.totals().orphaned, MANY - TAKEOVERS - 1);
}

#[test]
fn a_driver_that_is_back_is_asked_for_so_many_at_a_time() {
    let mut node = holding(3 * TAKEOVERS);
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    while node.tasks.totals().orphaned < 2 * TAKEOVERS {
        node.pass_ms(0);
    }
    node.call(|tasks, cx| tasks.up(cx, at(1)));
    let told = node.pass_ms(1000);
    assert_eq!(prepared(&told), [], "it drives them");
    assert_eq!(node.tasks.totals().orphaned, TAKEOVERS);
}

/// Its end was not decided, and another goes on with the task.
fn refused() -> Node {
    let mut node = Node::born(0, &spec());
    node.hear(4, Item::Cancel { task: task() });
    assert!(node.copy().expect("held").1.ending().is_some());
    node.hear(1, Item::Refused { task: task(), ballot: birth_ballot(0, 7), promised: ballot(1, 1) });
    node
}

#[test]
fn one_that_goes_on_and_knows_nothing_of_it_is_replaced() {
    let mut node = refused();
    let told = node.hear(1, Item::Unknown { task: task() });
    assert_eq!(prepared(&told), [task()]);
}

/// Whoever asks how it ended is told by that one.
#[test]
fn who_was_refused_for_a_higher_ballot_does_not_begin_another_at_each_question() {
    let mut node = refused();
    let told = node.hear(3, Item::Follow { task: task() });
    assert_eq!((told.facts, told.sent.len()), (vec![], 2));
    assert_eq!(told.sent[0], (1, Item::Follow { task: task() }));
    assert!(matches!(told.sent[1], (3, Item::Following { .. })));
    // Where that one is gone, this node does.
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    let told = node.hear(3, Item::Follow { task: task() });
    assert!(told.sent.iter().any(|(_, item)| matches!(item, Item::Prepare { .. })), "{told:?}");
}
