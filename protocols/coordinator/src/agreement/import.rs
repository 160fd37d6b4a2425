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
    /// For how many nodes each was asked last.
    counts: BTreeMap<NodeId, usize>,
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
            counts: BTreeMap::new(),
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
            self.counts.insert(member, question.paths.len());
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
            Ok(taken) if taken > 0 && self.is_whole(&from, fetched) => self.rounds = 0,
            // It has not that state, or gives less of it than it could, or what was not asked for: others are asked first for
            // a while. One that gives a node at a time does not keep this replica at a state that the others have left.
            Ok(taken) if was_asked || taken > 0 => drop(self.set_back.insert(from)),
            Ok(_) => {}
            Err(_) => drop(self.set_back.insert(from)),
        }
    }

    /// Whether an answer has all that was asked for, or as much as an answer can have.
    fn is_whole(&self, from: &NodeId, fetched: &FetchedNodes) -> bool {
        let bytes: usize = fetched.nodes.iter().map(|node| node.path.0.len() + node.bytes.len() + 16).sum();
        let asked = self.counts.get(from).copied().unwrap_or(usize::MAX);
        fetched.nodes.len() >= asked || bytes > limits::FETCHED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::ledger::Entry;

    fn members() -> Vec<NodeId> {
        (1..=3).map(|n| NodeId::from_bytes([n; 32])).collect()
    }

    fn state() -> Map {
        Map::from_entries((0..3000u32).map(|n| Entry::new(&n.to_le_bytes(), &[&[7; 200]])).collect())
    }

    /// Fetches from one member that answers as told; the others have nothing. Whether it comes to an end in a minute, and
    /// whether that is the state.
    fn fetch(answer: impl Fn(&Map, &FetchNodes) -> FetchedNodes) -> (bool, bool) {
        let (state, members) = (state(), members());
        let mut fetching = Fetching::new(Mono(0), Sequence::new(8), state.root(), &Map::new(), 1 << 30);
        let mut now = Mono(0);
        while now < Mono(60_000_000) && !fetching.is_complete() && !fetching.is_fruitless() {
            for (to, question) in fetching.ask(now, &members) {
                let fetched = match to == members[1] {
                    true => answer(&state, &question),
                    false => FetchedNodes { root: question.root, nodes: Vec::new() },
                };
                fetching.take(to, &fetched);
            }
            now = now + Duration::from_millis(50);
        }
        (fetching.is_complete() || fetching.is_fruitless(), fetching.is_complete())
    }

    #[test]
    fn a_state_that_one_member_has_is_fetched_from_it() {
        assert_eq!(fetch(|state, question| state.fetched(question)), (true, true));
    }

    /// Checklist item 35.
    #[test]
    fn who_gives_a_node_at_a_time_does_not_hold_the_rest_up() {
        let a_little = |state: &Map, question: &FetchNodes| {
            let mut fetched = state.fetched(question);
            if question.paths.len() > 1 {
                fetched.nodes.truncate(1);
            }
            fetched
        };
        assert_eq!(fetch(a_little), (true, false));
    }
}
