//! From the facts back to where it was.

use super::{Replica, Turn};
use crate::{Effect, Fact, Quorums, durable::Standing, votes::Ballot};
use mesh_proto::{
    pbft::{Checkpoint, ReplicaId, Sequence},
    time::Now,
};
use std::sync::Arc;

impl Replica {
    /// Once, behind the facts; also at the very first start. What was executed behind the last checkpoint is executed
    /// again, once its commits are there again; what was said is said again, in the same words, to whoever lacks it. One that
    /// has stopped for good says why, and stays as it is.
    pub fn restarted(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let turn = &mut Turn { now, effects };
        if self.lost && !self.durable.amnesia {
            self.persist(turn, Fact::Amnesia);
        }
        self.id = self.durable.config.replica_of(&self.me);
        self.quorums = Quorums::of(self.durable.config.members.len());
        self.resume_from_held();
        self.suspicion.enter(now.mono);
        (self.last_progress, self.proposal_seen) = (now.mono, now.mono);
        self.refresh_snapshot();
        if let Some(alarm) = self.durable.halted.clone() {
            return self.halt(turn, alarm);
        }
        self.remember_own_words(turn);
        if self.durable.held() < self.durable.config.start
            && let Some(end) = self.durable.chain.last().cloned()
        {
            self.aim_at(turn, end);
        }
        if let Some(entered) = self.durable.entered.as_ref().filter(|_| self.durable.is_active()) {
            let message = Arc::clone(&entered.message);
            self.offer_again(turn, &message);
        }
        let entries: Vec<Sequence> = self.durable.log.keys().copied().collect();
        entries.iter().for_each(|sequence| self.check_prepared(turn, *sequence));
        self.consider_new_view(turn);
        self.execute(turn);
        self.tell_status(turn);
        self.check_invariants();
    }

    /// Execution goes on behind the last state that is held.
    pub(super) fn resume_from_held(&mut self) {
        let held = self.durable.checkpoints.last_key_value().map(|(_, held)| held.clone());
        self.executed = self.durable.held();
        self.issued = self.executed;
        self.running.clear();
        self.summing = None;
        self.next_config = None;
        let Some(held) = held else { return };
        self.table = held.table;
        self.time = held.summary.time;
        if held.summary.config.epoch > self.durable.config.epoch {
            // The checkpoint that ends the epoch, not stable yet.
            self.next_config = Some((Arc::new(held.summary.config.clone()), self.last_progress));
        }
    }

    fn remember_own_words(&mut self, turn: &mut Turn<'_>) {
        let Some(replica) = self.id else { return };
        if let Standing::Changing(own) = &self.durable.standing {
            self.changes.insert(replica, (Arc::clone(own), own.change.digest()));
        }
        let held = self.durable.checkpoints.iter().filter_map(|(sequence, held)| {
            let (epoch, signature) = held.vote.filter(|(epoch, _)| *epoch == self.durable.config.epoch)?;
            Some(Checkpoint { epoch, sequence: *sequence, digest: held.digest, replica, signature })
        });
        let held: Vec<Checkpoint> = held.filter(|vote| vote.sequence > self.durable.low()).collect();
        for vote in held {
            self.cast_checkpoint(&vote);
            self.check_stable(turn, vote.sequence);
        }
        for (sequence, entry) in self.durable.log.clone() {
            if entry.accepted.is_some_and(|accepted| accepted.view == self.durable.view) {
                self.proposed = self.proposed.max(sequence);
            }
            if let Some(accepted) = entry.accepted
                && let Some(signature) = accepted.prepare
            {
                let ballot = Ballot { view: accepted.view, digest: accepted.digest, signature };
                self.slot(sequence, turn.now.mono).prepares.cast(replica, ballot);
            }
            if let (Some(prepared), Some(signature)) = (&entry.prepared, entry.commit) {
                let ballot = Ballot { view: prepared.view, digest: prepared.digest, signature };
                self.recall_commit(turn, replica, sequence, ballot);
            }
        }
        let entered = self.durable.entered.as_ref();
        let begun = entered.map(|entered| entered.message.stable.plus(entered.message.proposals.len() as u64));
        self.proposed = self.proposed.max(begun.unwrap_or_default()).max(self.durable.low()).max(self.executed);
    }

    fn recall_commit(&mut self, turn: &mut Turn<'_>, replica: ReplicaId, sequence: Sequence, ballot: Ballot) {
        self.slot(sequence, turn.now.mono).commits.cast(replica, ballot);
        self.check_committed(turn, sequence, ballot.view, ballot.digest);
    }
}
