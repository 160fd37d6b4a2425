//! One member of the committee, or a learner that follows it.

mod agreement;
mod answer;
mod catch_up;
mod checkpoint;
mod complaints;
mod deadline;
mod epochs;
mod evidence;
mod execution;
mod fetch;
mod invariants;
mod new_view;
mod pace;
mod past;
mod pins;
mod primary;
mod requests;
mod restart;
mod serve;
mod slot;
mod sources;
mod status;
mod strangers;
mod suspicion;
mod transfer;
mod view_change;

use crate::{
    Alarm, Config, Counters, Effect, Event, Fact, Input, Quorums, Recipient, Rejection, Snapshot,
    durable::Durable,
    pool::Pool,
    table::Table,
    verified::{Checked, Verified},
    votes::Votes,
};
use checkpoint::Summing;
use complaints::Complaints;
use execution::Running;
use fetch::{Stash, Wants};
use mesh_proto::{
    id::{Digest, NetworkId, NodeId},
    key::SecretKey,
    pbft::{EpochConfig, EpochConfigError, Message, ReplicaId, Request, Roots, Sequence, View, ViewChange},
    time::{Mono, Now, Wall},
};
use new_view::PendingView;
use pace::Pace;
use past::Past;
use pins::Pins;
use slot::Slot;
use sources::Sources;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use strangers::Strangers;
use suspicion::Suspicion;
use transfer::{Behind, Transfer};

/// What a replica is, for ever.
pub struct Setup {
    pub network: NetworkId,
    /// Signs what it says.
    pub key: SecretKey,
    /// The epoch that it trusts without proof: of the genesis, or a later one that the operator configured.
    pub epoch: EpochConfig,
    /// Its key may have voted from a disk that is lost or damaged: it will learn and serve, and never vote.
    pub lost: bool,
}

/// A replica. The crate says how to hold it.
pub struct Replica {
    config: Config,
    network: NetworkId,
    key: SecretKey,
    me: NodeId,
    lost: bool,
    durable: Durable,

    // Follows from the epoch.
    id: Option<ReplicaId>,
    quorums: Quorums,
    snapshot: Arc<Snapshot>,

    // Agreement.
    pool: Pool,
    slots: BTreeMap<Sequence, Slot>,
    /// The last number that this replica has proposed as primary, or that its view began with.
    proposed: Sequence,
    stash: Stash,
    wants: Wants,
    /// When the primary last proposed something.
    proposal_seen: Mono,
    /// How long the batches take that this replica proposes, on the mean of the last.
    round: Duration,

    // Execution.
    table: Table,
    /// Agreed time of the last batch that was given out for execution.
    time: Wall,
    /// The last number that was given out for execution, and the last that is done.
    issued: Sequence,
    executed: Sequence,
    running: VecDeque<Running>,
    /// The state behind a number is being summed up.
    summing: Option<Summing>,
    /// A checkpoint's number was executed since what waits behind it was looked at.
    has_passed: bool,
    /// The epoch that begins at the next checkpoint, and since when that is known.
    next_config: Option<(Arc<EpochConfig>, Mono)>,
    last_progress: Mono,

    // View changes.
    changes: BTreeMap<ReplicaId, (Arc<ViewChange>, Digest)>,
    /// By the primary that sent it.
    pending_views: BTreeMap<ReplicaId, PendingView>,
    suspicion: Suspicion,
    complaints: Complaints,
    pace: Pace,
    strangers: Strangers,

    // Checkpoints and catching up.
    checkpoint_votes: BTreeMap<Sequence, Votes>,
    behind: Behind,
    transfer: Option<Transfer>,
    sources: Sources,
    pins: Pins,
    past: Past,
    last_status: Mono,
    /// Others should hear soon where this replica stands.
    is_status_urgent: bool,
    answered: BTreeMap<NodeId, Mono>,

    counters: Counters,
    halted: Option<Alarm>,
}

/// One call: the time, and where effects go.
pub(crate) struct Turn<'a> {
    pub now: Now,
    pub effects: &'a mut Vec<Effect>,
}

/// A replica at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub config: Arc<EpochConfig>,
    pub id: Option<ReplicaId>,
    pub view: View,
    /// It takes part in the view.
    pub is_active: bool,
    /// It may vote: a member with its memory, that holds the state its epoch began with.
    pub is_voting: bool,
    pub primary: NodeId,
    pub low: Sequence,
    pub high: Sequence,
    pub executed: Sequence,
    pub faults_tolerated: usize,
    pub waiting: usize,
    pub halted: Option<Alarm>,
}

