use super::{node::*, told::Told};
use crate::Fact;
use mesh_proto::id::StoreId;
use mesh_proto::task::{Ballot, Birth, Held, Item, Register, Spec, State, Version};
use mesh_proto::time::Wall;
use std::{collections::BTreeSet, sync::Arc};

/// The first holder, which has never heard that its birth is complete, and so asks for promises.
fn campaigning() -> Node {
    let mut node = Node::holding(0, &spec());
    let told = node.pass_ms(1000);
    // Only a named holder may answer that it has outlived the record.
    let asked = |rank| {
        let born = if rank < 3 { START } else { Wall(u64::MAX) };
        (rank, Item::Prepare { task: task(), ballot: mine(), born })
    };
    let fact = Fact::Promised { task: task(), ballot: mine(), at: node.now.wall };
    assert_eq!(told, Told { facts: vec![fact], sent: (1..5).map(asked).collect(), ..Told::nothing() });
    node
}

fn mine() -> Ballot {
    ballot(1, 0)
}

fn promise(held: Option<Held>) -> Item {
    Item::Promise { task: task(), ballot: mine(), held }
}

/// The birth that the first holder has.
fn ours() -> Held {
    held(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1))
}

/// Another gateway's, of the same task or of another under the same key.
fn theirs(spec: &Spec, ranks: &[usize]) -> Held {
    let birth = Arc::new(Birth { gateway: at(3), ..Birth::clone(&birth_of(spec)) });
    held(&birth, birth_ballot(ranks[0], 9), &first_register(ranks, ranks[0]))
}

fn another() -> Spec {
    Spec { retries: 9, ..spec() }
}

