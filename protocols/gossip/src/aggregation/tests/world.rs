//! Members that talk over a network that loses, repeats, delays and cuts, in virtual time.

use crate::aggregation::{Aggregations, Answer, Asked, Config, Effect, Operation, mass::Mass, part::Part};
use mesh_proto::{
    aggregate::{Aggregate, AggregateId},
    id::NodeId,
    time::{Mono, Now, Wall},
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, time::Duration};

pub struct World {
    pub nodes: Vec<Node>,
    /// Under way, by when it arrives.
    wire: BTreeMap<(u64, u64), (usize, usize, Aggregate)>,
    sent: u64,
    /// Milliseconds.
    pub now: u64,
    pub rng: ChaCha8Rng,
    /// Of a hundred messages so many are lost, and so many come twice.
    pub loss: u32,
    pub twice: u32,
    /// The longest that a message takes, in milliseconds.
    pub slowest: u64,
    pub answers: Vec<(AggregateId, Answer)>,
    config: Config,
}

pub struct Node {
    pub machine: Aggregations,
    pub value: Option<Vec<f64>>,
    pub is_alive: bool,
}

pub fn id(n: usize) -> NodeId {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
    NodeId::from_bytes(bytes)
}

pub fn ask(operation: Operation) -> Asked {
    Asked { operation, name: "load".into(), length: 1, tolerance: 0.001, timeout: Duration::from_secs(20) }
}

impl World {
    pub fn new(seed: u64, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self::of(seed, Config::default(), values.into_iter().map(|value| value.map(|value| vec![value])))
    }

    pub fn of(seed: u64, config: Config, values: impl IntoIterator<Item = Option<Vec<f64>>>) -> Self {
        let nodes = values.into_iter().enumerate().map(|(n, value)| {
            let machine = Aggregations::new(config.clone(), id(n));
            Node { machine, value, is_alive: true }
        });
        Self {
            nodes: nodes.collect(),
            wire: BTreeMap::new(),
            sent: 0,
            now: 1_000,
            rng: ChaCha8Rng::seed_from_u64(seed),
            loss: 0,
            twice: 0,
            slowest: 60,
            answers: Vec::new(),
            config,
        }
    }

    fn clock(&self) -> Now {
        Now { mono: Mono(self.now * 1000), wall: Wall(self.now) }
    }

    pub fn ask(&mut self, at: usize, asked: Asked) -> AggregateId {
        let (now, mut effects) = (self.clock(), Vec::new());
        let id = self.nodes[at].machine.ask(now, asked, &mut self.rng, &mut effects).unwrap();
        self.carry_out(at, effects);
        id
    }

    pub fn run(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.now < until {
            self.now += 1;
            self.deliver();
            // As often as a busy brain looks.
            if self.now.is_multiple_of(5) {
                self.due();
            }
        }
    }

    /// Until the first answer; at most so long.
    pub fn answer(&mut self, ms: u64) -> Answer {
        let until = self.now + ms;
        while self.answers.is_empty() && self.now < until {
            self.run(5);
        }
        self.answers.remove(0).1
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (from, to, said) = entry.remove();
            if self.nodes[from].is_alive && self.nodes[to].is_alive {
                let (now, mut effects) = (self.clock(), Vec::new());
                self.nodes[to].machine.handle(now, id(from), said, &mut self.rng, &mut effects);
                self.carry_out(to, effects);
            }
        }
    }

    fn due(&mut self) {
        let now = self.clock();
        let alive: Vec<NodeId> = (0..self.nodes.len()).filter(|n| self.nodes[*n].is_alive).map(id).collect();
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            if !node.is_alive || node.machine.deadline().is_none_or(|due| due > now.mono) {
                continue;
            }
            let peers: Vec<NodeId> = alive.iter().copied().filter(|peer| *peer != id(at)).collect();
            let mut effects = Vec::new();
            node.machine.handle_deadline(now, &peers, &mut self.rng, &mut effects);
            self.carry_out(at, effects);
        }
    }

    fn carry_out(&mut self, at: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Say { to, said } => self.send(at, index(&to), said),
                Effect::Measure { id, .. } => {
                    let (now, value) = (self.clock(), self.nodes[at].value.clone());
                    self.nodes[at].machine.measured(now, &id, value.as_deref());
                }
                Effect::Answer { id, answer } => self.answers.push((id, answer)),
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, said: Aggregate) {
        let copies = if self.rng.random_range(0..100) < self.twice { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.random_range(0..100) >= self.loss {
                let at = self.now + self.rng.random_range(1..=self.slowest);
                self.sent += 1;
                self.wire.insert((at, self.sent), (from, to, said.clone()));
            }
        }
    }

    /// What is under way from it and to it is lost, and all others hear that it is gone.
    pub fn kill(&mut self, at: usize) {
        self.nodes[at].is_alive = false;
        self.wire.retain(|_, (from, to, _)| *from != at && *to != at);
        self.nodes.iter_mut().for_each(|node| node.machine.down(&id(at)));
    }

    /// It is back, without anything that it knew.
    pub fn restart(&mut self, at: usize) {
        self.nodes[at].machine = Aggregations::new(self.config.clone(), id(at));
        self.nodes[at].is_alive = true;
        self.nodes.iter_mut().for_each(|node| node.machine.up(&id(at)));
    }

    /// It is another at once, without anything that it knew, and the others have not been told.
    pub fn reborn(&mut self, at: usize) {
        self.wire.retain(|_, (from, to, _)| *from != at && *to != at);
        self.nodes[at].machine = Aggregations::new(self.config.clone(), id(at));
    }

    /// The connection between two is gone and back: what was under way is lost.
    pub fn cut(&mut self, a: usize, b: usize) {
        self.wire.retain(|_, (from, to, _)| (*from, *to) != (a, b) && (*from, *to) != (b, a));
        for (at, other) in [(a, b), (b, a)] {
            self.nodes[at].machine.down(&id(other));
            self.nodes[at].machine.up(&id(other));
        }
    }

    pub fn parts(&self, of: AggregateId) -> impl Iterator<Item = (usize, &Part)> {
        let alive = self.nodes.iter().enumerate().filter(|(_, node)| node.is_alive);
        alive.filter_map(move |(n, node)| Some((n, node.machine.open.get(&of)?)))
    }

    /// What all that live hold, and what they have put in.
    pub fn masses(&self, of: AggregateId) -> (Mass, Mass) {
        let (mut held, mut own) = (Mass::default(), Mass::default());
        for (_, part) in self.parts(of) {
            held.add(&part.held);
            own.add(&part.own);
        }
        (held, own)
    }

    /// What was given over links that the giver counts and the taker has not counted, or counts no more; less what a taker
    /// still counts that its giver does not.
    pub fn between(&self, of: AggregateId) -> Mass {
        let mut between = Mass::default();
        for (_, part) in self.parts(of) {
            for link in part.links.values().filter(|link| link.is_up) {
                between.add(&link.given);
                between.take(&link.taken);
            }
        }
        between
    }
}

pub fn index(node: &NodeId) -> usize {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&node.as_bytes()[..8]);
    u64::from_be_bytes(bytes) as usize
}
