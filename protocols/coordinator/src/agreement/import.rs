//! The state of a checkpoint from other members, node by node.

use mesh_ledger::{
    Map,
    map::{Import, ImportError},
};
use mesh_proto::{
    id::{Digest, NodeId},
    ledger::{FetchNodes, FetchedNodes},
    limits,
    pbft::Sequence,
    time::Mono,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// When nobody had anything, all are asked again after this.
const PAUSE: Duration = Duration::from_millis(250);
/// So often in a row; then nobody has that state any more.
const ROUNDS: u32 = 4;
/// Members are told so often that their state is still being fetched, so that they keep it.
const REMIND: Duration = Duration::from_secs(2);

/// The fetching of one state.
pub struct Fetching {
    pub sequence: Sequence,
    root: Digest,
    import: Import,
    /// Who was asked, and until when an answer is waited for.
    asked: BTreeMap<NodeId, Mono>,
    /// Who sent what does not prove itself, or nothing.
    set_back: BTreeSet<NodeId>,
    /// How often all were set back since something came.
    rounds: u32,
    /// Nobody is asked before.
    again: Mono,
    reminded: Mono,
}

impl Fetching {
    pub fn new(now: Mono, sequence: Sequence, root: Digest, base: &Map, most_bytes: u64) -> Self {
        let import = Import::new(root, base, most_bytes);
        Self {
            sequence,
            root,
            import,
            asked: BTreeMap::new(),
            set_back: BTreeSet::new(),
            rounds: 0,
            again: Mono::default(),
            reminded: now,
        }
    }

    pub fn is_complete(&self) -> bool {
        self.import.is_complete()
    }

    pub fn finish(self) -> Result<Map, ImportError> {
        self.import.finish()
    }

    pub fn deadline(&self) -> Option<Mono> {
        match self.asked.is_empty() {
            true => Some(self.again),
            false => self.asked.values().min().copied(),
        }
    }

    /// Questions to those of `members` who are not asked yet, each for other nodes.
    pub fn ask(&mut self, now: Mono, members: &[NodeId]) -> Vec<(NodeId, FetchNodes)> {
        // Whoever keeps silent is asked behind the others: a lone question would go to the same node for ever.
        let silent = self.asked.extract_if(.., |_, until| *until <= now).map(|(member, _)| member);
        self.set_back.extend(silent);
        if members.iter().all(|member| self.set_back.contains(member)) {
            // There is nobody better to ask.
            self.set_back.clear();
            self.rounds += 1;
            self.again = now + PAUSE;
        }
        if now < self.again {
            return Vec::new();
        }
        let mut questions = Vec::new();
        let free = members.iter().filter(|member| !self.set_back.contains(*member));
        let free: Vec<NodeId> = free.copied().filter(|member| !self.asked.contains_key(member)).collect();
        for member in free {
            let question = self.import.wanted(limits::FETCHED_NODES / 4, self.asked.len());
            if question.paths.is_empty() {
                break;
            }
            self.asked.insert(member, now + PATIENCE);
            questions.push((member, question));
        }
        questions
    }

    /// Nobody has that state any more: the members went on meanwhile.
    pub fn is_fruitless(&self) -> bool {
        self.rounds >= ROUNDS
    }

    /// Whether members should hear that this goes on.
    pub fn is_to_remind(&mut self, now: Mono) -> bool {
        let is_time = self.reminded + REMIND <= now;
        if is_time {
            self.reminded = now;
        }
        is_time
    }

    /// What one of them sent, be it late: nodes prove themselves.
    pub fn take(&mut self, from: NodeId, fetched: &FetchedNodes) {
        if fetched.root != self.root {
            // An answer about an earlier state.
            return;
        }
        let was_asked = self.asked.remove(&from).is_some();
        match self.import.take_all(fetched) {
            Ok(taken) if taken > 0 => self.rounds = 0,
            // It has not that state, or sends what was not asked for: others are asked first for a while.
            Ok(_) if was_asked => drop(self.set_back.insert(from)),
            Ok(_) => {}
            Err(_) => drop(self.set_back.insert(from)),
        }
    }
}
