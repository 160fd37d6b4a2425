//! The state of a checkpoint from other members, node by node.

use super::gathered::Gathered;
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

/// What one fetch leaves to the next.
#[derive(Clone, Debug, Default)]
pub struct Left {
    gathered: Gathered,
    /// Members that let a question pass: to wait for them in each fetch would be longer than a checkpoint lasts.
    silent: BTreeSet<NodeId>,
}

/// The fetching of one state.
pub struct Fetching {
    pub sequence: Sequence,
    root: Digest,
    import: Import,
    /// What has come, of this state and of the one that was fetched before.
    gathered: Gathered,
    most_bytes: u64,
    /// Who was asked, and until when an answer is waited for.
    asked: BTreeMap<NodeId, Mono>,
    /// What each was asked last.
    questions: BTreeMap<NodeId, FetchNodes>,
    /// Who sent what does not prove itself, or nothing, or less than there was.
    set_back: BTreeSet<NodeId>,
    /// Who let a question pass, here or in a fetch before, and answered none since: asked when all others are set back.
    silent: BTreeSet<NodeId>,
    /// How often all were set back since something came.
    rounds: u32,
    /// Nobody is asked before.
    again: Mono,
    reminded: Mono,
}

impl Fetching {
    /// Of what an earlier one has gathered nothing is fetched again, nor of `base`; and who let its questions pass is asked
    /// behind the others.
    pub fn new(now: Mono, target: (Sequence, Digest), base: &Map, left: Left, most_bytes: u64) -> Self {
        let (sequence, root) = target;
        let import = Import::new(root, base, most_bytes);
        Self {
            sequence,
            root,
            import,
            gathered: left.gathered,
            most_bytes,
            asked: BTreeMap::new(),
            questions: BTreeMap::new(),
            set_back: BTreeSet::new(),
            silent: left.silent,
            rounds: 0,
            again: Mono::default(),
            reminded: now,
        }
    }

    pub fn is_complete(&self) -> bool {
        self.import.is_complete()
    }

    /// The state, and what is left for the next one.
    pub fn finish(self) -> (Result<Map, ImportError>, Left) {
        let left = Left { gathered: Gathered::default(), silent: self.silent };
        (self.import.finish(), left)
    }

