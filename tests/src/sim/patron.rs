//! Users of the ledger: each wants something of the shared memory or of a lock, through whichever node is there, and asks
//! again under the same id until he knows what came of it.

mod claims;
mod motions;
mod polls;

use super::{
    client::Reach,
    council::Council,
    count::Count,
    dice::Dice,
    event::{Event, Slab},
    options::Options,
};
use crate::check::{Action, Rule, Told, Violation};
use mesh_coordinator::{Answer, Command, Refusal, RequestId};
use mesh_proto::{
    agreement::{Operation, Ran},
    id::{NetworkId, NodeId},
    key::SecretKey,
    ledger::{self, Body, CommandId, Done, Expect, Fence, Index, MemoryKey, Namespace, Outcome, Query, Rejection, Row},
};
use polls::Poll;
use std::{collections::BTreeMap, sync::Arc};

/// All users of a world's ledger.
pub struct Patrons {
    network: NetworkId,
    nodes: Vec<NodeId>,
    /// Of the nodes: users vote with them.
    keys_of_nodes: Vec<Arc<SecretKey>>,
    wants: Vec<Want>,
    open: BTreeMap<RequestId, Open>,
    travelling: Slab<(RequestId, Command)>,
    requests: u64,
    dice: Dice,
    /// What only some worlds have.
    more: Dice,
    leases: bool,
    polls: bool,
    /// Put to the vote, by whom and under which key of a command.
    open_polls: Vec<polls::Known>,
    /// Keys in use at a time, each with how often it was asked for; after some time another takes its place.
    keys: Vec<u64>,
    /// Versions that somebody has seen, by key.
    versions: BTreeMap<String, Vec<u64>>,
    held: Vec<Held>,
    /// The last batch that anybody was told of.
    last: Index,
    healed: Option<u64>,
}

/// What one wants.
struct Want {
    wish: Wish,
    operation: Operation,
    asked: Option<u64>,
    state: State,
    /// What he was told first.
    told: Option<Ran>,
    step: u32,
}

#[derive(Clone, Debug)]
enum Wish {
    Memory {
        key: String,
        action: Action,
    },
    Lock {
        lock: u64,
        lease_ms: u64,
    },
    Renew {
        fence: Fence,
        lease_ms: u64,
    },
    Unlock(Fence),
    Poll(Poll),
    /// Of the committee.
    Govern,
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Wanted,
    Told,
    /// It may have run, and nobody knows any more.
    Unknown,
}

struct Open {
    gateway: usize,
    wants: Vec<u32>,
}

/// A lock that somebody has, or has had.
#[derive(Clone)]
struct Held {
    lock: u64,
    fence: Fence,
    principal: u64,
}

/// Requests of users of the ledger begin here.
const FIRST: u64 = 1 << 40;
/// So long after the faults a node may take its clock to be ahead.
const CLOCK_AHEAD: u64 = 20_000_000;
/// A key is left alone after so many wishes.
const WISHES: u64 = 80;
const LOCKS: u64 = 3;
const PRINCIPALS: u64 = 3;

impl Patrons {
    pub fn new(options: &Options, network: NetworkId, keys_of_nodes: Vec<Arc<SecretKey>>) -> Self {
        let keys = options.council.as_ref().map_or(0, |council| council.keys);
        let has = |what: fn(&Council) -> bool| options.council.as_ref().is_some_and(what);
        Self {
            network,
            nodes: keys_of_nodes.iter().map(|key| key.node_id()).collect(),
            keys_of_nodes,
            wants: Vec::new(),
            open: BTreeMap::new(),
            travelling: Slab::default(),
            requests: FIRST,
            dice: Dice::new(options.seed, 6),
            more: Dice::new(options.seed, 8),
            leases: has(|council| council.leases),
            polls: has(|council| council.polls),
            open_polls: Vec::new(),
            keys: vec![0; keys as usize],
            versions: BTreeMap::new(),
            held: Vec::new(),
            last: Index::GENESIS,
            healed: None,
        }
    }

    pub fn is_theirs(request: RequestId) -> bool {
        request.0 >= FIRST
    }

    pub fn arrived(&mut self, slot: u32) -> Option<(RequestId, Command)> {
        self.travelling.take(slot)
    }

