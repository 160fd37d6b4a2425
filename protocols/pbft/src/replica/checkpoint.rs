//! Checkpoints and the garbage that goes with them. Section 4.3.

use super::{Replica, Turn};
use crate::{
    Alarm, Effect, Event, Fact, Rejection,
    table::Table,
    votes::{Ballot, Cast, Votes},
};
use mesh_proto::{
    id::{Digest, NodeId},
    pbft::{Checkpoint, Conflict, EpochCertificate, EpochConfig, Message, Roots, Sequence, Stable, Summary, View},
    time::Wall,
};
use std::sync::Arc;

/// What a checkpoint's summary will say beside the state, as it was behind its number: execution goes on meanwhile.
#[derive(Debug)]
pub struct Summing {
    sequence: Sequence,
    time: Wall,
    table: Table,
    clients: Roots,
    /// Of the epoch that begins there, or goes on.
    config: Arc<EpochConfig>,
}

impl Summing {
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }
}

impl Replica {
    /// A checkpoint's number was executed, and nothing behind it was given out.
    pub(super) fn begin_summing(&mut self, turn: &mut Turn<'_>, sequence: Sequence) {
        assert!(self.summing.is_none() && self.issued == sequence, "one checkpoint is summed up at a time");
        let next = self.next_config.as_ref().map(|(next, _)| Arc::clone(next));
        let config = next.unwrap_or_else(|| Arc::clone(&self.durable.config));
        let clients = self.table.roots();
        self.summing = Some(Summing { sequence, time: self.time, table: self.table.clone(), clients, config });
        self.has_passed = true;
        turn.effects.push(Effect::TakeCheckpoint { sequence });
    }

    /// The caller has summed up its state behind a checkpoint's number.
    pub(super) fn on_checkpointed(
        &mut self,
        turn: &mut Turn<'_>,
        sequence: Sequence,
        state: Roots,
    ) -> Result<(), Rejection> {
        let Some(summed) = self.summing.take_if(|summing| summing.sequence == sequence) else {
            return Err(Rejection::OutOfTurn(sequence));
        };
        let Summing { time, table, clients, config, .. } = summed;
        let summary = Summary { sequence, time, state, clients, floor: table.floor(), config: config.as_ref().clone() };
        let digest = summary.digest();
        let epoch = self.durable.config.epoch;
        let vote = self.id.filter(|_| self.can_vote());
        let vote = vote.map(|id| Checkpoint::sign(&self.key, &self.network, (epoch, id), sequence, digest));
        // At most as large as a table, whatever was answered since.
        let clients = match self.durable.checkpoints.last_key_value() {
            Some((_, before)) => table.changes_since(&before.table),
            None => table.changes_since(&Table::default()),
        };
        let signature = vote.as_ref().map(|vote| vote.signature);
        self.persist(turn, Fact::Checkpoint { summary: Arc::new(summary), clients, vote: signature });
        self.counters.checkpoints += 1;
        if let Some(vote) = vote {
            self.cast_checkpoint(&vote);
            self.broadcast(turn, Message::Checkpoint(vote));
        }
        self.check_stable(turn, sequence);
        self.adopt_target(turn, sequence);
        self.execute(turn);
        self.try_install(turn);
        Ok(())
    }

    /// The proof of a checkpoint that was made here now may have come before.
    fn adopt_target(&mut self, turn: &mut Turn<'_>, sequence: Sequence) {
        let is_new = self.halted.is_none() && sequence > self.durable.low();
        let target = self.behind.target.clone().filter(|target| is_new && target.summary.sequence == sequence);
        if let Some(certificate) = target {
            self.adopt_stable(turn, certificate);
        }
    }

