use super::{node::*, told::Told};
use crate::{Config, Fact};
use mesh_proto::{
    id::TaskId,
    task::{Ballot, Birth, FailedAttempt, Fault, Item, Known, Register, State, Version},
    time::Wall,
};
use std::{sync::Arc, time::Duration};

/// A placement, on disk before it is answered.
fn taken_up(birth: &Arc<Birth>, ballot: Ballot, register: &Register) -> Told {
    let placed = Item::Placed { task: task(), ballot };
    Told { facts: vec![fact_held(birth, ballot, register)], ..Told::sent(4, placed) }
}

#[test]
fn a_placement_is_taken_once_and_confirmed_as_often_as_it_comes() {
    let mut node = Node::new(1);
    let (birth, ballot, register) = (birth(), birth_ballot(0, 7), first_register(&[0, 1, 2], 1));
    assert_eq!(node.hear(4, place(&birth, ballot, &register, None)), taken_up(&birth, ballot, &register));
    assert_eq!(node.copy(), Some(((ballot, Version::BIRTH), register.clone())));
    assert_eq!(node.promised(), Some(ballot));
    let again = node.hear(4, place(&birth, ballot, &register, None));
    assert_eq!(again, Told::sent(4, Item::Placed { task: task(), ballot }));
}

#[test]
fn a_placement_of_a_taken_id_is_answered_with_what_is_held() {
    let known = |confirmed| Known { digest: birth().digest(), holders: vec![at(0), at(1), at(2)], confirmed };
    for (mut node, confirmed) in [(Node::holding(1, &spec()), false), (Node::born(1, &spec()), true)] {
        let before = node.copy();
        // Of another gateway; and of the same one, which says that it gave the earlier one up, once that was complete.
        let other = place(&birth(), birth_ballot(0, 9), &first_register(&[0, 1, 3], 0), None);
        let taken = Told::sent(3, Item::Taken { task: task(), known: known(confirmed) });
        assert_eq!(node.hear(3, other), taken);
        if confirmed {
            let given_up = Some(birth_ballot(0, 7));
            let again = place(&birth(), birth_ballot(0, 8), &first_register(&[0, 1, 3], 0), given_up);
            assert_eq!(node.hear(3, again), taken);
        }
        assert_eq!(node.copy(), before);
    }
}

#[test]
fn a_placement_supersedes_the_same_gateways_earlier_one_whoever_is_its_first_holder() {
    // Of two neighbouring ranks one has the higher id: both orders are tried.
    for driver in [0, 1, 2, 3] {
        let mut node = Node::holding(1, &spec());
        let others: Vec<usize> = (0..4).filter(|rank| *rank != driver && *rank != 1).take(1).collect();
        let ranks: Vec<usize> = if driver == 1 { vec![1, 2, 3] } else { vec![driver, 1, others[0]] };
        let (ballot, register) = (birth_ballot(driver, 8), first_register(&ranks, driver));
        let told = node.hear(4, place(&birth(), ballot, &register, Some(birth_ballot(0, 7))));
        assert_eq!(told, taken_up(&birth(), ballot, &register), "driven by {driver}");
        assert_eq!(node.promised(), Some(ballot));
    }
}

#[test]
fn a_placement_supersedes_one_before_the_last() {
    // Of the placements with nonces 6 to 9 only the second came this far. All since the first are given up.
    let mut node = Node::holding(1, &spec());
    let (ballot, register) = (birth_ballot(2, 10), first_register(&[2, 1, 3], 2));
    let told = node.hear(4, place(&birth(), ballot, &register, Some(birth_ballot(0, 6))));
    assert_eq!(told, taken_up(&birth(), ballot, &register));
    // What it superseded comes late.
    let late = place(&birth(), birth_ballot(1, 9), &first_register(&[1, 2, 3], 2), Some(birth_ballot(0, 7)));
    let known = Known { digest: birth().digest(), holders: vec![at(2), at(1), at(3)], confirmed: false };
    assert_eq!(node.hear(4, late), Told::sent(4, Item::Taken { task: task(), known }));
}