/// The register that was written on taking office, and of which birth.
fn adopted(told: &Told, node: &Node) -> (Arc<Birth>, Arc<Register>) {
    let birth = node.tasks.shelf().copy(&task()).map(|copy| copy.birth.clone()).expect("held");
    match told.facts.as_slice() {
        [Fact::Written { ballot, version, register, .. } | Fact::Held { ballot, version, register, .. }] => {
            assert_eq!((*ballot, *version), (mine(), Version(2)));
            (birth, register.clone())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unconfirmed_birth_needs_a_majority_of_its_holders_and_of_the_home_list() {
    // With this node itself: a majority of its holders, and then of the home list.
    let mut node = campaigning();
    assert_eq!(node.hear(1, promise(Some(ours()))), Told::nothing());
    let told = node.hear(3, promise(None));
    let (_, register) = adopted(&told, &node);
    assert_eq!(register.joint, Some(home()));
    assert_eq!(register.holders, holders(&[0, 1, 2]), "with which its driver may go on");
    assert_eq!(register.state, State::Assigned(attempt(1, 1)));
    // The home list is not enough where the holders are not met.
    let mut node = campaigning();
    for rank in [3, 4] {
        assert_eq!(node.hear(rank, promise(None)), Told::nothing());
    }
    let (_, register) = adopted(&node.hear(2, promise(None)), &node);
    assert_eq!(register.holders, holders(&[0, 2, 1]), "those that are there first: they look after it");
}

#[test]
fn a_confirmed_birth_needs_its_home_list_as_well() {
    let mut node = Node::born(1, &spec());
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(0);
    let promise = |held| Item::Promise { task: task(), ballot: ballot(1, 1), held };
    // Who settled another birth of this task while this node could not be asked has it on three of the five, which need
    // not be any of these two.
    assert_eq!(node.hear(2, promise(Some(ours()))), Told::nothing());
    let told = node.hear(3, promise(None));
    let Some(Fact::Written { register, .. }) = told.facts.first() else { panic!("{told:?}") };
    // At once, since the holders that are there are no majority of the five.
    let written: BTreeSet<usize> =
        told.sent.iter().filter(|(_, item)| matches!(item, Item::Write { .. })).map(|(rank, _)| *rank).collect();
    assert!(written.contains(&3), "{told:?}");
    // All three stay, and it is to be on three of the five, whatever it was told.
    assert_eq!(register.holders, holders(&[1, 2, 0]));
    assert_eq!(register.joint, Some(home()));
}

#[test]
fn a_birth_that_is_settled_is_not_aimed_at_others() {
    let mut node = Node::born(1, &spec());
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(0);
    let promise = |held| Item::Promise { task: task(), ballot: ballot(1, 1), held };
    node.hear(2, promise(Some(ours())));
    node.hear(3, promise(None));
    // The driver by birth may have decided with the other holder alone, and be gone for good: without one of the two,
    // whoever takes their place cannot tell.
    node.call(|tasks, cx| tasks.silent(cx, at(2)));
    for _ in 0..120 {
        let told = node.pass_ms(1000);
        assert_eq!(told.facts, [], "{told:?}");
    }
    assert_eq!(node.copy().map(|(_, register)| register.holders), Some(holders(&[1, 2, 0])));
}

fn outlived() -> Item {
    Item::TooOld { task: task(), floor: START, ended: Some(START) }
}

#[test]
fn what_lives_here_and_was_outlived_by_a_holder_is_forgotten() {
    let mut node = campaigning();
    node.hear(1, promise(Some(ours())));
    // It ended without this node, and nobody that promised has more than it.
    let told = node.hear(2, outlived());
    assert_eq!(told.facts, [Fact::Outlived { task: task(), at: START }]);
    // A driver that was away for as long must not find a majority in what never ended here.
    let register = Arc::new(ended(START));
    let stale =
        Item::Write { task: task(), ballot: birth_ballot(1, 7), version: Version(2), register, birth: Some(birth()) };
    let told = node.hear(1, stale);
    assert!(matches!(told.sent.as_slice(), [(1, Item::TooOld { .. })]) && told.facts.is_empty(), "{told:?}");
}

#[test]
fn what_lives_here_is_not_forgotten_because_somebody_cannot_know_of_it() {
    let mut node = campaigning();
    node.hear(1, promise(Some(ours())));
    // One whose clock is ahead, or that never had it; and one that remembers another task of before under its key.
    let cannot_know = Item::TooOld { task: task(), floor: START, ended: None };
    let another = Item::TooOld { task: task(), floor: START, ended: Some(Wall(START.0 - 1)) };
    assert_eq!(node.hear(2, cannot_know), Told::nothing());
    assert_eq!(node.hear(2, another), Told::nothing());
    assert!(node.copy().is_some());
    // All are asked again, until a majority says so.
    let told = node.pass_ms(1500);
    let asked: Vec<_> = told.sent.iter().filter(|(_, item)| matches!(item, Item::Prepare { .. })).collect();
    assert_eq!(asked.len(), 4, "{told:?}");
    let cannot_know = || Item::TooOld { task: task(), floor: START, ended: None };
    assert_eq!(node.hear(2, cannot_know()), Told::nothing());
    assert_eq!(node.hear(1, cannot_know()).facts, [Fact::Outlived { task: task(), at: node.now.wall }]);
}

#[test]
fn what_lives_here_is_not_forgotten_while_somebody_has_its_end() {
    let mut node = campaigning();
    let end = Held { birth: birth(), ballot: ballot(0, 1), version: Version(2), register: Arc::new(ended(START)) };
    node.hear(3, promise(Some(end)));
    assert_eq!(node.hear(2, outlived()).facts, []);
    assert!(node.copy().is_some());
}

/// The last holder, with an end of which it has to find out whether it is decided: its driver, the second, is gone.
fn unsure() -> Node {
    let mut node = Node::new(2);
    let register = Arc::new(ended(START));
    let write = Item::Write { task: task(), ballot: ballot(1, 1), version: Version(2), register, birth: Some(birth()) };
    node.hear(1, write);
    node.call(|tasks, cx| tasks.silent(cx, at(1)));
    node.hear(4, Item::Follow { task: task() });
    node
}

#[test]
fn an_end_that_one_holder_has_outlived_is_kept_until_all_were_asked_again() {
    let mut node = unsure();
    for pause in [1500, 3000] {
        assert_eq!(node.hear(0, outlived()).facts, []);
        let told = node.pass_ms(pause);
        let asked = told.sent.iter().filter(|(_, item)| matches!(item, Item::Prepare { .. })).count();
        assert!(asked > 0, "{told:?}");
    }
    assert_eq!(node.hear(0, outlived()).facts, [Fact::Outlived { task: task(), at: START }]);
}

#[test]
fn an_end_that_a_majority_of_its_holders_has_outlived_is_forgotten_at_once() {
    let mut node = unsure();
    assert_eq!(node.hear(0, outlived()).facts, []);
    node.call(|tasks, cx| tasks.up(cx, at(1)));
    assert_eq!(node.hear(1, outlived()).facts, [Fact::Outlived { task: task(), at: node.now.wall }]);
}

#[test]
fn a_holder_that_has_outlived_an_end_counts_as_having_it() {
    let mut node = unsure();
    let held = Held { birth: birth(), ballot: ballot(1, 1), version: Version(2), register: Arc::new(ended(START)) };
    let told = node.hear(0, Item::Promise { task: task(), ballot: ballot(2, 2), held: Some(held) });
    assert!(matches!(told.facts.as_slice(), [Fact::Written { version: Version(3), .. }]), "{told:?}");
    // It forgot the task between its promise and the write: whoever waits for the end is told all the same.
    let told = node.hear(0, outlived());
    assert!(told.sent.iter().any(|(to, item)| *to == 4 && matches!(item, Item::Ended { .. })), "{told:?}");
}

/// The new one knows nothing of it, and could make the same majority once more for somebody else.
#[test]
fn what_a_disk_promised_and_took_does_not_count_when_it_is_lost() {
    let is_lost = |node: &mut Node| node.call(|tasks, cx| tasks.member(cx, at(1), StoreId(11), true));
    let mut node = campaigning();
    node.hear(1, promise(Some(ours())));
    is_lost(&mut node);
    for rank in [3, 4] {
        assert_eq!(node.hear(rank, promise(None)), Told::nothing(), "of three holders one has promised");
    }
    adopted(&node.hear(2, promise(Some(ours()))), &node);
    let wrote = || Item::Wrote { task: task(), ballot: mine(), version: Version(2) };
    assert_eq!(node.hear(3, wrote()).facts, []);
    node.call(|tasks, cx| tasks.member(cx, at(3), StoreId(13), true));
    assert_eq!(node.hear(2, wrote()).facts, [], "of five two have it");
    assert_eq!(node.hear(4, wrote()).facts.len(), 1, "in force, and settled");
}

#[test]
fn of_two_births_of_the_same_task_either_will_do() {
    let mut node = campaigning();
    let other = theirs(&spec(), &[1, 2, 3]);
    assert_eq!(node.hear(1, promise(Some(other.clone()))), Told::nothing());
    let told = node.hear(2, promise(Some(ours())));
    // The home list is met, but of theirs only two of three must be: 1 and 2.
    assert_eq!(adopted(&told, &node).0.spec, birth().spec);
}

#[test]
fn holders_of_the_birth_that_is_passed_by_have_to_know() {
    let mut node = campaigning();
    let other = theirs(&spec(), &[2, 3, 4]);
    node.hear(1, promise(Some(ours())));
    node.hear(3, promise(Some(other.clone())));
    let told = node.hear(4, promise(Some(other.clone())));
    let (birth, register) = adopted(&told, &node);
    assert_eq!((birth, &register.holders, register.joint.clone()), (other.birth, &holders(&[3, 4, 2]), Some(home())));
    let wrote = || Item::Wrote { task: task(), ballot: mine(), version: Version(2) };
    // A majority of its holders, and with this node one of the home list; of ours nobody else.
    for rank in [3, 4] {
        assert_eq!(node.hear(rank, wrote()).facts, [], "{rank}");
    }
    let told = node.hear(1, wrote());
    let Some(Fact::Written { version: Version(3), register, .. }) = told.facts.first() else { panic!("{told:?}") };
    assert_eq!(register.joint, None, "in force, and settled");
}

#[test]
fn of_two_tasks_under_one_key_the_one_that_cannot_be_complete_gives_way() {
    // 1 and 2 are named in both, and hold the other: ours is not complete.
    let mut node = campaigning();
    let other = theirs(&another(), &[1, 2, 3]);
    node.hear(1, promise(Some(other.clone())));
    let told = node.hear(2, promise(Some(other.clone())));
    assert_eq!(adopted(&told, &node).0, other.birth);
    assert!(matches!(told.facts.as_slice(), [Fact::Held { .. }]), "{told:?}");
    // 1 is named in both and holds ours: it is the other that is not.
    let mut node = campaigning();
    let lone = theirs(&another(), &[3, 1, 2]);
    node.hear(3, promise(Some(lone)));
    assert_eq!(node.hear(4, promise(None)), Told::nothing());
    let told = node.hear(1, promise(Some(ours())));
    assert_eq!(adopted(&told, &node).0, birth());
}

#[test]
fn while_two_tasks_under_one_key_may_both_be_complete_nothing_is_decided() {
    let other = theirs(&another(), &[2, 3, 4]);
    for last in [Some(ours()), Some(other.clone())] {
        let mut node = campaigning();
        for (rank, held) in [(1, ours()), (3, other.clone()), (4, other.clone())] {
            assert_eq!(node.hear(rank, promise(Some(held))), Told::nothing(), "{rank}");
        }
        // The one that is named in both.
        let told = node.hear(2, promise(last.clone()));
        assert_eq!(Some(adopted(&told, &node).0), last.map(|held| held.birth));
    }
}

#[test]
fn a_complete_birth_that_somebody_may_have_passed_by_is_settled_with_all_others() {
    let mut node = Node::born(1, &spec());
    node.call(|tasks, cx| tasks.silent(cx, at(0)));
    node.pass_ms(0);
    // The third may have promised another before, who may have gone on with another birth of the same task.
    let promise = |held| Item::Promise { task: task(), ballot: ballot(1, 1), held };
    assert_eq!(node.hear(2, promise(Some(ours()))), Told::nothing());
    let register = Register { joint: Some(home()), ..first_register(&[0, 3, 4], 3) };
    let (birth, version) = (theirs(&spec(), &[0, 3, 4]).birth, Version(2));
    let settled = Held { birth, ballot: ballot(1, 0), version, register: Arc::new(register.clone()) };
    node.hear(3, promise(Some(settled)));
    let told = node.hear(4, promise(None));
    let Some(Fact::Held { register: adopted, .. }) = told.facts.first() else { panic!("{told:?}") };
    assert_eq!(Register::clone(adopted), register, "what was settled");
}

#[test]
fn a_holder_that_was_away_while_the_others_changed_finds_them() {
    let mut node = Node::new(2);
    let (old, birth) = (Arc::new(Register { joint: None, ..first_register(&[0, 1, 2], 1) }), birth());
    node.hear(
        0,
        Item::Write { task: task(), ballot: ballot(1, 0), version: Version(2), register: old, birth: Some(birth) },
    );
    for rank in [0, 1] {
        node.call(|tasks, cx| tasks.silent(cx, at(rank)));
    }
    let told = node.pass_ms(1000);
    assert!(told.sent.is_empty() && told.facts.len() == 1, "nobody that it knows of is left: {told:?}");
    let asked: Vec<usize> = node.pass_ms(1500).sent.into_iter().map(|(rank, _)| rank).collect();
    assert_eq!(asked, [3, 4]);
    let register = Arc::new(Register { joint: None, ..first_register(&[0, 2, 3], 3) });
    let held = Held { ballot: ballot(1, 0), version: Version(4), register, ..ours() };
    let promised = ballot(2, 2);
    let told = node.hear(3, Item::Promise { task: task(), ballot: promised, held: Some(held) });
    assert!(matches!(told.facts.first(), Some(Fact::Written { ballot, .. }) if *ballot == promised), "{told:?}");
}

#[test]
fn a_later_write_beats_every_birth() {
    let mut node = campaigning();
    let register = Register { joint: None, ..first_register(&[0, 1, 2], 2) };
    let later = Held { version: Version(2), register: Arc::new(register.clone()), ..ours() };
    let told = node.hear(2, promise(Some(later)));
    let Some(Fact::Written { version, register: written, .. }) = told.facts.first() else { panic!("{told:?}") };
    assert_eq!((*version, Register::clone(written)), (Version(3), register));
}

#[test]
fn a_refused_candidate_steps_down_and_comes_back_above() {
    let mut node = campaigning();
    let higher = ballot(5, 2);
    assert_eq!(
        node.hear(1, Item::Refused { task: task(), ballot: birth_ballot(0, 7), promised: higher }),
        Told::nothing()
    );
    node.hear(1, Item::Refused { task: task(), ballot: mine(), promised: higher });
    assert_eq!(node.tasks.totals().driving, 0);
    assert_eq!(node.hear(1, promise(Some(ours()))), Told::nothing(), "an old promise is of no use");
    // First whoever refused is asked how far it is; when it does not drive the task, this node tries above it.
    let told = node.pass_ms(200);
    assert_eq!(told, Told::sent(2, Item::Pull { task: task(), ballot: birth_ballot(0, 7), version: Version::BIRTH }));
    let told = node.hear(2, Item::NotDriven { task: task(), ballot: birth_ballot(0, 7) });
    let fact = Fact::Promised { task: task(), ballot: ballot(6, 0), at: node.now.wall };
    assert_eq!(told.facts, [fact]);
}

/// It may have promised another since, and all has gone on with that one.
#[test]
fn who_has_promised_is_asked_again_now_and_then() {
    let mut node = campaigning();
    node.hear(1, promise(Some(ours())));
    let mut asked = [0; 5];
    for _ in 0..120 {
        for (to, item) in node.pass_ms(500).sent {
            asked[to] += usize::from(matches!(item, Item::Prepare { .. }));
        }
    }
    assert!(asked[0] == 0 && asked[1] > 1 && asked[1] * 3 < asked[2], "{asked:?}");
    node.hear(1, Item::Refused { task: task(), ballot: mine(), promised: ballot(2, 3) });
    let told = node.pass_ms(5000);
    assert!(told.sent.iter().any(|(to, _)| *to == 3), "{told:?}");
}

/// Members that are asked to take a placement as well may find its key too old, and promise all the same: those who have take what
/// is written, and it is not theirs to say that it is long over (simulator, seed 2590123535).
#[test]
fn who_has_promised_has_not_outlived_what_is_written_then() {
    let mut node = campaigning();
    node.hear(1, promise(Some(ours())));
    let told = node.hear(3, promise(None));
    adopted(&told, &node);
    let too_old = || Item::TooOld { task: task(), floor: Wall(START.0 + 1), ended: None };
    node.hear(3, too_old());
    node.hear(4, too_old());
    assert!(node.copy().is_some(), "one of two has promised");
    node.hear(4, promise(None));
    node.hear(3, too_old());
    node.hear(2, too_old());
    assert!(node.copy().is_some(), "both have promised");
}
