//! A replica that is behind: what proves it, and what helps.

use super::{Replica, Turn};
use crate::Rejection;
use mesh_proto::{
    id::Digest,
    pbft::{Checkpoint, Decided, EpochCertificate, ReplicaId, Sequence},
    time::Mono,
};
use std::{collections::BTreeMap, sync::Arc};

/// What says that others are further.
#[derive(Debug, Default)]
pub struct Behind {
    /// The highest stable checkpoint above what was executed here.
    pub target: Option<Arc<EpochCertificate>>,
    /// The highest checkpoint above the window that each member claims.
    far: BTreeMap<ReplicaId, (Sequence, Digest)>,
}

impl Behind {
    pub fn forget(&mut self, reached: Sequence) {
        self.far.retain(|_, (sequence, _)| *sequence > reached);
        if self.target.as_ref().is_some_and(|target| target.summary.sequence <= reached) {
            self.target = None;
        }
    }

    pub fn clear_far(&mut self) {
        self.far.clear();
    }
}

impl Replica {
    /// A commit certificate of a peer is by itself proof enough. Checklist item 10.
    pub(super) fn on_decided(&mut self, turn: &mut Turn<'_>, decided: Decided) -> Result<(), Rejection> {
        self.in_epoch(decided.epoch)?;
        let sequence = decided.certificate.sequence;
        self.in_window(sequence)?;
        let digest = decided.certificate.digest;
        let slot = self.slot(sequence, turn.now.mono);
        let is_known = slot.decided.as_ref().is_some_and(|before| before.digest == digest);
        if is_known && slot.content.is_some() {
            return Err(Rejection::Duplicate);
        }
        slot.content = Some((digest, decided.batch));
        self.counters.decided += 1;
        self.decide(turn, decided.certificate);
        self.execute(turn);
        Ok(())
    }

    /// A stable checkpoint with its proof.
    pub(super) fn on_stable(
        &mut self,
        turn: &mut Turn<'_>,
        certificate: Arc<EpochCertificate>,
    ) -> Result<(), Rejection> {
        self.in_epoch(certificate.certificate.epoch)?;
        let sequence = certificate.summary.sequence;
        if sequence <= self.durable.low() {
            return Err(Rejection::Duplicate);
        }
        if self.durable.checkpoints.contains_key(&sequence) {
            self.adopt_stable(turn, certificate);
            return Ok(());
        }
        self.aim_at(turn, certificate);
        Ok(())
    }

    /// f + 1 members that claim one checkpoint above the window cannot all lie: the others are asked for its proof.
    pub(super) fn note_far(&mut self, vote: &Checkpoint) {
        let claim = (vote.sequence, vote.digest);
        let known = self.behind.far.entry(vote.replica).or_insert(claim);
        if known.0 < claim.0 {
            *known = claim;
        }
        let agreed = self.behind.far.values().filter(|other| **other == claim).count();
        if agreed >= self.quorums.weak() {
            self.is_status_urgent = true;
        }
    }

    pub(super) fn aim_at(&mut self, turn: &mut Turn<'_>, certificate: Arc<EpochCertificate>) {
        let sequence = certificate.summary.sequence;
        let is_higher = self.behind.target.as_ref().is_none_or(|target| target.summary.sequence < sequence);
        if sequence > self.executed && is_higher {
            self.behind.target = Some(certificate);
        }
        self.consider_transfer(turn);
    }

    /// Above the window, and in another epoch, nothing but the state helps. Inside of it executing may still do.
    pub(super) fn consider_transfer(&mut self, turn: &mut Turn<'_>) {
        let Some(target) = self.behind.target.clone() else { return };
        let sequence = target.summary.sequence;
        if sequence <= self.executed || self.running_transfer().is_some_and(|running| running >= sequence) {
            return;
        }
        let is_out = sequence > self.durable.high() || self.durable.held() < self.durable.config.start;
        let is_stalled = self.stalled_until() <= turn.now.mono;
        if (is_out || is_stalled) && self.is_transfer_stuck(turn.now.mono) {
            self.begin_transfer(turn, target);
        }
    }

    /// Until when executing may still help.
    pub(super) fn stalled_until(&self) -> Mono {
        self.last_progress + self.config.stall
    }
}