impl Replica {
    /// In the state of genesis; then come the facts.
    pub fn new(config: Config, setup: Setup) -> Result<Self, EpochConfigError> {
        setup.epoch.check()?;
        let epoch = Arc::new(setup.epoch);
        let me = setup.key.node_id();
        let snapshot = Snapshot::of_epoch(setup.network, Arc::clone(&epoch));
        Ok(Self {
            network: setup.network,
            key: setup.key,
            me,
            lost: setup.lost,
            id: epoch.replica_of(&me),
            quorums: Quorums::of(epoch.members.len()),
            snapshot: Arc::new(snapshot),
            durable: Durable::new(epoch),
            pool: Pool::default(),
            slots: BTreeMap::new(),
            proposed: Sequence::ZERO,
            stash: Stash::default(),
            wants: Wants::default(),
            proposal_seen: Mono::default(),
            round: Duration::ZERO,

            table: Table::default(),
            time: Wall::default(),
            issued: Sequence::ZERO,
            executed: Sequence::ZERO,
            running: VecDeque::new(),
            summing: None,
            has_passed: false,
            next_config: None,
            last_progress: Mono::default(),
            changes: BTreeMap::new(),
            pending_views: BTreeMap::new(),
            suspicion: Suspicion::new(config.timeout),
            complaints: Complaints::default(),
            pace: Pace::new(config.pace_floor),
            strangers: Strangers::default(),
            checkpoint_votes: BTreeMap::new(),
            behind: Behind::default(),
            transfer: None,
            sources: Sources::default(),
            pins: Pins::default(),
            past: Past::default(),
            last_status: Mono::default(),
            is_status_urgent: false,
            answered: BTreeMap::new(),
            counters: Counters::default(),
            halted: None,
            config,
        })
    }

    /// A fact of the log, in order, before [`Replica::restarted`].
    pub fn apply(&mut self, fact: &Fact) {
        self.durable.apply(fact);
    }

