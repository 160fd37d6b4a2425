//! Of so many that are begun out of a queue one is what has waited longest: so nothing is overtaken for ever, whatever its
//! priority.

use super::{Rule, Violation};
use mesh_proto::{id::TaskId, task::Priority};
use mesh_tasks::Waiting;
use std::collections::BTreeMap;

/// What one process has in its queue, by the order in which it was seen to come. What came in one turn came at once.
///
/// Each `OVERTAKEN` that begin and came later than the one that has waited longest are followed by it, or by one as old.
/// Were it otherwise with any other one in the queue, all that came before that one would have been passed over as well.
/// What is for a worker waits for that, too, and is only looked at where it is in front of others; and while what is
/// retracted is not there to be begun, it comes back to where it was.
#[derive(Default)]
pub struct Turns {
    known: BTreeMap<(TaskId, u32), Known>,
    now: u64,
    /// In a row, past the same.
    overtaken: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    since: u64,
    priority: Priority,
    /// Could be begun as soon as there is a slot.
    is_ready: bool,
}

/// What was begun, seen from the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Past what had waited longer.
    pub overtaking: u64,
    /// For having waited longest, past what is more urgent.
    pub in_turn: u64,
}

/// The scheduler has one in eight begin for its age.
const OVERTAKEN: u32 = 7;

impl Turns {
    /// After each step of a brain: which attempts it has begun that need a slot, and what waits for one then.
    pub fn look(
        &mut self,
        begun: &[(TaskId, u32)],
        waiting: impl Iterator<Item = Waiting> + Clone,
    ) -> Result<Begun, Violation> {
        let same = |(known, waits): (&(TaskId, u32), Waiting)| *known == (waits.task, waits.attempt);
        let is_unchanged = || {
            waiting.clone().count() == self.known.len()
                && self.known.keys().zip(waiting.clone()).all(same)
                && self.known.values().zip(waiting.clone()).all(|(known, waits)| known.is_ready == is_ready(&waits))
        };
        if begun.is_empty() && is_unchanged() {
            return Ok(Begun::default());
        }
        let now: BTreeMap<(TaskId, u32), Waiting> = waiting.map(|waits| ((waits.task, waits.attempt), waits)).collect();
        let longest = self.longest();
        // Whoever is in front and is gone, or is ready now and was not, or the other way around: nobody knows whether that
        // was before or behind what was begun in this step.
        let moved = self.known.iter().filter(|(of, _)| !begun.contains(of)).any(|(of, known)| {
            let is_as_old = longest.is_none_or(|longest| known.since <= longest);
            is_as_old && now.get(of).is_none_or(|waits| is_ready(waits) != known.is_ready)
        });
        let judged = if moved { Ok(Begun::default()) } else { self.begin(begun) };
        if moved {
            self.overtaken = 0;
        }
        let of = |of: &(TaskId, u32), waits: &Waiting| {
            let since = self.known.get(of).map_or(self.now, |known| known.since);
            Known { since, priority: waits.priority, is_ready: is_ready(waits) }
        };
        self.known = now.iter().map(|(task, waits)| (*task, of(task, waits))).collect();
        self.now += 1;
        judged
    }

    fn begin(&mut self, begun: &[(TaskId, u32)]) -> Result<Begun, Violation> {
        let mut seen = Begun::default();
        for of in begun {
            let longest = self.longest();
            let known = self.known.remove(of);
            let Some(longest) = longest else {
                self.overtaken = 0;
                continue;
            };
            if let Some(known) = known.filter(|known| known.since <= longest) {
                let is_passed_over = |other: &Known| other.is_ready && other.priority > known.priority;
                seen.in_turn += u64::from(self.known.values().any(is_passed_over));
                self.overtaken = 0;
                continue;
            }
            self.overtaken += 1;
            seen.overtaking += 1;
            if self.overtaken > OVERTAKEN {
                let waits = self.known.iter().find(|(_, known)| known.is_ready && known.since == longest);
                let waits = waits.map(|((task, attempt), _)| format!("attempt {attempt} of {task}"));
                let what = format!(
                    "{} waits, and {} that came later have begun in a row, the last {}",
                    waits.unwrap_or_default(),
                    self.overtaken,
                    of.0
                );
                return Err(Violation::new(Rule::Turns, what));
            }
        }
        Ok(seen)
    }

