//! When the primary is left: for requests that it does not get executed, for idling, for its pace. Sections 4.4 and 4.5.2,
//! and Clement et al., NSDI '09, section 4.

use super::{Replica, Turn};
use mesh_proto::time::Mono;
use std::time::Duration;

/// Time-outs in which a new view may run again what was executed.
const AGAIN: u32 = 3;

#[derive(Debug)]
pub struct Suspicion {
    /// Doubles with each expiry, and is halved after sustained progress.
    pub timeout: Duration,
    /// When the NEW-VIEW should have come; runs once a quorum is for the view.
    pub new_view_due: Option<Mono>,
    /// When the view was entered.
    since: Mono,
    /// When something was last executed.
    moved: Mono,
    /// When a number that was executed before last prepared again in the view.
    again: Mono,
    /// Slots with requests that were executed since the last expiry.
    streak: u32,
}

impl Suspicion {
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            new_view_due: None,
            since: Mono::default(),
            moved: Mono::default(),
            again: Mono::default(),
            streak: 0,
        }
    }

    pub fn enter(&mut self, now: Mono) {
        (self.since, self.again) = (now, now);
        self.new_view_due = None;
    }

    /// A number that was executed before has prepared again: all that is new comes after a window of those. The primary has
    /// as many time-outs for them, and no more.
    pub fn note_again(&mut self, now: Mono) {
        if now <= self.since + self.timeout * AGAIN {
            self.again = now;
        }
    }

    fn double(&mut self, most: Duration) {
        self.timeout = (self.timeout * 2).min(most);
        self.streak = 0;
    }
}

impl Replica {
    /// Something was executed that was not before.
    pub(super) fn note_progress(&mut self, turn: &Turn<'_>, requests: usize) {
        self.last_progress = turn.now.mono;
        self.suspicion.moved = turn.now.mono;
        self.pace.count(requests as u64);
        if requests == 0 {
            return;
        }
        self.suspicion.streak += 1;
        if self.suspicion.streak >= self.config.shrink_after {
            self.suspicion.streak = 0;
            self.suspicion.timeout = (self.suspicion.timeout / 2).max(self.config.timeout);
        }
    }

    /// When the primary is to be left. Executing other requests does not move what a request has: a primary that starves
    /// one gateway is left as one that starves all. A number has its time-out from when those before it got on.
    pub(super) fn request_due(&self) -> Option<Mono> {
        if !self.suspects() || self.complains() {
            return None;
        }
        let Suspicion { timeout, moved, again, .. } = self.suspicion;
        // A slot that is proposed, or prepared, and stuck.
        let slot = self.first_proposed().map(|since| since.max(moved));
        let oldest = [self.pool.oldest_watched(), slot].into_iter().flatten().min();
        let oldest = oldest.map(|oldest| oldest.max(again) + timeout);
        [oldest, self.change_due()].into_iter().flatten().min()
    }

    /// When the primary should have brought a known change of the committee on: each number on the way to the checkpoint
    /// has its time, and all of them together have `change_patience`, or a few time-outs where these have grown.
    fn change_due(&self) -> Option<Mono> {
        let (_, since) = self.next_config.as_ref()?;
        let Suspicion { timeout, moved, again, since: entered, .. } = self.suspicion;
        let since = (*since).max(entered);
        let all = self.config.change_patience.max(timeout * 4);
        Some((since.max(moved).max(again) + timeout).min(since + all))
    }

    /// When the primary has been idle for too long: requests wait, there is room for a proposal, and none is in flight. One
    /// that has proposed nothing new in its view may still be running again what others have long executed.
    pub(super) fn idle_due(&self) -> Option<Mono> {
        let next = self.executed.next();
        let is_blocked = next > self.durable.high() || next > self.barrier() || self.first_proposed().is_some();
        if !self.suspects() || self.complains() || is_blocked {
            return None;
        }
        let Suspicion { timeout, again, .. } = self.suspicion;
        let since = self.pool.oldest_owed()?.max(self.proposal_seen).max(again);
        let began_with = self.durable.entered.as_ref().filter(|entered| entered.message.view == self.durable.view);
        let runs_again = began_with.is_some_and(|entered| !entered.message.proposals.is_empty());
        let is_first = runs_again && self.proposal_seen <= self.suspicion.since;
        Some(since + timeout / if is_first { 1 } else { self.config.idle_divisor.max(1) })
    }

    /// When the first number that is proposed, or decided, and not executed was proposed. Votes alone are anybody's.
    fn first_proposed(&self) -> Option<Mono> {
        let view = self.durable.view;
        let mut slots = self.slots.range(self.issued.next()..);
        let first = slots.find(|(sequence, slot)| {
            let accepted = self.durable.log.get(sequence).and_then(|entry| entry.accepted);
            slot.offer.is_some() || slot.decided.is_some() || accepted.is_some_and(|accepted| accepted.view == view)
        });
        first.map(|(_, slot)| slot.since)
    }

    /// A backup of an active view; in a committee of one there is nobody else.
    pub(super) fn suspects(&self) -> bool {
        self.can_vote() && self.durable.is_active() && self.quorums.members() > 1
    }

    /// Says that the primary is to be left, where it is due to be; and leaves for the next view where the NEW-VIEW of this one is.
    pub(super) fn suspect(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        let is_due = |due: Option<Mono>| due.is_some_and(|due| due <= now);
        if is_due(self.suspicion.new_view_due) && !self.durable.is_active() {
            self.suspicion.double(self.config.timeout_max);
            self.leave_for(turn, self.durable.view.next());
            self.consider_views(turn);
            return;
        }
        if is_due(self.complaint_due()) {
            self.withdraw_complaint();
        }
        let is_idle = !self.is_primary() && is_due(self.idle_due());
        let is_slow = self.is_slow(turn) && !self.complains();
        self.counters.idle_primaries += u64::from(is_idle);
        self.counters.slow_primaries += u64::from(is_slow);
        if is_idle || is_slow || is_due(self.request_due()) {
            self.complain(turn);
        }
    }

    /// Leaves a primary of which f + 1 complain.
    pub(super) fn leave_primary(&mut self, turn: &mut Turn<'_>) {
        if self.is_to_be_left(turn.now.mono) {
            if self.complains() {
                self.suspicion.double(self.config.timeout_max);
            }
            self.leave_for(turn, self.durable.view.next());
        }
    }
}