#[test]
fn a_placement_is_refused_by_who_promised_a_higher_ballot() {
    let mut node = Node::new(1);
    node.hear(2, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START });
    let first = birth_ballot(0, 7);
    let told = node.hear(4, place(&birth(), first, &first_register(&[0, 1, 2], 1), None));
    let asked = Item::Pull { task: task(), ballot: ballot(1, 2), version: Version(0) };
    let refused = Item::Refused { task: task(), ballot: first, promised: ballot(1, 2) };
    assert_eq!(told, Told { sent: vec![(2, asked), (4, refused)], ..Told::nothing() });
    assert_eq!(node.copy(), None);
}

#[test]
fn a_placement_that_no_gateway_may_make_is_not_mine() {
    let first = birth_ballot(0, 7);
    let lawful = first_register(&[0, 1, 2], 1);
    let second = Register { state: State::Assigned(attempt(2, 1)), ..lawful.clone() };
    let why = String::new();
    let failed = FailedAttempt { attempt: attempt(1, 1), at: START, why, fault: Fault::Node };
    let cases = [
        ("without this node", first, first_register(&[0, 2, 3], 0)),
        ("too few holders", first, first_register(&[0, 1], 1)),
        ("driven by another than the first", birth_ballot(1, 7), lawful.clone()),
        ("of a later term", ballot(1, 0), lawful.clone()),
        ("not joint with its home list", first, Register { joint: None, ..lawful.clone() }),
        ("the second attempt", first, second),
        ("failed before it was born", first, Register { failed: vec![failed], ..lawful }),
    ];
    for (what, ballot, register) in cases {
        let mut node = Node::new(1);
        let told = node.hear(4, place(&birth(), ballot, &register, None));
        let home = (0..5).map(at).collect();
        assert_eq!(told, Told::sent(4, Item::NotMine { task: task(), home }), "{what}");
        assert_eq!(node.copy(), None, "{what}");
    }
}

#[test]
fn a_placement_whose_key_is_older_than_the_memory_is_too_old() {
    let mut node = Node::new(1);
    let floor = Wall(START.0 - 24 * 3600 * 1000);
    let old = mesh_proto::task::Spec { born: Wall(floor.0 - 1), ..spec() };
    let told = node.hear(4, place(&birth_of(&old), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1), None));
    assert_eq!(told, Told::sent(4, Item::TooOld { task: task(), floor, ended: None }));
    let young = birth_of(&mesh_proto::task::Spec { born: floor, ..spec() });
    let (ballot, register) = (birth_ballot(0, 7), first_register(&[0, 1, 2], 1));
    assert_eq!(node.hear(4, place(&young, ballot, &register, None)), taken_up(&young, ballot, &register));
}

#[test]
fn a_placement_without_room_is_busy() {
    let (ballot, register) = (birth_ballot(0, 7), first_register(&[0, 1, 2], 1));
    let mut full_disk = Node::new(1);
    full_disk.tasks.disk(false);
    let many = Node::with(1, Config { live_max: 0, ..Config::default() });
    for mut node in [full_disk, many] {
        let told = node.hear(4, place(&birth(), ballot, &register, None));
        assert_eq!(told, Told::sent(4, Item::Busy { task: task(), retry_ms: 1000 }));
        assert_eq!(node.copy(), None);
    }
}

#[test]
fn an_abandoned_placement_is_forgotten_unless_something_came_of_it() {
    let abandon = |nonce| Item::Abandon { task: task(), ballot: birth_ballot(0, nonce) };
    let mut node = Node::holding(1, &spec());
    assert_eq!(node.hear(4, abandon(6)), Told::nothing());
    let dropped = Told { facts: vec![Fact::Dropped { tasks: vec![task()] }], ..Told::nothing() };
    assert_eq!(node.hear(4, abandon(7)), dropped);
    assert_eq!((node.copy(), node.promised()), (None, None));

    let mut promised = Node::holding(1, &spec());
    promised.hear(2, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START });
    for mut node in [Node::born(1, &spec()), promised] {
        assert_eq!(node.hear(4, abandon(7)), Told::nothing());
        assert!(node.copy().is_some());
    }
}

