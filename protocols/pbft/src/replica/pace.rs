//! A floor under the primary's rate, so that one that stays just inside the time-outs does not set the pace. Clement et
//! al., NSDI '09, section 4.

use super::{Replica, Turn};
use mesh_proto::time::Mono;
use std::{collections::VecDeque, time::Duration};

#[derive(Debug)]
pub struct Pace {
    /// Requests executed in this period.
    count: u64,
    /// When the period ends; none runs while nothing is asked for.
    pub due: Option<Mono>,
    /// The best period of this view.
    best: u64,
    /// Of the views before.
    past: VecDeque<u64>,
    /// What is asked of the primary, in percent of the best of those.
    floor: u32,
}

/// Views whose best period counts.
const VIEWS: usize = 8;

impl Pace {
    pub fn new(floor: u32) -> Self {
        Self { count: 0, due: None, best: 0, past: VecDeque::new(), floor }
    }

    pub fn enter(&mut self, now: Mono, floor: u32) {
        self.past.push_back(std::mem::take(&mut self.best));
        if self.past.len() > VIEWS {
            self.past.pop_front();
        }
        // A period that began in the old view says nothing of the new one.
        (self.count, self.floor) = (0, floor);
        self.due = self.due.map(|due| due.max(now));
    }

    pub fn count(&mut self, requests: u64) {
        self.count += requests;
    }

    /// Something is asked for: a period runs.
    pub fn demand(&mut self, now: Mono, period: Duration) {
        if self.due.is_none() {
            self.count = 0;
            self.due = Some(now + period);
        }
    }

    fn required(&self) -> u64 {
        let best = self.past.iter().copied().max().unwrap_or(0);
        best.saturating_mul(u64::from(self.floor)) / 100
    }
}

impl Replica {
    /// At the end of a period: whether it was too slow. It is only where demand was not met, which an old request shows: a
    /// rate that is low because little is asked for is no fault.
    pub(super) fn is_slow(&mut self, turn: &Turn<'_>) -> bool {
        let now = turn.now.mono;
        if self.pace.due.is_none_or(|due| due > now) {
            return false;
        }
        let patience = self.suspicion.timeout / self.config.idle_divisor.max(1);
        let is_unmet = self.pool.oldest_watched().is_some_and(|since| since + patience <= now);
        let (count, required) = (std::mem::take(&mut self.pace.count), self.pace.required());
        self.pace.best = self.pace.best.max(count);
        self.pace.due = (self.pool.len() > 0).then(|| now + self.config.pace_period);
        let is_slow = is_unmet && count < required && self.suspects() && !self.is_primary();
        if is_unmet && !is_slow {
            self.pace.floor = (self.pace.floor + self.config.pace_step).min(self.config.pace_ceiling);
        }
        is_slow
    }
}
