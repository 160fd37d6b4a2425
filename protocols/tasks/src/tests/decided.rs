use super::{driver::report, node::*, told::Told};
use crate::Fact;
use mesh_proto::{
    task::{Held, Item, Register, Version},
    time::Wall,
};
use std::{collections::BTreeSet, sync::Arc};

#[test]
fn who_has_a_decided_end_need_not_wait_for_the_last_to_know_it() {
    let mut node = Node::born(0, &spec());
    node.hear(1, report(1, exit(0)));
    let (ballot, version) = (birth_ballot(0, 7), Version(2));
    node.hear(1, Item::Wrote { task: task(), ballot, version });
    let told = node.pass_ms(1000);
    let in_force = Item::InForce { task: task(), ballot, version, complete: false };
    let said =
        |told: &Told| told.sent.iter().filter(|(_, item)| *item == in_force).map(|(to, _)| *to).collect::<Vec<_>>();
    assert_eq!(said(&told), [1]);
    assert!(said(&node.pass_ms(4000)).is_empty(), "it is said once");
}

#[test]
fn who_was_asked_for_a_promise_and_holds_nothing_is_released_when_a_majority_goes_on() {
    let mut node = Node::holding(0, &spec());
    node.pass_ms(1000);
    let (ballot, held) = (ballot(1, 0), held(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1)));
    for from in [1, 2] {
        node.hear(from, Item::Promise { task: task(), ballot, held: Some(held.clone()) });
    }
    let released = |told: &Told| {
        let items = told.sent.iter().filter(|(_, item)| matches!(item, Item::InForce { .. }));
        items.map(|(to, _)| *to).collect::<Vec<_>>()
    };
    // The settlement of the birth binds the home list still; what is written after it binds the holders alone.
    let told = node.hear(1, Item::Wrote { task: task(), ballot, version: Version(2) });
    assert_eq!(released(&told), [0; 0], "{told:?}");
    let told = node.hear(2, Item::Wrote { task: task(), ballot, version: Version(2) });
    assert_eq!(released(&told), [0; 0], "{told:?}");
    let told = node.hear(1, Item::Wrote { task: task(), ballot, version: Version(3) });
    assert_eq!(released(&told), [3, 4]);
}

/// Whoever takes over what has gone on may have had to ask others than its holders, and these keep a promise each until they
/// hear what came of it (simulator, seed 73892: no room for more).
#[test]
fn who_was_asked_for_a_promise_is_released_too_when_it_was_no_birth_that_was_taken_over() {
    let mut node = Node::born(1, &spec());
    let stamp = (birth_ballot(0, 7), Version(2));
    let register = Arc::new(Register { joint: None, ..first_register(&[0, 1, 2], 1) });
    let write =
        Item::Write { task: task(), ballot: stamp.0, version: stamp.1, register: register.clone(), birth: None };
    node.hear(0, write);
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(4000);
    let asked: Vec<usize> = node.pass_ms(4000).sent.iter().map(|(to, _)| *to).collect();
    assert!(asked.contains(&3) && asked.contains(&4), "{asked:?}");
    let ballot = ballot(1, 1);
    let held = Held { birth: birth(), ballot: stamp.0, version: stamp.1, register };
    for (from, held) in [(3, None), (4, None), (2, Some(held))] {
        node.hear(from, Item::Promise { task: task(), ballot, held });
    }
    assert_eq!(node.copy().map(|(stamp, _)| stamp), Some((ballot, Version(3))));
    // Two of five bar no other birth; the one that takes the place of who is gone makes three.
    let mut released = BTreeSet::new();
    for version in 3..6 {
        assert_eq!(released, BTreeSet::new(), "before version {version}");
        node.pass_ms(40_000);
        for from in [2, 4] {
            let told = node.hear(from, Item::Wrote { task: task(), ballot, version: Version(version) });
            let items = told.sent.iter().filter(|(_, item)| matches!(item, Item::InForce { .. }));
            released.extend(items.map(|(to, _)| *to));
        }
    }
    assert_eq!(released, BTreeSet::from([3]));
}

/// What a driver that took over wrote stands where another birth may have been, which is told to nobody: two in a row must not
/// release who is all that this other birth lacks.
#[test]
fn nobody_is_released_for_the_word_of_those_that_were_written_to_by_a_candidate() {
    let mut node = Node::new(0);
    let (term_1, term_2) = (ballot(1, 1), ballot(2, 0));
    let register = Register { joint: Some(home()), ..first_register(&[0, 1, 2], 1) };
    let held = Held { birth: birth(), ballot: term_1, version: Version(2), register: Arc::new(register) };
    let Held { birth, ballot, version, register } = held.clone();
    node.hear(1, Item::Write { task: task(), ballot, version, register, birth: Some(birth) });
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    node.pass_ms(4000);
    for (from, held) in [(2, Some(held.clone())), (3, Some(held)), (4, None)] {
        node.hear(from, Item::Promise { task: task(), ballot: term_2, held });
    }
    for (from, version) in [(2, 3), (3, 3), (2, 4), (3, 4)] {
        let told = node.hear(from, Item::Wrote { task: task(), ballot: term_2, version: Version(version) });
        assert!(!told.sent.iter().any(|(_, item)| matches!(item, Item::InForce { .. })), "{told:?}");
    }
    assert_eq!(node.copy().map(|(stamp, _)| stamp), Some((term_2, Version(4))));
}

