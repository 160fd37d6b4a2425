//! What holds whatever is lost, repeated, delayed or killed.

use super::world::{World, ask, id};
use crate::aggregation::{Operation, contribution::VALUE, estimate::Estimate, mass::Mass};
use mesh_proto::aggregate::AggregateId;
use proptest::prelude::*;

/// What happens to a mesh while it adds up.
#[derive(Clone, Copy, Debug)]
enum Event {
    Run(u64),
    Kill(usize),
    Restart(usize),
    /// It forgot everything, and nobody was told that it had been away.
    Reborn(usize),
    Cut(usize, usize),
}

fn event(members: usize) -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1u64..300).prop_map(Event::Run),
        // Never all but the one that asks: alone it is done.
        1 => (2..members).prop_map(Event::Kill),
        1 => (2..members).prop_map(Event::Restart),
        1 => (2..members).prop_map(Event::Reborn),
        1 => (0..members, 0..members).prop_map(|(a, b)| Event::Cut(a, b)),
    ]
}

/// Each holds its own and what came to it by links that are up, less what it gave by these: invariant 1.
fn check_holdings(world: &World, of: AggregateId) {
    for (n, part) in world.parts(of) {
        let mut expected = part.own.clone();
        for link in part.links.values().filter(|link| link.is_up) {
            expected.add(&link.taken);
            expected.take(&link.given);
        }
        assert_eq!(part.held, expected, "member {n}");
    }
}

/// What all hold and what is between them is what all put in.
fn check_mass(world: &World, of: AggregateId) {
    let (mut held, own) = world.masses(of);
    held.add(&world.between(of));
    assert_eq!(held, own);
}

/// How far the furthest member is from a sum.
fn furthest(world: &World, of: AggregateId, sum: f64) -> f64 {
    let found = world.parts(of).map(|(n, part)| {
        Estimate::of(Operation::Sum, 1, &part.held).map_or(f64::INFINITY, |found| {
            assert!(!found.values.is_empty(), "member {n}: {found:?}");
            (found.values[0] - sum).abs()
        })
    });
    found.fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Under loss, repetition, reordering, restarts and deaths: afterwards the sum is that of those that live, exactly what they
    /// put in, and all of them find it.
    #[test]
    fn the_sum_of_those_that_live_comes_out_whatever_happened(
        seed: u64,
        values in proptest::collection::vec(1i32..1000, 2..12),
        loss in 0u32..50,
        twice in 0u32..30,
        slowest in 1u64..250,
        events in proptest::collection::vec(event(12), 0..24),
    ) {
        let members = values.len();
        let mut world = World::new(seed, values.iter().map(|value| Some(f64::from(*value))));
        (world.loss, world.twice, world.slowest) = (loss, twice, slowest);
        // So near that nobody is done before the faults are over.
        let of = world.ask(0, crate::aggregation::Asked { tolerance: f64::MIN_POSITIVE, timeout: std::time::Duration::from_secs(60), ..ask(Operation::Sum) });
        for event in events {
            match event {
                Event::Run(ms) => world.run(ms),
                Event::Kill(at) if at < members && world.nodes[at].is_alive => world.kill(at),
                Event::Restart(at) if at < members && !world.nodes[at].is_alive => world.restart(at),
                Event::Cut(a, b) if a < members && b < members && a != b
                    && world.nodes[a].is_alive && world.nodes[b].is_alive => world.cut(a, b),
                Event::Reborn(at) if at < members && world.nodes[at].is_alive => world.reborn(at),
                Event::Kill(_) | Event::Restart(_) | Event::Reborn(_) | Event::Cut(..) => {}
            }
            check_holdings(&world, of);
        }
        // Of two with little to do all may be exactly the same by then.
        prop_assume!(world.answers.is_empty());
        (world.loss, world.twice, world.slowest) = (0, 0, 20);
        world.run(8_000);
        if let Some((_, answer)) = world.answers.first() {
            // All found exactly the same.
            let alive = (0..members).filter(|n| world.nodes[*n].is_alive);
            let sum: i32 = alive.map(|n| values[n]).sum();
            prop_assert!((answer.values[0] - f64::from(sum)).abs() < 1e-3, "{:?} for {}", answer, sum);
            return Ok(());
        }
        check_holdings(&world, of);
        check_mass(&world, of);
        let alive = || (0..members).filter(|n| world.nodes[*n].is_alive);
        prop_assert_eq!(world.parts(of).count(), alive().count());
        let sum: i32 = alive().map(|n| values[n]).sum();
        let own = world.masses(of).1;
        prop_assert_eq!(own.get(crate::aggregation::contribution::FIRST), i128::from(sum) * VALUE);
        let furthest = furthest(&world, of, f64::from(sum));
        prop_assert!(furthest < 1e-3, "{} from {}", furthest, sum);
    }

    /// A share that comes twice, or after a later one, adds nothing.
    #[test]
    fn a_share_counts_once_in_whatever_order(
        seed: u64,
        order in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
        extra in proptest::collection::vec(0..12usize, 0..20),
    ) {
        use crate::aggregation::{Aggregations, Config, Effect};
        use mesh_proto::{aggregate::Aggregate, time::{Mono, Now, Wall}};
        use rand::SeedableRng as _;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let at = |ms: u64| Now { mono: Mono(ms * 1000), wall: Wall(ms) };
        let mut giver = Aggregations::new(Config::default(), id(0));
        let mut effects = Vec::new();
        let of = giver.ask(at(1), ask(Operation::Sum), &mut rng, &mut effects).unwrap();
        giver.measured(at(1), &of, Some(&[8.0]));
        let mut shares = Vec::new();
        for round in 0..12u64 {
            effects.clear();
            giver.handle_deadline(at(10 + round * 200), &[id(1)], &mut rng, &mut effects);
            for effect in effects.drain(..) {
                if let Effect::Say { said: Aggregate::Share(share), .. } = effect {
                    // Each is acknowledged, so that each of them gives something.
                    let taken = Aggregate::Taken { id: of, life: share.life, turn: share.turn, own: 1 };
                    giver.handle(at(10 + round * 200), id(1), taken, &mut rng, &mut Vec::new());
                    shares.push(share);
                }
            }
        }
        prop_assert_eq!(shares.len(), 12);
        let mut taker = Aggregations::new(Config::default(), id(1));
        for at_ in order.into_iter().chain(extra) {
            taker.handle(at(2_000), id(0), Aggregate::Share(shares[at_].clone()), &mut rng, &mut Vec::new());
        }
        let (given, own) = (&giver.open[&of].held, &giver.open[&of].own);
        let mut all: Mass = given.clone();
        all.add(&taker.open[&of].held);
        let mut put_in = own.clone();
        put_in.add(&taker.open[&of].own);
        prop_assert_eq!(all, put_in);
    }
}