    /// Somebody wants something, or many do at once.
    pub fn want_something(&mut self, reach: &mut Reach<'_>) {
        let many = if self.dice.chance(80) { self.dice.range(2..=12) } else { 1 };
        let first = self.wants.len() as u32;
        for _ in 0..many {
            self.draw(reach);
        }
        let fresh: Vec<u32> = (first..self.wants.len() as u32).collect();
        // In one request, or each alone.
        let chunk = if self.dice.chance(500) { fresh.len() } else { 1 };
        for wants in fresh.chunks(chunk.max(1)) {
            self.ask(wants.to_vec(), reach);
            if self.dice.chance(40) {
                self.ask(wants.to_vec(), reach);
            }
        }
        for want in fresh {
            self.plan_patience(want, reach);
        }
        if self.dice.chance(50) {
            self.look(reach);
        }
        if self.dice.chance(5) {
            reach.counts.add(Count::OrderRecruit);
            let node = *self.dice.pick(&self.nodes);
            self.ask_for(Command::Recruit { node }, reach);
        }
        if self.dice.chance(20) {
            self.ask_once_more(reach);
        }
    }

    fn draw(&mut self, reach: &mut Reach<'_>) {
        let principal = self.dice.below(PRINCIPALS as usize) as u64;
        let want = self.wants.len() as u32;
        let more = self.draw_poll(principal, want);
        let (wish, operation) = match more.or_else(|| self.draw_award(principal, want)) {
            Some(drawn) => drawn,
            None => match self.dice.below(20) {
                0..=12 => self.draw_memory(principal, want),
                13..=16 => {
                    let lock = self.dice.below(LOCKS as usize) as u64;
                    self.draw_claim(principal, want, lock)
                }
                17 | 18 if !self.held.is_empty() => self.draw_held(want),
                _ => (Wish::Tick, command(principal, want, Body::Tick)),
            },
        };
        reach.counts.add(match &wish {
            Wish::Lock { lock, .. } if *lock >= claims::AWARDS => Count::OrderAward,
            Wish::Poll(Poll::Propose) => Count::OrderPropose,
            Wish::Poll(Poll::Vote { .. }) => Count::OrderVote,
            Wish::Poll(Poll::Close { .. }) => Count::OrderClose,
            Wish::Memory { action: Action::Put, .. } => Count::OrderPut,
            Wish::Memory { action: Action::Get, .. } => Count::OrderGet,
            Wish::Memory { action: Action::Delete, .. } => Count::OrderDelete,
            Wish::Memory { action: Action::Swap { .. }, .. } => Count::OrderSwap,
            Wish::Lock { .. } => Count::OrderLock,
            Wish::Renew { .. } => Count::OrderRenew,
            Wish::Unlock(_) => Count::OrderUnlock,
            Wish::Tick | Wish::Govern => Count::OrderTick,
        });
        self.wants.push(Want { wish, operation, asked: None, state: State::Wanted, told: None, step: 0 });
    }

    fn draw_memory(&mut self, principal: u64, want: u32) -> (Wish, Operation) {
        let place = self.dice.below(self.keys.len());
        self.keys[place] += 1;
        let name = format!("k{place}-{}", self.keys[place] / WISHES);
        let (namespace, key) = (room(), memory_key(&name));
        let value = want.to_le_bytes().to_vec().into();
        let ttl_ms = (self.leases && self.more.chance(400)).then(|| self.more.spread(300..=20_000));
        match self.dice.below(10) {
            0..=2 => {
                let body = Body::MemoryPut { namespace, key, value, ttl_ms };
                (Wish::Memory { key: name, action: Action::Put }, command(principal, want, body))
            }
            3 => {
                let body = Body::MemoryDelete { namespace, key };
                (Wish::Memory { key: name, action: Action::Delete }, command(principal, want, body))
            }
            4..=6 => {
                let seen = self.versions.get(&name).filter(|versions| !versions.is_empty());
                // Mostly the newest that somebody knows.
                let version = seen.map(|versions| match self.dice.chance(700) {
                    true => versions[versions.len() - 1],
                    false => *self.dice.pick(versions),
                });
                let expect = version.filter(|_| !self.dice.chance(150));
                let writes = !self.dice.chance(200);
                let value = writes.then_some(value);
                let found = expect.map_or(Expect::Absent, Expect::Version);
                let body = Body::MemoryCompareAndSwap { namespace, key, expect: found, value, ttl_ms };
                (Wish::Memory { key: name, action: Action::Swap { expect, writes } }, command(principal, want, body))
            }
            _ => {
                let query = Query::Get { namespace, key };
                (Wish::Memory { key: name, action: Action::Get }, Operation::Query(query))
            }
        }
    }

