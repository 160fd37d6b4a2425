//! The body's part in agreement, as `meshd` has it: verifiers in front of the brain, digests beside it. And what liars
//! make of what their brains want said.

use super::{
    check::Rule,
    count::{Count, Counts},
    crook,
    event::Event,
    liar::{self, Lie},
    world::World,
};
use mesh_coordinator::{
    Command, Coordinator, Input, Message, RequestId,
    agreement::{Fact, Judge},
};
use mesh_ledger::Map;
use mesh_pbft::{Refusal, Snapshot, Verifier};
use mesh_proto::{
    agreement::Operation,
    id::{LogPosition, NodeId, StoreId},
    ledger::{self, Index},
    pbft::{self, Sequence},
};
use std::sync::Arc;

impl World {
    pub(super) fn sum_up(&mut self, node: usize, sequence: Sequence, state: Map) {
        let Some(council) = &self.options.council else { return };
        let (low, high) = council.sum_up;
        let takes = self.dice.spread(low..=high);
        let slot = self.sums.put((sequence, state));
        let life = self.nodes[node].life;
        self.queue.push(self.at + takes, Event::SummedUp { node: node as u16, life, slot });
    }

    pub(super) fn summed_up(&mut self, node: usize, slot: u32) {
        if let Some((sequence, state)) = self.sums.take(slot) {
            self.deliver(node, Input::SummedUp { sequence, root: state.root() });
        }
    }

    pub(super) fn verify_by(&mut self, node: usize, snapshot: Arc<Snapshot>) {
        if !self.lies(node) {
            let config = Arc::clone(snapshot.config());
            self.epoch_is(&config);
        }
        let Some(body) = &mut self.nodes[node].body else { return };
        match &mut body.verifier {
            Some(verifier) => verifier.update(snapshot),
            None => body.verifier = Some(Verifier::with(snapshot, self.signatures.clone())),
        }
    }

    /// A message of agreement arrives.
    pub(super) fn hear(&mut self, node: usize, from: NodeId, message: &pbft::Message) {
        self.note_pinned(node, message);
        let Some(body) = &mut self.nodes[node].body else { return };
        let Some(verifier) = &mut body.verifier else { return self.count(Count::RefusedUnready) };
        match verifier.verify(from, message.clone()) {
            Ok(verified) => {
                // Of every other machine the brain checks signatures in commands by itself: what comes of them is the same.
                if node.is_multiple_of(2) {
                    let judge = body.judge.get_or_insert_with(|| Judge::new(Arc::new(self.genesis.clone())));
                    let verdicts = judge.requests(&verified);
                    if !verdicts.is_empty() {
                        body.inbox.push_back(Input::Judged(verdicts));
                    }
                }
                self.deliver(node, Input::Consensus(Box::new(verified)));
            }
            Err(refusal) => self.count(refused(&refusal)),
        }
    }

    /// A brain wants something said; whoever lies says something else.
    pub(super) fn speak_to(&mut self, node: usize, to: usize, message: Message, after: LogPosition) {
        if let Message::Consensus(said) = &message {
            self.count(said_count(said));
            self.note_twin(node, said);
            if let pbft::Message::Request(request) = &**said
                && request.gateway == self.nodes[node].id
                && self.crooks.contains_key(&node)
            {
                let request = Arc::clone(request);
                return self.cheat(node, to, &request, after);
            }
        }
        let council = self.options.council.as_ref();
        let Some(lie) = council.and_then(|council| council.lie_of(self.original(node))) else {
            if let Message::Consensus(said) = &message {
                let result = self.checks.agreed.words.said(self.nodes[node].id, said);
                self.checks.note(result);
            }
            return self.send(node, to, message, after);
        };
        match lie {
            Lie::Mints(many) => self.mint(node, many),
            Lie::Pins => self.hold_pin(node),
            _ => {}
        }
        let network = self.network_id;
        let liar = liar::Liar { lie, key: &self.nodes[node].key, network };
        let past = self.pasts.entry(node).or_default();
        for (later, twisted) in liar.twist(&mut self.fate, &mut self.counts, past, to, message) {
            match later {
                0 => self.send(node, to, twisted, after),
                _ => {
                    let slot = self.whispers.put(twisted);
                    let life = self.nodes[node].life;
                    let event = Event::Whisper { from: node as u16, to: to as u16, life, slot };
                    self.queue.push(self.at + later, event);
                }
            }
        }
    }

