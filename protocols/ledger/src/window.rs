//! Exactly once: what became of the command ids of the last batches. What is remembered is in the state, and so in its
//! digest; where to find it is rebuilt from there.
//!
//! Whole batches are forgotten, the oldest first, and the floor rises above them. A command says which batch was the
//! last that its client knew when the id was drawn, so it ran in a later one, if at all: an id born at or above the
//! floor is remembered if it ran, and one born below is refused, since it may have.

use crate::{
    key,
    places::{Place, Places},
    state::{State, record},
};
use mesh_proto::{
    codec,
    ledger::{Body, Command, CommandId, Index, Outcome, Rejection},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Outcomes in one entry of the state: what is read to answer a repeat.
const PART: usize = 64;

/// A command that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    #[serde(with = "serde_id")]
    id: u128,
    /// Tells another command under the same id. Not a cryptographic hash: who makes two of its own commands collide has
    /// the outcome of the first for the second, and harms nobody.
    print: u64,
    outcome: Outcome,
}

#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Of each remembered id, the entry with its outcome.
    places: Places,
    /// Of the batch being executed. In order of the ids, so that the state does not depend on the order of commands
    /// that do not depend on each other.
    fresh: BTreeMap<u128, Ran>,
}

/// What the window says of a command before it runs.
pub enum Seen {
    New(Ticket),
    Answered(Outcome),
}

/// For what a new command comes to.
pub struct Ticket {
    id: u128,
    print: u64,
}

impl Window {
    /// Finds what is remembered in the state.
    pub fn rebuild(state: &State) -> Self {
        let mut places = Places::default();
        for entry in state.map.below(&[key::WINDOW], usize::MAX) {
            let Some(place) = place_of(entry.key()) else { continue };
            for ran in record::<Vec<Ran>>(entry.value()) {
                places.insert(ran.id, place);
            }
        }
        Self { places, fresh: BTreeMap::new() }
    }

    pub fn see(&self, state: &State, command: &Command) -> Seen {
        let (id, print) = (id_of(&command.id), print_of(&command.body));
        let ran = match (self.fresh.get(&id), self.places.get(id)) {
            (Some(ran), _) => Some(ran.clone()),
            (None, Some((index, part))) => state
                .get::<Vec<Ran>>(&key::window(index, part))
                .and_then(|part| part.into_iter().find(|ran| ran.id == id)),
            (None, None) => None,
        };
        match ran {
            Some(ran) if ran.print == print => Seen::Answered(ran.outcome),
            Some(_) => Seen::Answered(Outcome::Rejected(Rejection::Reused)),
            None if command.id.born < state.meta.floor => {
                Seen::Answered(Outcome::Rejected(Rejection::Stale { floor: state.meta.floor }))
            }
            // Else it would not be forgotten in time.
            None if command.id.born >= state.meta.index => Seen::Answered(Outcome::Rejected(Rejection::Ahead)),
            None => Seen::New(Ticket { id, print }),
        }
    }

    pub fn remember(&mut self, ticket: Ticket, outcome: Outcome) {
        let Ticket { id, print } = ticket;
        self.fresh.insert(id, Ran { id, print, outcome });
    }

    /// Writes what ran in this batch, and forgets what is too much.
    pub fn commit(&mut self, state: &mut State) {
        let index = state.meta.index;
        let fresh: Vec<Ran> = std::mem::take(&mut self.fresh).into_values().collect();
        state.meta.remembered += fresh.len() as u64;
        // A batch has at most 2^16 commands.
        for (part, ran) in (0u16..).zip(fresh.chunks(PART)) {
            state.put(&key::window(index, part), &ran);
            ran.iter().for_each(|ran| self.places.insert(ran.id, (index, part)));
        }
        self.forget(state);
    }

    fn forget(&mut self, state: &mut State) {
        let (index, rules) = (state.meta.index, state.meta.rules);
        let lowest = Index(index.0.saturating_sub(rules.window_batches));
        while let Some(oldest) = state.map.first(&[key::WINDOW]).and_then(|entry| key::window_of(entry.key())) {
            let too_many = state.meta.remembered > rules.window_commands && oldest < index;
            if !too_many && oldest > lowest {
                break;
            }
            for entry in
                state.map.below(&key::window_batch(oldest), usize::MAX).into_iter().cloned().collect::<Vec<_>>()
            {
                let ran: Vec<Ran> = record(entry.value());
                for ran in &ran {
                    self.places.remove(ran.id);
                }
                state.meta.remembered -= ran.len() as u64;
                state.map.remove(entry.key());
            }
            state.meta.floor = state.meta.floor.max(oldest.next());
        }
        state.meta.floor = state.meta.floor.max(lowest);
    }
}

/// Whose it is and which; not when it was drawn, so that who says that otherwise at each attempt is answered too.
fn id_of(id: &CommandId) -> u128 {
    let principal = id.principal.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(1 + principal.len() + id.key.len());
    // At most 64.
    bytes.push(principal.len() as u8);
    bytes.extend_from_slice(principal);
    bytes.extend_from_slice(&id.key);
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::keyed_hash(ID_KEY, &bytes).as_bytes()[..16]);
    u128::from_be_bytes(half)
}

fn print_of(body: &Body) -> u64 {
    match body {
        // The one command of which there are many, without encoding it.
        Body::MemoryPut { namespace, key, value, ttl_ms } => {
            let lengths = [namespace.as_str().len() as u64, key.as_str().len() as u64, ttl_ms.unwrap_or(u64::MAX)];
            let seed = lengths.into_iter().fold(1, mix);
            [namespace.as_str().as_bytes(), key.as_str().as_bytes(), value].into_iter().fold(seed, fold)
        }
        body => fold(0, &codec::encode(body)),
    }
}

fn fold(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let sum = words.iter().fold(seed, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    mix(mix(sum, u64::from_le_bytes(last)), bytes.len() as u64)
}

/// One round of multiplying and folding back, by the odd number nearest to 2^64 over the golden ratio.
fn mix(sum: u64, word: u64) -> u64 {
    let product = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 29)
}

fn place_of(key: &[u8]) -> Option<Place> {
    Some((key::window_of(key)?, u16::from_be_bytes(key.get(9..11)?.try_into().ok()?)))
}

const ID_KEY: &[u8; 32] = b"meshd v1 ledger command id      ";

/// 16 bytes.
mod serde_id {
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&id.to_be_bytes())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let bytes = mesh_proto::bounded::octets::<D, 16>(deserializer)?;
        let bytes: [u8; 16] = bytes[..].try_into().map_err(serde::de::Error::custom)?;
        Ok(u128::from_be_bytes(bytes))
    }
}
