//! A birth whose key was promised to somebody who does nothing with it.

use super::{node::*, told::Told};
use crate::{Fact, Waiter};
use mesh_proto::task::{Ballot, Birth, Held, Item, Known, Version};
use std::sync::Arc;

fn promised() -> Ballot {
    ballot(1, 2)
}

fn mine() -> Ballot {
    ballot(2, 1)
}

/// The second holder, which holds nothing and has promised the third.
fn barred() -> Node {
    let mut node = Node::new(1);
    node.hear(2, Item::Prepare { task: task(), ballot: promised(), born: START });
    node
}

fn placed(node: &mut Node) -> Told {
    node.hear(4, place(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 3], 1), None))
}

fn refused() -> (usize, Item) {
    (4, Item::Refused { task: task(), ballot: birth_ballot(0, 7), promised: promised() })
}

/// The third is gone, and the birth comes again.
fn campaigning() -> Node {
    let mut node = barred();
    node.call(|tasks, cx| tasks.silent(cx, at(2)));
    let told = placed(&mut node);
    let fact = Fact::Promised { task: task(), ballot: mine(), at: node.now.wall };
    assert_eq!(told.facts, [fact]);
    assert!(told.sent.contains(&refused()), "its gateway hears it at once: {told:?}");
    let asked = told.sent.iter().filter(|(_, item)| matches!(item, Item::Prepare { ballot, .. } if *ballot == mine()));
    assert_eq!(asked.map(|(rank, _)| *rank).collect::<Vec<_>>(), [0, 3, 4], "whoever is there");
    node
}

fn promise(held: Option<Held>) -> Item {
    Item::Promise { task: task(), ballot: mine(), held }
}

#[test]
fn a_birth_that_a_promise_to_one_who_is_gone_bars_is_proposed() {
    let mut node = campaigning();
    assert_eq!(node.hear(3, promise(None)), Told::nothing(), "two of the five are no majority of the home list");
    let told = node.hear(4, promise(None));
    let [Fact::Held { birth: written, ballot, version, register }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!((written, *ballot, *version), (&birth(), mine(), Version(2)));
    assert_eq!(register.joint, Some(home()), "nothing else is settled beside it");
    for rank in [0, 3] {
        let is_whole = |(to, item): &(usize, Item)| {
            *to == rank && matches!(item, Item::Write { birth: Some(_), version: Version(2), .. })
        };
        assert!(told.sent.iter().any(is_whole), "{rank}: {told:?}");
    }
}

#[test]
fn where_somebody_has_a_birth_that_one_goes_on() {
    let mut node = campaigning();
    node.hear(3, promise(None));
    let other = Arc::new(Birth { gateway: at(3), ..Birth::clone(&birth()) });
    let theirs = held(&other, birth_ballot(0, 9), &first_register(&[0, 2, 4], 0));
    assert_eq!(node.hear(0, promise(Some(theirs))), Told::nothing(), "of its own holders one alone has promised");
    let told = node.hear(4, promise(None));
    let [Fact::Held { birth: written, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!(written.gateway, at(3));
}

#[test]
fn who_is_there_is_asked_whether_it_drives_the_task() {
    let not_driven = Item::NotDriven { task: task(), ballot: promised() };
    let mut node = barred();
    assert_eq!(node.hear(2, not_driven.clone()), Told::nothing(), "nothing was asked");
    let told = placed(&mut node);
    let pull = (2, Item::Pull { task: task(), ballot: promised(), version: Version(0) });
    assert_eq!(told, Told { sent: vec![pull, refused()], ..Told::nothing() });
    assert_eq!(node.hear(3, not_driven.clone()), Told::nothing(), "it was not he that was promised");
    let told = node.hear(2, not_driven.clone());
    assert!(matches!(told.facts.as_slice(), [Fact::Promised { ballot, .. }] if *ballot == mine()), "{told:?}");

    // Said too late: who submitted it has sent it again, or is gone.
    let mut node = barred();
    placed(&mut node);
    node.pass_ms(10_000);
    assert_eq!(node.hear(2, not_driven), Told::nothing());
}

/// Seed 500378: whoever was promised drives nothing, for the task is over, elsewhere.
#[test]
fn what_is_said_to_be_known_is_not_born_anew() {
    let submit = |node: &mut Node| {
        let waiter = Waiter { request: 1, index: 0 };
        let told = node.call(|tasks, cx| tasks.submit(cx, waiter, encoded(&spec()), false));
        let pull = Item::Pull { task: task(), ballot: promised(), version: Version(0) };
        assert!(told.sent.contains(&(2, pull)), "its own holder is barred: {told:?}");
    };
    let known = Known { digest: birth().digest(), holders: vec![at(2), at(3), at(4)], confirmed: true };
    let taken = Item::Taken { task: task(), known };
    let not_driven = Item::NotDriven { task: task(), ballot: promised() };
    let ended = Item::Ended { task: task(), digest: birth().digest(), register: Arc::new(ended(START)) };
    for before in [vec![taken.clone()], vec![ended.clone()], vec![taken, ended.clone()]] {
        let mut node = barred();
        submit(&mut node);
        let items = before.into_iter().chain([not_driven.clone(), ended.clone()]).collect();
        let told = node.call(|tasks, cx| tasks.items(cx, at(2), items));
        assert_eq!(told.facts, [], "{told:?}");
        assert!(!told.sent.iter().any(|(_, item)| matches!(item, Item::Prepare { .. })), "{told:?}");
    }
    let mut node = barred();
    submit(&mut node);
    let told = node.hear(2, not_driven);
    assert!(told.sent.iter().any(|(_, item)| matches!(item, Item::Prepare { .. })), "without it: {told:?}");
}

#[test]
fn who_asks_for_promises_without_a_copy_does_not_say_that_it_drives_nothing() {
    let mut node = campaigning();
    let pull = Item::Pull { task: task(), ballot: mine(), version: Version(0) };
    assert_eq!(node.hear(3, pull.clone()), Told::nothing());
    let told = Node::new(1).hear(3, pull);
    assert_eq!(told, Told::sent(3, Item::NotDriven { task: task(), ballot: mine() }));
}

#[test]
fn a_proposal_gives_way_to_a_higher_ballot_and_is_asked_for_again_until_there_is_a_majority() {
    let mut node = campaigning();
    let told = node.pass_ms(60_000);
    assert!(told.sent.iter().any(|(_, item)| matches!(item, Item::Prepare { .. })), "{told:?}");
    let higher = Item::Prepare { task: task(), ballot: ballot(3, 3), born: START };
    let told = node.hear(3, higher);
    assert!(told.sent.iter().any(|(_, item)| matches!(item, Item::Promise { held: None, .. })), "{told:?}");
    assert_eq!(node.hear(4, promise(None)), Told::nothing());
    assert_eq!(node.hear(0, promise(None)), Told::nothing());
    assert_eq!(node.copy(), None);
}
