//! Who stands where, told now and then; whoever is further answers with what the other lacks. Castro's thesis, section
//! 5.2, and checklist item 34.

use super::{Replica, Turn};
use crate::{Config, Rejection};
use mesh_proto::{
    id::NodeId,
    pbft::{Checkpoint, Decided, Message, PrePrepare, Sequence, Status, View, Vote},
    time::Mono,
};
use std::sync::Arc;

/// Peers of whom it is remembered when they were last answered.
const ANSWERED: usize = 256;

impl Replica {
    pub(super) fn tell_status(&mut self, turn: &mut Turn<'_>) {
        self.last_status = turn.now.mono;
        self.is_status_urgent = false;
        let status = self.status();
        self.broadcast(turn, Message::Status(status));
    }

    /// When to tell it next; a replica alone tells nobody.
    pub(super) fn status_due(&self) -> Option<Mono> {
        let has_others = self.durable.config.members.iter().any(|member| *member != self.me);
        let Config { answer_every, status_busy, status_idle, status_learner, .. } = self.config;
        let last = self.last_status;
        let due = match (self.is_status_urgent, self.wants_something(), self.can_vote()) {
            (true, ..) => last + answer_every,
            // Under load something is always unfinished. What comes to its end lacks nothing.
            (false, true, true) => (last.max(self.last_progress) + status_busy).min(last + status_idle),
            (false, true, false) => last + status_busy,
            (false, false, true) => last + status_idle,
            (false, false, false) => last + status_idle.min(status_learner),
        };
        has_others.then_some(due)
    }

    fn status(&self) -> Status {
        Status {
            epoch: self.durable.config.epoch,
            view: self.durable.view,
            active: self.durable.is_active(),
            leaves: self.complains(),
            stable: self.durable.low(),
            executed: self.executed,
            wants: self.wants_something(),
            changes: self.changes_held(),
        }
    }

    /// Of each member the view of the VIEW-CHANGE that is held of it.
    fn changes_held(&self) -> Vec<View> {
        let Some((last, _)) = self.changes.last_key_value() else { return Vec::new() };
        let mut held = vec![View::ZERO; last.index() + 1];
        for (replica, (message, _)) in &self.changes {
            held[replica.index()] = message.change.view;
        }
        held
    }

    /// Something is not done: what others have said may have been lost.
    fn wants_something(&self) -> bool {
        let is_stable = self.durable.held() <= self.durable.low();
        let has_slots = self.slots.range(self.executed.next()..).next().is_some();
        self.pool.len() > 0
            || has_slots
            || !is_stable
            || !self.durable.is_active()
            || self.next_config.is_some()
            || self.transfer.is_some()
            || self.behind.target.is_some()
    }

    pub(super) fn on_status(&mut self, turn: &mut Turn<'_>, from: NodeId, status: Status) -> Result<(), Rejection> {
        let now = turn.now.mono;
        if status.epoch == self.durable.config.epoch {
            self.hear_complaint(turn, from, &status);
        }
        if self.answered.get(&from).is_some_and(|last| *last + self.config.answer_every > now) {
            return Err(Rejection::TooOften);
        }
        if self.answered.len() >= ANSWERED {
            self.answered.clear();
        }
        self.answered.insert(from, now);
        if status.epoch < self.durable.config.epoch {
            if let Some(epochs) = self.epochs_above(status.epoch) {
                self.send(turn, from, epochs);
            }
            return Ok(());
        }
        let is_behind = status.epoch > self.durable.config.epoch || status.executed > self.executed;
        if is_behind {
            // Whoever is further hears of it now, not at the next tick.
            let own = self.status();
            self.send(turn, from, Message::Status(own));
        }
        if status.epoch == self.durable.config.epoch {
            self.help(turn, from, &status);
        }
        Ok(())
    }