    /// What is left for the next one, as this one comes to nothing.
    pub fn give_up(self) -> Left {
        Left { gathered: self.gathered, silent: self.silent }
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
        for (member, _) in self.asked.extract_if(.., |_, until| *until <= now) {
            self.set_back.insert(member);
            self.silent.insert(member);
        }
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
        let (silent, others): (Vec<NodeId>, Vec<NodeId>) = members
            .iter()
            .filter(|member| !self.set_back.contains(*member))
            .partition(|member| self.silent.contains(*member));
        let free = if others.is_empty() { silent } else { others };
        let free: Vec<NodeId> = free.into_iter().filter(|member| !self.asked.contains_key(member)).collect();
        for member in free {
            let mut question = self.import.wanted(limits::FETCHED_NODES / 4, self.asked.len());
            if question.paths.is_empty() {
                break;
            }
            self.gathered.name_in(&mut question);
            self.asked.insert(member, now + PATIENCE);
            self.questions.insert(member, question.clone());
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
        if was_asked {
            self.silent.remove(&from);
        }
        let taken = self.take_all(fetched);
        match taken {
            Ok(taken) if taken > 0 && self.is_whole(&from, fetched) => self.rounds = 0,
            // It has not that state, or gives less of it than it could, or what was not asked for: others are asked first for
            // a while. One that gives a node at a time does not keep this replica at a state that the others have left.
            Ok(taken) if was_asked || taken > 0 => drop(self.set_back.insert(from)),
            Ok(_) => {}
            Err(_) => drop(self.set_back.insert(from)),
        }
    }

    /// How many nodes were missing; on an error those before the bad one are taken.
    fn take_all(&mut self, fetched: &FetchedNodes) -> Result<usize, ImportError> {
        let mut taken = 0;
        for node in &fetched.nodes {
            // Of two who were asked for the same the second comes too late.
            let Some(digest) = self.import.missing(&node.path) else { continue };
            self.import.take(&node.path, &node.bytes)?;
            taken += 1;
            self.gathered.give_below(&node.path, &mut self.import);
            self.gathered.keep(&node.path, digest, &node.bytes, self.most_bytes);
        }
        Ok(taken)
    }

    /// Whether an answer has all that was asked for, or as much as an answer can have.
    fn is_whole(&mut self, from: &NodeId, fetched: &FetchedNodes) -> bool {
        let bytes: usize = fetched.nodes.iter().map(|node| node.path.0.len() + node.bytes.len() + 16).sum();
        let is_full = bytes > limits::FETCHED_BYTES || fetched.nodes.len() >= limits::FETCHED_NODES;
        let question = self.questions.remove(from);
        is_full || question.is_some_and(|question| !self.import.lacks(&question, fetched))
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

    fn begin(state: &Map, left: Left) -> Fetching {
        Fetching::new(Mono(0), (Sequence::new(8), state.root()), &Map::new(), left, 1 << 30)
    }

    /// Fetches from one member that answers as told; the others have nothing. Whether it comes to an end in a minute, and
    /// whether that is the state.
    fn fetch(answer: impl Fn(&Map, &FetchNodes) -> FetchedNodes) -> (bool, bool) {
        let (state, members) = (state(), members());
        let mut fetching = begin(&state, Left::default());
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
            fetched.nodes.truncate(1);
            fetched
        };
        assert_eq!(fetch(a_little), (true, false));
    }

    /// Checklist item 35: one that answers each question and never says what is below costs a round trip, not one for each
    /// level.
    #[test]
    fn who_keeps_back_what_is_below_is_asked_behind_the_others() {
        let (state, members) = (state(), members());
        let mut fetching = begin(&state, Left::default());
        let mut rounds = 0;
        while !fetching.is_complete() {
            rounds += 1;
            for (to, mut question) in fetching.ask(Mono(0), &members) {
                question.levels = if to == members[0] { 0 } else { question.levels };
                fetching.take(to, &state.fetched(&question));
            }
        }
        assert_eq!(rounds, 2);
    }

    /// Checklist item 35: each fetch would wait for it, and be late each time.
    #[test]
    fn who_let_a_question_pass_is_asked_behind_the_others_by_the_next_fetch() {
        let (state, members) = (state(), members());
        let mut fetching = begin(&state, Left::default());
        let silent = fetching.ask(Mono(0), &members)[0].0;
        let mut left = fetching.give_up();
        for _ in 0..2 {
            let mut fetching = begin(&state, left);
            let first = fetching.ask(Mono(0), &members)[0].0;
            assert_eq!(first, silent, "nobody has waited for it yet");
            let second = fetching.ask(Mono(0) + PATIENCE, &members)[0].0;
            assert_ne!(second, silent);
            let mut next = begin(&state, fetching.give_up());
            assert_eq!(next.ask(Mono(0), &members)[0].0, second);
            next.take(second, &FetchedNodes { root: state.root(), nodes: Vec::new() });
            let third = next.ask(Mono(0), &members)[0].0;
            assert!(third != silent && third != second);
            next.take(third, &FetchedNodes { root: state.root(), nodes: Vec::new() });
            // There is nobody better; and it is there.
            let question = next.ask(Mono(0), &members);
            assert_eq!(question[0].0, silent);
            next.take(silent, &state.fetched(&question[0].1));
            left = next.give_up();
        }
    }

    /// Asks one member at most so often, and takes what it answers. How many nodes came.
    fn gather(fetching: &mut Fetching, state: &Map, rounds: usize) -> usize {
        let mut came = 0;
        for _ in 0..rounds {
            for (to, question) in fetching.ask(Mono(0), &members()[..1]) {
                let fetched = state.fetched(&question);
                came += fetched.nodes.len();
                fetching.take(to, &fetched);
            }
        }
        came
    }

    /// Checklist item 35: a state that is let go of while it is fetched costs what has changed in it since, however often
    /// that happens.
    #[test]
    fn what_was_fetched_of_a_state_is_not_fetched_again_of_the_next() {
        let entries = (0..40_000u32).map(|n| Entry::new(&n.to_le_bytes(), &[&[7; 200]]));
        let mut state = Map::from_entries(entries.collect());
        let whole = gather(&mut begin(&state, Left::default()), &state, 100);
        let mut left = Left::default();
        let mut came = 0;
        for round in 0..100u32 {
            let mut fetching = begin(&state, left);
            came += gather(&mut fetching, &state, 2);
            if fetching.is_complete() {
                assert_eq!(fetching.finish().0.map(|map| map.root()), Ok(state.root()));
                assert!(round > 0, "it was let go of");
                assert!(came < whole + 8 * (round as usize + 1), "{came} nodes came, of {whole}, in {round} rounds");
                return;
            }
            left = fetching.give_up();
            state.put(&round.to_le_bytes(), &[&[8; 200]]);
        }
        panic!("never there: {came} nodes came, of {whole}");
    }
}