#[test]
fn a_promise_is_on_disk_with_its_answer_and_said_again() {
    for (mut node, held_here) in [(Node::born(1, &spec()), true), (Node::new(1), false)] {
        let first = birth_ballot(0, 7);
        let held = held_here.then(|| held(&birth(), first, &first_register(&[0, 1, 2], 1)));
        let asked = Item::Prepare { task: task(), ballot: ballot(1, 2), born: START };
        let promise = Told::sent(2, Item::Promise { task: task(), ballot: ballot(1, 2), held });
        let fact = Fact::Promised { task: task(), ballot: ballot(1, 2), at: START };
        let told = node.hear(2, asked.clone());
        assert_eq!(told.facts, [fact]);
        assert_eq!(Told { facts: Vec::new(), ..told }, promise);
        assert_eq!(node.hear(2, asked), promise, "again");
        assert_eq!(node.promised(), Some(ballot(1, 2)));
        let lower = Item::Prepare { task: task(), ballot: ballot(1, 0), born: START };
        let (low, high) = (ballot(1, 0).min(ballot(1, 2)), ballot(1, 0).max(ballot(1, 2)));
        if low == ballot(1, 0) {
            let refused = Item::Refused { task: task(), ballot: low, promised: high };
            assert_eq!(node.hear(0, lower), Told::sent(0, refused));
        }
        let birth = Item::Prepare { task: task(), ballot: first, born: START };
        let refused = Item::Refused { task: task(), ballot: first, promised: ballot(1, 2) };
        assert_eq!(node.hear(0, birth), Told::sent(0, refused));
        assert_eq!(node.promised(), Some(ballot(1, 2)));
    }
}

#[test]
fn nothing_is_promised_to_another_than_the_ballots_driver() {
    let mut node = Node::born(1, &spec());
    assert_eq!(node.hear(3, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START }), Told::nothing());
    assert_eq!(node.promised(), Some(birth_ballot(0, 7)));
}

#[test]
fn nothing_is_promised_for_what_may_have_been_forgotten() {
    let floor = Wall(START.0 - 24 * 3600 * 1000);
    let asked_of = |born| Item::Prepare { task: task(), ballot: ballot(1, 2), born };
    // Older than what is kept: had it been here and ended, that would be remembered.
    let told = Node::new(1).hear(2, asked_of(Wall(floor.0 - 1)));
    assert!(matches!(told.sent.as_slice(), [(2, Item::Promise { held: None, .. })]), "{told:?}");
    // So old that it would not.
    let asked = asked_of(Wall(START.0 - 4 * (24 * 3600 + 60) * 1000 - 1));
    let mut node = Node::new(1);
    assert_eq!(node.hear(2, asked.clone()), Told::sent(2, Item::TooOld { task: task(), floor, ended: None }));
    assert_eq!(node.promised(), None);
    // What is held is not forgotten.
    let told = Node::born(1, &spec()).hear(2, asked);
    assert!(matches!(told.sent.as_slice(), [(2, Item::Promise { held: Some(_), .. })]), "{told:?}");
}

#[test]
fn what_no_honest_driver_writes_is_not_taken() {
    let lawful = first_register(&[0, 1, 2], 1);
    let failed = FailedAttempt { attempt: attempt(1, 1), at: START, why: String::new(), fault: Fault::Program };
    let cases = [
        ("no room for the end", Register { failed: vec![failed; 63], ..lawful.clone() }),
        ("the last number", Register { state: State::Assigned(attempt(u32::MAX, 1)), ..lawful.clone() }),
        ("nobody", Register { holders: vec![], ..lawful.clone() }),
        ("one twice", Register { holders: holders(&[0, 1, 1]), ..lawful.clone() }),
        ("a list of nobody", Register { passed_by: vec![vec![]], ..lawful.clone() }),
    ];
    let write = |register: &Register, from| Item::Write {
        task: task(),
        ballot: ballot(1, from),
        version: Version(2),
        register: Arc::new(register.clone()),
        birth: None,
    };
    for (what, register) in cases {
        let mut node = Node::born(2, &spec());
        assert_eq!(node.hear(0, write(&register, 0)), Told::nothing(), "{what}");
    }
    let mut node = Node::born(2, &spec());
    assert_eq!(node.hear(0, write(&lawful, 1)), Told::nothing(), "for another driver");
    assert_eq!(node.hear(0, write(&lawful, 0)).facts.len(), 1);
}

