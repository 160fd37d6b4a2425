//! Agreement in the brain: the ordering port of a gateway, and on members of the committee the replica with the ledger
//! under it. Holds machines and wires.

mod answer;
mod asked;
mod certified;
mod fact;
mod follower;
mod gateway;
mod gathered;
mod import;
mod judge;
mod keeper;
mod latencies;
mod pages;
mod port;
mod queue;
mod seat;
mod ticks;
mod view;

pub use asked::Asked;
pub use fact::{Batch, Fact};
pub use judge::{Judge, Verdict, judge};
pub use latencies::Latencies;
pub use pages::{PAGE_KEY, Pages};
pub use port::{Begin, EngineStanding, Executed, Ordered, PortEffect, PortInput};
pub use seat::SeatEffect;
pub use view::{AgreementView, ReplicaView};

use crate::{Accused, RequestId};
use follower::Follower;
use gateway::{Gateway, Wish};
use keeper::Keeper;
use mesh_ledger::{Ledger, Map, Rules};
use mesh_pbft::{ClientConfig, Recipient, Snapshot, Verified, Verifier};
use mesh_proto::{
    agreement::{Operation, Question, Reply, Standing},
    codec,
    domain::Epoch,
    genesis::{Engine, Genesis},
    id::{Digest, NetworkId, NodeId, StoreId},
    key::SecretKey,
    ledger::{self, FetchNodes, Index},
    pbft::{EpochCertificate, EpochConfig, EpochConfigError, Message, Sequence},
    task::Octets,
    time::{Mono, Now},
};
use port::Port;
use seat::Seat;
use std::sync::Arc;

/// What agreement is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub genesis: Genesis,
    /// Signs requests, votes of the ordering protocol, replies.
    pub key: Arc<SecretKey>,
    pub replica: mesh_pbft::Config,
    pub client: ClientConfig,
    /// Of the ledger's genesis: all members must have the same.
    pub rules: Rules,
}

/// Of this node.
pub struct Agreement {
    setup: Setup,
    network: NetworkId,
    me: NodeId,
    store: StoreId,
    /// A replica, of a member or of who follows.
    seat: Option<Seat>,
    /// Where an engine in the body makes the order: then there is no replica, and no request of the gateway's.
    port: Option<Port>,
    follower: Follower,
    gateway: Gateway,
    /// Checks what this node says to itself: replicas and clients take nothing else.
    loopback: Verifier,
    /// As the body was last told.
    told: Arc<Snapshot>,
    /// Ticks asked for, and until when the last one is waited for.
    ticks: u64,
    tick_pause: Mono,
    /// When to ask for the next.
    tick_at: Option<Mono>,
    /// Facts were read that say that this disk has voted.
    has_history: bool,
    /// Why a record could not be replayed.
    broken: Option<String>,
    /// Of a fact that is in several records, what was read.
    piece: Vec<u8>,
}

impl Agreement {
    pub fn new(setup: Setup, store: StoreId) -> Result<Self, EpochConfigError> {
        let network = setup.genesis.network_id();
        let me = setup.key.node_id();
        let epoch = first_epoch(&setup)?;
        let snapshot = Arc::new(Snapshot::of_epoch(network, Arc::new(epoch.clone())));
        let seat = match epoch.replica_of(&me).is_some() && setup.genesis.engine == Engine::Pbft {
            true => Some(Seat::new(&setup, epoch.clone(), store, false)?),
            false => None,
        };
        let epoch = Arc::new(epoch);
        let port = (setup.genesis.engine == Engine::Raft).then(|| Port::new(setup.clone()));
        Ok(Self {
            port,
            network,
            me,
            store,
            seat,
            follower: Follower::new(network, Arc::clone(&epoch)),
            gateway: Gateway::new(setup.client.clone(), network, Arc::clone(&setup.key), epoch),
            loopback: Verifier::new(Arc::clone(&snapshot)),
            told: snapshot,
            ticks: 0,
            tick_pause: Mono::default(),
            tick_at: None,
            has_history: false,
            broken: None,
            piece: Vec::new(),
            setup,
        })
    }

    // Restoring.

