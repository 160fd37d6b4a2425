use super::node::*;
use crate::{Fact, Shelf};
use mesh_proto::{
    codec::{decode, encode},
    id::TaskId,
    task::{Ballot, Register, Version},
    time::Wall,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// Facts about few tasks, so that they meet.
fn any_fact() -> impl Strategy<Value = Fact> {
    let register = |is_ended: bool, at: u64| match is_ended {
        true => ended(Wall(at)),
        false => Register { joint: None, ..first_register(&[0, 1, 2], 1) },
    };
    let stamp = (0..4u32, 1..5u32).prop_map(|(term, version)| (ballot(term, 0), Version(version)));
    let written = (0..3u8, stamp, any::<bool>(), 0..9u64, any::<bool>()).prop_map(
        move |(key, (ballot, version), is_ended, at, is_held)| {
            let spec = mesh_proto::task::Spec { key: mesh_proto::task::TaskKey::Own(vec![key]), ..spec() };
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
    let outcome = || Arc::new(exit(0));
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

/// All of a shelf that is to survive.
fn state(shelf: &Shelf) -> impl PartialEq + std::fmt::Debug {
    let promised: Vec<Option<Ballot>> = (0..4).map(|key| shelf.promised(&id(key))).collect();
    let bare: Vec<_> = shelf.bare_promises().map(|(task, promise)| (*task, *promise)).collect();
    let (copies, outbox) = (shelf.copies().clone(), shelf.outbox().clone());
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
        for copy in whole.copies().values() {
            let is_ended = whole.ended().iter().any(|(_, task)| *task == copy.birth.task);
            prop_assert!(copy.is_live() != is_ended && copy.is_live() == whole.live().contains(&copy.birth.task));
        }
        prop_assert_eq!(whole.live().len() + whole.ended().len(), whole.copies().len());
    }
}