    /// Somebody else's. Above the window it says that this replica is behind.
    pub(super) fn on_checkpoint(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        vote: &Checkpoint,
    ) -> Result<(), Rejection> {
        self.in_epoch(vote.epoch)?;
        if vote.sequence > self.durable.high() {
            self.note_far(vote);
            return Ok(());
        }
        self.in_window(vote.sequence)?;
        match self.cast_checkpoint(vote) {
            Cast::Counted => {}
            Cast::Old => return Err(Rejection::Duplicate),
            Cast::Conflict(before) => {
                let (one, other) = ((before.digest, before.signature), (vote.digest, vote.signature));
                self.convict(turn, vote.replica, Conflict::Checkpoints { sequence: vote.sequence, one, other });
                return Err(Rejection::Conflict);
            }
        }
        debug_assert_ne!(from, self.me);
        self.check_stable(turn, vote.sequence);
        Ok(())
    }

    /// A quorum that agrees with the own checkpoint makes it stable; one that does not stops the replica. Before the own
    /// one is made, nothing is compared.
    pub(super) fn check_stable(&mut self, turn: &mut Turn<'_>, sequence: Sequence) {
        let (Some(held), Some(votes)) = (self.durable.checkpoints.get(&sequence), self.checkpoint_votes.get(&sequence))
        else {
            return;
        };
        if sequence <= self.durable.low() {
            return;
        }
        let quorum = self.quorums.quorum();
        let is_quorum = |digest: &Digest| votes.count(View::ZERO, digest, None) >= quorum;
        let Some(digest) = votes.iter().map(|ballot| ballot.digest).find(is_quorum) else { return };
        let ballots = votes.ballots(View::ZERO, &digest, None, quorum);
        let proof = Stable { epoch: self.durable.config.epoch, sequence, digest, votes: ballots };
        let certificate = EpochCertificate { summary: held.summary.as_ref().clone(), certificate: proof };
        self.adopt_stable(turn, Arc::new(certificate));
    }

    /// For a certificate at a checkpoint that is held here. Checklist item 33.
    pub(super) fn adopt_stable(&mut self, turn: &mut Turn<'_>, certificate: Arc<EpochCertificate>) {
        let sequence = certificate.certificate.sequence;
        let Some(held) = self.durable.checkpoints.get(&sequence) else { return };
        if held.digest != certificate.certificate.digest {
            let (own, stable) = (held.digest, certificate.certificate.digest);
            self.halt(turn, Alarm::Diverged { sequence, own, stable });
            return;
        }
        let epoch = self.durable.config.epoch;
        self.keep_pinned(turn.now.mono);
        self.keep_past(sequence);
        self.persist(turn, Fact::Stable { certificate });
        self.counters.stable += 1;
        self.event(turn, Event::StableAt(sequence));
        self.forget_below(turn);
        if self.durable.config.epoch != epoch {
            self.begin_epoch(turn);
        }
        self.propose(turn);
    }

    /// What is at or below the stable checkpoint is not needed any more.
    pub(super) fn forget_below(&mut self, turn: &mut Turn<'_>) {
        let low = self.durable.low();
        self.slots = self.slots.split_off(&low.next());
        self.checkpoint_votes = self.checkpoint_votes.split_off(&low.next());
        self.stash.forget(low);
        self.wants.forget(low);
        self.behind.forget(self.executed);
        self.refresh_snapshot();
        let except = self.pinned();
        turn.effects.push(Effect::Release { below: self.durable.held().min(low), except });
    }

    pub(super) fn cast_checkpoint(&mut self, vote: &Checkpoint) -> Cast {
        let members = self.durable.config.members.len();
        let votes = self.checkpoint_votes.entry(vote.sequence).or_insert_with(|| Votes::new(members));
        votes.cast(vote.replica, Ballot { view: View::ZERO, digest: vote.digest, signature: vote.signature })
    }

    /// The barrier has moved: what waited behind it is looked at.
    pub(super) fn pass_barrier(&mut self, turn: &mut Turn<'_>) {
        self.proposal_seen = turn.now.mono;
        let waiting = self.slots.range(self.executed.next()..=self.barrier().max(self.executed.next()));
        let waiting: Vec<Sequence> =
            waiting.filter(|(_, slot)| slot.offer.is_some()).map(|(sequence, _)| *sequence).collect();
        waiting.iter().for_each(|sequence| self.progress(turn, *sequence));
        self.execute(turn);
        self.propose(turn);
        self.try_install(turn);
    }
}
