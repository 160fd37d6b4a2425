//! The state of a checkpoint from other members, node by node.

use super::{answer::Answer, gathered::Gathered};
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
    /// Who answered last: the next in the order of the members is asked first. Else when there is one question it would go
    /// to the same member each time.
    last: Option<NodeId>,
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
            last: None,
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
        let last = members.iter().position(|member| Some(*member) == self.last);
        let (before, behind) = members.split_at(last.map_or(0, |last| last + 1));
        let (silent, others): (Vec<NodeId>, Vec<NodeId>) = behind
            .iter()
            .chain(before)
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
            self.last = Some(from);
        }
        let question = self.questions.remove(&from);
        let taken = self.take_all(fetched, question.as_ref());
        match taken {
            Ok((taken, true)) => {
                if taken > 0 {
                    self.rounds = 0;
                }
            }
            // It has not that state, or gives less of it than it could, or what was not asked for: others are asked first for
            // a while. One that gives a node at a time does not keep this replica at a state that the others have left.
            Ok((taken, false)) if was_asked || taken > 0 => drop(self.set_back.insert(from)),
            Ok(_) => {}
            Err(_) => drop(self.set_back.insert(from)),
        }
    }

    /// How many nodes were missing, and whether the answer has all that was asked for, or as much as an answer can have, and
    /// nothing else; on an error the nodes before the bad one are taken.
    fn take_all(
        &mut self,
        fetched: &FetchedNodes,
        question: Option<&FetchNodes>,
    ) -> Result<(usize, bool), ImportError> {
        let mut answer = question.map(Answer::to);
        let mut taken = 0;
        for node in &fetched.nodes {
            let asked = answer.as_mut().and_then(|answer| answer.comes(&node.path).then_some(answer));
            let Some(digest) = self.import.missing(&node.path) else {
                // Of two who were asked for the same the second comes too late, and is not to be blamed.
                let digest = self.gathered.digest(node);
                if let Some((answer, digest)) = asked.zip(digest)
                    && !answer.is_known(&digest)
                {
                    answer.count(node);
                }
                continue;
            };
            self.import.take(&node.path, &node.bytes)?;
            taken += 1;
            if let Some(answer) = asked {
                answer.count(node);
            }
            self.gathered.give_below(&node.path, &mut self.import);
            self.gathered.keep(&node.path, digest, &node.bytes, self.most_bytes);
        }
        let is_whole = question.zip(answer).is_some_and(|(question, answer)| {
            let is_good = !answer.is_padded() && !answer.is_empty();
            is_good && (answer.is_full() || !self.import.lacks(question, fetched))
        });
        Ok((taken, is_whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        ledger::{Entry, FetchedNode, NodePath},
        task::Octets,
    };

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

    /// What a liar fills an answer up with.
    #[derive(Clone, Copy)]
    enum Pad {
        Nothing,
        /// Empty nodes at the root.
        Nowhere,
        /// The one node that it gives, again and again.
        Repeats,
        /// Empty nodes below the one that it gives, each where there is none and below another that came.
        Below,
    }

    impl Pad {
        fn a_node(self, state: &Map, question: &FetchNodes) -> FetchedNodes {
            let mut fetched = state.fetched(question);
            fetched.nodes.truncate(1);
            let Some(given) = fetched.nodes.first().cloned() else { return fetched };
            let empty = |path| FetchedNode { path, bytes: Octets::default() };
            let pad = |n: usize| match self {
                Self::Nothing => None,
                Self::Nowhere => Some(empty(NodePath::default())),
                Self::Repeats => Some(given.clone()),
                Self::Below if n < 32 => Some(empty(given.path.below(64 + n as u8))),
                Self::Below => Some(empty(given.path.below(64 + (n / 32) as u8).below(64 + (n % 32) as u8))),
            };
            fetched.nodes.extend((1..limits::FETCHED_NODES).filter_map(pad));
            fetched
        }
    }

    #[test]
    fn a_state_that_one_member_has_is_fetched_from_it() {
        assert_eq!(fetch(|state, question| state.fetched(question)), (true, true));
    }

    /// Checklist item 35: what fills an answer up and is not what was asked for does not make it whole.
    #[test]
    fn who_gives_a_node_at_a_time_does_not_hold_the_rest_up() {
        let pads = [Pad::Nothing, Pad::Nowhere, Pad::Repeats, Pad::Below];
        let ends = pads.map(|pad| fetch(|state, question| pad.a_node(state, question)));
        assert_eq!(ends, [(true, false); 4]);
    }

    /// Checklist item 35: the first of the members takes its time and gives a node, and what fills the answer up.
    #[test]
    fn who_pads_is_not_the_only_one_that_is_asked() {
        let (state, members) = (state(), members());
        let mut fetching = begin(&state, Left::default());
        let (mut now, mut slow) = (Mono(0), None);
        while !fetching.is_complete() && now < Mono(10_000_000) {
            if let Some((_, fetched)) = slow.take_if(|(at, _)| *at <= now) {
                fetching.take(members[0], &fetched);
            }
            for (to, question) in fetching.ask(now, &members) {
                match to == members[0] {
                    true => slow = Some((now + Duration::from_millis(1900), Pad::Nowhere.a_node(&state, &question))),
                    false => fetching.take(to, &state.fetched(&question)),
                }
            }
            now = now + Duration::from_millis(50);
        }
        assert!(fetching.is_complete());
    }

    /// Checklist item 35: one that takes its time for each whole answer is not asked each time that there is one question.
    #[test]
    fn who_was_asked_last_is_asked_behind_the_others() {
        let (state, members) = (state(), members());
        let mut fetching = begin(&state, Left::default());
        let mut first = Vec::new();
        while !fetching.is_complete() {
            let questions = fetching.ask(Mono(0), &members);
            first.push(questions[0].0);
            for (to, question) in questions.into_iter().take(1) {
                let one = FetchNodes { paths: question.paths[..1].to_vec(), levels: 0, ..question };
                fetching.questions.insert(to, one.clone());
                fetching.take(to, &state.fetched(&one));
            }
            fetching.asked.clear();
        }
        assert!(first.len() > members.len());
        assert!(first.iter().zip(members.iter().cycle()).all(|(asked, next)| asked == next), "{first:?}");
    }

    /// An answer that was full counts as such, whoever else brought the same meanwhile.
    #[test]
    fn who_brings_what_another_was_faster_with_is_not_set_back() {
        let entries = (0..40_000u32).map(|n| Entry::new(&n.to_le_bytes(), &[&[7; 200]]));
        let state = Map::from_entries(entries.collect());
        let mut fetching = begin(&state, Left::default());
        let members = members();
        let (first, question) = fetching.ask(Mono(0), &members).remove(0);
        let second = fetching.ask(Mono(0) + PATIENCE, &members).remove(0).0;
        let fetched = state.fetched(&question);
        fetching.take(first, &fetched);
        assert!(fetching.import.lacks(&question, &fetched), "there was no room for all");
        fetching.take(second, &fetched);
        assert!(!fetching.set_back.contains(&second));
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