    fn ask(&mut self, wants: Vec<u32>, reach: &mut Reach<'_>) {
        if reach.doors.gateways().is_empty() {
            return;
        }
        for want in &wants {
            self.begin(*want, reach);
        }
        let operations = wants.iter().map(|want| self.wants[*want as usize].operation.clone()).collect();
        self.travel(Command::Order { operations }, wants, reach);
    }

    fn travel(&mut self, command: Command, wants: Vec<u32>, reach: &mut Reach<'_>) {
        let gateway = *self.dice.pick(&reach.doors.gateways());
        self.requests += 1;
        let request = RequestId(self.requests);
        self.open.insert(request, Open { gateway, wants });
        self.send(request, command, gateway, reach);
    }

    fn send(&mut self, request: RequestId, command: Command, gateway: usize, reach: &mut Reach<'_>) {
        let slot = self.travelling.put((request, command));
        let arrives = reach.at + self.dice.spread(50..=20_000);
        reach.queue.push(arrives, Event::Petition { node: gateway as u16, slot });
    }

    /// Asked for the first time: from now on it may happen.
    fn begin(&mut self, want: u32, reach: &mut Reach<'_>) {
        let last = self.last;
        let entry = &mut self.wants[want as usize];
        if entry.asked.is_some() {
            return;
        }
        entry.asked = Some(reach.at);
        if let Operation::Command(command) = &mut entry.operation {
            command.id.born = last;
        }
        match &entry.wish {
            Wish::Memory { key, action } => {
                let ttl_ms = ttl_of(&entry.operation);
                if ttl_ms.is_some() {
                    reach.counts.add(Count::OrderFleeting);
                }
                reach.checks.agreed.memory.asked(key, want, *action, ttl_ms, reach.at);
            }
            Wish::Poll(poll) => poll.begins(&mut reach.checks.agreed.ballots),
            Wish::Unlock(fence) => reach.checks.agreed.locks.unlocks(*fence, reach.at),
            Wish::Renew { fence, .. } => reach.checks.agreed.locks.renews(*fence),
            Wish::Lock { .. } | Wish::Tick | Wish::Govern => {}
        }
    }

    /// Somebody wants to know now, from one node, and does not mind if it is old.
    fn look(&mut self, reach: &mut Reach<'_>) {
        reach.counts.add(Count::OrderLook);
        let key = memory_key("k0-0");
        let query = Query::Get { namespace: room(), key };
        let command = if self.dice.chance(800) { Command::Look { query } } else { Command::Agreement };
        self.ask_for(command, reach);
    }

    /// Something of which nothing is kept.
    fn ask_for(&mut self, command: Command, reach: &mut Reach<'_>) {
        if !reach.doors.gateways().is_empty() {
            self.travel(command, Vec::new(), reach);
        }
    }

    /// Somebody forgot that he was told.
    fn ask_once_more(&mut self, reach: &mut Reach<'_>) {
        let want = self.dice.below(self.wants.len()) as u32;
        if self.wants[want as usize].state != State::Wanted {
            reach.counts.add(Count::RanRepeated);
            self.ask(vec![want], reach);
        }
    }

    fn plan_patience(&mut self, want: u32, reach: &mut Reach<'_>) {
        let patience = self.dice.range(2_000_000..=8_000_000);
        self.plan(want, patience, reach);
    }

    fn plan(&mut self, want: u32, after: u64, reach: &mut Reach<'_>) {
        let entry = &mut self.wants[want as usize];
        entry.step += 1;
        reach.queue.push(reach.at + after, Event::Patron { want, step: entry.step });
    }

    /// Nobody said anything: asked again, mostly of another.
    pub fn step(&mut self, want: u32, step: u32, reach: &mut Reach<'_>) {
        let entry = &self.wants[want as usize];
        if entry.step != step || entry.state != State::Wanted {
            return;
        }
        reach.counts.add(Count::OrderAgain);
        if self.dice.chance(100) {
            self.walk_away(want, reach);
        }
        self.ask(vec![want], reach);
        self.plan_patience(want, reach);
    }