/// Another birth of the same task may be on the disks of those that did not say what they have, or said so too late. Who
/// promised and holds nothing is all that it lacks.
#[test]
fn nobody_is_released_while_another_birth_may_be_completed() {
    let other = || held(&birth(), birth_ballot(0, 8), &first_register(&[2, 3, 4], 1));
    for late in [None, Some(other())] {
        let mut node = Node::holding(0, &spec());
        node.pass_ms(1000);
        let (ballot, held) = (ballot(1, 0), held(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1)));
        node.hear(1, Item::Promise { task: task(), ballot, held: Some(held) });
        node.hear(3, Item::Promise { task: task(), ballot, held: None });
        if late.is_some() {
            node.hear(2, Item::Promise { task: task(), ballot, held: late });
        }
        for (from, version) in [(1, 2), (2, 2), (1, 3), (2, 3)] {
            let told = node.hear(from, Item::Wrote { task: task(), ballot, version: Version(version) });
            assert!(!told.sent.iter().any(|(_, item)| matches!(item, Item::InForce { .. })), "{told:?}");
        }
        assert!(node.copy().is_some_and(|((_, version), _)| version == Version(3)));
    }
}

#[test]
fn nobody_is_released_from_a_promise_of_another_home_list_than_the_births() {
    let mut node = Node::holding(0, &spec());
    // The last of the home list leaves: whoever it was asked instead may be all that another birth meets.
    node.call(|tasks, cx| tasks.member(cx, at(4), holder(4).store, false));
    node.pass_ms(1000);
    let (ballot, held) = (ballot(1, 0), held(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1)));
    node.hear(1, Item::Promise { task: task(), ballot, held: Some(held.clone()) });
    node.hear(3, Item::Promise { task: task(), ballot, held: None });
    for (from, version) in [(1, 2), (3, 2), (1, 3), (2, 3)] {
        let told = node.hear(from, Item::Wrote { task: task(), ballot, version: Version(version) });
        assert!(!told.sent.iter().any(|(_, item)| matches!(item, Item::InForce { .. })), "{told:?}");
    }
    assert!(node.copy().is_some_and(|((_, version), _)| version == Version(3)));
}

#[test]
fn a_change_to_fewer_holders_is_not_complete_before_those_whose_place_they_take_agree() {
    let mut node = Node::new(0);
    let register = Arc::new(Register { holders: holders(&[0]), joint: Some(holders(&[0, 1, 2])), ..ended(START) });
    let write = Item::Write { task: task(), ballot: ballot(1, 1), version: Version(2), register, birth: Some(birth()) };
    node.hear(1, write);
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    node.hear(4, Item::Follow { task: task() });
    let held = node.tasks.shelf().copy(&task()).expect("held").to_held();
    let told = node.hear(2, Item::Promise { task: task(), ballot: ballot(2, 0), held: Some(held) });
    assert!(matches!(told.facts.as_slice(), [Fact::Written { version: Version(3), .. }]), "{told:?}");
    let copy = |node: &Node| node.tasks.shelf().copy(&task()).expect("held").into_owned();
    assert!(!copy(&node).complete && !copy(&node).settled, "on all that are named, and not enough");
    let told = node.pass_ms(4000);
    assert!(told.sent.iter().any(|(to, item)| *to == 2 && matches!(item, Item::Write { .. })), "{told:?}");
    node.hear(2, Item::Wrote { task: task(), ballot: ballot(2, 0), version: Version(3) });
    assert!(copy(&node).settled);
}

/// The others ended it otherwise while its driver was cut off, and have forgotten that since: what they remember is no
/// word for the end that was written here alone.
#[test]
fn who_has_forgotten_another_end_has_not_had_this_one() {
    let settled = |node: &Node| node.tasks.shelf().copy(&task()).expect("held").settled;
    let mut node = Node::born(0, &spec());
    node.hear(1, report(1, exit(0)));
    let at = node.tasks.shelf().copy(&task()).and_then(|copy| copy.register.ending().map(|end| end.at)).expect("ended");
    let forgotten = |at| Item::TooOld { task: task(), floor: START, ended: Some(at) };
    node.hear(1, forgotten(Wall(at.0 + 3000)));
    assert!(!settled(&node));
    node.hear(1, forgotten(at));
    assert!(settled(&node));
    // Where a majority of the holders says so it is none that anybody should hear of.
    let mut node = Node::born(0, &spec());
    node.hear(1, report(1, exit(0)));
    node.hear(1, forgotten(Wall(at.0 + 3000)));
    let told = node.hear(2, forgotten(Wall(at.0 + 3000)));
    assert!(node.copy().is_none() && told.answers.is_empty(), "{told:?}");
}

/// Else what says that this task has ended is taken for word of another that had its key before.
#[test]
fn nothing_ends_before_its_key_was_drawn_whatever_the_clocks_say() {
    let mut node = Node::born(0, &spec());
    node.now.wall = Wall(START.0 - 5000);
    node.hear(1, report(1, exit(0)));
    let copy = node.tasks.shelf().copy(&task()).expect("held").into_owned();
    assert_eq!(copy.register.ending().map(|ending| ending.at), Some(START));
    // Nor is it remembered so.
    let forgotten = Item::TooOld { task: task(), floor: START, ended: Some(Wall(START.0 + 1)) };
    node.hear(1, forgotten.clone());
    node.hear(2, forgotten);
    assert_eq!((node.copy(), node.tasks.shelf().gone_at(&task())), (None, Some(START)));
}
