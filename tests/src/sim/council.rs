//! The committee of a world: who agrees on the ledger, under which rules, and who of them lies.

use super::{clock::WALL_AT_START, dice::Dice, liar::Lie};
use mesh_coordinator::agreement::Setup;
use mesh_ledger::Rules;
use mesh_pbft::{ClientConfig, Config, Quorums};
use mesh_proto::{
    genesis::{Engine, Founders, Genesis},
    id::NodeId,
    key::SecretKey,
    pbft::{EpochConfig, Sizes},
    time::Wall,
};
use std::{sync::Arc, time::Duration};

/// What is drawn of agreement before a world begins.
#[derive(Clone, Debug)]
pub struct Council {
    /// The first nodes of the world are the committee.
    pub size: usize,
    /// Members that lie, and how; no more than may.
    pub liars: Vec<(usize, Lie)>,
    pub rules: Rules,
    pub replica: Config,
    pub client: ClientConfig,
    /// Microseconds between two wishes of users, on average.
    pub order_every: u64,
    /// Microseconds to find the digest of a state.
    pub sum_up: (u64, u64),
    /// Keys of the shared memory that are in use at a time.
    pub keys: u64,
    /// Gateways that lie, members of the committee or not.
    pub crooks: Vec<usize>,
    /// What is written may end, and tasks are awarded.
    pub leases: bool,
    /// Users vote.
    pub polls: bool,
    /// The committee changes.
    pub changes: bool,
}

/// Gateways that a member makes up at a time: a few, and more than there are lanes.
const CROWDS: [usize; 3] = [8, 40, 300];

impl Council {
    /// For a world of so many nodes, if it is to have one: in about half of them.
    pub fn draw(seed: u64, nodes: usize) -> Option<Self> {
        let mut dice = Dice::new(seed, 5);
        let dice = &mut dice;
        if !dice.chance(500) {
            return None;
        }
        let wanted = *dice.pick(&[1, 4, 4, 4, 4, 7, 7]);
        let size = [7, 4, 1].into_iter().find(|size| *size <= wanted && *size <= nodes).unwrap_or(1);
        let most = Quorums::of(size).faulty();
        let count = dice.below(most + 1);
        let mut liars: Vec<(usize, Lie)> = Vec::new();
        while liars.len() < count {
            let node = dice.below(size);
            if liars.iter().all(|(other, _)| *other != node) {
                liars.push((node, *dice.pick(&Lie::ALL)));
            }
        }
        let rules = Rules {
            checkpoint_interval: *dice.pick(&[4, 8, 8, 16]),
            window_batches: *dice.pick(&[60, 1 << 20, 1 << 20]),
            ..Rules::default()
        };
        let replica = Config {
            timeout: Duration::from_millis(*dice.pick(&[400, 800, 800, 2_000])),
            timeout_max: Duration::from_secs(*dice.pick(&[8, 30])),
            ..Config::default()
        };
        let mut council = Self {
            size,
            liars,
            rules,
            replica,
            client: ClientConfig::default(),
            order_every: *dice.pick(&[150_000, 400_000, 1_000_000]),
            sum_up: *dice.pick(&[(50, 500), (1_000, 30_000), (100, 2_000_000)]),
            keys: dice.range(1..=4),
            crooks: Vec::new(),
            leases: false,
            polls: false,
            changes: false,
        };
        council.draw_more(&mut Dice::new(seed, 7), nodes);
        council.draw_crowds(&mut Dice::new(seed, 15));
        Some(council)
    }

    /// What came later, from a stream of its own: worlds without it are as they were.
    fn draw_more(&mut self, dice: &mut Dice, nodes: usize) {
        for (_, lie) in &mut self.liars {
            match dice.below(100) {
                0..=17 => *lie = Lie::Mutates,
                18..=39 => *lie = Lie::Twins,
                40..=44 => *lie = Lie::SignsTwice,
                _ => {}
            }
        }
        // Others need gateways, too.
        if dice.chance(250) && nodes >= 4 {
            // Not the maker, whose word alone is a motion.
            let node = 1 + dice.below(nodes - 1);
            // What nobody signed mutes it, its votes as well: a member that does so is one of those that may be faulty.
            let has_room = self.liars.len() < Quorums::of(self.size).faulty();
            if node >= self.size || has_room || self.lie_of(node).is_some() {
                self.crooks.push(node);
            }
        }
        (self.leases, self.polls) = (dice.chance(400), dice.chance(400));
        self.changes = dice.chance(250) && self.size >= 4;
    }

