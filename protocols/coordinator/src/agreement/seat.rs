//! A replica, and the ledger that it executes.

use super::{
    Setup,
    fact::Fact,
    import::{Fetching, Left},
    keeper::{self, Keeper},
};
use mesh_ledger::Map;
use mesh_pbft::{Effect, Event, Input, Recipient, Replica, Verified};
use mesh_proto::{
    agreement::{Question, ReplicaStanding},
    domain::Epoch,
    id::{Digest, NodeId, StoreId},
    key::SecretKey,
    ledger::{FetchedNodes, Index, Pending},
    limits,
    pbft::{EpochCertificate, EpochConfig, EpochConfigError, Evidence, Fetch, Message, Part, Roots, Sequence},
    time::{Mono, Now},
};
use std::{collections::VecDeque, sync::Arc};

pub struct Seat {
    pub replica: Replica,
    pub keeper: Keeper,
    /// The root that the committee certified for the state that is being fetched.
    target: Option<(Sequence, Digest)>,
    fetching: Option<Fetching>,
    /// By the fetch before.
    left: Left,
    most_bytes: u64,
    /// Why this replica has stopped, beyond what it says itself.
    halted: Option<String>,
    /// The disk of this node.
    store: StoreId,
}

pub enum SeatEffect {
    Persist(Fact),
    Send(Recipient, Arc<Message>),
    Ask(NodeId, Question),
    SumUp {
        sequence: Sequence,
        state: Map,
    },
    EpochBegan(Arc<EpochConfig>),
    Caught(Arc<Evidence>),
    /// What was brought against a member is in the ledger, since this batch.
    Accused(NodeId, Index),
    Halted(String),
}

impl Seat {
    /// `lost`: this key may have voted from a disk that is lost.
    pub fn new(setup: &Setup, epoch: EpochConfig, store: StoreId, lost: bool) -> Result<Self, EpochConfigError> {
        let network = setup.genesis.network_id();
        let key = SecretKey::from_bytes(&setup.key.to_bytes());
        let replica = Replica::new(setup.replica.clone(), mesh_pbft::Setup { network, key, epoch, lost })?;
        Ok(Self {
            replica,
            keeper: Keeper::new(setup.genesis.clone(), setup.rules),
            target: None,
            fetching: None,
            left: Left::default(),
            // The limit is on what is added: what is kept about it comes on top.
            most_bytes: setup.rules.state_bytes.saturating_mul(2),
            halted: None,
            store,
        })
    }

    // Restoring.

    /// A fact that the store tells: the state beside it is that of the last checkpoint of all of them.
    pub fn load(&mut self, fact: &Fact) {
        if let Fact::Replica(fact) = fact {
            self.replica.apply(fact);
        }
    }

    /// A fact of the log.
    pub fn apply(&mut self, fact: Fact) -> Result<(), String> {
        match fact {
            // Pieces are put together before.
            Fact::Follows | Fact::Piece { .. } => Ok(()),
            Fact::Ran { first, batches } => {
                self.keeper.read(first, batches);
                Ok(())
            }
            Fact::State(entries) => {
                self.keeper.read_state(entries);
                Ok(())
            }
            Fact::StateDropped => {
                self.keeper.drop_state();
                Ok(())
            }
            Fact::Replica(fact) => self.apply_own(*fact),
        }
    }

    fn apply_own(&mut self, fact: mesh_pbft::Fact) -> Result<(), String> {
        use mesh_pbft::Fact as Own;
        match &fact {
            Own::Checkpoint { summary, .. } => {
                let sequence = summary.sequence;
                let replica = &self.replica;
                self.keeper.replay(sequence, |digest| replica.kept(digest).cloned())?;
            }
            Own::Installed { certificate, .. } => self.keeper.replay_install(certificate.summary.sequence)?,
            _ => {}
        }
        self.replica.apply(&fact);
        Ok(())
    }

