//! A member that fetches a state and never comes to the end of it: it asks for the same piece now and then, so that the state
//! is kept for it, and another's that fetches in earnest is to be let go of. What others fetch of it, it keeps back, so that
//! they need longer than a checkpoint lasts.

use super::{count::Count, dice::Dice, world::World};
use mesh_coordinator::{ControlMessage, Message, QueryReply};
use mesh_proto::{
    agreement::Reply,
    id::LogPosition,
    pbft::{self, Fetch, Part, Sequence},
};
use std::sync::Arc;

/// The state that one member holds on to.
pub struct Pin {
    dice: Dice,
    of: Sequence,
    /// When it lets go of it for a later one.
    until: u64,
    /// Nothing is asked before.
    again: u64,
}

/// Microseconds for which one state is held: up to longer than anybody keeps it.
const HOLDS: (u64, u64) = (10_000_000, 150_000_000);
/// Microseconds between two questions: less than a state is kept for after the last one.
const ASKS: (u64, u64) = (300_000, 6_000_000);

impl World {
    /// A member that holds a pin is at work.
    pub(super) fn hold_pin(&mut self, node: usize) {
        let (seed, at) = (self.options.seed, self.at);
        let Some(stable) = self.stable_at(node) else { return };
        let pin = self.pins.entry(node).or_insert_with(|| Pin {
            dice: Dice::new(seed, STREAMS + node as u64),
            of: Sequence::ZERO,
            until: 0,
            again: 0,
        });
        if at < pin.again {
            return;
        }
        pin.again = at + pin.dice.range(ASKS.0..=ASKS.1);
        if pin.until <= at {
            (pin.of, pin.until) = (stable, at + pin.dice.range(HOLDS.0..=HOLDS.1));
        }
        let question = Fetch::State { sequence: pin.of, part: Part::State, index: 0 };
        let question = Arc::new(pbft::Message::Fetch(question));
        self.count(Count::LiePins);
        for to in (0..self.options.nodes_max).filter(|to| *to != self.original(node)).collect::<Vec<_>>() {
            self.send(node, to, Message::Consensus(Arc::clone(&question)), LogPosition::START);
        }
    }

    /// A piece arrives: of a past state somebody has kept it for this member.
    pub(super) fn note_pinned(&mut self, node: usize, message: &pbft::Message) {
        let (Some(pin), pbft::Message::Chunk(chunk)) = (self.pins.get(&node), message) else { return };
        if chunk.sequence == pin.of && self.stable_at(node).is_some_and(|stable| pin.of < stable) {
            self.count(Count::PinKept);
        }
    }

    fn stable_at(&self, node: usize) -> Option<Sequence> {
        let body = self.nodes[node].body.as_ref()?;
        Some(body.brain.agreement()?.standing().replica?.stable)
    }
}

/// Whether it is part of a state that another fetches.
pub fn is_of_a_state(message: &Message) -> bool {
    match message {
        Message::Consensus(said) => matches!(**said, pbft::Message::Chunk(_)),
        Message::Control(ControlMessage::Reply { reply: QueryReply::Agreement(Reply::Nodes(_)), .. }) => true,
        Message::Control(_) | Message::Task(_) => false,
    }
}

/// Streams of dice of those that hold pins, one each.
const STREAMS: u64 = 1 << 9;
