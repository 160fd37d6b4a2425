//! More gateways than a replica has lanes for (checklist items 22 and 39): each replica has requests of others of them, and
//! no primary is left for those that it has no room for. Nor for what one gateway alone keeps it from having room for.

use crate::{
    dice::Dice,
    gateways::first_number,
    scenarios::primary_of,
    world::{World, config, epoch},
};
use mesh_pbft::Config;
use mesh_proto::{
    limits,
    pbft::{EpochConfig, View},
};

const GATEWAYS: u8 = 24;

/// Four members, with lanes for a few, and with as many places in the client table: many are told that they are too old.
fn world(seed: u64, config: Config) -> World {
    let trusted = EpochConfig { clients: 4, ..epoch(1..=4) };
    let mut world = World::with(seed, trusted, 1..=4, GATEWAYS, config);
    world.delay.1 = 500 + Dice::new(seed).below(3_000);
    world
}

/// So many milliseconds in which all gateways ask for as much as they can.
fn crowd(world: &mut World, ms: u64) {
    for _ in 0..ms / 5 {
        for gateway in 0..world.gateways.len() {
            while world.gateways[gateway].pending.len() < 3 && world.submit(gateway, None) {}
        }
        world.run(5);
    }
}

fn counted(world: &World, what: &str) -> u64 {
    let replicas = world.nodes.iter().filter(|node| node.is_correct()).filter_map(|node| node.replica.as_ref());
    let counts = replicas.flat_map(|replica| replica.counters().iter().collect::<Vec<_>>());
    counts.filter(|(name, _)| *name == what).map(|(_, count)| count).sum()
}

/// Checklist item 22.
#[test]
fn no_correct_primary_is_left_for_what_it_has_no_room_for() {
    for seed in 0..4 {
        let mut world = world(seed, Config { relay_lanes: 1, ..config() });
        crowd(&mut world, 2_000);
        assert!(counted(&world, "busy") > 100, "seed {seed}: there was room for all\n{}", world.report());
        assert_eq!(counted(&world, "entered_views"), 0, "seed {seed}\n{}", world.report());
        let done = world.checker.acknowledged.len();
        assert!(done > 300, "seed {seed}: {done} done\n{}", world.report());
    }
}

/// Checklist item 22: nor for those whose clocks are apart by as much as clocks may be, so that some are too old for a long
/// time; and no primary is kept from bringing in whom everybody has heard of, though it may bring in no stranger.
#[test]
fn no_correct_primary_is_left_for_clocks_that_are_apart() {
    for seed in 0..4 {
        let mut world = world(seed, Config { relay_lanes: 1, strangers: 1, ..config() });
        let most = limits::CLOCK_SKEW.as_millis() as u64 - 1_000;
        for gateway in 0..world.gateways.len() {
            let ahead = Dice::new(seed * 100 + gateway as u64).below(2 * most) as i64 - most as i64;
            world.begin_gateway(gateway, ahead);
        }
        crowd(&mut world, 3_000);
        assert_eq!(counted(&world, "entered_views"), 0, "seed {seed}\n{}", world.report());
        let done = world.checker.acknowledged.len();
        assert!(done > 300, "seed {seed}: {done} done\n{}", world.report());
    }
}

/// Checklist item 22: nor for gateways that reach it alone, where the members know who they are; where they do not, it may
/// have made them up.
#[test]
fn no_correct_primary_is_left_for_gateways_that_reach_it_alone() {
    for seed in 0..3 {
        for knows in [true, false] {
            let trusted = EpochConfig { clients: GATEWAYS.into(), ..epoch(1..=4) };
            let config = Config { strangers: 4, ..config() };
            let mut world = World::with(seed, trusted, 1..=4, GATEWAYS, config);
            world.delay.1 = 500 + Dice::new(seed).below(3_000);
            world.knows_gateways = knows;
            let primary = primary_of(&world, View::ZERO);
            let operation = |gateway: usize| format!("alone {gateway}").into_bytes();
            for gateway in 0..world.gateways.len() {
                world.show(gateway, first_number(), &[operation(gateway)], &[primary]);
            }
            world.run(1_000);
            let has_all = (0..world.gateways.len())
                .all(|gateway| world.voters().all(|node| node.app.operations.contains(&operation(gateway))));
            let is_left = counted(&world, "entered_views") > 0;
            assert_eq!((has_all, is_left), (knows, !knows), "seed {seed}\n{}", world.report());
        }
    }
}

/// A gateway that shows a high number to all but the primary, and keeps its lane at the primary full of lower ones, which
/// are executed as fast as may be, for so many milliseconds.
fn crowd_out(world: &mut World, primary: usize, ms: u64) {
    let others: Vec<usize> = (0..world.nodes.len()).filter(|node| *node != primary).collect();
    world.show(CHEAT, first_number().plus(FAR), &[HIGH.to_vec()], &others);
    let (lower, mut next) = (|number: u64| format!("lower {number}").into_bytes(), 0);
    for _ in 0..ms / 2 {
        let done = &world.nodes[primary].app.operations;
        next += (next..).take_while(|number| done.contains(&lower(*number))).count() as u64;
        for number in next..next + u64::from(world.nodes[primary].trusted.client_window) {
            world.show(CHEAT, first_number().plus(number), &[lower(number)], &[primary]);
        }
        while world.gateways[HONEST].pending.len() < 2 && world.submit(HONEST, None) {}
        world.run(2);
    }
}

const CHEAT: usize = 0;
const HONEST: usize = 1;
const HIGH: &[u8] = b"high";
const FAR: u64 = 100_000;

/// Checklist items 22 and 39.
#[test]
fn no_correct_primary_is_left_for_what_one_gateway_crowds_out() {
    for seed in 0..3 {
        // A batch at a time: what fills its lane is not in flight at once.
        let mut world = World::with(seed, epoch(1..=4), 1..=4, 2, Config { in_flight: 1, ..config() });
        world.delay.1 = 500 + Dice::new(seed).below(3_000);
        let primary = primary_of(&world, View::ZERO);
        crowd_out(&mut world, primary, 1_000);
        assert_eq!(counted(&world, "entered_views"), 0, "seed {seed}\n{}", world.report());
        let has = |world: &World| world.voters().filter(|node| node.app.operations.contains(&HIGH.to_vec())).count();
        assert_eq!(has(&world), 0, "seed {seed}: there was room for it\n{}", world.report());
        // Then there is room.
        assert!(world.run_until(300, |world| has(world) == 4), "seed {seed}\n{}", world.report());
        assert_eq!(counted(&world, "entered_views"), 0, "seed {seed}\n{}", world.report());
    }
}