#[test]
fn an_end_of_its_own_that_was_not_in_force_is_kept_as_a_result_when_another_goes_on_without() {
    let mut node = Node::holding(1, &spec());
    let (mine, theirs) = (ballot(1, 1), ballot(2, 2));
    // It drove, ran it itself, and wrote the end on its own disk alone.
    let register = Arc::new(ended(START));
    node.hear(1, Item::Write { task: task(), ballot: mine, version: Version(2), register, birth: None });
    let live = Register { joint: None, ..first_register(&[0, 1, 2], 2) };
    let write =
        Item::Write { task: task(), ballot: theirs, version: Version(2), register: Arc::new(live), birth: None };
    let told = node.hear(2, write);
    let [Fact::Kept { attempt: 1, holders, .. }, Fact::Written { .. }] = told.facts.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(holders, &[at(0), at(1), at(2)]);
    let told = node.pass_ms(60_000);
    assert!(told.sent.iter().any(|(to, item)| *to == 2 && matches!(item, Item::Report { attempt: 1, .. })), "{told:?}");
}

#[test]
fn two_placements_of_one_gateway_in_one_millisecond_are_two_births() {
    let mut node = Node::holding(1, &spec());
    let other = Arc::new(Birth { home: holders(&[0, 1, 2, 3]), ..Birth::clone(&birth()) });
    let register = Arc::new(Register { joint: None, ..first_register(&[0, 1, 2], 1) });
    let write =
        Item::Write { task: task(), ballot: ballot(1, 2), version: Version(2), register, birth: Some(other.clone()) };
    let told = node.hear(2, write);
    let [Fact::Held { birth, .. }] = told.facts.as_slice() else { panic!("{told:?}") };
    assert_eq!(*birth, other);
}

#[test]
fn bare_promises_are_bounded() {
    let mut node = Node::with(1, Config { live_max: 2, ..Config::default() });
    let asked = |n| Item::Prepare { task: TaskId::from_bytes([n; 32]), ballot: ballot(1, 2), born: START };
    for n in 1..=8 {
        assert_eq!(node.hear(2, asked(n)).facts.len(), 1);
    }
    assert_eq!(node.hear(2, asked(9)), Told::nothing());
    assert_eq!(node.tasks.counters().promises_full, 1);
}

/// Those above copies are as many as there are copies, and in nobody's way.
#[test]
fn a_promise_above_a_copy_takes_none_of_the_room_for_bare_ones() {
    let mut node = Node::with(1, Config { live_max: 1, ..Config::default() });
    node.hear(0, place(&birth(), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1), None));
    let asked = |n| Item::Prepare { task: TaskId::from_bytes([n; 32]), ballot: ballot(1, 2), born: START };
    node.hear(2, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START });
    let kept = (1..=9).filter(|n| !node.hear(2, asked(*n)).facts.is_empty()).count();
    assert_eq!(kept, 4);
}

fn write(stamp: (Ballot, Version), register: &Register, with_birth: bool) -> Item {
    let (ballot, version) = stamp;
    let birth = with_birth.then(birth);
    Item::Write { task: task(), ballot, version, register: Arc::new(register.clone()), birth }
}

fn wrote(stamp: (Ballot, Version)) -> Told {
    Told::sent(2, Item::Wrote { task: task(), ballot: stamp.0, version: stamp.1 })
}

fn second() -> Register {
    Register { joint: None, passed_by: vec![], state: State::Assigned(attempt(2, 2)), ..first_register(&[0, 1, 2], 1) }
}

#[test]
fn a_write_below_the_promise_is_refused() {
    let mut node = Node::born(1, &spec());
    node.hear(2, Item::Prepare { task: task(), ballot: ballot(1, 2), born: START });
    let before = node.copy();
    let low = birth_ballot(0, 7);
    let told = node.hear(0, write((low, Version(2)), &second(), false));
    assert_eq!(told, Told::sent(0, Item::Refused { task: task(), ballot: low, promised: ballot(1, 2) }));
    assert_eq!(node.copy(), before);
}

#[test]
fn a_write_to_who_lacks_the_birth_asks_for_it() {
    let mut node = Node::new(1);
    let stamp = (ballot(1, 2), Version(2));
    let told = node.hear(2, write(stamp, &second(), false));
    assert_eq!(told, Told::sent(2, Item::LacksBirth { task: task(), ballot: stamp.0 }));
    assert_eq!(node.copy(), None);
    let register = Arc::new(second());
    let fact = Fact::Held { birth: birth(), ballot: stamp.0, version: stamp.1, register };
    assert_eq!(node.hear(2, write(stamp, &second(), true)), Told { facts: vec![fact], ..wrote(stamp) });
    assert_eq!(node.copy(), Some((stamp, second())));
}

