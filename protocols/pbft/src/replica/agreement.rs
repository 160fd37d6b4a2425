//! The three phases. Section 4.2.

use super::{Replica, Turn, slot::Offer};
use crate::{
    Alarm, Body, Fact, Rejection,
    votes::{Ballot, Cast},
};
use mesh_proto::{
    domain::Epoch,
    id::Digest,
    key::Signature,
    pbft::{Batch, Committed, Conflict, Message, Phase, PrePrepare, Prepared, Sequence, View, Vote},
};
use std::{collections::BTreeSet, sync::Arc};

impl Replica {
    /// Accepts a proposal of the primary of the active view: at once, or as soon as batch and bodies are here and the
    /// checkpoint below it was executed.
    pub(super) fn on_pre_prepare(
        &mut self,
        turn: &mut Turn<'_>,
        pre_prepare: &PrePrepare,
        digest: Digest,
    ) -> Result<(), Rejection> {
        let (view, sequence) = (pre_prepare.view, pre_prepare.sequence);
        self.in_epoch(pre_prepare.epoch)?;
        self.in_window(sequence)?;
        if view != self.durable.view || !self.durable.is_active() {
            return Err(Rejection::View { message: view, own: self.durable.view });
        }
        if let Some(known) = self.proposal(sequence) {
            if known.0 == digest || self.is_primary() {
                return Err(Rejection::Duplicate);
            }
            let other = (digest, pre_prepare.signature);
            let conflict = Conflict::Votes { phase: Phase::PrePrepare, view, sequence, one: known, other };
            self.convict(turn, self.durable.config.primary(view), conflict);
            return Err(Rejection::Conflict);
        }
        if self.is_primary() {
            return Err(Rejection::Unasked);
        }
        self.is_timely(turn, &pre_prepare.batch)?;
        let distinct: BTreeSet<&Digest> = pre_prepare.batch.requests.iter().collect();
        if distinct.len() != pre_prepare.batch.requests.len() {
            return Err(Rejection::BatchLimits);
        }
        self.proposal_seen = turn.now.mono;
        let batch = Some(Arc::clone(&pre_prepare.batch));
        let slot = self.slot(sequence, turn.now.mono);
        slot.offer = Some(Offer { view, digest, signature: pre_prepare.signature, batch });
        slot.since = turn.now.mono;
        self.progress(turn, sequence);
        Ok(())
    }

    /// A prepare of a later view waits in its sender's one place until the view is entered.
    pub(super) fn on_prepare(&mut self, turn: &mut Turn<'_>, vote: &Vote) -> Result<(), Rejection> {
        self.is_votable(vote)?;
        let ballot = Ballot { view: vote.view, digest: vote.digest, signature: vote.signature };
        let cast = self.slot(vote.sequence, turn.now.mono).prepares.cast(vote.replica, ballot);
        self.judge_cast(turn, Phase::Prepare, vote, cast)?;
        self.check_prepared(turn, vote.sequence);
        self.execute(turn);
        Ok(())
    }

    pub(super) fn on_commit(&mut self, turn: &mut Turn<'_>, vote: &Vote) -> Result<(), Rejection> {
        self.is_votable(vote)?;
        let ballot = Ballot { view: vote.view, digest: vote.digest, signature: vote.signature };
        let cast = self.slot(vote.sequence, turn.now.mono).commits.cast(vote.replica, ballot);
        self.judge_cast(turn, Phase::Commit, vote, cast)?;
        self.counters.votes += 1;
        self.check_committed(turn, vote.sequence, vote.view, vote.digest);
        self.execute(turn);
        Ok(())
    }

    /// Does whatever can be done about a number.
    pub(super) fn progress(&mut self, turn: &mut Turn<'_>, sequence: Sequence) {
        self.try_accept(turn, sequence);
        self.check_prepared(turn, sequence);
        self.execute(turn);
    }

    /// The last number that may be accepted: nothing above a checkpoint before the checkpoint's number was executed, and
    /// nothing above one that ends the epoch. So every replica that accepts a number knows of which epoch it is.
    pub(super) fn barrier(&self) -> Sequence {
        match &self.next_config {
            Some((next, _)) => next.start,
            None => self.durable.config.boundary(self.executed.next()),
        }
    }

