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
    /// Tasks by the beginnings of their ids: there is one of a million that wait, and with whole ids this would take as much
    /// memory again. Those of one beginning that are due at one time share an entry.
    queue: BTreeSet<(Mono, Beginning, Kind)>,
    due: BTreeMap<(TaskId, Kind), Mono>,
}

/// The first bytes of an id.
type Beginning = [u8; 8];

fn beginning(task: &TaskId) -> Beginning {
    std::array::from_fn(|at| task.as_bytes()[at])
}

impl Timers {
    /// Sets it, or moves it.
    pub fn set(&mut self, task: TaskId, kind: Kind, at: Mono) {
        if let Some(old) = self.due.insert((task, kind), at) {
            self.forget(old, beginning(&task), kind);
        }
        self.queue.insert((at, beginning(&task), kind));
    }

    /// When it is due, if it is set.
    pub fn due(&self, task: &TaskId, kind: Kind) -> Option<Mono> {
        self.due.get(&(*task, kind)).copied()
    }

    pub fn clear(&mut self, task: TaskId, kind: Kind) {
        if let Some(at) = self.due.remove(&(task, kind)) {
            self.forget(at, beginning(&task), kind);
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
        let (at, beginning, kind) = *self.queue.first()?;
        if at > now {
            return None;
        }
        let task = self.due_at(at, beginning, kind)?;
        self.clear(task, kind);
        Some((task, kind))
    }

    /// The first of those that share an entry of the queue.
    fn due_at(&self, at: Mono, beginning: Beginning, kind: Kind) -> Option<TaskId> {
        let edge = |rest: u8| {
            let mut bytes = [rest; 32];
            bytes[..beginning.len()].copy_from_slice(&beginning);
            TaskId::from_bytes(bytes)
        };
        let mut alike = self.due.range((edge(0), Kind::Place)..=(edge(u8::MAX), Kind::Unsure));
        alike.find(|((_, one), due)| *one == kind && **due == at).map(|((task, _), _)| *task)
    }

    /// Takes an entry out of the queue that nobody has any more.
    fn forget(&mut self, at: Mono, beginning: Beginning, kind: Kind) {
        if self.due_at(at, beginning, kind).is_none() {
            self.queue.remove(&(at, beginning, kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        /// Whatever is set and cleared, of tasks whose ids begin alike or not: what fires is what is due, in its order.
        #[test]
        fn each_fires_at_its_time_whatever_its_id(
            steps in prop::collection::vec((0..6u8, 0..3u8, 1..5u64, any::<bool>()), 0..60),
        ) {
            let task = |n: u8| {
                let mut bytes = [n / 3; 32];
                bytes[31] = n;
                TaskId::from_bytes(bytes)
            };
            let kinds = [Kind::Place, Kind::Watch, Kind::Unsure];
            let (mut timers, mut set) = (Timers::default(), BTreeMap::new());
            for (n, kind, at, is_set) in steps {
                let key = (task(n), kinds[usize::from(kind)]);
                match is_set {
                    true => {
                        timers.set(key.0, key.1, Mono(at));
                        set.insert(key, Mono(at));
                    }
                    false => {
                        timers.clear(key.0, key.1);
                        set.remove(&key);
                    }
                }
                prop_assert_eq!(timers.next(), set.values().min().copied());
            }
            let mut fired: Vec<(Mono, (TaskId, Kind))> = Vec::new();
            while let Some(at) = timers.next() {
                prop_assert_eq!(timers.pop(Mono(at.0 - 1)), None);
                let key = timers.pop(at);
                prop_assert!(key.is_some());
                fired.extend(key.map(|key| (at, key)));
            }
            prop_assert!(fired.is_sorted_by_key(|(at, _)| *at));
            let fired: BTreeMap<_, _> = fired.into_iter().map(|(at, key)| (key, at)).collect();
            prop_assert_eq!(fired, set);
        }
    }
}
