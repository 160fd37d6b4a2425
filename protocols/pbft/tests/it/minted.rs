//! A primary that fills its batches with requests of gateways that it has made up, dated as far ahead as may be, and hears
//! nothing of what others ask (checklist item 22): they push all others out of the client table, and its floor is above
//! whatever waits.
//!
//! `MINTED=1000 cargo test --release -p mesh-pbft --test it a_primary_that_mints` runs as many seeds as it says; `FIRST=n`
//! begins at one.

use crate::{
    dice::Dice,
    liar::{Lie, MINTED},
    scenarios::primary_of,
    seeds::variable,
    world::{MS, START_MS, World, config, epoch},
};
use mesh_proto::{
    key::SecretKey,
    limits,
    pbft::{RequestNumber, View},
    time::Wall,
};

const GATEWAYS: usize = 3;

/// Until whatever a gateway asks for is done: of two that lie each has its time-out, which doubles, and so has a gateway that
/// is told too late that it is too old. All that goes on after that is for nobody in particular.
const PATIENCE_MS: u64 = 10_000;

/// Below the date from which on a number is too new, in milliseconds: so far may clocks in a world be apart.
const MARGIN: u64 = 200;

struct Mint {
    liars: Vec<usize>,
    made: u64,
    /// Milliseconds between what it mints, and how many at a time.
    pause: u64,
    batch: u64,
}

impl Mint {
    /// The next, for whichever of the liars is the primary.
    fn coin(&mut self, world: &mut World) {
        for liar in self.liars.clone() {
            let standing = world.nodes[liar].replica.as_ref().unwrap().standing();
            if standing.primary != world.nodes[liar].id || !standing.is_active {
                continue;
            }
            for _ in 0..self.batch {
                self.made += 1;
                let mut seed = [77; 32];
                seed[..8].copy_from_slice(&self.made.to_le_bytes());
                let skew = limits::CLOCK_SKEW.as_millis() as u64 - MARGIN;
                let number = RequestNumber::starting(Wall(START_MS + world.now / MS + skew));
                let operation = [MINTED, &self.made.to_le_bytes()].concat();
                world.mint(&SecretKey::from_bytes(&seed), number, &operation, liar);
            }
        }
    }

    /// Lets `ms` milliseconds go by.
    fn run(&mut self, world: &mut World, ms: u64) {
        for _ in 0..ms.div_ceil(self.pause) {
            self.coin(world);
            world.run(self.pause);
        }
    }
}

fn view(world: &World) -> u64 {
    world.voters().filter_map(|node| node.replica.as_ref()).map(|replica| replica.standing().view.get()).max().unwrap()
}

/// All gateways ask, and ask again for what was too old, until each of them is done.
fn ask(world: &mut World, mint: &mut Mint, seed: u64, round: u64) {
    let operations: Vec<Vec<u8>> = (0..GATEWAYS).map(|one| format!("g{one}-{seed}-{round}").into_bytes()).collect();
    let until = world.now + PATIENCE_MS * MS;
    loop {
        let mut waits = false;
        for (gateway, operation) in operations.iter().enumerate() {
            if !world.checker.acknowledged.contains_key(operation) {
                waits = true;
                if world.gateways[gateway].pending.is_empty() {
                    world.submit(gateway, Some(operation.clone()));
                }
            }
        }
        if !waits {
            return;
        }
        assert!(world.now < until, "seed {seed}, round {round}: starved, {} minted\n{}", mint.made, world.report());
        mint.run(world, mint.pause);
    }
}

/// Of four the first primary mints, of seven the first two; as many at a time as a batch or the table holds, or one by one.
fn run(seed: u64) -> World {
    let mut dice = Dice::new(seed ^ 0x3147);
    let members = if dice.percent(70) { 4 } else { 7 };
    let mut world = World::with(seed, epoch(1..=members), 1..=members, GATEWAYS as u8, config());
    world.delay.1 = 500 + dice.below(5_000);
    // Which tells them nothing of those that are made up.
    world.knows_gateways = seed.is_multiple_of(2);
    let liars: Vec<usize> = (0..u64::from(members - 1) / 3).map(|of| primary_of(&world, View::new(of))).collect();
    liars.iter().for_each(|node| world.corrupt(*node, Lie::Mints));
    let mut mint = Mint { liars, made: 0, pause: 2 + dice.below(60), batch: 1 + dice.below(6) };
    for round in 0..3 {
        ask(&mut world, &mut mint, seed, round);
        mint.run(&mut world, dice.below(500));
    }
    let executed = world.voters().flat_map(|node| &node.app.operations);
    let minted = executed.filter(|operation| operation.starts_with(MINTED)).count();
    assert!(minted > 0, "seed {seed}: nothing was minted\n{}", world.report());
    world
}

/// Checklist item 22: what correct gateways ask for executes in bounded time. The table is full of minted ones when a correct
/// primary comes, and that is in nobody's way.
#[test]
fn a_primary_that_mints_is_left() {
    let first = variable("FIRST", 0);
    for seed in first..first + variable("MINTED", 12) {
        let world = run(seed);
        let changes = view(&world);
        assert!((1..=MOST_CHANGES).contains(&changes), "seed {seed}: {changes} view changes\n{}", world.report());
    }
}

/// Each liar is left once; and a few more times another is, for what became too old in its turn.
const MOST_CHANGES: u64 = 6;
