//! What all users of a siege know together: what may be asked for, and what was told.

use super::{
    history::{History, HistoryError},
    judge::COUNTER,
    line::{Blow, Line, Operation, Outcome, Told, Wish},
    tally::Tally,
};
use crate::sim::dice::Dice;
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// All users are of one thread.
pub struct Desk {
    begun: Instant,
    nodes: usize,
    most: u32,
    state: RefCell<State>,
}

struct State {
    next: u32,
    is_over: bool,
    /// The highest batch that anybody was told of.
    index: u64,
    /// How often each of the keys in use was asked for.
    slots: Vec<u32>,
    /// Version and count that somebody saw last, of keys in use.
    seen: BTreeMap<String, (u64, u64)>,
    /// Writers of keys of their own, the last ones.
    own: VecDeque<u32>,
    held: VecDeque<(u64, u64)>,
    ballots: VecDeque<Ballot>,
    proposals: u32,
    last_proposal: Option<Instant>,
    last_commit: Instant,
    history: History,
    tally: Tally,
    failed: Option<HistoryError>,
}

/// A proposal that not all have voted on.
struct Ballot {
    proposal: String,
    left: Vec<usize>,
}

/// Hot keys in use at a time, and counters.
const HOT: usize = 4;
const COUNTERS: usize = 2;
/// A key is left alone after so many wishes, so that its history can be judged.
const WISHES: u32 = 100;
const LOCKS: u64 = 4;
/// Own keys, held locks and proposals that are remembered to be asked for again.
const REMEMBERED: usize = 256;
/// Between two proposals, and so many in all: the ledger keeps 4,096 that are decided, and they are counted in the end.
const PROPOSAL: Duration = Duration::from_millis(1_000);
const PROPOSALS: u32 = 4_000;

impl Desk {
    /// For at most so many operations: all of them are in memory when they are judged.
    pub fn new(nodes: usize, most: u32, history: History) -> Self {
        let state = State {
            next: 0,
            is_over: false,
            index: 0,
            slots: vec![0; HOT + COUNTERS],
            seen: BTreeMap::new(),
            own: VecDeque::new(),
            held: VecDeque::new(),
            ballots: VecDeque::new(),
            proposals: 0,
            last_proposal: None,
            last_commit: Instant::now(),
            history,
            tally: Tally::default(),
            failed: None,
        };
        Self { begun: Instant::now(), nodes, most, state: RefCell::new(state) }
    }

    /// In microseconds since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// As much was asked as may be: nobody wants anything more.
    pub fn is_spent(&self) -> bool {
        self.state.borrow().next >= self.most
    }

    /// Nothing more is begun.
    pub fn close(&self) {
        self.state.borrow_mut().is_over = true;
    }

    /// The highest batch that anybody was told of.
    pub fn index(&self) -> u64 {
        self.state.borrow().index
    }

    /// When something was agreed on last.
    pub fn last_commit(&self) -> Instant {
        self.state.borrow().last_commit
    }

    /// Counts are of what happens from now on.
    pub fn begin(&self) {
        self.state.borrow_mut().last_commit = Instant::now();
    }

    /// What somebody wants next.
    pub fn draw(&self, user: usize, dice: &mut Dice) -> Option<Operation> {
        let mut state = self.state.borrow_mut();
        if state.is_over || state.next >= self.most {
            return None;
        }
        let wish = state.wish(self.nodes, dice);
        let number = state.next;
        state.next += 1;
        if let Wish::Put { key } = &wish
            && key.starts_with(OWN)
        {
            keep(&mut state.own, number);
        }
        Some(Operation {
            number,
            user,
            wish: own_key(wish, number),
            asked: self.now(),
            answered: None,
            index: None,
            attempts: 0,
            outcome: Outcome::Unknown,
            again: None,
        })
    }

    /// What came of it.
    pub fn done(&self, operation: Operation) {
        let mut state = self.state.borrow_mut();
        if let Some(index) = operation.index {
            state.index = state.index.max(index);
        }
        if let (Outcome::Told(told), Some(answered)) = (&operation.outcome, operation.answered) {
            let gap = state.last_commit.elapsed();
            state.last_commit = Instant::now();
            state.tally.committed(operation.asked, answered, gap);
            state.learn(self.nodes, &operation, told);
        }
        state.tally.count(&operation);
        state.write(&Line::Operation(operation));
    }

    /// What is not an operation.
    pub fn note(&self, line: &Line) {
        self.state.borrow_mut().write(line);
    }

    /// Something was done to the nodes just now.
    pub fn struck(&self, blow: Blow) {
        let at = self.now();
        self.state.borrow_mut().tally.struck(blow, at);
    }

    pub fn tally(&self) -> Tally {
        self.state.borrow().tally.clone()
    }

    /// All that was written is in the file, or why it is not.
    pub fn flush(&self) -> Result<(), HistoryError> {
        let mut state = self.state.borrow_mut();
        match state.failed.take() {
            Some(error) => Err(error),
            None => state.history.flush(),
        }
    }
}

/// Keys that are written once begin so.
const OWN: &str = "own";

fn own_key(wish: Wish, number: u32) -> Wish {
    match wish {
        Wish::Put { key } if key == OWN => Wish::Put { key: format!("{OWN}-{number}") },
        wish => wish,
    }
}

