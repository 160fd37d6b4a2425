//! The state of a stable checkpoint, piece by piece, each proved against the certified root before it is used. Castro and
//! Liskov, TOCS 2002, on state transfer; checklist item 35.

use super::{Replica, Turn};
use crate::{Effect, Event, Fact, Rejection, table};
use mesh_proto::{
    id::NodeId,
    merkle::Leaf,
    pbft::{
        Chunk, ClientEntry, EpochCertificate, Fetch, Message, Part, RequestNumber, Roots, Sequence, Sizes, state_leaf,
    },
    time::Mono,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub use super::catch_up::Behind;

#[derive(Debug)]
pub struct Transfer {
    target: Arc<EpochCertificate>,
    /// Not asked for.
    missing: VecDeque<(Part, u32)>,
    /// Of whom each was asked, and until when that is waited for.
    asked: BTreeMap<(Part, u32), (NodeId, Mono)>,
    clients: BTreeMap<u32, ClientEntry>,
    last_piece: Mono,
    is_installing: bool,
}

impl Transfer {
    fn new(target: Arc<EpochCertificate>, now: Mono) -> Self {
        let summary = &target.summary;
        // The certificate bounds both; a tree has at most 65,536 leaves.
        let state = (0..summary.state.count).map(|index| (Part::State, index));
        let clients = (0..summary.clients.count).map(|index| (Part::Clients, index));
        Self {
            missing: state.chain(clients).collect(),
            asked: BTreeMap::new(),
            clients: BTreeMap::new(),
            last_piece: now,
            is_installing: false,
            target,
        }
    }

    fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.asked.is_empty()
    }

    fn roots(&self, part: Part) -> Roots {
        match part {
            Part::State => self.target.summary.state,
            Part::Clients => self.target.summary.clients,
        }
    }
}

impl Replica {
    pub(super) fn begin_transfer(&mut self, turn: &mut Turn<'_>, target: Arc<EpochCertificate>) {
        self.counters.transfers += 1;
        self.transfer = Some(Transfer::new(target, turn.now.mono));
        self.ask_pieces(turn);
        self.try_install(turn);
    }

    pub(super) fn running_transfer(&self) -> Option<Sequence> {
        self.transfer.as_ref().map(|transfer| transfer.target.summary.sequence)
    }

    /// Nobody has what is being asked for any more, or there is no transfer.
    pub(super) fn is_transfer_stuck(&self, now: Mono) -> bool {
        let patience = self.config.transfer_timeout * 4;
        self.transfer.as_ref().is_none_or(|transfer| !transfer.is_installing && transfer.last_piece + patience <= now)
    }

    pub(super) fn is_installing(&self) -> bool {
        self.transfer.as_ref().is_some_and(Transfer::is_complete)
    }

    pub(super) fn transfer_due(&self) -> Option<Mono> {
        self.transfer.as_ref()?.asked.values().map(|(_, until)| *until).min()
    }

    /// Asks for as many as may be under way, of one replica after the other, and again for what did not come in time.
    pub(super) fn ask_pieces(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        let others = self.durable.config.members.iter().copied().filter(|member| *member != self.me);
        let others: Vec<NodeId> = others.collect();
        let Some(transfer) = &mut self.transfer else { return };
        let late = transfer.asked.extract_if(.., |_, (_, until)| *until <= now);
        for (piece, (of, _)) in late {
            self.sources.doubt(of);
            transfer.missing.push_back(piece);
        }
        let sequence = transfer.target.summary.sequence;
        let mut questions = Vec::new();
        while transfer.asked.len() < self.config.transfer_window && !transfer.missing.is_empty() {
            let Some(to) = self.sources.next(&others) else { break };
            let Some((part, index)) = transfer.missing.pop_front() else { break };
            transfer.asked.insert((part, index), (to, now + self.config.transfer_timeout));
            questions.push((to, Fetch::State { sequence, part, index }));
        }
        for (to, question) in questions {
            self.send(turn, to, Message::Fetch(question));
        }
    }