    fn walk_away(&mut self, want: u32, reach: &mut Reach<'_>) {
        let mut open = self.open.iter().filter(|(_, open)| open.wants == [want]);
        let Some((&request, _)) = open.next() else { return };
        let Some(gone) = self.open.remove(&request) else { return };
        reach.counts.add(Count::OrderLeft);
        self.send(request, Command::Leave { request }, gone.gateway, reach);
    }

    pub fn gateway_lost(&mut self, gateway: usize, reach: &mut Reach<'_>) {
        let lost: Vec<RequestId> =
            self.open.iter().filter(|(_, open)| open.gateway == gateway).map(|(request, _)| *request).collect();
        for request in lost {
            self.request_lost(request, reach);
        }
    }

    pub fn request_lost(&mut self, request: RequestId, reach: &mut Reach<'_>) {
        let Some(open) = self.open.remove(&request) else { return };
        for want in open.wants {
            let soon = self.dice.spread(20_000..=2_000_000);
            self.plan(want, soon, reach);
        }
    }

    pub fn heal(&mut self, reach: &mut Reach<'_>) {
        self.healed = Some(reach.at);
        for want in 0..self.wants.len() as u32 {
            if self.wants[want as usize].state == State::Wanted {
                let soon = self.dice.range(100_000..=3_000_000);
                self.plan(want, soon, reach);
            }
        }
    }

    /// What somebody has been waiting for since `before` or longer.
    pub fn waiting(&self, before: u64) -> Option<String> {
        let waits = |want: &&Want| want.state == State::Wanted && want.asked.is_some_and(|asked| asked <= before);
        self.wants.iter().find(waits).map(|want| format!("{:?} since {:?}", want.operation, want.asked))
    }

    pub fn is_waiting(&self) -> bool {
        self.wants.iter().any(|want| want.state == State::Wanted)
    }

    pub fn answered(&mut self, request: RequestId, answers: &[Answer], reach: &mut Reach<'_>) {
        for answer in answers {
            match answer {
                Answer::Ordered { index, at, ran } => {
                    let asked = self.open.get(&request).and_then(|open| open.wants.get(*index as usize)).copied();
                    if let Some(want) = asked {
                        self.last = self.last.max(*at);
                        let result = self.told(want, ran, reach);
                        reach.checks.note(result);
                    }
                }
                Answer::Refused { index, why, .. } => self.refused(request, *index, why, reach),
                Answer::Finished => drop(self.open.remove(&request)),
                Answer::Looked(_) | Answer::Agreement(_) => reach.counts.add(Count::RanLooked),
                Answer::Recruited(_) => reach.counts.add(Count::RanRecruited),
                other => {
                    let what = format!("an answer to what was not asked: {other:?}");
                    reach.checks.note(Err(Violation::new(Rule::ExactlyOnce, what)));
                }
            }
        }
    }

    fn refused(&mut self, request: RequestId, index: u32, why: &Refusal, reach: &mut Reach<'_>) {
        let asked = self.open.get(&request).and_then(|open| open.wants.get(index as usize)).copied();
        let later = match why {
            Refusal::Busy { retry_ms } => {
                reach.counts.add(Count::RanBusy);
                u64::from(*retry_ms) * 1000
            }
            // Nothing of it was sent to anybody.
            Refusal::ReadOnly { retry_ms, .. } => {
                reach.counts.add(Count::RanReadOnly);
                u64::from(*retry_ms) * 1000
            }
            // Set right, a clock is ahead of nobody.
            Refusal::ClockAhead if self.healed.is_none_or(|healed| reach.at < healed + CLOCK_AHEAD) => {
                reach.counts.add(Count::RanClockAhead);
                500_000
            }
            Refusal::Forgotten => {
                asked.into_iter().for_each(|want| self.cannot_know(want, reach));
                return;
            }
            other => {
                let what = format!("refused: {other}");
                return reach.checks.note(Err(Violation::new(Rule::Outcomes, what)));
            }
        };
        if let Some(want) = asked {
            let later = later + self.dice.range(0..=500_000);
            self.plan(want, later, reach);
        }
    }