    /// What came later still.
    fn draw_crowds(&mut self, dice: &mut Dice) {
        for (_, lie) in &mut self.liars {
            let many = *dice.pick(&CROWDS);
            match dice.below(100) {
                0..=11 => *lie = Lie::Mints(many),
                12..=23 => *lie = Lie::Pins,
                _ => {}
            }
        }
    }

    /// Nodes that a world must have at its beginning.
    pub fn wants(seed: u64) -> usize {
        // One draw behind whether there is a committee at all.
        let mut dice = Dice::new(seed, 5);
        if dice.chance(500) { *dice.pick(&[1, 4, 4, 4, 4, 7, 7]) } else { 0 }
    }

    pub fn lie_of(&self, node: usize) -> Option<Lie> {
        self.liars.iter().find(|(liar, _)| *liar == node).map(|(_, lie)| *lie)
    }

    /// Members that are two machines.
    pub fn twins(&self) -> impl Iterator<Item = usize> {
        self.liars.iter().filter(|(_, lie)| *lie == Lie::Twins).map(|(node, _)| *node)
    }

    /// Whether a member holds on to states.
    pub fn holds_pins(&self) -> bool {
        self.liars.iter().any(|(_, lie)| *lie == Lie::Pins)
    }

    pub fn setup(&self, genesis: &Genesis, key: &Arc<SecretKey>) -> Setup {
        Setup {
            genesis: genesis.clone(),
            key: Arc::clone(key),
            replica: self.replica.clone(),
            client: self.client.clone(),
            rules: self.rules,
        }
    }

    /// What messages may be of, of this committee or of the largest that it may become.
    pub fn sizes(&self, genesis: &Genesis, nodes: &[NodeId]) -> Sizes {
        let first = self.epoch(genesis);
        if !self.changes {
            return Sizes::of(&first);
        }
        let mut members: Vec<NodeId> = nodes.to_vec();
        members.sort();
        Sizes::of(&EpochConfig { members, ..first })
    }

    /// The first epoch of such a world.
    pub fn epoch(&self, genesis: &Genesis) -> EpochConfig {
        let interval = self.rules.checkpoint_interval as u32;
        let epoch = EpochConfig::genesis(genesis.committee.iter().copied()).expect("a committee that may be");
        EpochConfig { fewest: 1, interval, window: 2 * interval, ..epoch }
    }
}

/// The birth certificate of a world, with a committee of these.
pub fn genesis(seed: u64, committee: Vec<NodeId>) -> Genesis {
    let mut nonce = [0; 32];
    nonce[..8].copy_from_slice(&seed.to_le_bytes());
    Genesis {
        name: "simulated".parse().expect("a name"),
        nonce,
        maker: committee[0],
        engine: Engine::Pbft,
        open: false,
        created: Wall(WALL_AT_START),
        committee: Founders::new(committee).expect("some nodes, each once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::options::{Options, Wanted};

    #[test]
    fn the_fixed_seeds_crowd_and_hold_on() {
        let wanted = Wanted::default();
        let lies: Vec<(u64, Lie)> = (0..265)
            .filter_map(|seed| Some((seed, Options::draw(seed, &wanted).council?)))
            .flat_map(|(seed, council)| council.liars.into_iter().map(move |(_, lie)| (seed, lie)))
            .collect();
        for many in CROWDS {
            assert!(lies.iter().any(|(_, lie)| *lie == Lie::Mints(many)), "{many} at a time");
        }
        assert!(lies.iter().any(|(_, lie)| *lie == Lie::Pins));
    }
}
