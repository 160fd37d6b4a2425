//! What peers say, whatever it is, neither ends this process nor fills its memory.

use super::world::{World, ask, id};
use crate::aggregation::{Aggregations, Config, Effect, Operation};
use mesh_proto::{
    aggregate::{Aggregate, AggregateId, Fold, Share, Subject},
    fixed::Fixed,
    id::NodeId,
    time::{Mono, Now, Wall},
};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

const NOW: Now = Now { mono: Mono(5_000_000), wall: Wall(5_000) };

fn share(origin: NodeId, number: u64) -> Share {
    let subject = Subject { fold: Fold::Sum, name: "load".into(), length: 1 };
    let id = AggregateId { origin, number };
    Share { id, subject, life: 9, turn: 1, left_ms: 10_000, given: vec![], extremes: vec![] }
}

fn machine(config: Config) -> (Aggregations, ChaCha8Rng) {
    (Aggregations::new(config, id(0)), ChaCha8Rng::seed_from_u64(1))
}

fn say(machine: &mut Aggregations, rng: &mut ChaCha8Rng, from: NodeId, share: Share) -> Vec<Effect> {
    let mut effects = Vec::new();
    machine.handle(NOW, from, Aggregate::Share(Box::new(share)), rng, &mut effects);
    effects
}

fn is_refused(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::Say { said: Aggregate::Refused { .. }, .. }])
}

#[test]
fn one_that_begins_or_tells_without_end_leaves_room_for_others() {
    let (mut machine, mut rng) = machine(Config::default());
    let refused = |machine: &mut Aggregations, rng: &mut ChaCha8Rng, from, origins: &dyn Fn(u64) -> NodeId| {
        (0..100).filter(|n| is_refused(&say(machine, rng, from, share(origins(*n), *n)))).count()
    };
    assert_eq!(refused(&mut machine, &mut rng, id(1), &|_| id(1)), 92, "of one origin");
    assert_eq!(refused(&mut machine, &mut rng, id(1), &|n| id(100 + n as usize)), 92, "by one teller");
    assert_eq!(refused(&mut machine, &mut rng, id(2), &|n| id(300 + n as usize)), 84, "there is room for another's");
    assert_eq!(refused(&mut machine, &mut rng, id(3), &|n| id(500 + n as usize)), 100, "and for no more at all");
    assert_eq!((machine.counters().open, machine.counters().refused), (32, 368));
    let mut effects = Vec::new();
    assert!(machine.ask(NOW, ask(Operation::Count), &mut rng, &mut effects).is_err() && effects.is_empty());
}

#[test]
fn what_takes_too_much_memory_is_given_up_and_all_are_told() {
    let config = Config { numbers_max: 5_000, ..Config::default() };
    let (mut machine, mut rng) = machine(config);
    let large = |turn| Share {
        subject: Subject { length: 2_000, ..share(id(1), 1).subject },
        given: (4..2_004).map(|of| (of, Fixed(1))).collect(),
        turn,
        ..share(id(1), 1)
    };
    let effects = say(&mut machine, &mut rng, id(1), large(1));
    assert!(matches!(effects[..], [Effect::Measure { .. }, Effect::Say { said: Aggregate::Taken { .. }, .. }]));
    let effects = say(&mut machine, &mut rng, id(2), large(1));
    let told: Vec<&NodeId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Say { to, said: Aggregate::Refused { .. } } => Some(to),
            _ => None,
        })
        .collect();
    assert_eq!((told, machine.counters().open, machine.counters().numbers), (vec![&id(1), &id(2)], 0, 0));
    assert!(is_refused(&say(&mut machine, &mut rng, id(3), large(7))), "and is not taken up again");
}

#[test]
fn one_that_more_give_to_than_it_may_hear_refuses_the_rest() {
    let (mut machine, mut rng) = machine(Config::default());
    let refused = (1..=100).filter(|n| is_refused(&say(&mut machine, &mut rng, id(*n), share(id(1), 1)))).count();
    assert_eq!(refused, 36);
}

/// A member that is full takes no part, and the others go on without it.
#[test]
fn a_mesh_adds_up_without_those_that_refuse() {
    let mut world = World::new(4, (0..20).map(|_| Some(2.0)));
    for at in [5, 6] {
        let full = Config { open_max: 0, ..Config::default() };
        world.nodes[at].machine = Aggregations::new(full, id(at));
    }
    world.loss = 20;
    world.ask(0, ask(Operation::Sum));
    let answer = world.answer(20_000);
    assert_eq!((answer.covers, answer.settled), (18, true), "{answer:?}");
    assert!((answer.values[0] - 36.0).abs() < 0.1, "{answer:?}");
}

