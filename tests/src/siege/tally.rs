use super::line::{Blow, Operation, Outcome};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// What happened, as figures.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub kinds: BTreeMap<&'static str, Ends>,
    pub blows: BTreeMap<Blow, Outages>,
    /// The longest time in which nobody was told anything.
    pub longest: Duration,
    /// Behind them nothing was answered yet that was asked since.
    struck: Vec<(Blow, u64)>,
}

/// How operations of one kind ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ends {
    /// Done.
    pub ok: u64,
    /// Ordered, and rejected by what was there.
    pub rejected: u64,
    /// Taken by nobody.
    pub refused: u64,
    /// They may be done.
    pub unknown: u64,
    pub attempts: u64,
    /// Told twice, under one key.
    pub again: u64,
}

/// Faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outages {
    pub count: u64,
    /// From each to the first answer to what was asked since, in milliseconds.
    pub until_ms: Vec<u64>,
}

impl Tally {
    pub fn count(&mut self, operation: &Operation) {
        let ends = self.kinds.entry(operation.wish.name()).or_default();
        match &operation.outcome {
            Outcome::Told(told) if told.is_rejection() => ends.rejected += 1,
            Outcome::Told(_) => ends.ok += 1,
            Outcome::Refused(_) => ends.refused += 1,
            Outcome::Unknown => ends.unknown += 1,
        }
        ends.attempts += u64::from(operation.attempts);
        ends.again += u64::from(operation.again.is_some());
    }

    pub fn committed(&mut self, asked: u64, answered: u64, gap: Duration) {
        self.longest = self.longest.max(gap);
        let blows = &mut self.blows;
        self.struck.retain(|(blow, at)| {
            let is_over = asked >= *at;
            if is_over {
                blows.entry(*blow).or_default().until_ms.push(answered.saturating_sub(*at) / 1_000);
            }
            !is_over
        });
    }

    pub fn struck(&mut self, blow: Blow, at: u64) {
        self.blows.entry(blow).or_default().count += 1;
        self.struck.push((blow, at));
    }

    pub fn all(&self) -> Ends {
        self.kinds.values().fold(Ends::default(), |sum, one| Ends {
            ok: sum.ok + one.ok,
            rejected: sum.rejected + one.rejected,
            refused: sum.refused + one.refused,
            unknown: sum.unknown + one.unknown,
            attempts: sum.attempts + one.attempts,
            again: sum.again + one.again,
        })
    }
}

impl Outages {
    /// The median and the longest, in milliseconds.
    pub fn spread(&self) -> Option<(u64, u64)> {
        let mut sorted = self.until_ms.clone();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_ends_with_what_was_asked_since() {
        let mut tally = Tally::default();
        tally.struck(Blow::KillPrimary, 1_000_000);
        tally.committed(999_000, 1_100_000, Duration::from_millis(5));
        tally.struck(Blow::KillAll, 2_000_000);
        tally.committed(1_500_000, 3_000_000, Duration::from_millis(1_900));
        tally.committed(2_500_000, 4_000_000, Duration::from_millis(1_000));
        let outages = |blow| tally.blows[&blow].clone();
        assert_eq!(outages(Blow::KillPrimary), Outages { count: 1, until_ms: vec![2_000] });
        assert_eq!(outages(Blow::KillAll), Outages { count: 1, until_ms: vec![2_000] });
        assert_eq!(tally.longest, Duration::from_millis(1_900));
    }
}