    /// What is wrong with the state, behind all that was read: it must be what its checkpoint covers.
    pub fn mismatch(&self) -> Option<String> {
        let (sequence, state) = self.replica.held()?;
        let ledger = self.keeper.ledger();
        let is_right = ledger.index().0 == sequence.get() && keeper::roots(&ledger.root()) == state;
        (!is_right).then(|| format!("the state at {} is not that of checkpoint {sequence}", ledger.index()))
    }

    /// What a store writes beside the state that is held: facts from which the rest follows.
    pub fn retell(&self) -> Vec<Fact> {
        let own = self.replica.retell().into_iter().map(|fact| Fact::Replica(Box::new(fact)));
        std::iter::once(Fact::Follows).chain(own).collect()
    }

    // Living.

    pub fn restarted(&mut self, now: Now, effects: &mut Vec<SeatEffect>) {
        self.keeper.forget_unfinished();
        let mut asked = Vec::new();
        self.replica.restarted(now, &mut asked);
        self.run(now, asked, effects);
        // A crash may have come between its fact and its command.
        let epoch = self.replica.snapshot().config().epoch;
        let caught = self.replica.evidence().filter(|evidence| evidence.epoch == epoch);
        effects.extend(caught.cloned().map(SeatEffect::Caught));
    }

    pub fn message(&mut self, now: Now, verified: Verified, effects: &mut Vec<SeatEffect>) {
        self.feed(now, Input::Message(verified), effects);
    }

    /// A node of the network.
    pub fn know(&mut self, now: Now, node: NodeId, effects: &mut Vec<SeatEffect>) {
        self.feed(now, Input::Known(node), effects);
    }

    pub fn summed_up(&mut self, now: Now, sequence: Sequence, root: &Digest, effects: &mut Vec<SeatEffect>) {
        self.feed(now, Input::Checkpointed { sequence, state: keeper::roots(root) }, effects);
    }

    pub fn deadline(&self) -> Option<Mono> {
        let fetching = self.fetching.as_ref().and_then(Fetching::deadline);
        let replica = self.replica.deadline().filter(|_| self.halted.is_none());
        [replica, fetching].into_iter().flatten().min()
    }

    pub fn handle_deadline(&mut self, now: Now, effects: &mut Vec<SeatEffect>) {
        if self.halted.is_none() && self.replica.deadline().is_some_and(|due| due <= now.mono) {
            let mut asked = Vec::new();
            self.replica.handle_deadline(now, &mut asked);
            self.run(now, asked, effects);
        }
        self.fetch(now, effects);
        self.consider_install(now, effects);
    }

    /// Nodes of the state that this replica fetches.
    pub fn fetched(&mut self, now: Now, from: NodeId, fetched: &FetchedNodes, effects: &mut Vec<SeatEffect>) {
        if let Some(fetching) = &mut self.fetching {
            fetching.take(from, fetched);
        }
        self.fetch(now, effects);
        self.consider_install(now, effects);
    }

    pub fn standing(&self) -> ReplicaStanding {
        let standing = self.replica.standing();
        ReplicaStanding {
            view: standing.view,
            active: standing.is_active,
            voting: standing.is_voting,
            executed: standing.executed,
            stable: standing.low,
            halted: standing.halted.is_some() || self.halted.is_some(),
        }
    }

    pub fn halted(&self) -> Option<String> {
        self.halted.clone().or_else(|| self.replica.standing().halted.map(|alarm| alarm.to_string()))
    }

    /// Ends of epochs from this one on.
    pub fn ends(&self, from: Epoch) -> Vec<Arc<EpochCertificate>> {
        let ends = self.replica.chain().iter().filter(|end| end.certificate.epoch >= from);
        ends.take(limits::PBFT_EPOCHS).cloned().collect()
    }

