use super::world::{World, delete, done, put, put_for, rejected, swap, version_of};
use crate::{Order, Rules};
use mesh_proto::{
    id::Digest,
    ledger::{Body, Checked, Command, Done, Expect, MemoryItem, Outcome, Query, Rejection, Row},
    task::Octets,
};
use proptest::{collection::vec, prelude::*};
use std::{borrow::Cow, collections::BTreeMap};

fn get(world: &World, key: &str) -> Option<MemoryItem> {
    let query = Query::Get { namespace: "swarm".parse().unwrap(), key: key.parse().unwrap() };
    let row = world.ledger.answer(&query).rows.pop()?;
    let Row::Memory { item, .. } = row else { panic!("{row:?}") };
    Some(item)
}

fn value(world: &World, key: &str) -> Option<String> {
    get(world, key).map(|item| String::from_utf8(item.value.to_vec()).unwrap())
}

fn hash(text: &str) -> Expect {
    Expect::Value(Digest::from_bytes(*blake3::hash(text.as_bytes()).as_bytes()))
}

/// Whether a replica reads a put in place or as any other command, its state is the same: also what is refused, repeated,
/// or another command under an id that ran.
#[test]
fn a_put_is_the_same_however_it_is_read() {
    let (mut world, mut other) = (World::new(), World::new());
    for round in 0..4 {
        let key = if round % 2 == 0 { "a" } else { "b" };
        let mut commands = vec![
            world.command("ada", put(key, "1")),
            world.command("bob", put_for("c", "2", Some(round * 700))),
            world.command("ada", put_for("c", "3", Some(0))),
        ];
        commands[2].id.key = Octets::default();
        commands.push(commands[0].clone());
        commands.push(Command { body: put(key, "other"), ..commands[1].clone() });
        let commands: Vec<Checked> = commands.into_iter().map(Checked::committed).collect();
        let orders: Vec<Order<'_>> = commands.iter().map(|command| Order::Command(Cow::Borrowed(command))).collect();
        let (index, now) = (world.ledger.index().next(), world.now);
        assert_eq!(world.ledger.apply(index, now, &commands), other.ledger.execute(index, now, &orders));
        assert_eq!(world.ledger.root(), other.ledger.root());
        world.pass(1000);
    }
}

#[test]
fn what_is_put_is_there_and_what_is_deleted_is_not() {
    let mut world = World::new();
    let written = |index| done(Done::Written { version: version_of(index) });
    let steps: [(Body, Outcome, Option<&str>); 6] = [
        (delete("a"), done(Done::Deleted { found: false }), None),
        (put("a", "1"), written(2), Some("1")),
        (put("a", "2"), written(3), Some("2")),
        (put("b", "3"), written(4), Some("2")),
        (delete("a"), done(Done::Deleted { found: true }), None),
        (put("a", ""), written(6), Some("")),
    ];
    for (at, (body, outcome, after)) in steps.into_iter().enumerate() {
        assert_eq!(world.run(body), outcome, "{at}");
        assert_eq!(value(&world, "a").as_deref(), after, "{at}");
    }
    assert_eq!(value(&world, "b").as_deref(), Some("3"));
}

#[test]
fn a_swap_is_made_where_it_finds_what_it_expects() {
    let mut world = World::new();
    let mismatch = |version| rejected(Rejection::Mismatch { version });
    assert_eq!(world.run(swap("a", Expect::Version(0), Some("x"))), mismatch(None));
    assert_eq!(world.run(swap("a", hash(""), Some("x"))), mismatch(None));
    let first = version_of(3);
    assert_eq!(world.run(swap("a", Expect::Absent, Some("1"))), done(Done::Written { version: first }));
    assert_eq!(world.run(swap("a", Expect::Absent, Some("x"))), mismatch(Some(first)));
    assert_eq!(world.run(swap("a", hash("2"), Some("x"))), mismatch(Some(first)));
    assert_eq!(world.run(swap("a", hash("1"), Some("2"))), done(Done::Written { version: version_of(6) }));
    assert_eq!(world.run(swap("a", Expect::Version(first), Some("x"))), mismatch(Some(version_of(6))));
    assert_eq!(value(&world, "a").as_deref(), Some("2"));
    assert_eq!(world.run(swap("a", Expect::Version(version_of(6)), None)), done(Done::Deleted { found: true }));
    assert_eq!(value(&world, "a"), None);
    assert_eq!(world.run(swap("a", Expect::Absent, None)), done(Done::Deleted { found: false }));
}