    /// A gateway that lies asks for something.
    fn cheat(&mut self, node: usize, to: usize, request: &Arc<pbft::Request>, after: LogPosition) {
        let ids: Vec<NodeId> = self.nodes[..self.options.nodes_max].iter().map(|node| node.id).collect();
        let Some(crook) = self.crooks.get_mut(&node) else { return };
        crook.proposals = self.patrons.proposals();
        let names = crook::Names { key: &self.nodes[node].key, network: self.network_id, nodes: &ids };
        for twisted in crook.twist(&mut self.fate, &mut self.counts, &names, to, request) {
            self.send(node, to, Message::Consensus(twisted), after);
        }
    }

    /// The users of gateways that lie want something.
    fn order_through_crooks(&mut self) {
        let ids: Vec<NodeId> = self.nodes[..self.options.nodes_max].iter().map(|node| node.id).collect();
        for node in self.crooks.keys().copied().collect::<Vec<_>>() {
            if !self.nodes[node].is_running() || self.fate.chance(500) {
                continue;
            }
            let names = crook::Names { key: &self.nodes[node].key, network: self.network_id, nodes: &ids };
            let body = crook::command_of_its_own(&mut self.fate, &names);
            self.crooked_requests += 1;
            let request = RequestId(CROOKED + self.crooked_requests);
            let key = self.crooked_requests.to_le_bytes().to_vec().into();
            let id = ledger::CommandId { principal: "crook".parse().expect("a name"), key, born: Index::GENESIS };
            let operations = vec![Operation::Command(Box::new(ledger::Command { id, body }))];
            self.deliver(node, Input::Command { request, command: Command::Order { operations } });
        }
    }

    pub(super) fn whisper(&mut self, node: usize, to: usize, slot: u32) {
        if let Some(message) = self.whispers.take(slot) {
            self.send(node, to, message, LogPosition::START);
        }
    }

    pub(super) fn halted(&mut self, node: usize, why: &str) {
        if !self.faulty.contains(&node) {
            self.fail(Rule::Halts, format!("n{node} takes no part in agreement any more: {why}"));
        }
    }

    /// Whom the ledger of a correct replica accuses: liars, and nobody else.
    pub(super) fn look_at_accused(&mut self) {
        for node in 0..self.nodes.len() {
            let body = self.nodes[node].body.as_ref().filter(|_| !self.lies(node));
            let agreement = body.and_then(|body| body.brain.agreement());
            let Some(ledger) = agreement.and_then(|agreement| agreement.ledger()) else { continue };
            let accused: Vec<NodeId> = (self.nodes.iter())
                .map(|other| other.me.node)
                .filter(|other| !ledger.answer(&ledger::Query::Evidence(*other)).rows.is_empty())
                .collect();
            for accused in accused {
                self.count(Count::LedgerAccuses);
                if !self.by_id.get(&accused).is_some_and(|index| self.lies(*index)) {
                    self.fail(
                        Rule::NoContradiction,
                        format!("the ledger of n{node} accuses {accused}, who does not lie"),
                    );
                }
            }
        }
    }

    /// Remembers the state of a ledger, to be compared once all that led to it is on disk: until then nobody is told, and
    /// it may be lost.
    pub(super) fn look_at_ledger(&mut self, node: usize) {
        let Some(body) = &mut self.nodes[node].body else { return };
        let Some(ledger) = body.brain.agreement().and_then(|agreement| agreement.ledger()) else { return };
        if std::mem::replace(&mut body.ledger_seen, ledger.index()) != ledger.index() {
            body.ledgers.push_back((body.persisted, ledger.index(), ledger.root()));
        }
        self.ledger_is_durable(node);
    }

    /// How far correct replicas are in agreed time.
    pub(super) fn look_at_time(&mut self, node: usize) {
        if self.lies(node) {
            return;
        }
        let Some(body) = &self.nodes[node].body else { return };
        if let Some(ledger) = body.brain.agreement().and_then(|agreement| agreement.ledger()) {
            self.checks.agreed.memory.is_at(ledger.time());
        }
    }

    /// Looks at what the ledgers of correct replicas say of votes.
    pub(super) fn look_at_ballots(&mut self) {
        for node in 0..self.nodes.len() {
            let body = self.nodes[node].body.as_ref().filter(|_| !self.lies(node));
            let Some(ledger) = body.and_then(|body| body.brain.agreement()?.ledger()) else { continue };
            match self.checks.agreed.ballots.judge(ledger, &self.network_id) {
                Ok((votes, decisions)) => {
                    self.counts.add_many(Count::BallotsChecked, votes);
                    self.counts.add_many(Count::DecisionsChecked, decisions);
                }
                Err(violation) => self.checks.note(Err(violation)),
            }
        }
    }

