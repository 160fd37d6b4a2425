//! What the primary does: batches in flight, up to W. Sections 4.2 and 5.

use super::{Replica, Turn};
use crate::{Body, Config};
use mesh_proto::{
    pbft::{Batch, Message, PrePrepare, Sequence},
    time::Mono,
};
use std::{sync::Arc, time::Duration};

impl Replica {
    /// Proposes as long as there is something to propose and room for it.
    pub(super) fn propose(&mut self, turn: &mut Turn<'_>) {
        while let Some(sequence) = self.next_proposal() {
            let batch = match self.next_config {
                // An idle network changes its committee at once.
                Some(_) => Batch::null(),
                None if self.propose_due().is_some_and(|due| due <= turn.now.mono) => {
                    let requests = self.pool.next_batch(&self.durable.config);
                    Batch { time: turn.now.wall, requests }
                }
                None => break,
            };
            if batch.is_null() && self.next_config.is_none() {
                break;
            }
            self.propose_batch(turn, sequence, batch);
        }
    }

    /// When the next batch is to be proposed: at once if none is in flight or a whole one waits, else when its oldest
    /// request has waited for others, the longer the more are in flight: a batch costs the same whatever is in it, so a
    /// committee that falls behind is given fewer, larger ones. `None` if there is nothing to propose, or no room.
    pub(super) fn propose_due(&self) -> Option<Mono> {
        self.next_proposal()?;
        let oldest = self.pool.oldest_unproposed()?;
        let in_flight = u32::try_from(self.proposed.above(self.executed)).unwrap_or(u32::MAX);
        match in_flight == 0 || self.pool.has_batch(&self.durable.config) {
            true => Some(Mono::default()),
            false => Some(oldest + self.batch_delay().saturating_mul(in_flight)),
        }
    }

    /// Batches that take long do so, on a busy machine, for what each costs beside what is in it. So of those that take
    /// long there are to be fewer.
    fn batch_delay(&self) -> Duration {
        let Config { batch_delay, batch_delay_max, .. } = self.config;
        (self.round / 2).min(batch_delay_max).max(batch_delay)
    }

    /// A batch was executed; what took this primary's own how long moves the mean by an eighth.
    pub(super) fn note_round(&mut self, turn: &Turn<'_>, sequence: Sequence) {
        if let Some(slot) = self.slots.get(&sequence).filter(|_| self.is_primary()) {
            self.round = (self.round * 7 + turn.now.mono.since(slot.since)) / 8;
        }
    }

    /// The number of the next proposal, if there is room for it.
    fn next_proposal(&self) -> Option<Sequence> {
        if !self.durable.is_active() || !self.is_primary() || !self.can_vote() {
            return None;
        }
        // Others may have gone on in a later view, of which this replica does not know yet.
        let next = self.proposed.max(self.executed).max(self.durable.low()).next();
        let in_flight = self.proposed.above(self.executed);
        let has_room =
            next <= self.durable.high() && next <= self.barrier() && in_flight < u64::from(self.config.in_flight);
        has_room.then_some(next)
    }

    fn propose_batch(&mut self, turn: &mut Turn<'_>, sequence: Sequence, batch: Batch) {
        let (view, digest) = (self.durable.view, batch.digest());
        let bodies: Vec<Body> = batch.requests.iter().filter_map(|request| self.pool.get(request).cloned()).collect();
        let batch = Arc::new(batch);
        let epoch = self.durable.config.epoch;
        let signature = PrePrepare::sign_digest(&self.key, &self.network, epoch, (view, sequence), &digest);
        self.counters.proposed += 1;
        self.counters.nulls_proposed += u64::from(batch.is_null());
        self.log_accepted(turn, (view, sequence), digest, signature, &batch, &bodies, None);
        self.slot(sequence, turn.now.mono).since = turn.now.mono;
        self.proposed = sequence;
        self.proposal_seen = turn.now.mono;
        let message = PrePrepare { epoch, view, sequence, batch, signature };
        self.broadcast(turn, Message::PrePrepare(Arc::new(message)));
        self.check_prepared(turn, sequence);
        self.execute(turn);
    }
}
