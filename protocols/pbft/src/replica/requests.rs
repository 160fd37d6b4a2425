//! Requests come in: from their gateways, and from replicas that relay them. Sections 4.1 and 4.4.

use super::{Replica, Turn};
use crate::{
    Body, Rejection,
    pool::{Refused, Share},
    relays::Limits,
    table::Verdict,
};
use mesh_proto::{
    id::NodeId,
    pbft::{Answered, Message, Outcome},
    time::Wall,
};

impl Replica {
    /// Its number was executed before: the kept outcome, with the digest of the request that it is of, which may be another
    /// one than this. New: it waits, and the primary's time runs as soon as it has it too.
    pub(super) fn on_request(&mut self, turn: &mut Turn<'_>, from: NodeId, body: Body) -> Result<(), Rejection> {
        let (gateway, number) = (body.request.gateway, body.request.number);
        let is_relayed = from != gateway;
        if self.id.is_none() || is_relayed && self.durable.config.replica_of(&from).is_none() {
            return Err(Rejection::Unasked);
        }
        if !is_relayed {
            self.strangers.know(turn.now.mono, self.config.acquaintances, gateway);
        }
        // The time of execution will be about this, and never less than what is agreed.
        let time = turn.now.wall.max(self.time);
        let config = &self.durable.config;
        let (sequence, request, outcome) = match self.table.judge(config, &gateway, number, time) {
            Verdict::New => return self.admit(turn, from, body),
            Verdict::Executed { sequence, .. } if sequence > self.executed => return Err(Rejection::Duplicate),
            Verdict::Executed { sequence, request, outcome } => (sequence, request, outcome),
            Verdict::TooOld(floor) => (self.executed, body.digest, Outcome::TooOld(floor)),
            // A backup's clock may be ahead of this one's, and the backup waits for it: its outcome is then agreed on.
            Verdict::TooNew if is_relayed && self.is_almost_due(&body, time) => return self.admit(turn, from, body),
            Verdict::TooNew => (self.executed, body.digest, Outcome::TooNew),
        };
        self.counters.repeated += 1;
        if !is_relayed {
            self.reply(turn, gateway, sequence, vec![Answered { number, request, outcome }]);
        }
        Ok(())
    }

    /// Whether it is not too new by a clock that is ahead of this one's, by as much as clocks may be apart.
    fn is_almost_due(&self, body: &Body, time: Wall) -> bool {
        let (gateway, number) = (body.request.gateway, body.request.number);
        let latest = time + self.config.time_bound;
        self.table.judge(&self.durable.config, &gateway, number, latest) == Verdict::New
    }

    /// Backups relay what the primary has not proposed: it may not have heard of it.
    pub(super) fn relay(&mut self, turn: &mut Turn<'_>) {
        let Some(primary) = self.relays_to() else { return };
        let now = turn.now.mono;
        while let Some(body) = self.pool.take_relay(now, self.relay_limits()) {
            self.counters.relayed += 1;
            self.send(turn, primary, Message::Request(body.request));
        }
    }

    pub(super) fn relay_limits(&self) -> Limits {
        Limits { after: self.config.relay_after, lanes: self.config.relay_lanes }
    }

    /// The primary, if this is a backup of an active view.
    pub(super) fn relays_to(&self) -> Option<NodeId> {
        let is_backup = self.durable.is_active() && !self.is_primary() && self.id.is_some();
        let config = &self.durable.config;
        config.member(config.primary(self.durable.view)).filter(|_| is_backup)
    }

    /// Limits are for admission alone: what is ordered is executed. What is relayed is for the primary: a member that lies
    /// gives the others nothing to wait for.
    fn admit(&mut self, turn: &mut Turn<'_>, from: NodeId, body: Body) -> Result<(), Rejection> {
        let share = if from == body.request.gateway { Share::Gateways } else { Share::Member(from) };
        if share != Share::Gateways && !(self.is_primary() && self.durable.is_active()) {
            return Err(Rejection::Unasked);
        }
        let digest = body.digest;
        match self.pool.admit(&self.durable.config, &self.config, turn.now.mono, share, body) {
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
