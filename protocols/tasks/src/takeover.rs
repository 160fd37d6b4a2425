//! Takeovers under way, of which there are so many at a time: a node that dies may have driven hundreds of thousands of tasks,
//! and a ballot for each at once would keep all that holds them from anything else for minutes. What ran comes first, then
//! what only waited; and what this node is the first holder of before what falls to it only if others fail.

use crate::{effect::Context, tasks::Tasks};
use mesh_proto::{
    id::TaskId,
    task::{Holder, State},
    time::Mono,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// Ballots of takeovers that have not come to an end, at most.
pub(crate) const TAKEOVERS: usize = 512;

/// One that has come to none for so long counts no more: holders may be away, and the others do not wait for theirs.
const STUCK: Duration = Duration::from_secs(1);

/// What waits for its turn, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    only_waits: bool,
    /// Holders before this one that are there.
    rank: u8,
}

/// See there.
#[derive(Debug, Default)]
pub struct Takeovers {
    open: BTreeMap<TaskId, Mono>,
    /// The same in the order in which they began, and some that have come to an end since.
    begun: VecDeque<(Mono, TaskId)>,
    queue: BTreeSet<(Place, TaskId)>,
    places: BTreeMap<TaskId, Place>,
}

impl Takeovers {
    /// That many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// When the next may begin, if one waits.
    pub fn due(&self) -> Option<Mono> {
        if self.queue.is_empty() {
            return None;
        }
        match self.begun.front() {
            Some((began, _)) if self.open.len() >= TAKEOVERS => Some(*began + STUCK),
            Some(_) | None => Some(Mono::default()),
        }
    }

    /// It has come to an end, or somebody else drives it.
    pub fn close(&mut self, task: &TaskId) {
        self.open.remove(task);
        if let Some(place) = self.places.remove(task) {
            self.queue.remove(&(place, *task));
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        while self.begun.front().is_some_and(|(began, task)| self.open.get(task) != Some(began)) {
            self.begun.pop_front();
        }
    }

    /// Whether there is room for one more, which is counted from now on.
    fn begin(&mut self, now: Mono, task: TaskId) -> bool {
        let has_room = self.has_room(now);
        if has_room {
            self.close(&task);
            self.open.insert(task, now);
            self.begun.push_back((now, task));
        }
        has_room
    }

    fn has_room(&mut self, now: Mono) -> bool {
        while let Some((_, stuck)) = self.begun.front().copied().filter(|(began, _)| now.since(*began) >= STUCK) {
            // With it go those behind it that have come to an end.
            self.open.remove(&stuck);
            self.tidy();
        }
        self.open.len() < TAKEOVERS
    }

    /// The most urgent that waits, if there is room for it.
    fn next(&mut self, now: Mono) -> Option<TaskId> {
        if self.queue.is_empty() || !self.has_room(now) {
            return None;
        }
        let (_, task) = self.queue.pop_first()?;
        self.places.remove(&task);
        Some(task)
    }

    fn wait(&mut self, task: TaskId, place: Place) {
        if let Some(old) = self.places.insert(task, place) {
            self.queue.remove(&(old, task));
        }
        self.queue.insert((place, task));
    }
}

impl Tasks {
    /// A ballot of this node's own for a task that nobody drives, as [`Tasks::campaign`]: at once, or when others have come to
    /// an end. What has ended is not waited for by much, and is few.
    pub(crate) fn take_over(&mut self, cx: &mut Context<'_>, task: TaskId) {
        if self.drivers.contains_key(&task) {
            return;
        }
        let Some(copy) = self.shelf.live_copy(&task) else { return self.campaign(cx, task) };
        let place = Place {
            only_waits: copy.register.state == State::Waiting,
            rank: u8::try_from(self.rank_in(&copy.register.holders)).unwrap_or(u8::MAX),
        };
        match self.takeovers.begin(cx.now.mono, task) {
            true => self.campaign(cx, task),
            false => self.takeovers.wait(task, place),
        }
    }

    /// Begins what there is room for. Each is looked at anew: somebody else may have been found to drive it.
    pub(crate) fn takeovers_due(&mut self, cx: &mut Context<'_>) {
        // Those of a driver that is back need no ballot, and make no room scarce.
        for _ in 0..TAKEOVERS {
            let Some(task) = self.takeovers.next(cx.now.mono) else { break };
            self.watch_due(cx, task);
        }
    }

    /// How many holders before this one look after a task, as far as is known.
    pub(crate) fn rank_in(&self, holders: &[Holder]) -> usize {
        let before = holders.iter().take_while(|holder| **holder != self.me);
        before.filter(|holder| !self.roster.is_silent(&holder.node)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: u16) -> TaskId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        TaskId::from_bytes(bytes)
    }

    fn full(at: Mono) -> Takeovers {
        let mut takeovers = Takeovers::default();
        for n in 0..TAKEOVERS as u16 {
            assert!(takeovers.begin(at, task(n)));
        }
        takeovers
    }

    #[test]
    fn what_ran_goes_first_and_then_what_is_nearest() {
        let mut takeovers = full(Mono(5));
        assert!(!takeovers.begin(Mono(5), task(1000)));
        for (n, only_waits, rank) in [(1000, true, 0), (1001, true, 1), (1002, false, 1), (1003, false, 0)] {
            takeovers.wait(task(n), Place { only_waits, rank });
        }
        assert_eq!(takeovers.next(Mono(5)), None);
        let order: Vec<Option<TaskId>> = (0..5)
            .map(|n| {
                takeovers.close(&task(n));
                takeovers.next(Mono(5))
            })
            .collect();
        assert_eq!(order, [Some(task(1003)), Some(task(1002)), Some(task(1000)), Some(task(1001)), None]);
    }

    #[test]
    fn what_comes_to_no_end_makes_room_after_a_while() {
        let mut takeovers = full(Mono(5));
        takeovers.wait(task(1000), Place { only_waits: false, rank: 0 });
        let later = Mono(5) + STUCK;
        assert_eq!(takeovers.due(), Some(later));
        assert_eq!(takeovers.next(Mono(later.0 - 1)), None);
        assert_eq!(takeovers.next(later), Some(task(1000)));
        assert_eq!(takeovers.due(), None);
    }

    #[test]
    fn who_drives_a_task_ends_its_waiting() {
        let mut takeovers = full(Mono(5));
        takeovers.wait(task(1000), Place { only_waits: false, rank: 0 });
        takeovers.wait(task(1000), Place { only_waits: true, rank: 3 });
        takeovers.close(&task(1000));
        takeovers.close(&task(0));
        assert_eq!((takeovers.waiting(), takeovers.next(Mono(5))), (0, None));
    }
}