    fn longest(&self) -> Option<u64> {
        self.known.values().filter(|known| known.is_ready).map(|known| known.since).min()
    }
}

fn is_ready(waits: &Waiting) -> bool {
    !waits.for_worker && !waits.retracted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::task;

    fn waits(n: u8, priority: Priority) -> Waiting {
        Waiting { task: task(n), attempt: 1, priority, for_worker: false, retracted: false }
    }

    /// An old one that can wait, and always so many younger ones that cannot. Begins those, in order.
    fn begin(turns: &mut Turns, old: Waiting, keys: impl Iterator<Item = u8>) -> Result<Begun, Violation> {
        turns.look(&[], [old].into_iter())?;
        let mut all = Begun::default();
        for n in keys {
            let younger = [old, waits(n, Priority::High), waits(n + 1, Priority::High)];
            turns.look(&[], younger.into_iter())?;
            let seen = turns.look(&[(task(n), 1)], [old, waits(n + 1, Priority::High)].into_iter())?;
            all.overtaking += seen.overtaking;
        }
        Ok(all)
    }

    #[test]
    fn what_is_overtaken_once_too_often_is_found() {
        let old = waits(1, Priority::Low);
        let seen = begin(&mut Turns::default(), old, 10..17).unwrap();
        assert_eq!(seen.overtaking, 7);
        let violation = begin(&mut Turns::default(), old, 10..18).unwrap_err();
        assert_eq!(violation.rule, Rule::Turns);
        assert!(violation.what.contains(&task(1).to_string()), "{}", violation.what);
        // All at once as well.
        let mut turns = Turns::default();
        turns.look(&[], [old].into_iter()).unwrap();
        let begun: Vec<_> = (10..18).map(|n| (task(n), 1)).collect();
        assert_eq!(turns.look(&begun, [old].into_iter()).unwrap_err().rule, Rule::Turns);
    }

    #[test]
    fn whoever_has_its_turn_begins_a_new_count() {
        let (old, older) = (waits(2, Priority::Low), waits(1, Priority::Low));
        let mut turns = Turns::default();
        turns.look(&[], [older].into_iter()).unwrap();
        turns.look(&[], [older, old].into_iter()).unwrap();
        let young: Vec<_> = (10..17).map(|n| (task(n), 1)).collect();
        turns.look(&young, [older, old].into_iter()).unwrap();
        let urgent = waits(20, Priority::High);
        turns.look(&[], [older, old, urgent].into_iter()).unwrap();
        let seen = turns.look(&[(task(1), 1)], [old, urgent].into_iter()).unwrap();
        assert_eq!(seen, Begun { overtaking: 0, in_turn: 1 });
        assert_eq!(turns.look(&young, [old, urgent].into_iter()).unwrap().overtaking, 7);
        let last = turns.look(&[(task(20), 1)], [old].into_iter());
        assert_eq!(last.unwrap_err().rule, Rule::Turns);
    }

    #[test]
    fn what_waits_for_something_else_may_be_passed() {
        for old in [
            Waiting { for_worker: true, ..waits(1, Priority::Low) },
            Waiting { retracted: true, ..waits(1, Priority::Low) },
        ] {
            begin(&mut Turns::default(), old, 10..40).unwrap();
        }
        // Retracted and put back: it may have been away when the last began.
        let old = waits(1, Priority::Low);
        let mut turns = Turns::default();
        turns.look(&[], [old].into_iter()).unwrap();
        let young = |from: u8| (from..from + 7).map(|n| (task(n), 1)).collect::<Vec<_>>();
        turns.look(&young(10), [old].into_iter()).unwrap();
        turns.look(&[], [Waiting { retracted: true, ..old }].into_iter()).unwrap();
        turns.look(&young(20), [old].into_iter()).unwrap();
        turns.look(&young(30), [old].into_iter()).unwrap();
        assert_eq!(turns.look(&young(40), [old].into_iter()).unwrap_err().rule, Rule::Turns);
    }
}