    /// All correct replicas have one state under one number.
    pub(super) fn ledger_is_durable(&mut self, node: usize) {
        let is_liar = self.lies(node);
        let Some(body) = &mut self.nodes[node].body else { return };
        while let Some((_, index, root)) = body.ledgers.front().copied().filter(|one| one.0 <= body.durable) {
            body.ledgers.pop_front();
            if !is_liar {
                let result = self.checks.agreed.order.at(node, index, root);
                self.checks.note(result);
            }
        }
    }

    pub(super) fn agreed_on_disk(&mut self, store: StoreId, fact: &Fact) {
        if let Some(count) = kept(fact) {
            self.counts.add(count);
        }
        let Some(disk) = self.checks.disks.get(store) else { return };
        let node = disk.node;
        let is_liar = self.by_id.get(&node).is_some_and(|index| self.lies(*index));
        match fact {
            Fact::Ran { batches, .. } if !is_liar => {
                let result = self.checks.agreed.order.ran(node, batches);
                self.checks.note(result);
            }
            Fact::Replica(fact) if !is_liar => {
                if let mesh_pbft::Fact::Evidence { evidence } = &**fact {
                    self.accused(node, evidence);
                }
            }
            _ => {}
        }
    }

    pub(super) fn lies(&self, node: usize) -> bool {
        let node = self.original(node);
        self.options.council.as_ref().is_some_and(|council| council.lie_of(node).is_some())
    }

    /// Evidence convicts who lies, and nobody else.
    fn accused(&mut self, by: NodeId, evidence: &pbft::Evidence) {
        let Some(epoch) = self.steward.epochs.get(&evidence.epoch) else { return };
        let convicted = evidence.verify(&self.network_id, epoch);
        let is_liar = convicted.and_then(|node| self.by_id.get(&node)).is_some_and(|index| self.lies(*index));
        if !is_liar {
            self.fail(Rule::NoContradiction, format!("{by} convicts {convicted:?} by {evidence:?}"));
        }
    }

    /// Whether the committee can do without this node for good.
    pub(super) fn may_fail(&self, node: usize) -> bool {
        self.steward.may_fail(node, &self.faulty)
    }

    /// The node is gone, or has forgotten what it said.
    pub(super) fn fails(&mut self, node: usize) {
        if self.steward.is_seated(node) || self.checks.agreed.words.was_member(&self.nodes[node].id) {
            self.faulty.insert(node);
        }
    }

    /// Somebody wants something of the ledger.
    pub(super) fn order(&mut self) {
        let Some(council) = &self.options.council else { return };
        let every = council.order_every;
        // Whether somebody keeps others from fetching a state shows only while states change.
        let lasts = if council.holds_pins() { ORDERS_PINNED } else { ORDERS_HEALED };
        self.with_patrons(|patrons, reach| patrons.want_something(reach));
        self.order_through_crooks();
        if self.healed.is_none_or(|healed| self.at < healed + lasts) {
            let next = self.at + self.dice.range(every / 2..=every * 3 / 2);
            self.queue.push(next, Event::Order);
        }
    }

    pub(super) fn petition(&mut self, node: usize, slot: u32) {
        let Some((request, command)) = self.patrons.arrived(slot) else { return };
        match self.nodes[node].is_running() {
            true => self.deliver(node, Input::Command { request, command }),
            false => self.with_patrons(|patrons, reach| patrons.request_lost(request, reach)),
        }
    }
}

/// Requests of the users of gateways that lie begin here.
pub const CROOKED: u64 = 1 << 50;
/// Users go on to want things for so long after the faults.
const ORDERS_HEALED: u64 = 10_000_000;
/// And where a member holds pins, until it is looked at who is behind.
const ORDERS_PINNED: u64 = 95_000_000;

impl Counts {
    /// What a brain has counted in this life of its process.
    pub fn life(&mut self, brain: &Coordinator) {
        let found = brain.members().counters();
        self.add_many(Count::Suspected, found.suspicions);
        self.add_many(Count::Confirmed, found.confirmations);
        self.add_many(Count::Refuted, found.refutations);
        let cut = brain.partition();
        self.add_many(Count::CutBegan, cut.partitions);
        self.add_many(Count::CutRecovered, cut.recoveries.count());
        let Some(agreement) = brain.agreement() else { return };
        for (name, times) in agreement.counters() {
            let count = Count::ALL.iter().find(|count| count.name().strip_prefix("pbft.") == Some(&name));
            if let Some(count) = count {
                self.add_many(*count, times);
            }
        }
    }
}

