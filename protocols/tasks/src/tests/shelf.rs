use super::node::*;
use crate::{Copy, Fact, Naming, Shelf};
use mesh_proto::{
    codec::{decode, encode},
    id::{BlobId, NodeId, StoreId, TaskId},
    task::{Attempt, Ballot, BlobRef, Ending, FailedAttempt, Fault, Holder, How, Payload, Register, State, Version},
    time::Wall,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

/// Facts about few tasks, so that they meet.
fn any_fact() -> impl Strategy<Value = Fact> {
    let register = |is_ended: bool, at: u64| match is_ended {
        true => ended(Wall(at)),
        false => Register { joint: None, ..first_register(&[0, 1, 2], 1) },
    };
    let stamp = (0..4u32, 1..5u32).prop_map(|(term, version)| (ballot(term, 0), Version(version)));
    let written = (0..3u8, stamp, any::<bool>(), 0..9u64, any::<bool>()).prop_map(
        move |(key, (ballot, version), is_ended, at, is_held)| {
            // Every second one names a blob.
            let input = if key % 2 == 0 { blob(key) } else { Payload::empty() };
            let key = mesh_proto::task::TaskKey::Own(vec![key]);
            let spec = mesh_proto::task::Spec { key, input, ..spec() };
            let (birth, register) = (birth_of(&spec), Arc::new(register(is_ended, at)));
            match is_held {
                true => Fact::Held { birth, ballot, version, register },
                false => Fact::Written { task: birth.task, ballot, version, register },
            }
        },
    );
    let promised = (0..4u8, 0..6u32, 0..9u64).prop_map(|(key, term, at)| Fact::Promised {
        task: id(key),
        ballot: ballot(term, 1),
        at: Wall(at),
    });
    let outcome = || Arc::new(mesh_proto::task::Outcome { stdout: blob(7), ..exit(0) });
    prop_oneof![
        4 => written,
        2 => promised,
        1 => (0..4u8).prop_map(|key| Fact::Dropped { tasks: vec![id(key)] }),
        1 => (0..9u64).prop_map(|floor| Fact::Floor { floor: Wall(floor) }),
        1 => (0..4u8, 1..3u32).prop_map(move |(key, attempt)| {
            Fact::Kept { task: id(key), attempt, outcome: outcome(), holders: vec![at(0)] }
        }),
        1 => (0..4u8, 1..3u32).prop_map(|(key, attempt)| Fact::Settled { task: id(key), attempt }),
    ]
}

fn id(key: u8) -> TaskId {
    mesh_proto::task::task_id(&NETWORK, "ada", &mesh_proto::task::TaskKey::Own(vec![key]))
}

fn blob(id: u8) -> Payload {
    Payload::Blob(BlobRef {
        id: BlobId::from_bytes([id; 32]),
        size: 1 << 20,
        nodes: vec![at(0), at(usize::from(id % 3))],
    })
}

/// What is named, by reading all that names it.
fn named(shelf: &Shelf) -> Vec<BlobRef> {
    let mut naming = Naming::default();
    shelf.copies(Bound::Unbounded).for_each(|(_, copy)| naming.add(&crate::naming::of_copy(&copy)));
    shelf.outbox().values().for_each(|kept| naming.add(&crate::naming::of_kept(kept)));
    naming.page(None, usize::MAX)
}

/// All of a shelf that is to survive.
fn state(shelf: &Shelf) -> impl PartialEq + std::fmt::Debug {
    let promised: Vec<Option<Ballot>> = (0..4).map(|key| shelf.promised(&id(key))).collect();
    let bare: Vec<_> = shelf.promises_after(None).map(|(task, at)| (*task, at, !shelf.is_held(task))).collect();
    let copies: Vec<_> = shelf.copies(Bound::Unbounded).map(|(task, copy)| (*task, copy.into_owned())).collect();
    let outbox = shelf.outbox().clone();
    (copies, shelf.live().clone(), shelf.ended().clone(), outbox, shelf.floor(), promised, bare)
}

fn put(store: &mut BTreeMap<Vec<u8>, Vec<u8>>, shelf: &mut Shelf) {
    shelf.take_changes(|key, value| {
        match value {
            Some(value) => store.insert(key, value),
            None => store.remove(&key),
        };
    });
}

proptest! {
    /// Whether facts come from the log, or what they led to from the store and the rest from the log, is all the same.
    #[test]
    fn the_store_holds_what_facts_led_to(facts in prop::collection::vec(any_fact(), 0..40), stored in 0..40usize) {
        let (mut whole, mut store) = (Shelf::default(), BTreeMap::new());
        let stored = stored.min(facts.len());
        for (n, fact) in facts.iter().enumerate() {
            if n == stored {
                put(&mut store, &mut whole);
            }
            let fact = decode::<Fact>(&encode(fact), Fact::LIMIT).expect("a fact survives its encoding");
            whole.apply(fact);
        }
        if stored == facts.len() {
            put(&mut store, &mut whole);
        }
        let mut restored = Shelf::default();
        for (key, value) in &store {
            prop_assert_eq!(restored.load(key, value), Ok(true));
        }
        prop_assert_eq!(restored.load(b"mm", &[]), Ok(false), "the key of another");
        for fact in &facts[stored..] {
            restored.apply(fact.clone());
        }
        prop_assert_eq!(format!("{:?}", state(&restored)), format!("{:?}", state(&whole)));
        for (_, copy) in whole.copies(Bound::Unbounded) {
            let is_ended = whole.ended().iter().any(|(_, task)| *task == copy.birth.task);
            prop_assert!(copy.is_live() != is_ended && copy.is_live() == whole.live().contains(&copy.birth.task));
        }
        for shelf in [&whole, &restored] {
            prop_assert_eq!(shelf.naming().page(None, usize::MAX), named(shelf));
        }
        prop_assert_eq!(whole.live().len() + whole.ended().len(), whole.copies_len());
    }
}

/// The members of the home list, and strangers.
fn any_node(n: usize) -> NodeId {
    any_holder(n).node
}

fn any_holder(n: usize) -> Holder {
    match n {
        0..5 => holder(n),
        _ => Holder { node: NodeId::from_bytes([n as u8; 32]), store: StoreId(n as u64) },
    }
}

/// Registers of all kinds.
fn any_register() -> impl Strategy<Value = Register> {
    let names = || prop::collection::vec(0..9usize, 0..5);
    let failed = prop::collection::vec((1..9u32, 0..9usize, ".{0,9}"), 0..4);
    let how = prop_oneof![Just(How::Done), Just(How::Failed), Just(How::Cancelled), Just(How::DeadlinePassed)];
    (
        names(),
        prop::option::of(names()),
        prop::collection::vec(names(), 0..3),
        failed,
        how,
        prop::option::of((1..9u32, 0..9usize)),
        any::<u64>(),
        any::<bool>(),
        0..4u8,
    )
        .prop_map(|(holders, joint, passed_by, failed, how, by, at_ms, has_outcome, kind)| Register {
            holders: holders.into_iter().map(any_holder).collect(),
            joint: joint.map(|joint| joint.into_iter().map(any_holder).collect()),
            passed_by: passed_by.into_iter().map(|list| list.into_iter().map(any_holder).collect()).collect(),
            state: match kind {
                0 => State::Waiting,
                1 => {
                    let (number, node) = by.unwrap_or_default();
                    State::Assigned(Attempt { number, executor: any_node(node), granted: Wall(at_ms) })
                }
                _ => State::Ended(Ending {
                    how,
                    by: by.map(|(attempt, node)| (attempt, any_node(node))),
                    outcome: has_outcome.then(|| exit(3)),
                    at: Wall(at_ms),
                }),
            },
            failed: failed
                .into_iter()
                .map(|(number, node, why)| FailedAttempt {
                    attempt: Attempt { number, executor: any_node(node), granted: Wall(1) },
                    at: Wall(2),
                    why,
                    fault: Fault::Node,
                })
                .collect(),
        })
}

proptest! {
    /// Packed, a record takes less room and is the same.
    #[test]
    fn a_sealed_copy_opens_as_it_was(
        register in any_register(),
        term in any::<u32>(),
        marks in any::<[bool; 3]>(),
        deadline in prop::option::of(any::<u64>().prop_map(Wall)),
    ) {
        let mut shelf = Shelf::default();
        let spec = mesh_proto::task::Spec { deadline, ..spec() };
        let (birth, register) = (birth_of(&spec), Arc::new(register));
        let task = birth.task;
        shelf.apply(Fact::Held { birth, ballot: ballot(term, 4), version: Version(3), register });
        let mark = |shelf: &mut Shelf, n: usize| match n {
            0 => shelf.mark_confirmed(&task),
            1 => shelf.mark_in_force(&task),
            _ => shelf.mark_complete(&task),
        };
        // One mark before it is sealed, the others after.
        let marked: Vec<usize> = (0..3).filter(|n| marks[*n]).collect();
        marked.iter().take(1).for_each(|n| mark(&mut shelf, *n));
        let mut before = shelf.copy(&task).expect("held").into_owned();
        let has_ended = !before.is_live();
        if has_ended {
            shelf.seal(1, |_| true);
            prop_assert_eq!(shelf.unsealed(), 1, "not while it is in use");
            shelf.seal(1, |_| false);
            prop_assert_eq!(shelf.unsealed(), 0);
        } else {
            shelf.seal_resting(1, 1);
            prop_assert_eq!(shelf.fresh(), 1, "not the last that was written");
            shelf.seal_resting(1, 0);
            prop_assert_eq!(shelf.fresh(), 0);
        }
        prop_assert!(shelf.is_packed(&task));
        prop_assert_eq!((shelf.live_copy(&task).is_none(), shelf.is_live(&task)), (has_ended, !has_ended));
        prop_assert_eq!(shelf.stamp(&task), Some(before.stamp()));
        prop_assert_eq!(shelf.end_stamp(&task), has_ended.then(|| before.stamp()));
        prop_assert_eq!(shelf.promised(&task), Some(before.ballot));
        let has_deadline = mesh_proto::task::Spec::decode(&before.birth.spec).is_ok_and(|spec| spec.deadline.is_some());
        prop_assert!(!has_deadline || shelf.may_have_a_deadline(&task));
        prop_assert_eq!(shelf.copy(&task).map(std::borrow::Cow::into_owned), Some(before.clone()));
        marked.iter().skip(1).for_each(|n| mark(&mut shelf, *n));
        before = Copy {
            confirmed: marks[0],
            in_force: marks[1],
            settled: marks[1] && has_ended,
            complete: marks[2],
            ..before
        };
        prop_assert_eq!(shelf.copy(&task).map(std::borrow::Cow::into_owned), Some(before.clone()));
        let glance = shelf.glances(Bound::Unbounded).next().expect("held").1;
        prop_assert_eq!(glance.holders, before.register.holders.as_slice());
        prop_assert_eq!((glance.ended.is_some(), glance.is_confirmed, glance.complete), (has_ended, true, marks[2]));
        // The store has it as it is, and what it is known to be.
        let mut store = BTreeMap::new();
        put(&mut store, &mut shelf);
        let mut restored = Shelf::default();
        for (key, value) in &store {
            prop_assert_eq!(restored.load(key, value), Ok(true));
        }
        let kept = Copy { confirmed: false, in_force: false, ..before };
        prop_assert_eq!(restored.copy(&task).map(std::borrow::Cow::into_owned), Some(kept));
    }
}

fn held_fact(key: u16, register: Register) -> Fact {
    let birth =
        birth_of(&mesh_proto::task::Spec { key: mesh_proto::task::TaskKey::Own(key.to_be_bytes().to_vec()), ..spec() });
    Fact::Held { birth, ballot: ballot(0, 0), version: Version(1), register: Arc::new(register) }
}

fn waiting() -> Register {
    Register { state: State::Waiting, ..first_register(&[0, 1, 2], 1) }
}

/// Else each new record falls beside an old one in the tree of the store, whose pages are read and written again with it.
#[test]
fn copies_lie_in_the_store_in_the_order_in_which_they_came() {
    let (mut shelf, mut last) = (Shelf::default(), Vec::new());
    for round in 0..5u16 {
        (0..20).for_each(|n| shelf.apply(held_fact(round * 20 + n, waiting())));
        assert_eq!(shelf.changed_len(), 20);
        let mut keys = Vec::new();
        shelf.take_changes(|key, _| keys.push(key));
        assert!(keys.is_sorted() && keys[0] > last && keys.len() == 20, "{keys:?}");
        last = keys.pop().expect("twenty");
    }
    // One that is written again stays where it is, and what is dropped leaves its place.
    let Fact::Held { birth, .. } = held_fact(3, waiting()) else { panic!() };
    let store_of = |shelf: &mut Shelf| {
        let mut changes = Vec::new();
        shelf.take_changes(|key, value| changes.push((key, value.is_some())));
        changes
    };
    let register = Arc::new(ended(Wall(5)));
    shelf.apply(Fact::Written { task: birth.task, ballot: ballot(0, 0), version: Version(2), register });
    let written = store_of(&mut shelf);
    assert!(written.len() == 1 && written[0].1 && written[0].0 < last, "{written:?}");
    shelf.apply(Fact::Dropped { tasks: vec![birth.task] });
    let dropped = store_of(&mut shelf);
    assert!(dropped.contains(&(written[0].0.clone(), false)), "{dropped:?}");
}

/// Stores of earlier builds have copies under their ids.
#[test]
fn a_copy_that_lies_under_its_id_stays_there_until_it_is_dropped() {
    let Fact::Held { birth, register, .. } = held_fact(1, waiting()) else { panic!() };
    let task = birth.task;
    let copy = Copy {
        birth,
        ballot: ballot(0, 0),
        version: Version(1),
        register,
        confirmed: false,
        in_force: false,
        settled: false,
        complete: false,
    };
    let key = [b"tc", task.as_bytes().as_slice()].concat();
    let mut shelf = Shelf::default();
    assert_eq!(shelf.load(&key, &encode(&copy)), Ok(true));
    assert_eq!(shelf.copy(&task).map(std::borrow::Cow::into_owned), Some(copy));
    let mut store = BTreeMap::from([(key.clone(), Vec::new())]);
    shelf.apply(Fact::Written { task, ballot: ballot(1, 0), version: Version(2), register: Arc::new(waiting()) });
    put(&mut store, &mut shelf);
    let keys: Vec<_> = store.keys().cloned().collect();
    assert_eq!(keys, [key]);
    let mut restored = Shelf::default();
    store.iter().for_each(|(key, value)| assert_eq!(restored.load(key, value), Ok(true)));
    assert_eq!(restored.stamp(&task), Some((ballot(1, 0), Version(2))));
    shelf.apply(Fact::Dropped { tasks: vec![task] });
    put(&mut store, &mut shelf);
    assert!(store.is_empty());
}

/// Under its id it would lie for good: a task that is forgotten would be back after a start.
#[test]
fn a_copy_of_an_earlier_build_that_is_dropped_and_comes_again_lies_in_one_place() {
    let Fact::Held { birth, register, .. } = held_fact(1, waiting()) else { panic!() };
    let task = birth.task;
    let (ballot, version) = (ballot(0, 0), Version(1));
    let flags =
        Copy { birth, ballot, version, register, confirmed: false, in_force: false, settled: false, complete: false };
    let key = [b"tc", task.as_bytes().as_slice()].concat();
    let mut shelf = Shelf::default();
    assert_eq!(shelf.load(&key, &encode(&flags)), Ok(true));
    let mut store = BTreeMap::from([(key, encode(&flags))]);
    shelf.apply(Fact::Dropped { tasks: vec![task] });
    shelf.apply(held_fact(1, waiting()));
    put(&mut store, &mut shelf);
    assert_eq!(store.len(), 1, "{store:?}");
    let later = crate::tests::node::ballot(1, 0);
    shelf.apply(Fact::Written { task, ballot: later, version: Version(2), register: Arc::new(waiting()) });
    put(&mut store, &mut shelf);
    let mut restored = Shelf::default();
    store.iter().for_each(|(key, value)| assert_eq!(restored.load(key, value), Ok(true)));
    assert_eq!(restored.stamp(&task), Some((later, Version(2))));
}

#[test]
fn an_entry_that_names_nobody_is_refused() {
    let mut shelf = Shelf::default();
    shelf.apply(held_fact(1, waiting()));
    let mut store = BTreeMap::new();
    put(&mut store, &mut shelf);
    let (key, value) = store.pop_first().expect("one");
    // The holders are the first three of the home list.
    let at = value.windows(6).position(|bytes| bytes == [0x61, b'h', 0x83, 0, 1, 2]).expect("named by their places");
    let mut broken = value.clone();
    broken[at + 3] = 5;
    assert!(Shelf::default().load(&key, &broken).is_err());
    assert_eq!(Shelf::default().load(&key, &value), Ok(true));
}