    fn try_accept(&mut self, turn: &mut Turn<'_>, sequence: Sequence) {
        let offer = self.slots.get(&sequence).and_then(|slot| slot.offer.clone());
        let Some(offer) = offer.filter(|offer| offer.view == self.durable.view) else { return };
        if !self.can_vote() || !self.durable.is_active() || sequence > self.barrier() {
            return;
        }
        let Some(batch) = offer.batch.clone().or_else(|| self.batch(sequence, &offer.digest)) else {
            self.want_batch(turn, sequence, offer.digest);
            return;
        };
        let Some((bodies, bytes)) = self.bodies(turn, sequence, &offer.digest, &batch) else { return };
        if bytes > self.durable.config.batch_bytes as usize {
            // No correct replica accepts it: the request timer will find the primary out.
            self.drop_offer(sequence);
            return;
        }
        if !self.bears_with(turn, sequence, &batch) {
            return;
        }
        self.accept(turn, sequence, &offer, &batch, &bodies);
    }

    /// Checklist item 9: the proposal and all bodies are on the disk before the PREPARE leaves.
    fn accept(&mut self, turn: &mut Turn<'_>, sequence: Sequence, offer: &Offer, batch: &Arc<Batch>, bodies: &[Body]) {
        let Offer { view, digest, signature, .. } = *offer;
        let vote = match self.is_primary() {
            true => None,
            false => self.sign_vote(Phase::Prepare, (view, sequence), digest),
        };
        self.log_accepted(turn, (view, sequence), digest, signature, batch, bodies, vote.as_ref().map(|v| v.signature));
        self.drop_offer(sequence);
        if let Some(vote) = vote {
            let ballot = Ballot { view, digest, signature: vote.signature };
            self.slot(sequence, turn.now.mono).prepares.cast(vote.replica, ballot);
            self.broadcast(turn, Message::Prepare(vote));
        }
    }

    #[allow(clippy::too_many_arguments)] // the fields of one fact
    pub(super) fn log_accepted(
        &mut self,
        turn: &mut Turn<'_>,
        (view, sequence): (View, Sequence),
        digest: Digest,
        proposal: Signature,
        batch: &Arc<Batch>,
        bodies: &[Body],
        prepare: Option<Signature>,
    ) {
        // Not what is only remembered: a log that was begun anew since does not have that.
        let is_kept = self.durable.tells_batch(&digest);
        let fact = Fact::Accepted {
            view,
            sequence,
            digest,
            proposal,
            batch: (!is_kept).then(|| Arc::clone(batch)),
            bodies: bodies.iter().map(|body| (body.digest, Arc::clone(&body.request))).collect(),
            prepare,
        };
        self.persist(turn, fact);
        self.counters.accepted += 1;
        let limits = self.relay_limits();
        batch.requests.iter().for_each(|request| self.pool.mark_proposed(turn.now.mono, limits, request));
    }

    /// prepared(v, n, d): the accepted proposal and prepares of others, together a quorum. The primary's proposal stands
    /// for its prepare, and one that it sends besides is not counted.
    pub(super) fn check_prepared(&mut self, turn: &mut Turn<'_>, sequence: Sequence) {
        let view = self.durable.view;
        let Some(entry) = self.durable.log.get(&sequence) else { return };
        let Some(accepted) = entry.accepted.filter(|accepted| accepted.view == view) else { return };
        let is_prepared = entry.prepared.as_ref().is_some_and(|prepared| prepared.view >= view);
        if is_prepared || !self.can_vote() || !self.durable.is_active() {
            return;
        }
        let digest = accepted.digest;
        let primary = Some(self.durable.config.primary(view));
        let others = self.quorums.quorum() - 1;
        let slot = self.slot(sequence, turn.now.mono);
        if slot.prepares.count(view, &digest, primary) < others {
            return;
        }
        let prepares = slot.prepares.ballots(view, &digest, primary, others);
        assert_eq!(prepares.len(), others, "a certificate is of distinct replicas");
        let certificate = Prepared { view, sequence, digest, proposal: accepted.proposal, prepares };
        let Some(vote) = self.sign_vote(Phase::Commit, (view, sequence), digest) else { return };
        self.persist(turn, Fact::Prepared { certificate: Arc::new(certificate), commit: vote.signature });
        self.counters.prepared += 1;
        if sequence <= self.issued {
            self.suspicion.note_again(turn.now.mono);
        }
        let ballot = Ballot { view, digest, signature: vote.signature };
        self.slot(sequence, turn.now.mono).commits.cast(vote.replica, ballot);
        self.broadcast(turn, Message::Commit(vote));
        self.check_committed(turn, sequence, view, digest);
    }