    fn told(&mut self, want: u32, ran: &Ran, reach: &mut Reach<'_>) -> Result<(), Violation> {
        let is_stale = matches!(ran, Ran::Outcome(Outcome::Rejected(Rejection::Stale { .. })));
        let entry = &mut self.wants[want as usize];
        if let Some(before) = &entry.told {
            let is_query = matches!(entry.operation, Operation::Query(_));
            // Of a tick nothing is remembered, and it always comes to the same.
            return match is_query || is_stale || before == ran {
                true => Ok(()),
                false => {
                    let what = format!("{:?} came to {before:?} and to {ran:?}", entry.operation);
                    Err(Violation::new(Rule::ExactlyOnce, what))
                }
            };
        }
        if is_stale {
            self.cannot_know(want, reach);
            return Ok(());
        }
        entry.told = Some(ran.clone());
        entry.state = State::Told;
        let wish = entry.wish.clone();
        match (wish, ran) {
            (Wish::Memory { key, action }, ran) => self.memory(want, &key, action, ran, reach),
            (Wish::Govern, Ran::Outcome(outcome)) => self.governed(want, outcome, reach),
            (Wish::Poll(poll), Ran::Outcome(outcome)) => self.poll(want, &poll, outcome, reach),
            (Wish::Tick, Ran::Outcome(Outcome::Done(Done::Kept))) => {
                reach.counts.add(Count::RanKept);
                Ok(())
            }
            (wish, Ran::Outcome(outcome)) => self.lock(want, &wish, outcome, reach),
            (wish, ran) => Err(Violation::new(Rule::ExactlyOnce, format!("{wish:?} came to {ran:?}"))),
        }
    }

    /// What is remembered does not go back so far.
    fn cannot_know(&mut self, want: u32, reach: &mut Reach<'_>) {
        let entry = &mut self.wants[want as usize];
        if entry.told.is_none() {
            reach.counts.add(Count::RanStale);
            entry.state = State::Unknown;
        }
    }

    fn memory(
        &mut self,
        want: u32,
        key: &str,
        action: Action,
        ran: &Ran,
        reach: &mut Reach<'_>,
    ) -> Result<(), Violation> {
        let (count, told) = match (action, ran) {
            (Action::Get, Ran::Answer(answer)) => (Count::RanAnswered, Told::Value(value(answer))),
            (
                Action::Put | Action::Swap { writes: true, .. },
                Ran::Outcome(Outcome::Done(Done::Written { version })),
            ) => (Count::RanWritten, Told::Written { version: *version }),
            (
                Action::Delete | Action::Swap { writes: false, .. },
                Ran::Outcome(Outcome::Done(Done::Deleted { found })),
            ) => (Count::RanDeleted, Told::Deleted { found: *found }),
            (Action::Swap { .. }, Ran::Outcome(Outcome::Rejected(Rejection::Mismatch { version }))) => {
                (Count::RanMismatch, Told::Mismatch { version: *version })
            }
            _ => return Err(Violation::new(Rule::ExactlyOnce, format!("{action:?} of {key} came to {ran:?}"))),
        };
        reach.counts.add(count);
        if let Told::Written { version } | Told::Value(Some((version, _))) = told {
            self.versions.entry(key.to_owned()).or_default().push(version);
        }
        reach.checks.agreed.memory.told(key, want, told, reach.at)
    }
}

/// How long a write is there, if it is not for good.
fn ttl_of(operation: &Operation) -> Option<u64> {
    let Operation::Command(command) = operation else { return None };
    match &command.body {
        Body::MemoryPut { ttl_ms, .. } | Body::MemoryCompareAndSwap { ttl_ms, value: Some(_), .. } => *ttl_ms,
        _ => None,
    }
}

/// Version and writer of what was read.
fn value(answer: &ledger::Answer) -> Option<(u64, u32)> {
    answer.rows.iter().find_map(|row| match row {
        Row::Memory { item, .. } => {
            let written = item.value.first_chunk::<4>().map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes));
            Some((item.version, written))
        }
        _ => None,
    })
}

fn command(principal: u64, want: u32, body: Body) -> Operation {
    let principal = format!("u{principal}").parse().expect("a name");
    let id = CommandId { principal, key: want.to_le_bytes().to_vec().into(), born: Index::GENESIS };
    Operation::Command(Box::new(ledger::Command { id, body }))
}

fn room() -> Namespace {
    "room".parse().expect("a name")
}

fn memory_key(name: &str) -> MemoryKey {
    name.parse().expect("a name")
}
