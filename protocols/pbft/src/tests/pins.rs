//! States that are kept for those that fetch them.

use super::bench::*;
use crate::{Effect, Rejection};
use mesh_proto::{
    id::NodeId,
    pbft::{Fetch, Message, Part, Sequence},
};
use std::time::Duration;

/// Checklist item 35: who asks a moment too late for what was stable until now has it all the same.
#[test]
fn what_was_stable_until_now_can_be_fetched() {
    let mut bench = Bench::new(1, 4);
    let reader = bench.node(3);
    [8, 16].into_iter().for_each(|stable| make_stable(&mut bench, stable));
    assert_eq!(kept(&bench), [seq(8)]);
    make_stable(&mut bench, 24);
    assert_eq!(kept(&bench), [seq(16)]);
    assert_eq!(ask_for_state(&mut bench, reader, 16), Ok(()));
    assert_eq!(ask_for_state(&mut bench, reader, 8), Err(No::Rejected(Rejection::Unasked)));
    make_stable(&mut bench, 32);
    assert_eq!(kept(&bench), [seq(16), seq(24)]);
}

/// What was kept at the last stable checkpoint beside its own state.
fn kept(bench: &Bench) -> Vec<Sequence> {
    let kept = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Release { except, .. } => Some(except.clone()),
        _ => None,
    });
    kept.unwrap()
}

fn ask_for_state(bench: &mut Bench, from: NodeId, sequence: u64) -> Result<(), No> {
    bench.give_from(from, Message::Fetch(Fetch::State { sequence: seq(sequence), part: Part::State, index: 0 }))
}

fn make_stable(bench: &mut Bench, sequence: u64) {
    bench.order_up_to(seq(sequence));
    bench.stabilize(seq(sequence));
}

/// Checklist item 35: who goes on asking for an old state does not have it kept in place of what another fetches.
#[test]
fn a_pin_of_one_is_not_in_the_way_of_another() {
    let mut bench = Bench::new(1, 4);
    let (liar, reader) = (bench.node(0), bench.node(3));
    make_stable(&mut bench, 8);
    ask_for_state(&mut bench, liar, 8).unwrap();
    make_stable(&mut bench, 16);
    ask_for_state(&mut bench, liar, 8).unwrap();
    ask_for_state(&mut bench, reader, 16).unwrap();
    make_stable(&mut bench, 24);
    assert_eq!(kept(&bench), [seq(8), seq(16)]);
    assert_eq!(ask_for_state(&mut bench, reader, 16), Ok(()));
    // Of each what it asked for last.
    ask_for_state(&mut bench, liar, 24).unwrap();
    make_stable(&mut bench, 32);
    assert_eq!(kept(&bench), [seq(16), seq(24)]);
}

/// Checklist item 35: a state is kept for a while, however often it is asked for.
#[test]
fn no_pin_is_for_ever() {
    let mut bench = Bench::new(1, 4);
    let liar = bench.node(0);
    make_stable(&mut bench, 8);
    ask_for_state(&mut bench, liar, 8).unwrap();
    make_stable(&mut bench, 16);
    for _ in 0..11 {
        bench.wait(Duration::from_secs(5));
        ask_for_state(&mut bench, liar, 8).unwrap();
    }
    make_stable(&mut bench, 24);
    assert_eq!(kept(&bench), [seq(8), seq(16)], "after 55 s");
    bench.wait(Duration::from_secs(5));
    assert_eq!(ask_for_state(&mut bench, liar, 8), Err(No::Rejected(Rejection::Unasked)), "after 60 s");
    make_stable(&mut bench, 32);
    assert_eq!(kept(&bench), [seq(24)]);
}

/// Checklist item 35: nodes that are no members have a few states kept for them, all of them together, and take no
/// member's place.
#[test]
fn strangers_have_few_pins() {
    let mut bench = Bench::new(1, 4);
    let stranger = |n: u8| gateway_key(100 + n).node_id();
    for n in 0..6 {
        make_stable(&mut bench, 8 * (u64::from(n) + 1));
        ask_for_state(&mut bench, stranger(n), 8 * (u64::from(n) + 1)).unwrap();
    }
    let reader = bench.node(3);
    ask_for_state(&mut bench, reader, 48).unwrap();
    make_stable(&mut bench, 56);
    assert_eq!(kept(&bench), [8, 16, 24, 32, 48].map(seq));
}

/// Checklist item 35: nor do strangers that go on asking keep the next one out for ever.
#[test]
fn who_had_a_state_kept_for_long_makes_room() {
    let mut bench = Bench::new(1, 4);
    let stranger = |n: u8| gateway_key(100 + n).node_id();
    make_stable(&mut bench, 8);
    for _ in 0..7 {
        for n in 0..4 {
            ask_for_state(&mut bench, stranger(n), 8).unwrap();
            bench.wait(Duration::from_millis(1));
        }
        bench.wait(Duration::from_secs(9));
    }
    make_stable(&mut bench, 16);
    ask_for_state(&mut bench, stranger(4), 16).unwrap();
    make_stable(&mut bench, 24);
    assert_eq!(kept(&bench), [8, 16].map(seq), "the fifth has a place");
    // One that lost its own may have that of another that is as old, and not of one that has just come.
    (0..3).for_each(|n| ask_for_state(&mut bench, stranger(n), 24).unwrap());
    make_stable(&mut bench, 32);
    assert_eq!(kept(&bench), [16, 24].map(seq));
    ask_for_state(&mut bench, stranger(3), 32).unwrap();
    ask_for_state(&mut bench, stranger(5), 32).unwrap();
    make_stable(&mut bench, 40);
    assert_eq!(kept(&bench), [16, 24, 32].map(seq), "nobody else was there for long, and 32 was the last");
}
