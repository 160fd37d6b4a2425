//! The ledger under a replica: executes what is committed, remembers the states at checkpoints, and finds its way back
//! after a restart.

use super::{
    fact::{Batch, Fact, PIECE},
    judge::{Verdict, Verdicts},
    pages::Pages,
};
use mesh_ledger::{Corrupt, Event, Halt, Ledger, Map, Order, Rules, audit};
use mesh_pbft::{Body, Execution, Membership};
use mesh_proto::{
    agreement::{AllRan, Operation, Ran},
    codec,
    genesis::Genesis,
    id::{Digest, NodeId},
    ledger::{self, Checked, Command, Entry, Index, Pending, Put},
    limits,
    merkle::Path,
    pbft::{self, EpochConfig, Operations, Request, Sequence},
    task::Octets,
    time::Wall,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Verdicts on signatures that are not executed yet: more than gateways of a busy committee have under way, and some 6 MiB.
pub const VERDICTS: usize = 1 << 16;

/// Bytes of batches in one fact. A follower has no other fact that holds them.
const RAN_BYTES: usize = 8 * 1024 * 1024;

pub struct Keeper {
    genesis: Genesis,
    ledger: Ledger,
    verdicts: Verdicts,
    /// Executed since the last checkpoint.
    since: Vec<Batch>,
    /// At checkpoints that somebody may still ask for.
    states: BTreeMap<Sequence, Map>,
    /// Of the last checkpoint that is a fact: what a store holds beside the facts.
    held: Map,
    /// What the store holds, and what of it is being replaced.
    stored: Map,
    /// Read, to be executed when the checkpoint's own fact is read.
    unread: Vec<Batch>,
    /// Of a state that is coming.
    coming: Vec<Entry>,
}

/// What came of a batch.
pub struct Executed {
    pub outcomes: Vec<Octets>,
    pub change: Option<Membership>,
    /// Against whom evidence was kept.
    pub accused: Vec<NodeId>,
}

impl Keeper {
    pub fn new(genesis: Genesis, rules: Rules) -> Self {
        let ledger = Ledger::genesis(&genesis, rules);
        let held = ledger.snapshot();
        Self {
            genesis,
            ledger,
            verdicts: Verdicts::new(VERDICTS),
            since: Vec::new(),
            states: BTreeMap::new(),
            held,
            stored: Map::new(),
            unread: Vec::new(),
            coming: Vec::new(),
        }
    }

    /// Of a state that others keep on the disk; without one that of the network's birth.
    pub fn lent(genesis: Genesis, rules: Rules, map: Option<Map>) -> Result<Self, Corrupt> {
        let lent = Self::new(genesis, rules);
        let ledger = map.map(Ledger::open).transpose()?;
        Ok(Self { ledger: ledger.unwrap_or(lent.ledger), held: Map::new(), ..lent })
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    // Living.

    /// Signatures were checked elsewhere.
    pub fn judged(&mut self, verdicts: &[Verdict]) {
        verdicts.iter().for_each(|verdict| self.verdicts.note(*verdict));
    }

    /// Executes a batch, after the empty ones between it and the one before. Facts of the replica hold the requests that it
    /// `accepted` for this very number; the others are to be in one of these.
    pub fn execute(&mut self, execution: &Execution, accepted: &[Digest]) -> Result<Executed, Halt> {
        let Execution { sequence, time, requests } = execution;
        let accepted: BTreeSet<&Digest> = accepted.iter().collect();
        let bodies = requests.iter().filter(|body| !accepted.contains(&body.digest));
        let bodies = bodies.map(|body| Arc::clone(&body.request));
        self.since.push(Batch {
            sequence: *sequence,
            time: *time,
            requests: requests.iter().map(|body| body.digest).collect(),
            bodies: bodies.collect(),
        });
        self.run(*sequence, *time, requests.iter().map(|body| &body.request.operations))
    }

    /// The same where others keep the order: nothing is remembered of it.
    pub fn order(&mut self, sequence: Sequence, time: Wall, requests: &[Operations]) -> Result<Executed, Halt> {
        self.run(sequence, time, requests.iter())
    }

    /// The state behind a checkpoint's number: kept until it is released, and named to be summed up.
    pub fn checkpoint(&mut self, sequence: Sequence) -> Result<Map, Halt> {
        self.fill(sequence)?;
        let state = self.ledger.snapshot();
        self.states.insert(sequence, state.clone());
        Ok(state)
    }

    /// What was executed from the last checkpoint up to this one, in facts that are not too large. What was executed behind
    /// it while it was summed up is for the next.
    pub fn take_since(&mut self, checkpoint: Sequence) -> Vec<Fact> {
        let (mut facts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
        let behind = self.since.partition_point(|batch| batch.sequence <= checkpoint);
        let rest = self.since.split_off(behind);
        for batch in std::mem::replace(&mut self.since, rest) {
            let bodies = batch.bodies.iter().map(|body| body.operations.as_bytes().len() + 256);
            let weight = batch.requests.len() * 40 + bodies.sum::<usize>();
            if bytes + weight > RAN_BYTES && !part.is_empty() {
                facts.push(Fact::Ran { first: facts.is_empty(), batches: std::mem::take(&mut part) });
                bytes = 0;
            }
            bytes += weight;
            part.push(batch);
        }
        facts.push(Fact::Ran { first: facts.is_empty(), batches: part });
        facts
    }

    /// The checkpoint is a fact.
    pub fn hold(&mut self, sequence: Sequence) {
        if let Some(state) = self.states.get(&sequence) {
            self.held = state.clone();
        }
    }

    pub fn release(&mut self, below: Sequence, except: &[Sequence]) {
        self.states.retain(|sequence, _| *sequence >= below || except.contains(sequence));
    }

    pub fn state(&self, sequence: Sequence) -> Option<&Map> {
        self.states.get(&sequence)
    }

    /// Of the states that are kept, the one with this root.
    pub fn with_root(&self, root: &Digest) -> Option<&Map> {
        self.states.values().find(|state| state.root() == *root)
    }

    /// Another state takes this one's place.
    pub fn install(&mut self, sequence: Sequence, map: Map) -> Result<(), Corrupt> {
        self.ledger = Ledger::open(map.clone())?;
        self.since.clear();
        self.states.insert(sequence, map.clone());
        self.held = map;
        Ok(())
    }

    // The store.

    /// What makes the store's pages those of the state that is held.
    pub fn take_pages(&mut self) -> Pages {
        let before = std::mem::replace(&mut self.stored, self.held.clone());
        Pages { before, after: self.held.clone() }
    }

    pub fn restore(&mut self, map: Map) -> Result<(), Corrupt> {
        self.ledger = Ledger::open(map.clone())?;
        self.states.insert(Sequence::new(self.ledger.index().0), map.clone());
        (self.held, self.stored) = (map.clone(), map);
        Ok(())
    }

    // Replaying.

    pub fn read(&mut self, first: bool, batches: Vec<Batch>) {
        if first {
            self.unread.clear();
        }
        self.unread.extend(batches);
    }

    pub fn read_state(&mut self, entries: Vec<Entry>) {
        self.coming.extend(entries);
    }

    pub fn drop_state(&mut self) {
        self.coming.clear();
    }

    /// What was read of a checkpoint or a state that did not come about.
    pub fn forget_unfinished(&mut self) {
        (self.unread, self.coming) = Default::default();
    }

    /// Executes again what led to a checkpoint.
    pub fn replay(&mut self, sequence: Sequence, kept: impl Fn(&Digest) -> Option<Arc<Request>>) -> Result<(), String> {
        for Batch { sequence, time, requests, bodies } in std::mem::take(&mut self.unread) {
            let more: BTreeMap<Digest, Arc<Request>> =
                bodies.into_iter().map(|request| (request.digest(), request)).collect();
            let mut found = Vec::with_capacity(requests.len());
            for digest in requests {
                let request = more.get(&digest).cloned().or_else(|| kept(&digest));
                let request = request.ok_or_else(|| format!("request {digest} of batch {sequence} is in no record"))?;
                found.push(Body { digest, request });
            }
            let bodies = found.iter().map(|body| &body.request.operations);
            self.run(sequence, time, bodies).map_err(|halt| halt.to_string())?;
        }
        self.checkpoint(sequence).map_err(|halt| halt.to_string())?;
        self.hold(sequence);
        Ok(())
    }

    /// What came from others is the state.
    pub fn replay_install(&mut self, sequence: Sequence) -> Result<(), String> {
        let map = Map::from_entries(std::mem::take(&mut self.coming));
        self.states.clear();
        self.install(sequence, map).map_err(|corrupt| corrupt.to_string())
    }

    // Executing.

    fn run<'a>(
        &mut self,
        sequence: Sequence,
        time: Wall,
        bodies: impl Iterator<Item = &'a Operations>,
    ) -> Result<Executed, Halt> {
        self.fill(Sequence::new(sequence.get().saturating_sub(1)))?;
        let mut orders = Vec::new();
        let read: Vec<Vec<Slot>> = bodies.map(|operations| self.slots(operations, &mut orders)).collect();
        let applied = self.ledger.execute(Index(sequence.get()), time, &orders)?;
        let mut ran = applied.outcomes.into_iter();
        let outcomes = read.into_iter().map(|slots| {
            let all = slots.into_iter().map(|slot| match slot {
                Slot::Command => ran.next().map_or(Ran::Refused, Ran::Outcome),
                Slot::Forged => Ran::Outcome(ledger::Outcome::Rejected(ledger::Rejection::Invalid)),
                Slot::Query(query) => Ran::Answer(Box::new(self.ledger.answer(&query))),
                Slot::Nothing => Ran::Refused,
            });
            Octets::from(codec::encode(&AllRan(all.collect())))
        });
        let outcomes = outcomes.collect();
        // In the batch that ends a checkpoint a change is in force already.
        let change = applied.events.iter().find_map(|event| match event {
            Event::ChangePending(Pending::Add(seat)) => Some(Membership::Add(seat.node)),
            Event::ChangePending(Pending::Remove(node)) => Some(Membership::Remove(*node)),
            _ => None,
        });
        let accused = applied.events.iter().filter_map(|event| match event {
            Event::Accused(node) => Some(*node),
            _ => None,
        });
        Ok(Executed { outcomes, change, accused: accused.collect() })
    }

    /// A replica does not give out empty batches, and the ledger counts them.
    fn fill(&mut self, upto: Sequence) -> Result<(), Halt> {
        while self.ledger.index() < Index(upto.get()) {
            let (next, time) = (self.ledger.index().next(), self.ledger.time());
            self.ledger.apply(next, time, &[])?;
        }
        Ok(())
    }

    fn slots<'a>(&self, operations: &'a Operations, orders: &mut Vec<Order<'a>>) -> Vec<Slot> {
        let mut slots = Vec::new();
        let mut queries = 0;
        for bytes in operations.iter() {
            if let Some(put) = Put::read(bytes) {
                orders.push(Order::Put(put));
                slots.push(Slot::Command);
                continue;
            }
            slots.push(match Operation::decode(bytes) {
                Ok(Operation::Command(command)) => match self.check(bytes, *command) {
                    Some(checked) => {
                        orders.push(Order::Command(Cow::Owned(checked)));
                        Slot::Command
                    }
                    None => Slot::Forged,
                },
                // A reply holds the answers of one request: more than one may be more than it can carry.
                Ok(Operation::Query(query)) if queries == 0 => {
                    queries += 1;
                    Slot::Query(query)
                }
                Ok(Operation::Query(_)) | Err(_) => Slot::Nothing,
            });
        }
        slots
    }

    /// Signatures in commands are checked by every replica, before it executes or as it does: all judge alike, whoever
    /// proposed it.
    fn check(&self, bytes: &[u8], command: Command) -> Option<Checked> {
        if let Some(holds) = self.verdicts.on(bytes, &command.body) {
            return holds.then(|| Checked::committed(command));
        }
        Checked::check(command, &self.genesis, |evidence| self.proves(evidence)).ok()
    }

    /// Judged by the committee of the moment, which all replicas have alike where they execute it: what came too late,
    /// after the next epoch began, is known to those that caught it.
    fn proves(&self, evidence: &ledger::Evidence) -> bool {
        let committee = self.ledger.committee();
        let members = committee.seats.iter().map(|seat| seat.node);
        let Ok(config) = EpochConfig::genesis(members) else { return false };
        let config = EpochConfig { epoch: committee.epoch, ..config };
        let proof: Result<pbft::Evidence, _> = codec::decode(&evidence.proof, limits::EVIDENCE_BYTES);
        proof.is_ok_and(|proof| proof.verify(&self.genesis.network_id(), &config) == Some(evidence.accused))
    }
}

enum Slot {
    Command,
    /// Its signature is not its signer's.
    Forged,
    Query(ledger::Query),
    Nothing,
}

/// The state as the replica certifies it, and as whoever audits it does.
pub use audit::roots;

/// The one piece, with its path.
pub fn piece(root: &Digest) -> Option<(Octets, Path)> {
    Some((Octets::from(root.as_bytes().as_slice()), audit::tree(root).path(0)?))
}

/// Entries that go into one fact.
pub fn in_pieces(map: &Map) -> Vec<Vec<Entry>> {
    let (mut pieces, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0);
    for entry in map.below(b"", usize::MAX) {
        bytes += entry.key().len() + entry.value().len() + 8;
        piece.push(entry.clone());
        if bytes >= PIECE / 2 {
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}