/// Else who was answered with the first version would overwrite the third value, thinking that it is the first.
#[test]
fn a_version_is_not_given_twice_within_a_batch() {
    let mut world = World::new();
    let bodies = [put("a", "1"), put("a", "2"), delete("a"), put("a", "3"), swap("a", hash("3"), None), put("a", "4")];
    let commands = bodies.into_iter().map(|body| world.command("ada", body)).collect();
    let versions: Vec<u64> = world
        .batch(commands)
        .into_iter()
        .filter_map(|outcome| match outcome {
            Outcome::Done(Done::Written { version }) => Some(version),
            _ => None,
        })
        .collect();
    let first = version_of(1);
    assert_eq!(versions, [first, first + 1, first + 2, first + 3]);
    world.run(delete("a"));
    assert_eq!(world.run(put("a", "5")), done(Done::Written { version: version_of(3) }));
}

#[test]
fn what_has_expired_is_absent_at_once_and_gone_later() {
    let mut world = World::new();
    world.run(put_for("a", "1", Some(1000)));
    world.pass(999).run(put("other", ""));
    assert_eq!(value(&world, "a").as_deref(), Some("1"));
    assert_eq!(world.ledger.next_expiry(), None, "nobody ticks for memory");
    world.pass(1);
    assert_eq!(world.run(swap("a", Expect::Absent, Some("2"))), done(Done::Written { version: version_of(3) }));
    world.run(put_for("a", "3", Some(1000)));
    world.pass(1000);
    assert_eq!(world.run(delete("a")), done(Done::Deleted { found: false }), "it had expired");
    world.run(put_for("a", "4", Some(1)));
    world.pass(1).tick();
    assert_eq!(value(&world, "a"), None);
    let left = |tag| world.ledger.snapshot().below(tag, 10).len();
    assert_eq!(left(b"m"), 1, "the room is given back, but for the other's");
    assert_eq!(left(b"y"), 0, "each expiry is forgotten with its value");
}

#[test]
fn a_full_state_takes_no_more_but_lets_delete() {
    let mut world = World::with(Rules { state_bytes: 6000, ..Rules::default() }, 1);
    let long = "x".repeat(1000);
    let mut taken = 0;
    while let Outcome::Done(_) = world.run(put(&format!("k{taken}"), &long)) {
        taken += 1;
    }
    assert!((1..6).contains(&taken), "{taken}");
    assert_eq!(world.run(put("more", &long)), rejected(Rejection::Full));
    assert_eq!(world.run(swap("more", Expect::Absent, Some(&long))), rejected(Rejection::Full));
    assert_eq!(world.run(delete("k0")), done(Done::Deleted { found: true }));
    assert!(matches!(world.run(put("small", "")), Outcome::Done(Done::Written { .. })));
}

#[test]
fn many_that_expire_at_once_go_at_a_bounded_rate() {
    let mut world = World::new();
    let bodies: Vec<Body> = (0..500).map(|n| put_for(&format!("k{n}"), "v", Some(10))).collect();
    let commands = bodies.into_iter().map(|body| world.command("ada", body)).collect();
    world.batch(commands);
    world.pass(10);
    let left = |world: &World| world.ledger.snapshot().below(b"m", 1000).len();
    let mut before = left(&world);
    assert_eq!(before, 500);
    while before > 0 {
        world.batch(vec![]);
        let after = left(&world);
        assert!(after < before && before - after <= 64, "{before} to {after}");
        before = after;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, Option<u64>),
    Delete(u8),
    SwapAbsent(u8, u8),
    /// The version that the key had so many writes ago, as the model remembers.
    SwapVersion(u8, usize, Option<u8>),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..4u8;
    prop_oneof![
        (key.clone(), any::<u8>(), prop::option::of(1..50u64)).prop_map(|(k, v, ttl)| Step::Put(k, v, ttl)),
        key.clone().prop_map(Step::Delete),
        (key.clone(), any::<u8>()).prop_map(|(k, v)| Step::SwapAbsent(k, v)),
        (key, 0..3usize, prop::option::of(any::<u8>())).prop_map(|(k, ago, v)| Step::SwapVersion(k, ago, v)),
        (0..40u64).prop_map(Step::Pass),
    ]
}

