//! Entering a view. Section 4.4.

use super::{Replica, Turn, slot::Offer};
use crate::{Event, Fact, Plan, Rejection, plan};
use mesh_proto::{
    id::{Digest, NodeId},
    key::Signature,
    pbft::{
        Change, Conflict, EpochCertificate, Fetch, Message, NewView, PrePrepare, ReplicaId, Reproposal, Sequence, View,
        ViewChange,
    },
    time::Mono,
};
use std::{collections::BTreeMap, sync::Arc};

/// A NEW-VIEW of which some view changes are still to come.
#[derive(Debug)]
pub struct PendingView {
    message: Arc<NewView>,
    have: BTreeMap<ReplicaId, Arc<ViewChange>>,
    pub due: Mono,
    tries: u32,
}

impl Replica {
    /// With a quorum for the own view its timer starts; the primary makes the NEW-VIEW.
    pub(super) fn consider_new_view(&mut self, turn: &mut Turn<'_>) {
        let held = self.changes_for_view();
        let quorum = self.quorums.quorum();
        // A deviation: who is for a later view counts as well. It may be that its message for this one was lost, and of
        // each sender only the latest is kept and sent again.
        let beyond = self.changes.values().filter(|(message, _)| message.change.view >= self.durable.view);
        if !self.durable.is_active() && beyond.count() >= quorum {
            let due = turn.now.mono + self.suspicion.timeout;
            self.suspicion.new_view_due.get_or_insert(due);
        }
        if held.len() < quorum || !self.is_primary() || !self.can_vote() {
            return;
        }
        // The own one is among them: it is what this replica promised.
        let own = held.iter().filter(|(replica, _)| Some(**replica) == self.id);
        let others = held.iter().filter(|(replica, _)| Some(**replica) != self.id);
        let chosen: BTreeMap<ReplicaId, (Arc<ViewChange>, Digest)> =
            own.chain(others).take(quorum).map(|(replica, held)| (*replica, held.clone())).collect();
        let changes: Vec<Arc<ViewChange>> = chosen.values().map(|(message, _)| Arc::clone(message)).collect();
        match plan(changes.iter().map(|message| &message.change)) {
            Ok(plan) => {
                let named = chosen.iter().map(|(replica, (_, digest))| (*replica, *digest)).collect();
                let message = Arc::new(self.make_new_view(&plan, named));
                self.enter(turn, Arc::clone(&message), changes, &plan);
            }
            Err(alarm) => self.halt(turn, alarm),
        }
    }

    fn make_new_view(&self, plan: &Plan, changes: Vec<(ReplicaId, Digest)>) -> NewView {
        let (epoch, view) = (self.durable.config.epoch, self.durable.view);
        let proposals = plan.digests.iter().enumerate().map(|(place, digest)| {
            let sequence = plan.stable.plus(place as u64 + 1);
            let signature = PrePrepare::sign_digest(&self.key, &self.network, epoch, (view, sequence), digest);
            Reproposal { digest: *digest, signature }
        });
        let proposals = proposals.collect();
        let signature = Signature::from_bytes([0; 64]);
        let message = NewView { epoch, view, changes, stable: plan.stable, proposals, signature };
        message.signed(&self.key, &self.network)
    }

