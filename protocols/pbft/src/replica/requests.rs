//! Requests come in: from their gateways, and from replicas that relay them. Sections 4.1 and 4.4.

use super::{Replica, Turn};
use crate::{Body, Rejection, pool::Refused, table::Verdict};
use mesh_proto::{
    id::NodeId,
    pbft::{Answered, Message, Outcome},
};

/// Requests relayed in one call.
const RELAYS: usize = 64;

impl Replica {
    /// Its number was executed before: the kept outcome, with the digest of the request that it is of, which may be another
    /// one than this. New: it waits, and from now on the primary's time runs.
    pub(super) fn on_request(&mut self, turn: &mut Turn<'_>, from: NodeId, body: Body) -> Result<(), Rejection> {
        let (gateway, number) = (body.request.gateway, body.request.number);
        let is_relayed = from != gateway;
        if self.id.is_none() || is_relayed && self.durable.config.replica_of(&from).is_none() {
            return Err(Rejection::Unasked);
        }
        // The time of execution will be about this, and never less than what is agreed.
        let time = turn.now.wall.max(self.time);
        let config = &self.durable.config;
        let (sequence, request, outcome) = match self.table.judge(config, &gateway, number, time) {
            Verdict::New => return self.admit(turn, body),
            Verdict::Executed { sequence, .. } if sequence > self.executed => return Err(Rejection::Duplicate),
            Verdict::Executed { sequence, request, outcome } => (sequence, request, outcome),
            Verdict::TooOld(floor) => (self.executed, body.digest, Outcome::TooOld(floor)),
            Verdict::TooNew => (self.executed, body.digest, Outcome::TooNew),
        };
        self.counters.repeated += 1;
        if !is_relayed {
            self.reply(turn, gateway, sequence, vec![Answered { number, request, outcome }]);
        }
        Ok(())
    }

    /// Backups relay what the primary has not proposed: it may not have heard of it.
    pub(super) fn relay(&mut self, turn: &mut Turn<'_>) {
        let Some(primary) = self.relays_to() else { return };
        let now = turn.now.mono;
        while self.pool.next_relay().is_some_and(|since| since + self.config.relay_after <= now) {
            let before = self.pool.next_relay().unwrap_or(now);
            for body in self.pool.take_relays(before, RELAYS) {
                self.counters.relayed += 1;
                self.send(turn, primary, Message::Request(body.request));
            }
        }
    }

    /// The primary, if this is a backup of an active view.
    pub(super) fn relays_to(&self) -> Option<NodeId> {
        let is_backup = self.durable.is_active() && !self.is_primary() && self.id.is_some();
        let config = &self.durable.config;
        config.member(config.primary(self.durable.view)).filter(|_| is_backup)
    }

    /// Limits are for admission alone: what is ordered is executed.
    fn admit(&mut self, turn: &mut Turn<'_>, body: Body) -> Result<(), Rejection> {
        let digest = body.digest;
        match self.pool.admit(&self.durable.config, self.config.lane_bytes, turn.now.mono, body) {
            Ok(()) => {}
            Err(Refused::Known) => return Err(Rejection::Duplicate),
            Err(Refused::Conflict) => return Err(Rejection::Conflict),
            Err(Refused::Full) => {
                self.counters.busy += 1;
                return Err(Rejection::Busy);
            }
        }
        self.counters.admitted += 1;
        self.pace.demand(turn.now.mono, self.config.pace_period);
        self.body_came(turn, &digest);
        self.propose(turn);
        Ok(())
    }
}