    fn feed(&mut self, now: Now, input: Input, effects: &mut Vec<SeatEffect>) {
        if self.halted.is_some() {
            return;
        }
        let mut asked = Vec::new();
        // What is refused was counted by the replica, or is nothing that counts: a vote beyond a quorum, a repeat.
        if self.replica.handle(now, input, &mut asked).is_ok() || !asked.is_empty() {
            self.run(now, asked, effects);
        }
    }

    /// Carries out what the replica asks for, and what it asks for then.
    fn run(&mut self, now: Now, asked: Vec<Effect>, effects: &mut Vec<SeatEffect>) {
        let mut queue = VecDeque::from(asked);
        while let Some(effect) = queue.pop_front() {
            let Some(input) = self.carry_out(now, effect, effects) else { continue };
            let mut asked = Vec::new();
            // An answer that is not waited for any more comes to nothing.
            if let Err(rejection) = self.replica.handle(now, input, &mut asked) {
                debug_assert!(!matches!(rejection, mesh_pbft::Rejection::Busy), "not a request");
            }
            // Behind what was asked for before: what is said may rest on a fact that waits there.
            queue.extend(asked);
        }
    }

    fn carry_out(&mut self, now: Now, effect: Effect, effects: &mut Vec<SeatEffect>) -> Option<Input> {
        match effect {
            Effect::Persist(fact) => {
                self.persisted(fact, effects);
                None
            }
            Effect::Send { to, message } => {
                effects.push(SeatEffect::Send(to, message));
                None
            }
            Effect::Execute(execution) => {
                let sequence = execution.sequence;
                match self.keeper.execute(&execution, self.replica.accepted(sequence)) {
                    Ok(executed) => {
                        self.check_disk(effects);
                        let index = Index(sequence.get());
                        effects.extend(executed.accused.into_iter().map(|node| SeatEffect::Accused(node, index)));
                        let (outcomes, change) = (executed.outcomes, executed.change);
                        Some(Input::Executed { sequence, outcomes, change })
                    }
                    Err(halt) => self.halt(halt.to_string(), effects),
                }
            }
            Effect::TakeCheckpoint { sequence } => {
                match self.keeper.checkpoint(sequence) {
                    Ok(state) => effects.push(SeatEffect::SumUp { sequence, state }),
                    Err(halt) => drop(self.halt(halt.to_string(), effects)),
                }
                None
            }
            Effect::ReadPiece { to, sequence, index } => {
                let root = self.keeper.state(sequence)?.root();
                let (bytes, path) = keeper::piece(&root)?;
                Some(Input::Piece { to, sequence, index, bytes, path })
            }
            Effect::StorePiece { sequence, bytes, .. } => {
                let root: Option<[u8; 32]> = (*bytes).try_into().ok();
                self.target = root.map(|root| (sequence, Digest::from_bytes(root)));
                None
            }
            Effect::Install { summary } => {
                // It asks again for what was not a root.
                let Some((_, root)) = self.target.filter(|(of, _)| *of == summary.sequence) else {
                    return Some(Input::Installed { sequence: summary.sequence, state: Roots::EMPTY });
                };
                let base = self.keeper.ledger().snapshot();
                let (target, left) = ((summary.sequence, root), std::mem::take(&mut self.left));
                self.fetching = Some(Fetching::new(now.mono, target, &base, left, self.most_bytes));
                self.fetch(now, effects);
                self.install(effects)
            }
            Effect::Release { below, except } => {
                self.keeper.release(below, &except);
                None
            }
            Effect::Event(event) => {
                match event {
                    Event::EpochBegan(epoch) => effects.push(SeatEffect::EpochBegan(epoch)),
                    Event::Caught(evidence) => effects.push(SeatEffect::Caught(evidence)),
                    _ => {}
                }
                None
            }
            Effect::Halt(alarm) => self.halt(alarm.to_string(), effects),
        }
    }