    fn help(&mut self, turn: &mut Turn<'_>, from: NodeId, status: &Status) {
        if let Some(stable) = &self.durable.stable
            && stable.summary.sequence > status.stable
            && stable.certificate.epoch == status.epoch
        {
            self.send(turn, from, Message::Stable(Arc::clone(stable)));
        }
        self.send_checkpoints(turn, from, status.stable);
        self.help_into_view(turn, from, status);
        self.send_decided(turn, from, status.executed);
        if status.view == self.durable.view && status.wants {
            self.send_votes(turn, from, status.executed);
        }
    }

    /// Own ones that are not stable there, in the words in which they were said.
    fn send_checkpoints(&self, turn: &mut Turn<'_>, to: NodeId, above: Sequence) {
        let Some(replica) = self.id else { return };
        for (sequence, held) in self.durable.checkpoints.range(above.next()..) {
            let Some((epoch, signature)) = held.vote.filter(|(epoch, _)| *epoch == self.durable.config.epoch) else {
                continue;
            };
            let checkpoint = Checkpoint { epoch, sequence: *sequence, digest: held.digest, replica, signature };
            self.send(turn, to, Message::Checkpoint(checkpoint));
        }
    }

    /// The NEW-VIEW of the view that is active here, or the own VIEW-CHANGE if it is not held there: with certificates for
    /// all open slots it is the largest message there is, and who waits for a view says so often.
    fn help_into_view(&self, turn: &mut Turn<'_>, to: NodeId, status: &Status) {
        let view = self.durable.view;
        let lacks = status.view < view || status.view == view && !status.active;
        if !lacks {
            return;
        }
        let held = self.id.and_then(|id| status.changes.get(id.index()));
        match &self.durable.standing {
            crate::durable::Standing::Active => {
                if let Some(entered) = &self.durable.entered {
                    self.send(turn, to, Message::NewView(Arc::clone(&entered.message)));
                }
            }
            crate::durable::Standing::Changing(own) => {
                if held.is_none_or(|held| *held < view) {
                    self.send(turn, to, Message::ViewChange(Arc::clone(own)));
                }
            }
        }
    }

    fn send_decided(&mut self, turn: &mut Turn<'_>, to: NodeId, above: Sequence) {
        let most = self.config.answer_slots as usize;
        let epoch = self.durable.config.epoch;
        let mut decided = Vec::new();
        for (certificate, batch) in self.past.above(above).take(most) {
            decided.push(Decided { epoch, certificate: Arc::clone(certificate), batch: Arc::clone(batch) });
        }
        for (sequence, slot) in self.slots.range(above.next()..).take(most - decided.len()) {
            let Some(certificate) = &slot.decided else { continue };
            if let Some(batch) = self.batch(*sequence, &certificate.digest) {
                decided.push(Decided { epoch, certificate: Arc::clone(certificate), batch });
            }
        }
        for decided in decided {
            self.send(turn, to, Message::Decided(decided));
        }
    }

    /// Own proposals and votes of this view, in the words in which they were said.
    fn send_votes(&self, turn: &mut Turn<'_>, to: NodeId, above: Sequence) {
        let Some(replica) = self.id else { return };
        let (epoch, view) = (self.durable.config.epoch, self.durable.view);
        let most = self.config.answer_slots as usize;
        for (sequence, entry) in self.durable.log.range(above.next()..).take(most) {
            let sequence = *sequence;
            let Some(accepted) = entry.accepted.filter(|accepted| accepted.view == view) else { continue };
            let vote = |signature| Vote { epoch, view, sequence, digest: accepted.digest, replica, signature };
            if let Some(signature) = accepted.prepare {
                self.send(turn, to, Message::Prepare(vote(signature)));
            } else if self.is_primary()
                && let Some(kept) = self.durable.batches.get(&accepted.digest)
            {
                let (batch, signature) = (Arc::clone(&kept.value), accepted.proposal);
                let message = PrePrepare { epoch, view, sequence, batch, signature };
                self.send(turn, to, Message::PrePrepare(Arc::new(message)));
            }
            if let Some(signature) = entry.commit
                && entry.prepared.as_ref().is_some_and(|prepared| prepared.view == view)
            {
                self.send(turn, to, Message::Commit(vote(signature)));
            }
        }
    }
}