#[test]
fn what_is_no_share_is_counted_and_changes_nothing() {
    let (mut machine, mut rng) = machine(Config::default());
    let of = |subject: Subject, given, extremes| Share { subject, given, extremes, ..share(id(1), 1) };
    let subject = |fold, length| Subject { fold, length, ..share(id(1), 1).subject };
    let wrong = [
        of(subject(Fold::Sum, 4097), vec![], vec![]),
        of(subject(Fold::Least, 0), vec![], vec![]),
        of(subject(Fold::Buckets, 2), vec![], vec![]),
        of(subject(Fold::Sum, 1), vec![(5, Fixed(1))], vec![]),
        of(subject(Fold::Most, 2), vec![], vec![(2, Fixed(1))]),
    ];
    for (n, share) in (1..).zip(wrong) {
        assert_eq!(say(&mut machine, &mut rng, id(1), share), []);
        assert_eq!((machine.counters().malformed, machine.counters().open), (n, 0));
    }
    say(&mut machine, &mut rng, id(1), share(id(1), 1));
    let other = of(subject(Fold::Most, 1), vec![], vec![]);
    assert_eq!(say(&mut machine, &mut rng, id(1), other), [], "of another question");
    assert_eq!((machine.counters().malformed, machine.counters().open), (6, 1));
}

fn hostile() -> impl Strategy<Value = (usize, Aggregate)> {
    let number = prop_oneof![Just(0u64), 0u64..4, any::<u64>()];
    let fixed = prop_oneof![Just(i128::MAX), Just(i128::MIN), any::<i128>()].prop_map(Fixed);
    let numbers = proptest::collection::vec((0u16..12, fixed), 0..6);
    let id_ = (0usize..3, 0u64..2).prop_map(|(origin, number)| AggregateId { origin: id(origin), number });
    let fold = prop_oneof![Just(Fold::Sum), Just(Fold::Least), Just(Fold::Buckets)];
    let said = (id_, fold, 0u16..3, number.clone(), number, numbers.clone(), numbers, any::<u32>(), 0u8..8).prop_map(
        |(id, fold, length, life, turn, given, extremes, left_ms, kind)| match kind {
            0 => Aggregate::Ended { id },
            1 => Aggregate::Refused { id, turn },
            2 => Aggregate::Taken { id, life, turn, own: life.rotate_left(1) },
            _ => {
                let subject = Subject { fold, name: "load".into(), length };
                Aggregate::Share(Box::new(Share { id, subject, life, turn, left_ms, given, extremes }))
            }
        },
    );
    (1usize..4, said)
}

proptest! {
    #[test]
    fn no_word_of_a_peer_panics(words in proptest::collection::vec(hostile(), 0..60), operation in 0usize..5) {
        let (mut machine, mut rng) = machine(Config::default());
        let operation = [Operation::Sum, Operation::Mean, Operation::Min, Operation::Quantile(0.5), Operation::Histogram(9)][operation];
        let mut effects = Vec::new();
        let own = machine.ask(NOW, ask(operation), &mut rng, &mut effects).unwrap();
        machine.measured(NOW, &own, Some(&[3.0]));
        let peers = [id(1), id(2), id(3)];
        let mut now = NOW;
        for (from, mut said) in words {
            // Half of them are about the question that this node asked.
            if let Aggregate::Share(share) = &mut said && share.id.number == 0 {
                share.id = own;
                share.subject = machine.open.get(&own).map_or(share.subject.clone(), |part| part.subject.clone());
            }
            machine.handle(now, id(from), said, &mut rng, &mut effects);
            now.mono.0 += 50_000;
            machine.handle_deadline(now, &peers, &mut rng, &mut effects);
            if from == 2 {
                machine.down(&id(1));
                machine.up(&id(1));
            }
        }
        now.mono.0 += 100_000_000;
        machine.handle_deadline(now, &peers, &mut rng, &mut effects);
        prop_assert_eq!(machine.counters().open, 0, "all end by themselves");
        let answers = effects.iter().filter(|effect| matches!(effect, Effect::Answer { .. })).count();
        prop_assert_eq!(answers, 1);
    }
}