    /// The fact goes out, behind what it needs to be read again.
    fn persisted(&mut self, fact: mesh_pbft::Fact, effects: &mut Vec<SeatEffect>) {
        if let mesh_pbft::Fact::Checkpoint { summary, .. } = &fact {
            effects.extend(self.keeper.take_since(summary.sequence).into_iter().map(SeatEffect::Persist));
            self.keeper.hold(summary.sequence);
        }
        effects.push(SeatEffect::Persist(Fact::Replica(Box::new(fact))));
    }

    /// Nothing that this replica could do next is sure to be right. The rest of the node goes on.
    fn halt(&mut self, why: String, effects: &mut Vec<SeatEffect>) -> Option<Input> {
        self.halted = Some(why.clone());
        // What is there stays for inspection.
        self.fetching = None;
        effects.push(SeatEffect::Halted(why));
        None
    }

    /// A seat is of a disk: with another one this key may have voted before. Asked wherever the ledger may seat this node,
    /// before the replica hears of it. Checklist item 21.
    fn check_disk(&mut self, effects: &mut Vec<SeatEffect>) {
        let (me, committee) = (self.replica.node(), self.keeper.ledger().committee());
        let pending = match committee.pending {
            Some(Pending::Add(seat)) if seat.node == me => seat.store,
            _ => None,
        };
        let seated = committee.seat(&me).and_then(|seat| seat.store);
        if seated.or(pending).is_some_and(|store| store != self.store) {
            let mut asked = Vec::new();
            self.replica.lose_memory(&mut asked);
            for effect in asked {
                if let Effect::Persist(fact) = effect {
                    self.persisted(fact, effects);
                }
            }
        }
    }

    fn fetch(&mut self, now: Now, effects: &mut Vec<SeatEffect>) {
        let Some(fetching) = &mut self.fetching else { return };
        let standing = self.replica.standing();
        let others = standing.config.members.iter().copied().filter(|member| *member != self.replica.node());
        let others: Vec<NodeId> = others.collect();
        let questions = fetching.ask(now.mono, &others);
        effects.extend(questions.into_iter().map(|(to, question)| SeatEffect::Ask(to, Question::Nodes(question))));
        if fetching.is_to_remind(now.mono) {
            // A replica keeps a state for who asks it for pieces.
            let (sequence, part, index) = (fetching.sequence, Part::State, 0);
            let question = Arc::new(Message::Fetch(Fetch::State { sequence, part, index }));
            effects.extend(others.into_iter().map(|to| SeatEffect::Send(Recipient::Node(to), Arc::clone(&question))));
        }
    }

    fn consider_install(&mut self, now: Now, effects: &mut Vec<SeatEffect>) {
        if let Some(input) = self.install(effects) {
            self.feed(now, input, effects);
        }
    }

    /// All nodes are here: their entries become facts, and with the replica's own fact behind them the state.
    fn install(&mut self, effects: &mut Vec<SeatEffect>) -> Option<Input> {
        if let Some(fetching) = self.fetching.take_if(|fetching| fetching.is_fruitless()) {
            // The replica aims at what they have now, of which most is the same.
            let sequence = fetching.sequence;
            self.left = fetching.give_up();
            return Some(Input::Installed { sequence, state: Roots::EMPTY });
        }
        let fetching = self.fetching.take_if(|fetching| fetching.is_complete())?;
        let sequence = fetching.sequence;
        let (state, left) = fetching.finish();
        self.left = left;
        let state = match state {
            Ok(map) => {
                let root = map.root();
                effects.push(SeatEffect::Persist(Fact::StateDropped));
                let pieces = keeper::in_pieces(&map);
                effects.extend(pieces.into_iter().map(|piece| SeatEffect::Persist(Fact::State(piece))));
                if let Err(corrupt) = self.keeper.install(sequence, map) {
                    return self.halt(corrupt.to_string(), effects);
                }
                self.check_disk(effects);
                keeper::roots(&root)
            }
            Err(error) => return self.halt(error.to_string(), effects),
        };
        Some(Input::Installed { sequence, state })
    }
}

#[cfg(test)]
mod tests;