    pub(super) fn on_chunk(&mut self, turn: &mut Turn<'_>, from: NodeId, chunk: Chunk) -> Result<(), Rejection> {
        let limit = Sizes::of(&self.durable.config).entry();
        let Some(transfer) = &mut self.transfer else { return Err(Rejection::Unasked) };
        let piece = (chunk.part, chunk.index);
        let is_asked = transfer.asked.get(&piece).is_some_and(|(of, _)| *of == from);
        if !is_asked || chunk.sequence != transfer.target.summary.sequence {
            return Err(Rejection::Unasked);
        }
        transfer.asked.remove(&piece);
        let (leaf, entry) = read(&chunk, limit);
        let roots = transfer.roots(chunk.part);
        let root = leaf.and_then(|leaf| chunk.path.root(leaf, chunk.index, roots.count));
        if root != Some(roots.root) {
            self.sources.doubt(from);
            transfer.missing.push_front(piece);
            self.counters.bad_pieces += 1;
            self.ask_pieces(turn);
            return Err(Rejection::WrongPiece);
        }
        transfer.last_piece = turn.now.mono;
        self.counters.pieces += 1;
        match entry {
            Some(entry) => drop(transfer.clients.insert(chunk.index, entry)),
            None => {
                let Chunk { sequence, index, bytes, .. } = chunk;
                turn.effects.push(Effect::StorePiece { sequence, index, bytes });
            }
        }
        self.ask_pieces(turn);
        self.try_install(turn);
        Ok(())
    }

    /// Once all pieces are here and what runs is done: nothing is executed between this and the answer.
    pub(super) fn try_install(&mut self, turn: &mut Turn<'_>) {
        if self.halted.is_some() {
            return;
        }
        let is_busy = !self.running.is_empty() || self.summing.is_some();
        let executed = self.executed;
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.target.summary.sequence <= executed {
            self.transfer = None;
            self.behind.forget(executed);
            return;
        }
        if is_busy || transfer.is_installing || !transfer.is_complete() {
            return;
        }
        transfer.is_installing = true;
        turn.effects.push(Effect::Install { summary: Arc::new(transfer.target.summary.clone()) });
    }

    /// The state is the caller's now. Behind the fact nothing goes back; before it the old state counts.
    pub(super) fn on_installed(
        &mut self,
        turn: &mut Turn<'_>,
        sequence: Sequence,
        state: Roots,
    ) -> Result<(), Rejection> {
        let is_due = |transfer: &Transfer| transfer.is_installing && transfer.target.summary.sequence == sequence;
        let Some(transfer) = self.transfer.take_if(|transfer| is_due(transfer)) else {
            return Err(Rejection::OutOfTurn(sequence));
        };
        if state != transfer.target.summary.state {
            // What was laid aside was not what was read back, or there is nobody left to read it from: then the others are
            // further, and one that lies could keep this replica at an old state for good with pieces that it still has
            // (simulator, seed 84).
            let latest = self.behind.target.clone().filter(|target| target.summary.sequence > sequence);
            self.begin_transfer(turn, latest.unwrap_or(transfer.target));
            return Ok(());
        }
        let epoch = self.durable.config.epoch;
        self.keep_pinned(turn.now.mono);
        self.past.clear();
        let clients = transfer.clients.into_values().collect();
        self.persist(turn, Fact::Installed { certificate: transfer.target, clients });
        self.counters.installed += 1;
        self.resume_from_held();
        self.event(turn, Event::CaughtUp(sequence));
        self.forget_below(turn);
        if self.durable.config.epoch != epoch {
            self.begin_epoch(turn);
        }
        self.settle_pool(turn);
        self.last_progress = turn.now.mono;
        self.is_status_urgent = true;
        self.proposed = self.proposed.max(self.executed);
        if let Some(entered) = &self.durable.entered
            && self.durable.is_active()
        {
            let message = Arc::clone(&entered.message);
            self.offer_again(turn, &message);
        }
        self.pass_barrier(turn);
        Ok(())
    }

    /// What others have executed meanwhile does not wait any more.
    fn settle_pool(&mut self, turn: &Turn<'_>) {
        let config = Arc::clone(&self.durable.config);
        let time = turn.now.wall.max(self.time);
        let waiting = self.pool.bodies().map(|body| (body.request.gateway, body.request.number));
        let waiting: Vec<(NodeId, RequestNumber)> = waiting.collect();
        for (gateway, number) in waiting {
            if self.table.judge(&config, &gateway, number, time) != table::Verdict::New {
                self.pool.settle(&gateway, number);
            }
        }
    }
}

/// The leaf of a piece; and the entry, if it is one of the client table.
fn read(chunk: &Chunk, limit: usize) -> (Option<Leaf>, Option<ClientEntry>) {
    match chunk.part {
        Part::State => (Some(state_leaf(&chunk.bytes)), None),
        Part::Clients => {
            let entry = ClientEntry::decode(&chunk.bytes, limit).ok();
            (entry.as_ref().map(table::entry_leaf), entry)
        }
    }
}