impl State {
    fn wish(&mut self, nodes: usize, dice: &mut Dice) -> Wish {
        match dice.below(100) {
            0..=34 => self.hot(dice),
            35..=49 => self.counter(dice),
            50..=74 => self.own(dice),
            75..=91 => self.lock(dice),
            _ => self.ballot(nodes, dice),
        }
    }

    /// A key in use. One that is left alone has nothing more to be seen.
    fn key(&mut self, slot: usize, name: &str) -> String {
        let asked = self.slots[slot];
        self.slots[slot] += 1;
        if asked > 0 && asked.is_multiple_of(WISHES) {
            self.seen.remove(&format!("{name}-{slot}-{}", asked / WISHES - 1));
        }
        format!("{name}-{slot}-{}", asked / WISHES)
    }

    fn hot(&mut self, dice: &mut Dice) -> Wish {
        let key = self.key(dice.below(HOT), "hot");
        match dice.below(10) {
            0..=2 => Wish::Put { key },
            3..=5 => Wish::Get { key },
            6 => Wish::Delete { key },
            _ => {
                let seen = self.seen.get(&key).map(|(version, _)| *version);
                let expect = seen.filter(|_| !dice.chance(150));
                Wish::Swap { key, expect, writes: !dice.chance(200), count: 0 }
            }
        }
    }

    fn counter(&mut self, dice: &mut Dice) -> Wish {
        let key = self.key(HOT + dice.below(COUNTERS), COUNTER);
        match self.seen.get(&key) {
            _ if dice.chance(300) => Wish::Get { key },
            Some((version, count)) => Wish::Swap { expect: Some(*version), writes: true, count: count + 1, key },
            None => Wish::Swap { key, expect: None, writes: true, count: 1 },
        }
    }

    fn own(&mut self, dice: &mut Dice) -> Wish {
        match self.own.is_empty() || dice.chance(700) {
            true => Wish::Put { key: OWN.to_owned() },
            false => Wish::Get { key: format!("{OWN}-{}", self.own[dice.below(self.own.len())]) },
        }
    }

    fn lock(&mut self, dice: &mut Dice) -> Wish {
        let lease_ms = dice.spread(300..=8_000);
        if self.held.is_empty() || dice.chance(500) {
            return Wish::Lock { lock: dice.range(0..=LOCKS - 1), lease_ms };
        }
        // Mostly one that is held still.
        let behind = dice.spread(1..=self.held.len() as u64) as usize;
        let (lock, fence) = self.held[self.held.len() - behind];
        match dice.chance(400) {
            true => Wish::Renew { lock, fence, lease_ms },
            false => Wish::Unlock { lock, fence },
        }
    }

    fn ballot(&mut self, nodes: usize, dice: &mut Dice) -> Wish {
        if self.ballots.is_empty() || dice.chance(100) {
            let is_soon = self.last_proposal.is_some_and(|last| last.elapsed() < PROPOSAL);
            if is_soon || self.proposals >= PROPOSALS {
                return self.own(dice);
            }
            self.proposals += 1;
            self.last_proposal = Some(Instant::now());
            return Wish::Propose;
        }
        let place = dice.below(self.ballots.len());
        let ballot = &mut self.ballots[place];
        let node = ballot.left.swap_remove(dice.below(ballot.left.len()));
        debug_assert!(node < nodes);
        let proposal = ballot.proposal.clone();
        if ballot.left.is_empty() {
            self.ballots.remove(place);
        }
        Wish::Vote { proposal, node, approve: dice.chance(750) }
    }

    fn learn(&mut self, nodes: usize, operation: &Operation, told: &Told) {
        let see = |seen: &mut BTreeMap<String, (u64, u64)>, key: &str, version: u64, count: u64| {
            let last = seen.entry(key.to_owned()).or_insert((version, count));
            *last = (*last).max((version, count));
        };
        match (&operation.wish, told) {
            (Wish::Put { key } | Wish::Get { key }, _) if key.starts_with(OWN) => {}
            (Wish::Put { key }, Told::Written { version }) => see(&mut self.seen, key, *version, 0),
            (Wish::Swap { key, count, .. }, Told::Written { version }) => see(&mut self.seen, key, *version, *count),
            (Wish::Get { key }, Told::Value { version, count, .. }) => see(&mut self.seen, key, *version, *count),
            // Who counts must have seen what is there.
            (Wish::Swap { key, .. }, Told::Mismatch { .. }) if key.starts_with(COUNTER) => {}
            (Wish::Lock { lock, .. }, Told::Granted { fence, .. }) => keep(&mut self.held, (*lock, *fence)),
            (Wish::Unlock { fence, .. }, Told::Released) => self.held.retain(|(_, held)| held != fence),
            (Wish::Renew { fence, .. }, Told::NotHeld) => self.held.retain(|(_, held)| held != fence),
            (Wish::Propose, Told::Proposed { proposal }) => {
                keep(&mut self.ballots, Ballot { proposal: proposal.clone(), left: (0..nodes).collect() });
            }
            (Wish::Vote { proposal, .. }, Told::Rejected { .. }) => {
                self.ballots.retain(|ballot| ballot.proposal != *proposal);
            }
            _ => {}
        }
    }

    fn write(&mut self, line: &Line) {
        if self.failed.is_none() {
            self.failed = self.history.write(line).err();
        }
    }
}

fn keep<T>(kept: &mut VecDeque<T>, one: T) {
    if kept.len() >= REMEMBERED {
        kept.pop_front();
    }
    kept.push_back(one);
}
