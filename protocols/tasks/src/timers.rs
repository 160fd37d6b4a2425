//! Named timers, of which only the earliest is shown.

use mesh_proto::{id::TaskId, time::Mono};
use std::collections::{BTreeMap, BTreeSet};

/// What is due. One of each kind a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A placement waits for its holders.
    Place,
    /// A placement or its acknowledgement has taken too long altogether.
    Submit,
    /// A gateway follows a task.
    Follow,
    /// A held task is not driven, as far as is known: settle it or take it over.
    Watch,
    /// A ballot waits for promises, or a write for its majority.
    Ballot,
    /// An attempt of which nothing was heard.
    Ask,
    /// A pause before the next attempt.
    Backoff,
    /// What a task was to start after has ended, or one of it not well.
    Inputs,
    /// A task waits for others, or for somebody able: whether its driver is still in office.
    Office,
    /// The user's deadline.
    Deadline,
    /// A result that nobody has settled.
    Report,
    /// A cancellation that nobody has confirmed.
    Cancel,
    /// A holder that does not drive remembers a cancellation, in case it comes to drive.
    Wish,
    /// An attempt that was retracted, and of which its driver has not said whether it goes.
    Retract,
    /// An attempt was ended here before it ended itself, and what was still to come of it has had its time.
    Withdrawn,
    /// Replicas are looked after.
    Poll,
    /// What others are to start after is needed still, and its holders are to hear of that.
    Need,
    /// An end of which its driver has not said that all have it.
    Unsure,
}

/// At most one time for each task and kind.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeSet<(Mono, TaskId, Kind)>,
    due: BTreeMap<(TaskId, Kind), Mono>,
}

impl Timers {
    /// Sets it, or moves it.
    pub fn set(&mut self, task: TaskId, kind: Kind, at: Mono) {
        if let Some(old) = self.due.insert((task, kind), at) {
            self.queue.remove(&(old, task, kind));
        }
        self.queue.insert((at, task, kind));
    }

    /// When it is due, if it is set.
    pub fn due(&self, task: &TaskId, kind: Kind) -> Option<Mono> {
        self.due.get(&(*task, kind)).copied()
    }

    pub fn clear(&mut self, task: TaskId, kind: Kind) {
        if let Some(at) = self.due.remove(&(task, kind)) {
            self.queue.remove(&(at, task, kind));
        }
    }

    /// Every timer of a task that is forgotten.
    pub fn clear_all(&mut self, task: TaskId) {
        let kinds: Vec<Kind> =
            self.due.range((task, Kind::Place)..=(task, Kind::Unsure)).map(|((_, kind), _)| *kind).collect();
        for kind in kinds {
            self.clear(task, kind);
        }
    }

    pub fn is_set(&self, task: TaskId, kind: Kind) -> bool {
        self.due.contains_key(&(task, kind))
    }

    /// The earliest.
    pub fn next(&self) -> Option<Mono> {
        self.queue.first().map(|(at, _, _)| *at)
    }

    /// Takes the earliest that is due.
    pub fn pop(&mut self, now: Mono) -> Option<(TaskId, Kind)> {
        let (at, task, kind) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        self.due.remove(&(task, kind));
        Some((task, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_once_at_the_time_it_was_last_set_to() {
        let task = TaskId::from_bytes([1; 32]);
        let mut timers = Timers::default();
        timers.set(task, Kind::Ask, Mono(5));
        timers.set(task, Kind::Ask, Mono(9));
        timers.set(task, Kind::Watch, Mono(7));
        timers.clear(task, Kind::Watch);
        assert_eq!(timers.next(), Some(Mono(9)));
        assert_eq!(timers.pop(Mono(8)), None);
        assert_eq!(timers.pop(Mono(9)), Some((task, Kind::Ask)));
        assert_eq!(timers.next(), None);
        assert!(!timers.is_set(task, Kind::Ask));
    }
}
