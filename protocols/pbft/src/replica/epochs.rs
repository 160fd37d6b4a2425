//! One committee after the other. Lamport, Malkhi and Zhou, *Reconfiguring a State Machine*, 2010; checklist items 36, 37.

use super::{Replica, Turn};
use crate::{Event, Fact, Quorums, Rejection};
use mesh_proto::{
    domain::Epoch,
    limits,
    pbft::{EpochCertificate, Message},
};
use std::sync::Arc;

impl Replica {
    /// The durable state is in another epoch: all else begins anew.
    pub(super) fn begin_epoch(&mut self, turn: &mut Turn<'_>) {
        let config = Arc::clone(&self.durable.config);
        self.counters.epochs += 1;
        self.id = config.replica_of(&self.me);
        self.quorums = Quorums::of(config.members.len());
        self.slots.clear();
        // Nobody takes a certificate of another epoch than its own.
        self.past.clear();
        self.checkpoint_votes.clear();
        self.changes.clear();
        self.pending_views.clear();
        self.wants.clear();
        self.behind.clear_far();
        self.complaints.clear();
        self.next_config = None;
        if self.executed < config.start {
            // Answers to what was given out come to nothing: the state of the new epoch replaces this one.
            self.running.clear();
            self.issued = self.executed;
            self.summing = None;
        }
        self.proposed = config.start;
        self.suspicion.enter(turn.now.mono);
        self.pace.enter(turn.now.mono, self.config.pace_floor);
        self.pool.renew(turn.now.mono);
        self.proposal_seen = turn.now.mono;
        self.refresh_snapshot();
        // Others may have begun to wait for this one's word.
        self.is_status_urgent = true;
        self.event(turn, Event::EpochBegan(config));
    }

    /// Epochs that have ended without this replica. If it has the first boundary's state, it goes on from there.
    pub(super) fn on_epochs(
        &mut self,
        turn: &mut Turn<'_>,
        certificates: Vec<Arc<EpochCertificate>>,
    ) -> Result<(), Rejection> {
        let Some(first) = certificates.first() else { return Err(Rejection::Duplicate) };
        self.in_epoch(first.certificate.epoch)?;
        // The state of this very boundary is being summed up: the epoch ends with its checkpoint, and somebody tells of it
        // again. What was executed since the last checkpoint is read again from facts of this epoch, which would be gone
        // before that checkpoint is written (simulator, seed 30).
        if self.summing.as_ref().is_some_and(|own| own.sequence() >= first.summary.sequence) {
            return Err(Rejection::OutOfTurn(first.summary.sequence));
        }
        let mut rest = certificates.clone();
        if self.durable.checkpoints.contains_key(&first.summary.sequence) {
            self.adopt_stable(turn, Arc::clone(first));
            rest.remove(0);
        }
        if self.halted.is_none() && !rest.is_empty() {
            self.persist(turn, Fact::Epochs { certificates: rest });
            self.begin_epoch(turn);
        }
        if let Some(last) = certificates.last().filter(|_| self.halted.is_none()) {
            self.aim_at(turn, Arc::clone(last));
        }
        Ok(())
    }

    /// For whoever is in an older one.
    pub(super) fn epochs_above(&self, epoch: Epoch) -> Option<Message> {
        let chain = self.durable.chain.iter().filter(|end| end.certificate.epoch >= epoch);
        let chain: Vec<Arc<EpochCertificate>> = chain.take(limits::PBFT_EPOCHS).cloned().collect();
        (!chain.is_empty()).then_some(Message::Epochs(chain))
    }

    /// The last stable checkpoint, with what certifies it; none before the first.
    pub fn stable(&self) -> Option<&Arc<EpochCertificate>> {
        self.durable.stable.as_ref()
    }

    /// The ends of the epochs since the configured one: with them anybody can verify the present one.
    pub fn chain(&self) -> &[Arc<EpochCertificate>] {
        &self.durable.chain
    }
}
