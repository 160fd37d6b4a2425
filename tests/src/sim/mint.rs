//! Gateways that nobody let in. Keys are free: a member that lies makes as many as it likes and signs requests with each. It
//! relays them, and takes them in as if they had come to it by themselves, to be proposed when it is the primary: so others
//! are to be crowded out of lanes, and out of the client table. Their dates are as late as is taken, since who is evicted
//! raises the floor for everybody.

use super::{clock::WALL_AT_START, count::Count, dice::Dice, world::World};
use mesh_coordinator::{Input, Message};
use mesh_proto::{
    id::{LogPosition, NetworkId},
    key::SecretKey,
    limits,
    pbft::{self, Operations, Request, RequestNumber},
    time::Wall,
};
use std::sync::Arc;

/// What one member draws for it.
pub struct Mint {
    dice: Dice,
    /// Nothing is minted before.
    again: u64,
}

/// Microseconds between two rounds.
const ROUNDS: (u64, u64) = (200_000, 1_500_000);
/// Milliseconds by which the latest dates are earlier than what is taken: agreed time may be behind.
const MARGIN: u64 = 2_000;

impl Mint {
    pub fn new(seed: u64, node: usize) -> Self {
        Self { dice: Dice::new(seed, STREAMS + node as u64), again: 0 }
    }

    /// A request of a gateway of its own.
    fn request(&mut self, network: &NetworkId, now: Wall) -> Arc<Request> {
        let mut key = [0; 32];
        key.chunks_mut(8).for_each(|part| part.copy_from_slice(&self.dice.next().to_le_bytes()));
        let most = limits::CLOCK_SKEW.as_millis() as u64 - MARGIN;
        let late = if self.dice.chance(500) { most } else { self.dice.range(0..=most) };
        let number = RequestNumber::starting(Wall(now.0 + late));
        let operations = Operations::pack([&b"nothing"[..]]).expect("a small operation");
        Arc::new(Request::sign_with_digest(&SecretKey::from_bytes(&key), network, (number, number), operations).0)
    }
}

impl World {
    /// A member that mints is at work: so many gateways at a time.
    pub(super) fn mint(&mut self, node: usize, many: usize) {
        let (seed, at, network) = (self.options.seed, self.at, self.network_id);
        let mint = self.mints.entry(node).or_insert_with(|| Mint::new(seed, node));
        if at < mint.again {
            return;
        }
        mint.again = at + mint.dice.range(ROUNDS.0..=ROUNDS.1);
        let now = Wall(WALL_AT_START + at / 1000);
        let relays = mint.dice.chance(500);
        let requests: Vec<Arc<Request>> = (0..many).map(|_| mint.request(&network, now)).collect();
        self.count(Count::LieMints);
        self.counts.add_many(if relays { Count::MintRelayed } else { Count::MintTaken }, many as u64);
        for request in requests {
            match relays {
                true => self.relay_to_all(node, &request),
                false => self.take_in(node, request),
            }
        }
    }

    fn relay_to_all(&mut self, node: usize, request: &Arc<Request>) {
        let message = Arc::new(pbft::Message::Request(Arc::clone(request)));
        for to in (0..self.options.nodes_max).filter(|to| *to != self.original(node)).collect::<Vec<_>>() {
            self.send(node, to, Message::Consensus(Arc::clone(&message)), LogPosition::START);
        }
    }

    /// Its own machine hears it from the gateway itself.
    fn take_in(&mut self, node: usize, request: Arc<Request>) {
        let body = self.nodes[node].body.as_mut();
        let Some(verifier) = body.and_then(|body| body.verifier.as_mut()) else { return };
        if let Ok(verified) = verifier.verify(request.gateway, pbft::Message::Request(request)) {
            self.deliver(node, Input::Consensus(Box::new(verified)));
        }
    }
}

/// Streams of dice of those that mint, one each.
const STREAMS: u64 = 1 << 8;