    /// A quorum of commits for one digest in one view is proof enough, whoever has it.
    pub(super) fn check_committed(&mut self, turn: &mut Turn<'_>, sequence: Sequence, view: View, digest: Digest) {
        let quorum = self.quorums.quorum();
        let Some(slot) = self.slots.get(&sequence) else { return };
        if slot.commits.count(view, &digest, None) < quorum {
            return;
        }
        let commits = slot.commits.ballots(view, &digest, None, quorum);
        assert_eq!(commits.len(), quorum, "a certificate is of distinct replicas");
        self.decide(turn, Arc::new(Committed { view, sequence, digest, commits }));
    }

    /// Checklist item 5 and the first invariant: two decisions for one number stop the replica.
    pub(super) fn decide(&mut self, turn: &mut Turn<'_>, certificate: Arc<Committed>) {
        let (sequence, digest) = (certificate.sequence, certificate.digest);
        let slot = self.slot(sequence, turn.now.mono);
        match &slot.decided {
            Some(before) if before.digest != digest => {
                let one = before.digest;
                self.halt(turn, Alarm::TwoCommitted { sequence, one, other: digest });
            }
            Some(_) => {}
            None => {
                slot.decided = Some(certificate);
                self.counters.committed += 1;
                // Others' COMMITs that are to come, or have come: who takes part shows in how many do.
                self.counters.votes_expected += self.durable.config.members.len() as u64 - 1;
            }
        }
    }

    /// `None` by who must not vote.
    pub(super) fn sign_vote(&self, phase: Phase, at: (View, Sequence), digest: Digest) -> Option<Vote> {
        let id = self.id.filter(|_| self.can_vote())?;
        Some(Vote::sign(&self.key, &self.network, phase, (self.durable.config.epoch, id), at, digest))
    }

    /// What was proposed for a number in this view, with the primary's signature.
    fn proposal(&self, sequence: Sequence) -> Option<(Digest, Signature)> {
        let view = self.durable.view;
        let accepted = self.durable.log.get(&sequence).and_then(|entry| entry.accepted);
        let accepted = accepted.filter(|accepted| accepted.view == view).map(|a| (a.digest, a.proposal));
        accepted.or_else(|| {
            let offer = self.slots.get(&sequence)?.offer.as_ref().filter(|offer| offer.view == view)?;
            Some((offer.digest, offer.signature))
        })
    }

    pub(super) fn drop_offer(&mut self, sequence: Sequence) {
        self.wants.drop(sequence);
        if let Some(slot) = self.slots.get_mut(&sequence) {
            slot.offer = None;
        }
    }

    /// Checklist item 13: of a fresh proposal only. What a certificate proposes again is never judged by a clock.
    fn is_timely(&self, turn: &Turn<'_>, batch: &Batch) -> Result<(), Rejection> {
        let (proposed, clock) = (batch.time, turn.now.wall);
        let apart = proposed.since(clock).max(clock.since(proposed));
        match batch.is_null() || apart <= self.config.time_bound {
            true => Ok(()),
            false => Err(Rejection::Time { proposed, clock }),
        }
    }

    fn is_votable(&self, vote: &Vote) -> Result<(), Rejection> {
        self.in_epoch(vote.epoch)?;
        self.in_window(vote.sequence)?;
        match vote.view >= self.durable.view {
            true => Ok(()),
            false => Err(Rejection::View { message: vote.view, own: self.durable.view }),
        }
    }

    fn judge_cast(&mut self, turn: &mut Turn<'_>, phase: Phase, vote: &Vote, cast: Cast) -> Result<(), Rejection> {
        match cast {
            Cast::Counted => Ok(()),
            Cast::Old => Err(Rejection::Duplicate),
            Cast::Conflict(before) => {
                let (one, other) = ((before.digest, before.signature), (vote.digest, vote.signature));
                let conflict = Conflict::Votes { phase, view: vote.view, sequence: vote.sequence, one, other };
                self.convict(turn, vote.replica, conflict);
                Err(Rejection::Conflict)
            }
        }
    }

    pub(super) fn in_epoch(&self, message: Epoch) -> Result<(), Rejection> {
        let own = self.durable.config.epoch;
        match message == own {
            true => Ok(()),
            false => Err(Rejection::Epoch { message, own }),
        }
    }

    pub(super) fn in_window(&self, sequence: Sequence) -> Result<(), Rejection> {
        let (low, high) = (self.durable.low(), self.durable.high());
        match low < sequence && sequence <= high {
            true => Ok(()),
            false => Err(Rejection::OutOfWindow { sequence, low, high }),
        }
    }
}
