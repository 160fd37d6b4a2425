//! Two correct machines with one key, on both sides of every partition: whatever a liar could say to one side and to the
//! other, they say. After Twins (Bano et al., OPODIS 2021), which enumerates the partitions round by round.
//!
//! All 65,536 sequences of four rounds, with the first primary's twin:
//! `SEQUENCES=65536 cargo test --release -p mesh-pbft --test it twins_on_both_sides -- --nocapture`, and `FIRST=n` to go on
//! at one. The other tests here take `SEQUENCES` as well. A failure names the command that replays it.

use crate::{
    liar::Lie,
    scenarios::{offer, primary_of},
    seeds::variable,
    world::World,
};
use mesh_proto::pbft::View;
use std::collections::BTreeMap;

/// Whose keys have two machines, and for how long they are parted.
#[derive(Clone, Copy)]
struct Kind {
    /// What `KIND` chooses it by, for a replay.
    number: u64,
    members: u8,
    /// The views that they are the primaries of.
    twins: &'static [u64],
    rounds: u32,
}

const OF_THE_PRIMARY: Kind = Kind { number: 0, members: 4, twins: &[0], rounds: 4 };
const OF_A_BACKUP: [Kind; 3] = [
    Kind { number: 1, members: 4, twins: &[1], rounds: 4 },
    Kind { number: 2, members: 4, twins: &[2], rounds: 4 },
    Kind { number: 3, members: 4, twins: &[3], rounds: 4 },
];
const SIX_ROUNDS: Kind = Kind { number: 4, members: 4, twins: &[0], rounds: 6 };
const TWO_OF_SEVEN: Kind = Kind { number: 5, members: 7, twins: &[0, 1], rounds: 4 };

impl Kind {
    /// Two-way splits of all machines: the first one's side is the one, each other is on it or is not.
    fn splits(self) -> u64 {
        1 << (usize::from(self.members) + self.twins.len() - 1)
    }

    fn sequences(self) -> u64 {
        self.splits().pow(self.rounds)
    }

    /// The sequence that comes at this place: each comes once, and those that come first are spread over all.
    fn at(self, place: u64) -> u64 {
        // Odd, and so without a common divisor with their number, a power of two.
        const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;
        place.wrapping_mul(STRIDE) % self.sequences()
    }

    /// One split a round, a digit each; then all hear each other again, and all that was asked for gets done.
    fn run(self, sequence: u64) -> World {
        let mut world = World::new(sequence, self.members, 1);
        for view in self.twins {
            let primary = primary_of(&world, View::new(*view));
            world.corrupt(primary, Lie::Twin);
        }
        for round in 0..self.rounds {
            part(&mut world, sequence / self.splits().pow(round) % self.splits());
            offer(&mut world, REQUESTS, ROUND_MS / REQUESTS);
        }
        world.cuts.clear();
        offer(&mut world, 1, 0);
        let done = world.run_until(60_000, World::is_settled);
        assert!(done, "no progress after healing\n{}", world.report());
        world
    }

    /// So many sequences, or as many as `SEQUENCES` says.
    fn run_many(self, count: u64, must_happen: &[&str]) {
        let mut seen = BTreeMap::<String, u64>::new();
        let (first, wanted) = (variable("FIRST", 0), variable("SEQUENCES", count));
        for sequence in (first..first + wanted).map(|place| self.at(place)) {
            let outcome = std::panic::catch_unwind(|| self.run(sequence).events);
            let Ok(events) = outcome else {
                panic!(
                    "failed; again: KIND={} SEQUENCE={sequence} cargo test -p mesh-pbft --test it one_sequence",
                    self.number
                )
            };
            for (what, count) in events {
                *seen.entry(what).or_default() += count;
            }
        }
        println!("{seen:?}");
        // What never happened was not tested.
        for what in must_happen.iter().filter(|_| wanted >= count) {
            assert!(seen.contains_key(*what), "{what} never happened: {seen:?}");
        }
    }
}

/// Long enough to leave a primary that is on the other side, and for the next one to begin.
const ROUND_MS: u64 = 180;
const REQUESTS: u64 = 3;

fn part(world: &mut World, split: u64) {
    world.cuts.clear();
    let machines = world.nodes.len();
    let side = |machine: usize| machine > 0 && split >> (machine - 1) & 1 == 1;
    for a in 0..machines {
        world.cuts.extend((0..machines).filter(|b| side(a) != side(*b)).map(|b| (a, b)));
    }
}

/// Checklist item 40: of the first primary, all sequences of four rounds, or those that come first.
#[test]
fn twins_on_both_sides_of_every_partition() {
    OF_THE_PRIMARY.run_many(60, &["Caught", "Entered", "StableAt"]);
}

/// Checklist item 40: of those that are primaries later.
#[test]
fn twins_of_a_backup() {
    for kind in OF_A_BACKUP {
        kind.run_many(16, &["Caught", "Entered"]);
    }
}

/// Checklist item 40: of 16,777,216 sequences.
#[test]
fn twins_over_six_rounds() {
    SIX_ROUNDS.run_many(30, &["Caught", "Entered"]);
}

/// Checklist item 40: of 2^32 sequences, with the first two primaries' twins.
#[test]
fn two_pairs_of_twins_among_seven() {
    TWO_OF_SEVEN.run_many(16, &["Caught", "Entered"]);
}

#[test]
fn every_sequence_comes_once() {
    let mut all: Vec<u64> = (0..OF_THE_PRIMARY.sequences()).map(|place| OF_THE_PRIMARY.at(place)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..65_536).collect::<Vec<_>>());
}

#[test]
fn one_sequence() {
    let kinds = [&[OF_THE_PRIMARY, SIX_ROUNDS, TWO_OF_SEVEN], OF_A_BACKUP.as_slice()].concat();
    let number = variable("KIND", 0);
    let kind = kinds.into_iter().find(|kind| kind.number == number).unwrap();
    println!("{}", kind.run(variable("SEQUENCE", 7)).report());
}