/// A plain map from keys to values with a date, and all versions that each key ever had.
#[derive(Default)]
struct Model {
    now: u64,
    items: BTreeMap<u8, (u8, u64, Option<u64>)>,
    versions: BTreeMap<u8, Vec<u64>>,
}

impl Model {
    fn live(&mut self, key: u8) -> Option<(u8, u64)> {
        let (value, version, until) = *self.items.get(&key)?;
        until.is_none_or(|until| until > self.now).then_some((value, version))
    }
}

proptest! {
    #[test]
    fn memory_is_a_map(batches in vec(vec(step(), 0..6), 0..30)) {
        let (mut world, mut model) = (World::new(), Model::default());
        for batch in batches {
            let mut steps = Vec::new();
            for step in batch {
                match step {
                    // Between batches, as agreed time is.
                    Step::Pass(ms) => {
                        world.pass(ms);
                        model.now += ms;
                    }
                    step => steps.push(step),
                }
            }
            let bodies: Vec<Body> = steps.iter().map(|step| {
                let name = |key: &u8| format!("k{key}");
                match step {
                    Step::Put(key, value, ttl) => put_for(&name(key), &value.to_string(), *ttl),
                    Step::Delete(key) => delete(&name(key)),
                    Step::SwapAbsent(key, value) => swap(&name(key), Expect::Absent, Some(&value.to_string())),
                    Step::SwapVersion(key, ago, value) => {
                        let known = model.versions.get(key).and_then(|versions| versions.iter().rev().nth(*ago));
                        let value = value.map(|value| value.to_string());
                        swap(&name(key), Expect::Version(known.copied().unwrap_or(7)), value.as_deref())
                    }
                    Step::Pass(_) => unreachable!("taken out above"),
                }
            }).collect();
            let expected: Vec<Expect> = bodies.iter().filter_map(|body| match body {
                Body::MemoryCompareAndSwap { expect, .. } => Some(*expect),
                _ => None,
            }).collect();
            let mut expected = expected.into_iter();
            let commands = bodies.into_iter().map(|body| world.command("ada", body)).collect();
            for (step, outcome) in steps.iter().zip(world.batch(commands)) {
                let (key, write, ttl) = match *step {
                    Step::Put(key, value, ttl) => (key, Some(value), ttl),
                    Step::Delete(key) => (key, None, None),
                    Step::SwapAbsent(key, value) => (key, Some(value), None),
                    Step::SwapVersion(key, _, value) => (key, value, None),
                    Step::Pass(_) => unreachable!("taken out above"),
                };
                let live = model.live(key);
                let agrees = match step {
                    Step::SwapAbsent(..) | Step::SwapVersion(..) => match expected.next().unwrap() {
                        Expect::Absent => live.is_none(),
                        Expect::Version(version) => live.is_some_and(|(_, has)| has == version),
                        Expect::Value(_) => unreachable!("not drawn"),
                    },
                    _ => true,
                };
                match (agrees, write, outcome) {
                    (false, _, outcome) => {
                        let version = live.map(|(_, version)| version);
                        prop_assert_eq!(outcome, rejected(Rejection::Mismatch { version }));
                    }
                    (true, Some(value), Outcome::Done(Done::Written { version })) => {
                        let versions = model.versions.entry(key).or_default();
                        prop_assert!(versions.iter().all(|before| *before < version), "versions grow");
                        versions.push(version);
                        model.items.insert(key, (value, version, ttl.map(|ttl| model.now + ttl)));
                    }
                    (true, None, outcome) => {
                        prop_assert_eq!(outcome, done(Done::Deleted { found: live.is_some() }));
                        model.items.remove(&key);
                    }
                    (true, Some(_), outcome) => prop_assert!(false, "{:?}", outcome),
                }
            }
            for key in 0..4 {
                let live = model.live(key).map(|(value, _)| value.to_string());
                prop_assert_eq!(value(&world, &format!("k{key}")), live);
            }
        }
    }
}
