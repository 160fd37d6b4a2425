//! A machine that keeps what it executed, in order.

use crate::machine::{Machine, Ordered, State, Stopped};
use mesh_proto::{codec, task::Octets};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

#[derive(Default)]
pub struct Tape(Mutex<Lines>, AtomicUsize);

/// The number of each entry with requests, and its requests.
#[derive(Clone, Default)]
pub struct Lines {
    pub all: Vec<(u64, Vec<u8>)>,
    last: Option<u64>,
}

impl Tape {
    pub fn lines(&self) -> Vec<(u64, Vec<u8>)> {
        self.0.lock().unwrap().all.clone()
    }

    /// Entries that came one by one.
    pub fn executed(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }

    pub fn said(&self) -> Vec<String> {
        self.lines().into_iter().map(|(_, line)| String::from_utf8(line).unwrap()).collect()
    }
}

impl Machine for Tape {
    type State = Lines;

    async fn execute(&self, entries: Vec<Ordered>) -> Result<Vec<Vec<Octets>>, Stopped> {
        self.1.fetch_add(entries.len(), Ordering::Relaxed);
        let mut lines = self.0.lock().unwrap();
        let mut outcomes = Vec::new();
        for Ordered { index, requests, .. } in entries {
            if let Some(last) = lines.last.replace(index) {
                // What openraft's own suite applies begins where it likes.
                assert!(index > last, "{index} behind {last}");
            }
            let mut of = Vec::new();
            for line in requests.iter().flat_map(|request| request.iter()) {
                lines.all.push((index, line.to_vec()));
                of.push(Octets::from(line));
            }
            outcomes.push(of);
        }
        Ok(outcomes)
    }

    fn state(&self) -> Lines {
        self.0.lock().unwrap().clone()
    }

    async fn install(&self, pieces: Vec<Vec<u8>>) -> Result<(), Stopped> {
        let all: Vec<(u64, Octets)> =
            pieces.iter().flat_map(|piece| codec::decode::<Vec<_>>(piece, 1 << 24).unwrap()).collect();
        let all: Vec<(u64, Vec<u8>)> = all.into_iter().map(|(index, line)| (index, line.to_vec())).collect();
        *self.0.lock().unwrap() = Lines { last: all.last().map(|(index, _)| *index), all };
        Ok(())
    }
}

impl State for Lines {
    fn pieces(self) -> impl Iterator<Item = Vec<u8>> {
        let lines: Vec<(u64, Octets)> = self.all.into_iter().map(|(index, line)| (index, line.into())).collect();
        let pieces: Vec<Vec<u8>> = lines.chunks(100).map(|lines| codec::encode(&lines)).collect();
        pieces.into_iter()
    }
}
