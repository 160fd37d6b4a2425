//! Locks, and awards of tasks: the same to the ledger but for their names.

use super::{Held, PRINCIPALS, Patrons, Wish, command};
use crate::check::Grant;
use crate::sim::{
    check::{Rule, Violation},
    client::Reach,
    count::Count,
};
use mesh_proto::{
    agreement::Operation,
    id::{Digest, TaskId},
    ledger::{Body, Claim, Done, LockName, Outcome, Rejection},
    time::Wall,
};

/// Numbers from here on are of tasks that are awarded, those below of locks.
pub const AWARDS: u64 = 100;
/// Tasks that are awarded again and again.
const TASKS: u64 = 3;

impl Patrons {
    /// In some worlds a task is awarded, now and then.
    pub(super) fn draw_award(&mut self, principal: u64, want: u32) -> Option<(Wish, Operation)> {
        let task = AWARDS + self.leases.then(|| self.more.below(12)).filter(|award| *award < TASKS as usize)? as u64;
        Some(self.draw_claim(principal, want, task))
    }

    pub(super) fn draw_claim(&mut self, principal: u64, want: u32, lock: u64) -> (Wish, Operation) {
        debug_assert!(principal < PRINCIPALS);
        let lease_ms = self.dice.spread(500..=20_000);
        let to = *self.dice.pick(&self.nodes);
        let body = match claim_of(lock) {
            Claim::Lock(name) => Body::Lock { name, holder: to, lease_ms },
            Claim::Task(task) => Body::Award { task, to, lease_ms },
        };
        (Wish::Lock { lock, lease_ms }, command(principal, want, body))
    }

    pub(super) fn draw_held(&mut self, want: u32) -> (Wish, Operation) {
        let held = self.dice.pick(&self.held).clone();
        let claim = claim_of(held.lock);
        match self.dice.chance(500) {
            true => {
                let lease_ms = self.dice.spread(500..=20_000);
                let body = Body::Renew { claim, fence: held.fence, lease_ms };
                (Wish::Renew { fence: held.fence, lease_ms }, command(held.principal, want, body))
            }
            false => {
                let body = Body::Unlock { claim, fence: held.fence };
                (Wish::Unlock(held.fence), command(held.principal, want, body))
            }
        }
    }

    pub(super) fn lock(
        &mut self,
        want: u32,
        wish: &Wish,
        outcome: &Outcome,
        reach: &mut Reach<'_>,
    ) -> Result<(), Violation> {
        let locks = &mut reach.checks.agreed.locks;
        let (count, result) = match (wish, outcome) {
            (Wish::Lock { lock, lease_ms }, Outcome::Done(Done::Granted { fence, expires })) => {
                let entry = &self.wants[want as usize];
                let principal = principal_of(&entry.operation);
                self.held.push(Held { lock: *lock, fence: *fence, principal });
                let asked = entry.asked.unwrap_or_default();
                let granted = Wall(expires.0.saturating_sub(*lease_ms));
                let (answered, expires, unlock) = (reach.at, *expires, None);
                let (renewals, open) = (Vec::new(), 0);
                let grant = Grant { lock: *lock, want, asked, answered, granted, expires, unlock, renewals, open };
                let count = if *lock >= AWARDS { Count::RanAwarded } else { Count::RanGranted };
                (count, locks.granted(*fence, grant))
            }
            (Wish::Lock { .. }, Outcome::Rejected(Rejection::Held(_))) => (Count::RanHeld, Ok(())),
            (Wish::Renew { fence, lease_ms }, Outcome::Done(Done::Granted { fence: same, expires }))
                if fence == same =>
            {
                locks.renewed(*fence, Some((Wall(expires.0.saturating_sub(*lease_ms)), *expires)));
                (Count::RanGranted, Ok(()))
            }
            (Wish::Unlock(_), Outcome::Done(Done::Released)) => (Count::RanReleased, Ok(())),
            (Wish::Renew { fence, .. }, Outcome::Rejected(Rejection::NotHeld)) => {
                locks.renewed(*fence, None);
                (Count::RanNotHeld, Ok(()))
            }
            (Wish::Unlock(_), Outcome::Rejected(Rejection::NotHeld)) => (Count::RanNotHeld, Ok(())),
            _ => return Err(Violation::new(Rule::ExactlyOnce, format!("{wish:?} came to {outcome:?}"))),
        };
        reach.counts.add(count);
        result
    }
}

fn claim_of(lock: u64) -> Claim {
    match lock.checked_sub(AWARDS) {
        None => Claim::Lock(lock_name(lock)),
        Some(task) => {
            let id = Digest::of("meshd sim awarded task", &[&task.to_le_bytes()]);
            Claim::Task(TaskId::from_bytes(*id.as_bytes()))
        }
    }
}

pub fn principal_of(operation: &Operation) -> u64 {
    match operation {
        Operation::Command(command) => command.id.principal.as_str()[1..].parse().unwrap_or_default(),
        Operation::Query(_) => 0,
    }
}

fn lock_name(lock: u64) -> LockName {
    format!("l{lock}").parse().expect("a name")
}
