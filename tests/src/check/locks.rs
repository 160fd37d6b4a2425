use crate::check::{Rule, Violation};
use mesh_proto::{ledger::Fence, time::Wall};
use std::collections::BTreeMap;

/// What users were told of locks.
#[derive(Default)]
pub struct Locks {
    grants: BTreeMap<Fence, Grant>,
}

/// A lock was given to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub lock: u64,
    /// Which wish it answers.
    pub want: u32,
    /// In the world's time.
    pub asked: u64,
    pub answered: u64,
    /// In agreed time.
    pub granted: Wall,
    pub expires: Wall,
    /// When somebody first wanted it back.
    pub unlock: Option<u64>,
    /// When each renewal ran, in agreed time, and until when it renewed.
    pub renewals: Vec<(Wall, Wall)>,
    /// Renewals of which nobody knows whether they ran.
    pub open: u32,
}

impl Locks {
    pub fn granted(&mut self, fence: Fence, grant: Grant) -> Result<(), Violation> {
        match self.grants.get(&fence) {
            Some(other) if other.want != grant.want => {
                let what = format!("{fence} was given to {other:?} and {grant:?}");
                Err(Violation::new(Rule::OneHolder, what))
            }
            Some(_) => Ok(()),
            None => {
                self.grants.insert(fence, grant);
                Ok(())
            }
        }
    }

    /// It may be renewed from now on.
    pub fn renews(&mut self, fence: Fence) {
        if let Some(grant) = self.grants.get_mut(&fence) {
            grant.open += 1;
        }
    }

    /// What came of that; with none it was refused.
    pub fn renewed(&mut self, fence: Fence, lease: Option<(Wall, Wall)>) {
        if let Some(grant) = self.grants.get_mut(&fence) {
            grant.open = grant.open.saturating_sub(1);
            grant.renewals.extend(lease);
        }
    }

    /// It may be given back from now on.
    pub fn unlocks(&mut self, fence: Fence, at: u64) {
        if let Some(grant) = self.grants.get_mut(&fence) {
            grant.unlock.get_or_insert(at);
        }
    }

    pub fn judge(&self) -> Result<(), Violation> {
        let wrong = |what| Err(Violation::new(Rule::OneHolder, what));
        let mut last: BTreeMap<u64, &Grant> = BTreeMap::new();
        // Of those with lower numbers, who asked last.
        let mut latest: Option<&Grant> = None;
        for (fence, grant) in &self.grants {
            if let Some(before) = last.insert(grant.lock, grant) {
                let is_over = before.open > 0 || before.ends(grant.granted) <= grant.granted;
                let was_free = before.unlock.is_some_and(|unlock| unlock < grant.answered);
                if !is_over && !was_free {
                    return wrong(format!("{fence} is of {grant:?}, and the lock was held by {before:?}"));
                }
            }
            if let Some(latest) = latest
                && grant.answered < latest.asked
            {
                return wrong(format!("{fence} of {grant:?} is above that of {latest:?}, which came later"));
            }
            if latest.is_none_or(|latest| latest.asked < grant.asked) {
                latest = Some(grant);
            }
        }
        Ok(())
    }
}

impl Grant {
    /// Until when it was held, as of `now`: a renewal may be for less than what was left.
    fn ends(&self, now: Wall) -> Wall {
        let renewals = self.renewals.iter().filter(|(ran, _)| *ran <= now);
        renewals.max_by_key(|(ran, expires)| (*ran, std::cmp::Reverse(*expires))).map_or(self.expires, |(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(want: u32, (asked, answered): (u64, u64), (granted, expires): (u64, u64)) -> Grant {
        let (granted, expires) = (Wall(granted), Wall(expires));
        Grant { lock: 1, want, asked, answered, granted, expires, unlock: None, renewals: Vec::new(), open: 0 }
    }

    #[test]
    fn one_holds_it_at_a_time_and_numbers_grow() {
        let mut locks = Locks::default();
        locks.granted(Fence(1), grant(1, (0, 10), (100, 200))).unwrap();
        locks.granted(Fence(2), grant(2, (5, 20), (200, 300))).unwrap();
        assert_eq!(locks.judge(), Ok(()));
        assert!(locks.granted(Fence(2), grant(3, (5, 20), (200, 300))).is_err());
        locks.granted(Fence(3), grant(4, (21, 30), (250, 350))).unwrap();
        assert!(locks.judge().is_err());
        locks.unlocks(Fence(2), 22);
        assert_eq!(locks.judge(), Ok(()));
        locks.renews(Fence(1));
        assert_eq!(locks.judge(), Ok(()));
        locks.renewed(Fence(1), Some((Wall(150), Wall(201))));
        assert!(locks.judge().is_err());
        locks.renewed(Fence(1), Some((Wall(160), Wall(199))));
        assert_eq!(locks.judge(), Ok(()));
    }

    #[test]
    fn a_number_is_above_those_that_were_there_before_it_was_asked_for() {
        let mut locks = Locks::default();
        locks.granted(Fence(5), Grant { lock: 1, ..grant(1, (100, 110), (0, 1)) }).unwrap();
        locks.granted(Fence(6), Grant { lock: 2, ..grant(2, (0, 50), (0, 1)) }).unwrap();
        assert_eq!(locks.judge().unwrap_err().rule, Rule::OneHolder);
    }
}