    /// What the store holds: the pages of a state, and the facts that go with it, in their order.
    pub fn load<'a>(&mut self, pages: &[(Digest, Octets)], facts: impl Iterator<Item = &'a [u8]>) {
        self.has_history = true;
        // Under Raft the state is its engine's.
        if self.port.is_none()
            && let Err(why) = self.load_state(pages)
        {
            self.broken.get_or_insert(why);
            return;
        }
        for bytes in facts {
            match (codec::decode(bytes, Fact::LIMIT), &mut self.port) {
                (Ok(fact), Some(port)) => port.note(&fact),
                (Ok(fact), None) => self.seat.iter_mut().for_each(|seat| seat.load(&fact)),
                (Err(error), _) => {
                    self.broken.get_or_insert(error.to_string());
                }
            }
        }
    }

    fn load_state(&mut self, pages: &[(Digest, Octets)]) -> Result<(), String> {
        let pages = pages.iter().map(|(digest, bytes)| (digest, &**bytes));
        let map = Map::from_pages(pages).map_err(|error| error.to_string())?;
        let seat = self.seat_or_begin().map_err(|error| error.to_string())?;
        seat.keeper.restore(map).map_err(|error| error.to_string())
    }

    pub fn apply(&mut self, fact: Fact) {
        self.has_history = true;
        if let Some(port) = &mut self.port {
            return port.note(&fact);
        }
        // What comes behind a gap means nothing.
        if self.broken.is_some() {
            return;
        }
        let fact = match fact {
            Fact::Piece { place, bytes } => {
                if place.is_first() {
                    self.piece.clear();
                }
                self.piece.extend_from_slice(&bytes);
                if !place.is_last() {
                    return;
                }
                match codec::decode(&std::mem::take(&mut self.piece), Fact::LIMIT) {
                    Ok(fact) => fact,
                    Err(error) => {
                        self.broken.get_or_insert(error.to_string());
                        return;
                    }
                }
            }
            whole => whole,
        };
        let result = match self.seat_or_begin() {
            Ok(seat) => seat.apply(fact),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = result {
            self.broken.get_or_insert(why);
        }
    }

    /// Why what was read cannot be gone on with. Sums up the whole state.
    pub fn broken(&self) -> Option<String> {
        self.broken.clone().or_else(|| self.seat.as_ref()?.mismatch())
    }

    fn seat_or_begin(&mut self) -> Result<&mut Seat, EpochConfigError> {
        match &mut self.seat {
            Some(seat) => Ok(seat),
            none => Ok(none.insert(Seat::new(&self.setup, first_epoch(&self.setup)?, self.store, false)?)),
        }
    }

    // The store.

    pub fn has_seat(&self) -> bool {
        self.seat.is_some()
    }

    /// Batches that [`Agreement::take_changes`] would tell again, with all that is in them.
    pub fn retold(&self) -> Option<usize> {
        self.seat.as_ref().map(|seat| seat.replica.retold())
    }

    /// The least facts from which all follows beside the state that is held, and what makes the store's pages those of
    /// that state.
    pub fn take_changes(&mut self) -> Option<(Vec<Fact>, Pages)> {
        if let Some(port) = &self.port {
            return Some((port.retell()?, Pages::default()));
        }
        let seat = self.seat.as_mut()?;
        Some((seat.retell(), seat.keeper.take_pages()))
    }

    // Living.

    /// `alone`: this node made the network and nobody else was ever in it.
    pub fn restarted(&mut self, now: Now, alone: bool, asked: &mut Vec<Asked>) {
        // What a crash cut off comes to nothing.
        self.piece = Vec::new();
        if let Some(port) = &mut self.port {
            port.restarted(alone, self.gateway.epoch(), asked);
        }
        // A founder whose disk is new may have voted from another one.
        let is_lost = self.seat.is_some() && !self.has_history && !alone;
        if is_lost && let Ok(epoch) = first_epoch(&self.setup) {
            self.seat = Seat::new(&self.setup, epoch, self.store, true).ok();
        }
        if let Some(seat) = &mut self.seat {
            let mut effects = Vec::new();
            if !self.has_history {
                effects.push(SeatEffect::Persist(Fact::Follows));
            }
            seat.restarted(now, &mut effects);
            self.gateway.set_epoch(now, seat.replica.snapshot().config());
            self.carry_out(now, effects, asked);
        }
        self.refresh(now, asked);
        asked.push(Asked::Verify(Arc::clone(&self.told)));
    }

    /// From now on this node has a replica.
    pub fn follow(&mut self, now: Now, asked: &mut Vec<Asked>) {
        if let Some(port) = &mut self.port {
            return port.follow(asked);
        }
        if self.seat.is_some() {
            return;
        }
        let Ok(seat) = self.seat_or_begin() else { return };
        let mut effects = vec![SeatEffect::Persist(Fact::Follows)];
        seat.restarted(now, &mut effects);
        self.has_history = true;
        self.carry_out(now, effects, asked);
        // What is known of the committee since: who is of its first epoch may be gone.
        while let Some(seat) = &self.seat {
            let epoch = seat.replica.snapshot().config().epoch;
            let ends = self.follower.ends(epoch);
            self.learn_epochs(now, self.me, &ends, asked);
            if self.seat.as_ref().is_none_or(|seat| seat.replica.snapshot().config().epoch == epoch) {
                break;
            }
        }
        self.refresh(now, asked);
    }

    /// Ends of epochs, proved or not.
    fn learn_epochs(&mut self, now: Now, from: NodeId, ends: &[Arc<EpochCertificate>], asked: &mut Vec<Asked>) {
        if ends.is_empty() {
            return;
        }
        match &self.seat {
            Some(seat) => {
                let snapshot = Arc::clone(seat.replica.snapshot());
                // Another one each time: what it remembers is of the committee's votes.
                let verified = Verifier::new(snapshot).verify(from, Message::Epochs(ends.to_vec()));
                if let Ok(verified) = verified {
                    self.take(now, verified, asked);
                }
            }
            None => {
                if let Some(epoch) = self.follower.learn(from, ends) {
                    self.gateway.set_epoch(now, &epoch);
                    // A seat was given to who did not follow: its vote is counted on, and nobody else can cast it
                    // (simulator, seed 3).
                    if epoch.replica_of(&self.me).is_some() {
                        self.follow(now, asked);
                    }
                }
            }
        }
    }

    /// `known`: those of the network among the gateways whose requests it holds.
    pub fn handle(&mut self, now: Now, verified: Verified, known: &[NodeId], asked: &mut Vec<Asked>) {
        for node in known {
            self.with_seat(now, asked, |seat, effects| seat.know(now, *node, effects));
        }
        self.take(now, verified, asked);
        self.refresh(now, asked);
    }

    /// A node's entry has come: it is of the network. What it asks for as a gateway may have come before, and wait for that
    /// here; of others the replica is told with what they ask for, so that it remembers gateways and not all members.
    pub fn entered(&mut self, now: Now, node: NodeId, asked: &mut Vec<Asked>) {
        if self.seat.as_ref().is_some_and(|seat| seat.replica.holds_of(&node)) {
            self.with_seat(now, asked, |seat, effects| seat.know(now, node, effects));
            self.refresh(now, asked);
        }
    }

    /// Signatures in operations were checked that are to be executed here, or may be.
    pub fn judged(&mut self, verdicts: &[Verdict]) {
        let keeper = match &mut self.port {
            Some(port) => port.keeper_mut(),
            None => self.seat.as_mut().map(|seat| &mut seat.keeper),
        };
        if let Some(keeper) = keeper {
            keeper.judged(verdicts);
        }
    }

    pub fn summed_up(&mut self, now: Now, sequence: Sequence, root: &Digest, asked: &mut Vec<Asked>) {
        self.with_seat(now, asked, |seat, effects| seat.summed_up(now, sequence, root, effects));
        self.refresh(now, asked);
    }

    /// What an engine in the body says.
    pub fn port(&mut self, now: Now, input: PortInput, asked: &mut Vec<Asked>) {
        let Some(port) = &mut self.port else { return };
        if let Some(epoch) = port.handle(now, input, asked) {
            self.gateway.set_epoch(now, &Arc::new(epoch));
        }
        self.refresh(now, asked);
    }

    /// Takes an operation of a user; `false` if too much waits.
    pub fn order(&mut self, request: RequestId, index: u32, operation: &Operation) -> bool {
        self.ask(Some((request, index)), operation)
    }

    fn ask(&mut self, user: Option<(RequestId, u32)>, operation: &Operation) -> bool {
        match &mut self.port {
            Some(port) => port.ask(user, operation),
            None => self.gateway.ask(user, operation),
        }
    }

    pub fn leave(&mut self, request: RequestId) {
        match &mut self.port {
            Some(port) => port.leave(request),
            None => self.gateway.leave(request),
        }
    }

    /// Sends what users have asked since the last flush.
    pub fn flush(&mut self, now: Now, asked: &mut Vec<Asked>) {
        if let Some(port) = &mut self.port {
            return port.flush(now.mono, asked);
        }
        let mut wishes = Vec::new();
        self.gateway.flush(now, &mut wishes);
        self.grant(now, wishes, asked);
        self.refresh(now, asked);
    }

    pub fn deadline(&self) -> Option<Mono> {
        let seat = self.seat.as_ref().and_then(Seat::deadline);
        [seat, self.gateway.deadline(), self.tick_at].into_iter().flatten().min()
    }

    pub fn handle_deadline(&mut self, now: Now, asked: &mut Vec<Asked>) {
        self.with_seat(now, asked, |seat, effects| seat.handle_deadline(now, effects));
        if self.gateway.deadline().is_some_and(|due| due <= now.mono) {
            let mut wishes = Vec::new();
            self.gateway.handle_deadline(now, &mut wishes);
            self.grant(now, wishes, asked);
        }
        let expiry = self.ledger().and_then(Ledger::next_expiry);
        if self.tick_at.is_some_and(|due| due <= now.mono) && expiry.is_some_and(|expiry| expiry <= now.wall) {
            self.tick(now);
        }
        self.refresh(now, asked);
    }

    // Others.

    /// Somebody is in a later epoch than this node knows.
    pub fn heard_epoch(&mut self, from: NodeId, epoch: Epoch, asked: &mut Vec<Asked>) {
        let known = self.seat.as_ref().map_or(self.epoch(), |seat| seat.replica.snapshot().config().epoch);
        if epoch > known {
            // Where members trust each other, nobody proves it.
            let question = match &self.port {
                Some(_) => Question::Ledger(ledger::Query::Committee),
                None => Question::Epochs(known),
            };
            asked.push(Asked::Ask { to: from, question });
        }
    }

    pub fn answer(&mut self, now: Now, from: NodeId, question: Question, asked: &mut Vec<Asked>) -> Reply {
        match question {
            Question::Epochs(from) => {
                Reply::Epochs(self.seat.as_ref().map_or_else(|| self.follower.ends(from), |seat| seat.ends(from)))
            }
            Question::Standing => Reply::Standing(self.standing()),
            Question::Ledger(query) => Reply::Ledger(self.look(&query).map(Box::new)),
            Question::Nodes(fetch) => Reply::Nodes(self.nodes(&fetch)),
            Question::Certified { behind, proposal } => {
                Reply::Certified(self.certified(behind, proposal.as_ref()).map(Box::new))
            }
            // To follow costs the memory of a whole ledger: only who may change the committee asks for it.
            Question::Follow => {
                if self.committee().contains(&from) || from == self.setup.genesis.maker {
                    self.follow(now, asked);
                }
                Reply::Standing(self.standing())
            }
        }
    }

    pub fn answered(&mut self, now: Now, from: NodeId, reply: Reply, asked: &mut Vec<Asked>) {
        match reply {
            Reply::Epochs(ends) => self.learn_epochs(now, from, &ends, asked),
            Reply::Nodes(fetched) => {
                self.with_seat(now, asked, |seat, effects| seat.fetched(now, from, &fetched, effects));
            }
            Reply::Ledger(Some(answer)) if self.port.is_some() => {
                if let Some(epoch) = port::committee_in(&answer) {
                    self.gateway.set_epoch(now, &Arc::new(epoch));
                }
            }
            Reply::Standing(_) | Reply::Ledger(_) | Reply::Certified(_) => {}
        }
        self.refresh(now, asked);
    }

    pub fn epoch(&self) -> Epoch {
        self.gateway.epoch().epoch
    }

    /// The committee, as this node knows it.
    pub fn committee(&self) -> &[NodeId] {
        &self.gateway.epoch().members
    }

    /// What the ledger says here, if there is one.
    pub fn look(&self, query: &ledger::Query) -> Option<ledger::Answer> {
        self.ledger().map(|ledger| ledger.answer(query))
    }

    pub fn standing(&self) -> Standing {
        let replica = match &self.port {
            Some(port) => port.standing(),
            None => self.seat.as_ref().map(Seat::standing),
        };
        Standing { store: self.store, epoch: self.epoch(), replica }
    }

    /// The last batch that is known to be executed: what a new command is born at.
    pub fn index(&self) -> Index {
        let own = self.ledger().map_or(Index::GENESIS, Ledger::index);
        self.port.as_ref().map_or(self.gateway.index(), Port::index).max(own)
    }

    pub fn ledger(&self) -> Option<&Ledger> {
        match &self.port {
            Some(port) => port.ledger(),
            None => self.seat.as_ref().map(|seat| seat.keeper.ledger()),
        }
    }

    fn nodes(&self, fetch: &FetchNodes) -> ledger::FetchedNodes {
        let state = self.seat.as_ref().and_then(|seat| seat.keeper.with_root(&fetch.root));
        state.map_or_else(|| ledger::FetchedNodes { root: fetch.root, nodes: Vec::new() }, |map| map.fetched(fetch))
    }

    // Wires.

    fn take(&mut self, now: Now, verified: Verified, asked: &mut Vec<Asked>) {
        if verified.is_reply() {
            let mut wishes = Vec::new();
            self.gateway.handle(now, verified, &mut wishes);
            return self.grant(now, wishes, asked);
        }
        self.with_seat(now, asked, |seat, effects| seat.message(now, verified, effects));
    }

    fn with_seat(&mut self, now: Now, asked: &mut Vec<Asked>, call: impl FnOnce(&mut Seat, &mut Vec<SeatEffect>)) {
        let Some(seat) = &mut self.seat else { return };
        let mut effects = Vec::new();
        call(seat, &mut effects);
        self.carry_out(now, effects, asked);
    }

    fn carry_out(&mut self, now: Now, effects: Vec<SeatEffect>, asked: &mut Vec<Asked>) {
        for effect in effects {
            match effect {
                SeatEffect::Persist(fact) => asked.extend(fact.in_records().into_iter().map(Asked::Persist)),
                SeatEffect::Send(to, message) => self.send(now, to, message, asked),
                SeatEffect::Ask(to, question) => asked.push(Asked::Ask { to, question }),
                SeatEffect::SumUp { sequence, state } => asked.push(Asked::SumUp { sequence, state }),
                SeatEffect::EpochBegan(epoch) => self.gateway.set_epoch(now, &epoch),
                SeatEffect::Caught(evidence) => self.accuse(&evidence, asked),
                SeatEffect::Accused(accused, index) => asked.push(Asked::Accused(accused, Accused::Kept { index })),
                SeatEffect::Halted(why) => asked.push(Asked::Halted(why)),
            }
        }
    }

    fn grant(&mut self, now: Now, wishes: Vec<Wish>, asked: &mut Vec<Asked>) {
        for wish in wishes {
            match wish {
                Wish::Send(to, message) => self.send(now, to, message, asked),
                Wish::Answer { request, index, at, ran } => asked.push(Asked::Answer { request, index, at, ran }),
                Wish::Refuse { request, index, why } => asked.push(Asked::Refuse { request, index, why }),
            }
        }
    }

    /// To others over the wire; what is for this node as well is taken here, after it was checked as others would.
    fn send(&mut self, now: Now, to: Recipient, message: Arc<Message>, asked: &mut Vec<Asked>) {
        let is_request = matches!(*message, Message::Request(_));
        let mut to_me = false;
        match to {
            Recipient::Node(node) if node == self.me => to_me = true,
            Recipient::Node(to) => asked.push(Asked::Send { to, message: Arc::clone(&message) }),
            Recipient::Members => {
                let epoch = match (&self.seat, is_request) {
                    (Some(seat), false) => seat.replica.snapshot().config(),
                    _ => self.gateway.epoch(),
                };
                for member in &epoch.members {
                    match *member == self.me {
                        // A replica does not speak to itself, its gateway does.
                        true => to_me = is_request,
                        false => asked.push(Asked::Send { to: *member, message: Arc::clone(&message) }),
                    }
                }
            }
        }
        if to_me && let Ok(verified) = self.loopback.verify(self.me, Message::clone(&message)) {
            self.take(now, verified, asked);
        }
    }

    /// The verifiers should know where the replica stands, or which committee the gateway asks.
    fn refresh(&mut self, now: Now, asked: &mut Vec<Asked>) {
        if let Some(seat) = &self.seat {
            self.gateway.set_epoch(now, seat.replica.snapshot().config());
        }
        if let Some(port) = &mut self.port {
            port.seat(self.gateway.epoch(), asked);
        }
        self.tick_at = self.next_tick(now);
        let snapshot = match &self.seat {
            Some(seat) => Arc::clone(seat.replica.snapshot()),
            None if self.told.config() == self.gateway.epoch() => return,
            None => Arc::new(Snapshot::of_epoch(self.network, Arc::clone(self.gateway.epoch()))),
        };
        if !Arc::ptr_eq(&snapshot, &self.told) {
            self.told = Arc::clone(&snapshot);
            self.loopback.update(Arc::clone(&snapshot));
            asked.push(Asked::Verify(snapshot));
        }
    }
}

/// Of the network's birth.
fn first_epoch(setup: &Setup) -> Result<EpochConfig, EpochConfigError> {
    let interval = u32::try_from(setup.rules.checkpoint_interval).unwrap_or(u32::MAX);
    let genesis = EpochConfig::genesis(setup.genesis.committee.iter().copied())?;
    let epoch = EpochConfig {
        fewest: 1,
        interval,
        window: interval.saturating_mul(2),
        // One record of a log holds a batch, one reply the longest answer, and the table of all gateways some 24 MiB.
        batch_bytes: 512 * 1024,
        request_bytes: 256 * 1024,
        clients: 128,
        client_bytes: 192 * 1024,
        ..genesis
    };
    epoch.check()?;
    Ok(epoch)
}