    pub(super) fn on_new_view(&mut self, turn: &mut Turn<'_>, message: Arc<NewView>) -> Result<(), Rejection> {
        self.in_epoch(message.epoch)?;
        let view = message.view;
        let primary = self.durable.config.primary(view);
        let before = self.durable.entered.as_ref().map(|entered| Arc::clone(&entered.message));
        let pending = self.pending_views.get(&primary).map(|pending| Arc::clone(&pending.message));
        if let Some(before) = [before, pending].into_iter().flatten().find(|before| before.view == view) {
            if before.says_as(&message) {
                return Err(Rejection::Duplicate);
            }
            self.convict(turn, primary, Conflict::NewViews { one: before, other: message });
            return Err(Rejection::Conflict);
        }
        let is_old = view < self.durable.view || view == self.durable.view && self.durable.is_active();
        let is_older = self.pending_views.get(&primary).is_some_and(|pending| pending.message.view > view);
        if is_old || is_older || Some(primary) == self.id {
            return Err(Rejection::View { message: view, own: self.durable.view });
        }
        let mut have = BTreeMap::new();
        for (replica, digest) in &message.changes {
            if let Some((known, _)) = self.changes.get(replica).filter(|(_, known)| known == digest) {
                have.insert(*replica, Arc::clone(known));
            }
        }
        let due = turn.now.mono + self.config.fetch_again;
        // One place for each member: a NEW-VIEW that can never be completed blocks its sender's own alone.
        self.pending_views.insert(primary, PendingView { message, have, due, tries: 0 });
        self.try_enter(turn, primary)
    }

    /// A VIEW-CHANGE that a NEW-VIEW names, whether or not another one of its sender came first.
    pub(super) fn fill_pending(&mut self, turn: &mut Turn<'_>, message: &Arc<ViewChange>, digest: Digest) -> bool {
        let named = (message.change.replica, digest);
        let mut complete = Vec::new();
        let mut is_wanted = false;
        for (primary, pending) in &mut self.pending_views {
            if pending.message.changes.contains(&named) && !pending.have.contains_key(&named.0) {
                pending.have.insert(named.0, Arc::clone(message));
                is_wanted = true;
                complete.push(*primary);
            }
        }
        // Whether it is wrong is counted where that is found out; this message has done what it came for.
        complete.iter().for_each(|primary| drop(self.try_enter(turn, *primary)));
        is_wanted
    }

    /// Checklist item 29: O is computed again from the view changes that it claims to follow from.
    fn try_enter(&mut self, turn: &mut Turn<'_>, primary: ReplicaId) -> Result<(), Rejection> {
        let pending = self.pending_views.get(&primary);
        let Some(pending) = pending.filter(|pending| pending.have.len() == pending.message.changes.len()) else {
            return Ok(());
        };
        let message = Arc::clone(&pending.message);
        let changes: Vec<Arc<ViewChange>> = pending.have.values().cloned().collect();
        self.pending_views.remove(&primary);
        if message.view < self.durable.view || message.view == self.durable.view && self.durable.is_active() {
            return Ok(());
        }
        let of_view = changes.iter().all(|change| change.change.view == message.view);
        let plan = match plan(changes.iter().map(|change| -> &Change { &change.change })) {
            Ok(plan) => plan,
            Err(alarm) => {
                self.halt(turn, alarm);
                return Ok(());
            }
        };
        let proposed = message.proposals.iter().map(|proposal| &proposal.digest);
        if !of_view || plan.stable != message.stable || !proposed.eq(&plan.digests) {
            self.counters.wrong_new_views += 1;
            self.leave_for(turn, message.view.next());
            self.consider_views(turn);
            return Err(Rejection::WrongNewView);
        }
        self.enter(turn, message, changes, &plan);
        Ok(())
    }