#[test]
fn a_write_is_taken_once_and_confirmed_again_and_an_older_one_changes_nothing() {
    let mut node = Node::born(1, &spec());
    let (stamp, older) = ((ballot(1, 2), Version(3)), (ballot(1, 2), Version(2)));
    let register = Arc::new(second());
    let fact = Fact::Written { task: task(), ballot: stamp.0, version: stamp.1, register };
    assert_eq!(node.hear(2, write(stamp, &second(), false)), Told { facts: vec![fact], ..wrote(stamp) });
    assert_eq!(node.promised(), Some(stamp.0), "a write is a promise");
    assert_eq!(node.hear(2, write(stamp, &second(), true)), wrote(stamp));
    assert_eq!(node.hear(2, write(older, &first_register(&[0, 1, 2], 1), false)), wrote(older));
    assert_eq!(node.copy(), Some((stamp, second())));
}

#[test]
fn a_write_with_another_birth_replaces_the_one_held() {
    let mut node = Node::holding(1, &spec());
    let other = Arc::new(mesh_proto::task::Birth { gateway: at(3), ..mesh_proto::task::Birth::clone(&birth()) });
    let (ballot, version, register) = (ballot(1, 2), Version(2), Arc::new(second()));
    let told = node
        .hear(2, Item::Write { task: task(), ballot, version, register: register.clone(), birth: Some(other.clone()) });
    let fact = Fact::Held { birth: other.clone(), ballot, version, register };
    assert_eq!(told, Told { facts: vec![fact], ..wrote((ballot, version)) });
    assert_eq!(node.tasks.shelf().copy(&task()).map(|copy| copy.birth.clone()), Some(other));
}

#[test]
fn an_orphan_is_taken_over_by_its_next_holder_first() {
    for (rank, after) in [(1, 0), (2, 200)] {
        let mut node = Node::born(rank, &spec());
        assert_eq!(node.call(|tasks, cx| tasks.silent(cx, at(0))), Told::nothing());
        if after > 0 {
            assert_eq!(node.pass_ms(after - 1), Told::nothing());
        }
        let told = node.pass(Duration::from_millis(u64::from(after > 0)));
        let fact = Fact::Promised { task: task(), ballot: ballot(1, rank), at: node.now.wall };
        assert_eq!(told.facts, [fact], "{rank}");
    }
}

#[test]
fn a_promise_is_spent_when_a_majority_has_gone_on_without_it() {
    let in_force = |driver, term| Item::InForce {
        task: task(),
        ballot: ballot(term, driver),
        version: Version(3),
        complete: false,
    };
    let mut node = Node::new(3);
    node.hear(0, Item::Prepare { task: task(), ballot: ballot(2, 0), born: Wall(u64::MAX) });
    // Neither by what another wrote, before it or after, nor by the word of somebody else.
    assert_eq!(node.hear(1, in_force(1, 1)), Told::nothing());
    assert_eq!(node.hear(1, in_force(1, 3)), Told::nothing());
    assert_eq!(node.hear(2, in_force(0, 2)), Told::nothing());
    assert_eq!(node.promised(), Some(ballot(2, 0)));
    let spent = Told { facts: vec![Fact::Dropped { tasks: vec![task()] }], ..Told::nothing() };
    assert_eq!(node.hear(0, in_force(0, 2)), spent);
    assert_eq!(node.promised(), None);
}

#[test]
fn who_has_left_the_mesh_takes_no_new_record() {
    let mut node = Node::new(1);
    node.call(|tasks, cx| tasks.member(cx, at(1), holder(1).store, false));
    let (ballot_of_birth, register) = (birth_ballot(0, 7), first_register(&[0, 1, 2], 1));
    let told = node.hear(4, place(&birth(), ballot_of_birth, &register, None));
    assert!(matches!(told.sent.as_slice(), [(4, Item::NotMine { .. })]), "{told:?}");
    let write = Item::Write {
        task: task(),
        ballot: ballot(1, 0),
        version: Version(2),
        register: Arc::new(ended(START)),
        birth: Some(birth()),
    };
    assert_eq!(node.hear(0, write.clone()), Told::nothing());
    assert_eq!(node.copy(), None);
    // What it promised for it takes: somebody counts on that, perhaps to find another in its place.
    node.hear(0, Item::Prepare { task: task(), ballot: ballot(1, 0), born: Wall(u64::MAX) });
    assert_eq!(node.hear(0, write).facts.len(), 1);
}