impl Lie {
    pub fn count(self) -> Count {
        match self {
            Self::Silent => Count::LieSilent,
            Self::Withholds => Count::LieWithholds,
            Self::Equivocates => Count::LieEquivocates,
            Self::Views => Count::LieViews,
            Self::Transfers => Count::LieTransfers,
            Self::Slow(_) => Count::LieSlow,
            Self::Floods => Count::LieFloods,
            Self::Replays => Count::LieReplays,
            Self::Mutates => Count::LieMutates,
            Self::SignsTwice => Count::LieSignsTwice,
            Self::Twins => Count::LieTwins,
            Self::Mints(_) => Count::LieMints,
            Self::Pins => Count::LiePins,
        }
    }
}

fn said_count(message: &pbft::Message) -> Count {
    use pbft::Message;
    match message {
        Message::Request(_) => Count::SaidRequest,
        Message::PrePrepare(_) => Count::SaidPrePrepare,
        Message::Prepare(_) => Count::SaidPrepare,
        Message::Commit(_) => Count::SaidCommit,
        Message::Checkpoint(_) => Count::SaidCheckpoint,
        Message::ViewChange(_) => Count::SaidViewChange,
        Message::NewView(_) => Count::SaidNewView,
        Message::Status(_) => Count::SaidStatus,
        Message::Fetch(_) => Count::SaidFetch,
        Message::Requests(_) => Count::SaidRequests,
        Message::Batch(_) => Count::SaidBatch,
        Message::Decided(_) => Count::SaidDecided,
        Message::Stable(_) => Count::SaidStable,
        Message::Epochs(_) => Count::SaidEpochs,
        Message::Chunk(_) => Count::SaidChunk,
        Message::Reply(_) => Count::SaidReply,
    }
}

/// A number for what is said, and where.
pub fn digest(message: &pbft::Message) -> u64 {
    use pbft::Message;
    let place = match message {
        Message::PrePrepare(message) => message.view.get() << 20 ^ message.sequence.get(),
        Message::Prepare(vote) | Message::Commit(vote) => vote.view.get() << 20 ^ vote.sequence.get(),
        Message::Checkpoint(checkpoint) => checkpoint.sequence.get(),
        Message::Status(status) => status.view.get() << 20 ^ status.executed.get(),
        _ => 0,
    };
    place << 8 ^ said_count(message) as u64
}

fn refused(refusal: &Refusal) -> Count {
    match refusal {
        Refusal::Decode(_) => Count::RefusedDecode,
        Refusal::Member(_) => Count::RefusedMember,
        Refusal::Epoch { .. } => Count::RefusedEpoch,
        Refusal::View { .. } => Count::RefusedView,
        Refusal::Window(_) => Count::RefusedWindow,
        Refusal::Duplicate => Count::RefusedDuplicate,
        Refusal::Muted => Count::RefusedMuted,
        Refusal::Signature(_) => Count::RefusedSignature,
        Refusal::TooFewSignatures { .. } => Count::RefusedTooFewSignatures,
        Refusal::Certificate => Count::RefusedCertificate,
        Refusal::Config(_) => Count::RefusedConfig,
        Refusal::Limits => Count::RefusedLimits,
    }
}

fn kept(fact: &Fact) -> Option<Count> {
    use mesh_pbft::Fact as Own;
    Some(match fact {
        Fact::Ran { .. } => Count::KeptRan,
        Fact::State(_) => Count::KeptState,
        Fact::StateDropped => Count::KeptStateDropped,
        Fact::Follows => Count::KeptFollows,
        Fact::Piece { .. } => Count::KeptPiece,
        Fact::Replica(own) => match &**own {
            Own::Accepted { .. } => Count::KeptAccepted,
            Own::Prepared { .. } => Count::KeptPrepared,
            Own::Left { .. } => Count::KeptLeft,
            Own::Entered { .. } => Count::KeptEntered,
            Own::Checkpoint { .. } => Count::KeptCheckpoint,
            Own::Stable { .. } => Count::KeptStable,
            Own::Installed { .. } => Count::KeptInstalled,
            Own::Epochs { .. } => Count::KeptEpochs,
            Own::Evidence { .. } => Count::KeptEvidence,
            Own::Amnesia => Count::KeptAmnesia,
            // Judged where it says so.
            Own::Halted { .. } => return None,
        },
    })
}