    /// The primary's message leaves behind the fact; a backup's prepares do.
    fn enter(&mut self, turn: &mut Turn<'_>, message: Arc<NewView>, changes: Vec<Arc<ViewChange>>, plan: &Plan) {
        let view = message.view;
        let proof = changes.iter().find(|change| change.change.stable == plan.stable);
        let proof = proof.and_then(|change| change.change.proof.clone());
        self.persist(turn, Fact::Entered { message: Arc::clone(&message), changes });
        self.counters.entered_views += 1;
        self.event(turn, Event::Entered(view));
        if self.is_primary() {
            self.broadcast(turn, Message::NewView(Arc::clone(&message)));
        }
        self.changes.retain(|_, (change, _)| change.change.view > view);
        self.pending_views.retain(|_, pending| pending.message.view > view);
        self.refresh_snapshot();
        self.suspicion.enter(turn.now.mono);
        self.pace.enter(turn.now.mono, self.config.pace_floor);
        self.strangers.renew(turn.now.mono + self.strangers_period());
        self.pool.renew(turn.now.mono);
        self.proposal_seen = turn.now.mono;
        self.proposed = plan.last().max(self.executed);
        self.offer_again(turn, &message);
        if let Some(proof) = proof
            && let Some(held) = self.durable.checkpoints.get(&proof.sequence)
            && proof.sequence > self.durable.low()
        {
            let summary = held.summary.as_ref().clone();
            self.adopt_stable(turn, Arc::new(EpochCertificate { summary, certificate: proof }));
        }
        if plan.stable > self.executed {
            self.is_status_urgent = true;
        }
        self.pass_barrier(turn);
        let again: Vec<Sequence> = self.slots.keys().copied().collect();
        again.iter().for_each(|sequence| self.check_prepared(turn, *sequence));
        self.execute(turn);
        self.propose(turn);
    }

    /// The set O: all three phases run again, whatever was executed.
    pub(super) fn offer_again(&mut self, turn: &mut Turn<'_>, message: &NewView) {
        self.wants.clear();
        let now = turn.now.mono;
        for slot in self.slots.values_mut() {
            (slot.offer, slot.since) = (None, now);
        }
        let (low, high) = (self.durable.low(), self.durable.high());
        let mut again = Vec::new();
        for (place, proposal) in message.proposals.iter().enumerate() {
            let sequence = message.stable.plus(place as u64 + 1);
            let accepted = self.durable.log.get(&sequence).and_then(|entry| entry.accepted);
            let is_accepted = accepted.is_some_and(|accepted| accepted.view == message.view);
            if sequence <= low || sequence > high || is_accepted {
                continue;
            }
            let (digest, signature) = (proposal.digest, proposal.signature);
            let batch = self.batch(sequence, &digest);
            self.slot(sequence, now).offer = Some(Offer { view: message.view, digest, signature, batch });
            again.push(sequence);
        }
        again.iter().for_each(|sequence| self.progress(turn, *sequence));
    }

    /// View changes that are missing are asked for: of the primary, then of their authors, then of all in turn, from the
    /// third time on of two at once, so that f that do not answer cost no view. They were sent to all before, and a committee
    /// that is slow to take them in, as its time-out shows, is not made faster by many more of them.
    pub(super) fn fetch_view_changes(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        let again = self.config.fetch_again;
        let longest = again.max(self.suspicion.timeout / 8);
        let mut questions = Vec::new();
        for (primary, pending) in self.pending_views.iter_mut().filter(|(_, pending)| pending.due <= now) {
            let missing = pending.message.changes.iter().filter(|(replica, _)| !pending.have.contains_key(replica));
            let view: View = pending.message.view;
            questions.extend(missing.map(|(author, digest)| ((*primary, *author), pending.tries, view, *digest)));
            let pause = (again * (1 << (pending.tries + 1).min(8))).min(longest);
            (pending.due, pending.tries) = (now + pause, pending.tries.saturating_add(1));
        }
        for ((primary, author), tries, view, digest) in questions {
            let first = primary.index();
            let asked = match tries {
                0 => vec![self.member_behind(first, 0)],
                1 => vec![self.member_behind(author.index(), 0)],
                _ => [2 * tries - 3, 2 * tries - 2].map(|step| self.member_behind(first, step as usize)).into(),
            };
            for to in asked.into_iter().flatten() {
                self.send(turn, to, Message::Fetch(Fetch::ViewChange { view, digest }));
            }
        }
    }

    /// The member so many places behind one, around the committee.
    fn member_behind(&self, place: usize, step: usize) -> Option<NodeId> {
        let members = &self.durable.config.members;
        members.get((place + step) % members.len()).copied()
    }
}
