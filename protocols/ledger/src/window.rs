//! Exactly once: what became of the command ids of the last batches. What is remembered is in the state, and so in its
//! digest; where to find it is rebuilt from there.
//!
//! Whole batches are forgotten, the oldest first, and the floor rises above them. A command says which batch was the
//! last that its client knew when the id was drawn, so it ran in a later one, if at all: an id born at or above the
//! floor is remembered if it ran, and one born below is refused, since it may have.

use crate::{
    key,
    places::{LAST, Place, Places},
    state::{State, record},
};
use mesh_proto::{
    codec,
    ledger::{Body, Command, CommandId, Index, Outcome, Put, Rejection},
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

/// One that is to be forgotten: which it is, and nothing of what came of it.
#[derive(Deserialize)]
struct Forgotten {
    #[serde(with = "serde_id")]
    id: u128,
}

#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Of each remembered id, the entry with its outcome.
    places: Places,
    /// Of the batch being executed, as they ran.
    fresh: Vec<Ran>,
    /// Where each id is there. In order of the ids, so that the state does not depend on the order of commands that do
    /// not depend on each other.
    order: BTreeMap<u128, usize>,
}

/// What tells one command from another.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    id: u128,
    print: u64,
    born: Index,
    /// There are places where it may be remembered.
    has_place: bool,
}

impl Mark {
    pub fn of(command: &Command) -> Self {
        match Put::of(command) {
            Some(put) => Self::of_put(&put),
            None => {
                let CommandId { principal, key, born } = &command.id;
                let body = codec::encode(&command.body);
                let id = match proves_itself(&command.body) {
                    true => id_of_proof(principal.as_str(), key, &body),
                    false => id_of(principal.as_str(), key),
                };
                Self { id, print: fold(0, &body), born: *born, has_place: false }
            }
        }
    }

    /// Without encoding it.
    pub fn of_put(put: &Put<'_>) -> Self {
        let Put { principal, id, born, namespace, key, value, ttl_ms } = *put;
        let lengths = [namespace.len() as u64, key.len() as u64, ttl_ms.unwrap_or(u64::MAX)];
        let seed = lengths.into_iter().fold(1, mix);
        let print = [namespace.as_bytes(), key.as_bytes(), value].into_iter().fold(seed, fold);
        Self { id: id_of(principal, id), print, born, has_place: false }
    }
}

/// What the window says of a command before it runs.
pub enum Seen {
    New,
    Answered(Outcome),
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
        Self { places, fresh: Vec::new(), order: BTreeMap::new() }
    }

    /// Looks for the commands of a batch, all in one go: each look waits for a line of a large table, and so many waits
    /// pass at once. Nothing is added to the table while a batch is executed.
    pub fn look(&self, marks: &mut [Mark]) {
        for mark in marks {
            mark.has_place = self.places.get(mark.id).next().is_some();
        }
    }

    /// Behind [`Window::look`].
    pub fn see(&self, state: &State, mark: &Mark) -> Seen {
        let Mark { id, print, born, has_place } = *mark;
        let ran = match self.order.get(&id) {
            Some(at) => self.fresh.get(*at).cloned(),
            None if has_place => self.find(state, id),
            None => None,
        };
        match ran {
            Some(ran) if ran.print == print => Seen::Answered(ran.outcome),
            Some(_) => Seen::Answered(Outcome::Rejected(Rejection::Reused)),
            None if born < state.meta.floor => {
                Seen::Answered(Outcome::Rejected(Rejection::Stale { floor: state.meta.floor }))
            }
            // Else it would not be forgotten in time.
            None if born >= state.meta.index => Seen::Answered(Outcome::Rejected(Rejection::Ahead)),
            None => Seen::New,
        }
    }

    /// Of the batches before.
    fn find(&self, state: &State, id: u128) -> Option<Ran> {
        self.places.get(id).find_map(|(index, part)| {
            let part: Vec<Ran> = state.get(&key::window(index, part))?;
            part.into_iter().find(|ran| ran.id == id)
        })
    }

    /// What came of a command that was seen to be new.
    pub fn remember(&mut self, mark: &Mark, outcome: Outcome) {
        self.order.insert(mark.id, self.fresh.len());
        self.fresh.push(Ran { id: mark.id, print: mark.print, outcome });
    }

    /// Writes what ran in this batch, and forgets what is too much.
    pub fn commit(&mut self, state: &mut State) {
        let index = state.meta.index;
        let (fresh, order) = (std::mem::take(&mut self.fresh), std::mem::take(&mut self.order));
        let fresh: Vec<&Ran> = order.values().filter_map(|at| fresh.get(*at)).collect();
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
                let ran: Vec<Forgotten> = record(entry.value());
                if let Some(place) = place_of(entry.key()) {
                    ran.iter().for_each(|ran| self.places.remove(ran.id, place));
                }
                state.meta.remembered -= ran.len() as u64;
                state.map.remove(entry.key());
            }
            state.meta.floor = state.meta.floor.max(oldest.next());
        }
        state.meta.floor = state.meta.floor.max(lowest);
    }
}

/// Whether it carries the signatures that it rests on, so that it does not matter who brings it, nor how often: the state
/// says what is there already. Everything else rests on the gateway that says whose it is.
fn proves_itself(body: &Body) -> bool {
    match body {
        Body::Vote(_) | Body::Admit(_) | Body::Motion(_) | Body::Evidence(_) | Body::Support(_) => true,
        Body::Propose(_)
        | Body::Close(_)
        | Body::MemoryPut { .. }
        | Body::MemoryDelete { .. }
        | Body::MemoryCompareAndSwap { .. }
        | Body::ActivateVersion(_)
        | Body::Award { .. }
        | Body::Lock { .. }
        | Body::Renew { .. }
        | Body::Unlock { .. }
        | Body::Tick => false,
    }
}

/// What it says is part of which it is. Ids can be foretold (all that catch a member bring the evidence under one) or
/// overheard, and a gateway may say anybody's: one that had something else ordered first under the id of what was signed
/// against it would else have it refused as [`Rejection::Reused`], unseen.
fn id_of_proof(principal: &str, key: &[u8], body: &[u8]) -> u128 {
    let mut bytes = id_of(principal, key).to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    half_of(PROOF_ID_KEY, &bytes)
}

/// Whose it is and which; not when it was drawn, so that who says that otherwise at each attempt is answered too.
fn id_of(principal: &str, key: &[u8]) -> u128 {
    let mut bytes = Vec::with_capacity(1 + principal.len() + key.len());
    // At most 64.
    bytes.push(principal.len() as u8);
    bytes.extend_from_slice(principal.as_bytes());
    bytes.extend_from_slice(key);
    half_of(ID_KEY, &bytes)
}

fn half_of(key: &[u8; 32], bytes: &[u8]) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::keyed_hash(key, bytes).as_bytes()[..16]);
    u128::from_be_bytes(half)
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

/// Of the key of an entry of the window.
pub fn place_of(key: &[u8]) -> Option<Place> {
    let part = u16::from_be_bytes(key.get(9..)?.try_into().ok()?);
    Some((key::window_of(key)?, part)).filter(|(index, _)| *index <= LAST)
}

const ID_KEY: &[u8; 32] = b"meshd v1 ledger command id      ";
const PROOF_ID_KEY: &[u8; 32] = b"meshd v1 ledger proved command  ";

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