    /// Feeds one event; appends to `effects` what the caller must do, in that order. On [`Rejection`] the input was
    /// refused, and nothing that counts has changed.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) -> Result<(), Rejection> {
        if let Some(alarm) = &self.halted {
            return Err(Rejection::Halted(alarm.clone()));
        }
        let turn = &mut Turn { now, effects };
        let result = match input {
            Input::Message(verified) => self.message(turn, verified),
            Input::Known(gateway) => {
                self.strangers.know(now.mono, self.config.acquaintances, gateway);
                Ok(())
            }
            Input::Executed { sequence, outcomes, change } => self.on_executed(turn, sequence, outcomes, change),
            Input::Checkpointed { sequence, state } => self.on_checkpointed(turn, sequence, state),
            Input::Piece { to, sequence, index, bytes, path } => {
                self.send_piece(turn, to, sequence, index, bytes, path);
                Ok(())
            }
            Input::Installed { sequence, state } => self.on_installed(turn, sequence, state),
        };
        self.check_invariants();
        result
    }

    /// For the workers' verifiers; another one whenever epoch, view or window have changed.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The last number whose batch was executed.
    pub fn executed(&self) -> Sequence {
        self.executed
    }

    pub fn node(&self) -> NodeId {
        self.me
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn standing(&self) -> Standing {
        let config = Arc::clone(&self.durable.config);
        Standing {
            id: self.id,
            view: self.durable.view,
            is_active: self.durable.is_active(),
            is_voting: self.can_vote(),
            // A primary is a member.
            primary: config.member(config.primary(self.durable.view)).unwrap_or(self.me),
            low: self.durable.low(),
            high: self.durable.high(),
            executed: self.executed,
            faults_tolerated: self.quorums.faulty(),
            waiting: self.pool.len(),
            halted: self.halted.clone(),
            config,
        }
    }

    /// Whether a request of this gateway waits here, for which it may matter that the caller knows it.
    pub fn holds_of(&self, gateway: &NodeId) -> bool {
        self.pool.waiting_of(gateway).next().is_some() || self.stash.has_of(gateway)
    }

    /// A request that the facts of this replica hold.
    pub fn kept(&self, digest: &Digest) -> Option<&Arc<Request>> {
        self.durable.bodies.get(digest).map(|kept| &kept.value)
    }

    /// Requests of the batch that was accepted last for this number: facts hold them until a checkpoint at or above it is
    /// stable.
    pub fn accepted(&self, sequence: Sequence) -> &[Digest] {
        let accepted = self.durable.log.get(&sequence).and_then(|entry| entry.accepted);
        let batch = accepted.and_then(|accepted| self.durable.batches.get(&accepted.digest));
        batch.map_or(&[], |kept| &kept.value.requests)
    }

    /// The last checkpoint that is held, and what it says of the caller's state.
    pub fn held(&self) -> Option<(Sequence, Roots)> {
        let (sequence, held) = self.durable.checkpoints.last_key_value()?;
        Some((*sequence, held.summary.state))
    }

    /// The caller has found that this key may have voted from another disk: it votes no more. Checklist item 21.
    pub fn lose_memory(&mut self, effects: &mut Vec<Effect>) {
        if !self.durable.amnesia {
            let fact = Fact::Amnesia;
            self.durable.apply(&fact);
            effects.push(Effect::Persist(fact));
        }
    }

    /// What to write when the log is begun anew: the least facts from which all that counts follows.
    pub fn retell(&self) -> Vec<Fact> {
        self.durable.retell()
    }

    /// Batches above the stable checkpoint, which [`Replica::retell`] tells with their bodies.
    pub fn retold(&self) -> usize {
        self.durable.log.len()
    }

    fn message(&mut self, turn: &mut Turn<'_>, verified: Verified) -> Result<(), Rejection> {
        let Verified { from, message } = verified;
        match message {
            Checked::Request(body) => self.on_request(turn, from, body),
            Checked::PrePrepare(pre_prepare, digest) => self.on_pre_prepare(turn, &pre_prepare, digest),
            Checked::Prepare(vote) => self.on_prepare(turn, &vote),
            Checked::Commit(vote) => self.on_commit(turn, &vote),
            Checked::Checkpoint(checkpoint) => self.on_checkpoint(turn, from, &checkpoint),
            Checked::ViewChange(view_change, digest) => self.on_view_change(turn, view_change, digest),
            Checked::NewView(new_view) => self.on_new_view(turn, new_view),
            Checked::Status(status) => self.on_status(turn, from, status),
            Checked::Fetch(fetch) => self.on_fetch(turn, from, fetch),
            Checked::Requests(bodies) => self.on_bodies(turn, bodies),
            Checked::Batch(batch, digest) => self.on_batch(turn, batch, digest),
            Checked::Decided(decided) => self.on_decided(turn, decided),
            Checked::Stable(certificate) => self.on_stable(turn, certificate),
            Checked::Epochs(certificates) => self.on_epochs(turn, certificates),
            Checked::Chunk(chunk) => self.on_chunk(turn, from, chunk),
            // For a client.
            Checked::Reply(_) => Err(Rejection::Unasked),
        }
    }

    /// A member that has its memory and the state that its epoch began with. Checklist items 21 and 37.
    fn can_vote(&self) -> bool {
        let holds_start = self.durable.held() >= self.durable.config.start;
        self.id.is_some() && holds_start && !self.durable.amnesia && self.halted.is_none()
    }

    fn is_primary(&self) -> bool {
        self.id == Some(self.durable.config.primary(self.durable.view))
    }

    /// The one way in which durable state changes.
    fn persist(&mut self, turn: &mut Turn<'_>, fact: Fact) {
        self.durable.apply(&fact);
        turn.effects.push(Effect::Persist(fact));
    }

    fn broadcast(&self, turn: &mut Turn<'_>, message: Message) {
        let alone = self.durable.config.members.len() == 1 && self.id.is_some();
        if !alone {
            turn.effects.push(Effect::Send { to: Recipient::Members, message: Arc::new(message) });
        }
    }

    fn send(&self, turn: &mut Turn<'_>, to: NodeId, message: Message) {
        if to != self.me {
            turn.effects.push(Effect::Send { to: Recipient::Node(to), message: Arc::new(message) });
        }
    }

    fn event(&self, turn: &mut Turn<'_>, event: Event) {
        turn.effects.push(Effect::Event(event));
    }

    fn halt(&mut self, turn: &mut Turn<'_>, alarm: Alarm) {
        if alarm.outlives_a_restart() && self.durable.halted.is_none() {
            self.persist(turn, Fact::Halted { alarm: alarm.clone() });
        }
        self.halted = Some(alarm.clone());
        turn.effects.push(Effect::Halt(alarm));
    }

    fn refresh_snapshot(&mut self) {
        let config = Arc::clone(&self.durable.config);
        let snapshot = Snapshot::new(self.network, config, self.durable.view, self.durable.low());
        if *self.snapshot != snapshot {
            self.snapshot = Arc::new(snapshot);
        }
    }
}
