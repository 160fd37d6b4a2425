//! The brain, as the engine's state machine.

use crate::brain::Inbox;
use mesh_coordinator::{
    Input,
    agreement::{self, Executed, PortInput},
};
use mesh_ledger::Map;
use mesh_proto::{codec, ledger::Entry, ledger::Index, task::Octets};
use mesh_raft::{Machine, Ordered, State, Stopped};
use std::{
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::mpsc;

/// Entries of the log in one input: a node that catches up leaves the brain time for others.
const ENTRIES: usize = 64;
/// Bytes of entries of the state in one piece of a snapshot.
const PIECE: usize = 384 * 1024;
/// Bytes of a piece that is read.
const PIECE_LIMIT: usize = 16 * 1024 * 1024;

/// What the brain answers.
pub type Answer = Result<Executed, String>;

/// The ledger in the brain. One call at a time, whichever engine makes it.
pub struct Ledger {
    inbox: Inbox,
    talk: tokio::sync::Mutex<Talk>,
    state: Mutex<Map>,
    halted: AtomicBool,
}

struct Talk {
    answers: mpsc::UnboundedReceiver<Answer>,
    /// Answers to calls of which nobody waited for the end.
    owed: usize,
}

impl Ledger {
    pub fn new(inbox: Inbox, answers: mpsc::UnboundedReceiver<Answer>) -> Self {
        let talk = tokio::sync::Mutex::new(Talk { answers, owed: 0 });
        Self { inbox, talk, state: Mutex::default(), halted: AtomicBool::new(false) }
    }

    /// The brain has said that it executes nothing more.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }

    async fn say(&self, input: PortInput) -> Result<Vec<Vec<Octets>>, Stopped> {
        let mut talk = self.talk.lock().await;
        while talk.owed > 0 {
            drop(talk.answers.recv().await.ok_or_else(gone)?);
            talk.owed -= 1;
        }
        self.inbox.ordered(Input::Port(input)).await.map_err(|_| gone())?;
        talk.owed += 1;
        let answer = talk.answers.recv().await.ok_or_else(gone)?;
        talk.owed -= 1;
        match answer {
            Ok(Executed { outcomes, state }) => {
                *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
                Ok(outcomes)
            }
            Err(why) => {
                self.halted.store(true, Ordering::Release);
                Err(Stopped(why))
            }
        }
    }
}

fn gone() -> Stopped {
    Stopped("the brain has ended".to_owned())
}

impl Machine for Ledger {
    type State = Kept;

    async fn execute(&self, entries: Vec<Ordered>) -> Result<Vec<Vec<Octets>>, Stopped> {
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut entries = entries.into_iter().map(|entry| {
            let Ordered { index, time, requests } = entry;
            agreement::Ordered { index: Index(index), time, requests }
        });
        loop {
            let some: Vec<_> = entries.by_ref().take(ENTRIES).collect();
            if some.is_empty() {
                return Ok(outcomes);
            }
            outcomes.extend(self.say(PortInput::Ordered(some)).await?);
        }
    }

    fn state(&self) -> Kept {
        Kept(self.state.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn install(&self, pieces: Vec<Vec<u8>>) -> Result<(), Stopped> {
        self.halted.store(false, Ordering::Release);
        let map =
            tokio::task::spawn_blocking(move || map(&pieces)).await.map_err(|error| Stopped(error.to_string()))??;
        self.say(PortInput::Install(map)).await.map(drop)
    }
}

/// Nothing of nothing.
fn map(pieces: &[Vec<u8>]) -> Result<Option<Map>, Stopped> {
    let mut entries: Vec<Entry> = Vec::new();
    for piece in pieces {
        let piece: Vec<Entry> = codec::decode(piece, PIECE_LIMIT).map_err(|error| Stopped(error.to_string()))?;
        entries.extend(piece);
    }
    Ok((!entries.is_empty()).then(|| Map::from_entries(entries)))
}

/// A state that is kept.
#[derive(Clone)]
pub struct Kept(Map);

impl State for Kept {
    fn pieces(self) -> impl Iterator<Item = Vec<u8>> {
        let mut from = Vec::new();
        std::iter::from_fn(move || {
            let (mut piece, mut bytes) = (Vec::new(), 0);
            self.0.scan(&from, |entry| {
                bytes += entry.key().len() + entry.value().len() + 8;
                piece.push(entry);
                if bytes < PIECE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            let last = piece.last()?;
            // The least key behind it.
            from = [last.key(), &[0]].concat();
            Some(codec::encode(&piece))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_from_its_pieces() {
        let mut state = Map::new();
        for number in 0u32..5_000 {
            state.put(&number.to_be_bytes(), &[&vec![number as u8; (number % 700) as usize]]);
        }
        let pieces: Vec<_> = Kept(state.clone()).pieces().collect();
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() < 1 << 20), "{}", pieces.len());
        assert_eq!(map(&pieces).unwrap().unwrap().root(), state.root());
        assert!(map(&[]).unwrap().is_none());
        assert!(map(&[pieces[0][1..].to_vec()]).is_err());
    }
}
