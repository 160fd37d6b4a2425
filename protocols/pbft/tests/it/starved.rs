//! A primary that is deaf to one client, and serves all others as it should (checklist item 22): what the client asks for
//! executes within two view changes, whatever else goes on.
//!
//! `STARVED=1000 cargo test --release -p mesh-pbft --test it a_starved_client` runs as many seeds as it says; `FIRST=n`
//! begins at one.

use crate::{
    dice::Dice,
    liar::Lie,
    scenarios::primary_of,
    seeds::variable,
    world::{World, config, epoch},
};
use mesh_proto::pbft::View;

/// The client that is not heard, and the one that is.
const STARVED: usize = 0;
const SERVED: usize = 1;

/// View changes from the first sight of a request to its execution.
const MOST_CHANGES: u64 = 2;

/// Each view lasts for a time-out, which doubles; what is asked for last comes behind what waits.
const PATIENCE_MS: u64 = 3_000;

/// The latest that a correct member has come to.
fn view(world: &World) -> u64 {
    world.voters().filter_map(|node| node.replica.as_ref()).map(|replica| replica.standing().view.get()).max().unwrap()
}

/// Of four the first primary is deaf, of seven the first two.
fn run(seed: u64) -> World {
    let mut dice = Dice::new(seed ^ 0x57a7);
    let members = if dice.percent(70) { 4 } else { 7 };
    let mut world = World::with(seed, epoch(1..=members), 1..=members, 2, config());
    world.delay.1 = 500 + dice.below(10_000);
    let starved = Lie::Starves(world.gateways[STARVED].id);
    let deaf: Vec<usize> = (0..u64::from(members - 1) / 3).map(|of| primary_of(&world, View::new(of))).collect();
    deaf.into_iter().for_each(|node| world.corrupt(node, starved));
    // What the other one asks for, at a time: while it has it, the primary idles never.
    let busy = 1 + dice.below(4) as usize;
    for _ in 0..REQUESTS {
        for _ in 0..dice.below(30) {
            serve(&mut world, busy);
        }
        let before = view(&world);
        world.submit(STARVED, None);
        let due = world.now + PATIENCE_MS * 1000;
        while !world.gateways[STARVED].pending.is_empty() {
            assert!(world.now < due, "seed {seed}: starved\n{}", world.report());
            serve(&mut world, busy);
        }
        let changes = view(&world) - before;
        assert!(changes <= MOST_CHANGES, "seed {seed}: executed after {changes} view changes\n{}", world.report());
    }
    world
}

/// Requests of the starved one; the first of them waits for the primary to be left.
const REQUESTS: usize = 3;

/// A few milliseconds in which the other client has as much under way as it wants.
fn serve(world: &mut World, busy: usize) {
    while world.gateways[SERVED].pending.len() < busy && world.submit(SERVED, None) {}
    world.run(5);
}

/// Checklist item 22: of four and of seven, with all liars there may be at the front.
#[test]
fn a_starved_client_is_served_within_two_view_changes() {
    let (mut starved, mut changes) = (0, 0);
    let first = variable("FIRST", 0);
    for seed in first..first + variable("STARVED", 12) {
        let world = run(seed);
        starved += world.events.get("starved").copied().unwrap_or_default();
        changes += view(&world);
    }
    println!("{starved} requests were not heard, {changes} view changes");
    assert!(starved > 0 && changes > 0, "nobody was starved");
}
