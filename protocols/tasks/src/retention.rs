//! What is forgotten, and how long a key is remembered.

use crate::{Fact, driver::Driver, effect::Context, tasks::Tasks, timers::Kind};
use mesh_proto::{id::TaskId, time::Wall};
use std::{ops::Bound, time::Duration};

/// Of so many times the records that are kept it is remembered, in some dozen bytes each, that there were these.
const REMEMBERED: usize = 4;

/// Records looked at in one round, and promises: bounds the time of a round.
const ROUND: usize = 1_000;

/// How far the rounds of retirement are.
#[derive(Debug, Default)]
pub struct Retirement {
    /// The last ended record that was looked at, while there are more.
    ended: Option<(Wall, TaskId)>,
    /// The last promise that was looked at, while there are more.
    promises: Option<TaskId>,
}

impl Tasks {
    /// Keys drawn before this are not remembered: a submission with one is refused, since it may have run.
    pub(crate) fn floor(&self, wall: Wall) -> Wall {
        let retention = u64::try_from(self.config.retention.as_millis()).unwrap_or(u64::MAX);
        self.shelf.floor().max(Wall(wall.0.saturating_sub(retention)))
    }

    pub(crate) fn is_forgotten(&self, cx: &Context<'_>, born: Wall) -> bool {
        born < self.floor(cx.now.wall)
    }

    /// A key so old that a task of it may have ended, and be not even remembered as forgotten any more.
    pub(crate) fn is_beyond_memory(&self, cx: &Context<'_>, born: Wall) -> bool {
        let remembered_max = self.config.retained_max.saturating_mul(REMEMBERED);
        cx.now.wall.since(born) > self.remembered_for()
            || born < self.shelf.floor() && self.shelf.gone().len() >= remembered_max
    }

    /// So long after its end a record is remembered to have been here.
    fn remembered_for(&self) -> Duration {
        self.promise_kept_for() * 4
    }

    /// So long a promise is kept of which nothing came.
    pub(crate) fn promise_kept_for(&self) -> Duration {
        self.config.retention + Duration::from_secs(60)
    }

    /// Drops terminal records that are out of retention, by age and by number, and promises that nothing came of. True
    /// if it is not through yet.
    pub(crate) fn retire(&mut self, cx: &mut Context<'_>) -> bool {
        self.leases.expire(cx.now.mono);
        let mut gone = self.out_of_retention(cx);
        gone.extend(self.stale_promises(cx.now.wall));
        let faded = self.faded(cx.now.wall);
        let has_more = faded.len() == ROUND;
        gone.extend(faded);
        if !gone.is_empty() {
            self.counters.retired += gone.len() as u64;
            self.forget(cx, gone);
        }
        has_more || self.retirement.ended.is_some() || self.retirement.promises.is_some()
    }

    fn out_of_retention(&mut self, cx: &mut Context<'_>) -> Vec<TaskId> {
        let wall = cx.now.wall;
        let decided = self.shelf.ended().len() - self.shelf.undecided();
        let surplus = decided.saturating_sub(self.config.retained_max);
        let keep_for = self.promise_kept_for();
        let mut raised = Wall(0);
        let mut gone: Vec<TaskId> = Vec::new();
        let start = self.retirement.ended.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        let has_heard_of_needs = self.has_heard_of_needs(cx.now.mono);
        for (seen, (ended, task)) in self.shelf.ended().range((start, Bound::Unbounded)).enumerate() {
            let is_old = wall.since(*ended) > keep_for;
            if !is_old && gone.len() >= surplus {
                break;
            }
            if seen >= ROUND {
                self.retirement.ended = last;
                break;
            }
            last = Some((*ended, *task));
            // A record that a lagging holder may still ask about is kept by its driver until all have it. Who only would
            // drive it keeps nothing: the others may have forgotten it, and never promise.
            if matches!(self.drivers.get(task), Some(Driver::Driving(_))) {
                continue;
            }
            // An end that is not known to be decided may be all that is left of its task (simulator, seed 41158): the others
            // hold it as it was before, and would find here, of two that they need, one that says it was long ago.
            if self.shelf.is_undecided(task) {
                continue;
            }
            // What others are to start after is needed until these have ended.
            if self.leases.is_needed(task) || is_old && !has_heard_of_needs {
                continue;
            }
            // Whatever its driver's clock said when it ended, or its user's when its key was drawn: nothing is forgotten
            // of which a repeat would be run.
            let born = self.shelf.copy(task).map_or(Wall(0), |copy| copy.birth.born);
            match is_old {
                true if !self.is_forgotten(cx, born) => continue,
                false if born >= wall => continue,
                true => {}
                false => raised = raised.max(Wall(born.0 + 1)),
            }
            gone.push(*task);
        }
        if raised > self.shelf.floor() {
            self.persist(cx, Fact::Floor { floor: raised });
        }
        gone
    }

    fn stale_promises(&mut self, wall: Wall) -> Vec<TaskId> {
        let keep_for = self.promise_kept_for();
        let mut stale: Vec<TaskId> = Vec::new();
        let mut last = None;
        for (seen, (task, at)) in self.shelf.promises_after(self.retirement.promises.take()).enumerate() {
            if seen >= ROUND {
                self.retirement.promises = last;
                break;
            }
            last = Some(*task);
            if wall.since(at) > keep_for && !self.shelf.is_held(task) {
                stale.push(*task);
            }
        }
        stale
    }

    /// What is not even remembered as forgotten any more: long enough for whoever was cut off with what it knew of it.
    fn faded(&self, wall: Wall) -> Vec<TaskId> {
        let keep_for = self.remembered_for();
        let surplus = self.shelf.gone().len().saturating_sub(self.config.retained_max.saturating_mul(REMEMBERED));
        let oldest = self.shelf.gone().iter().enumerate().take(ROUND);
        let faded = oldest.take_while(|(at, (ended, _))| *at < surplus || wall.since(*ended) > keep_for);
        faded.map(|(_, (_, task))| *task).collect()
    }

    pub(crate) fn forget(&mut self, cx: &mut Context<'_>, tasks: Vec<TaskId>) {
        self.let_go(cx, &tasks);
        self.persist(cx, Fact::Dropped { tasks });
    }

    /// The others forgot it before, however far this node had come with it. When it `ended` is remembered as they do.
    pub(crate) fn forget_outlived(&mut self, cx: &mut Context<'_>, task: TaskId, ended: Option<Wall>) {
        self.let_go(cx, &[task]);
        let born = self.shelf.copy(&task).map_or(Wall(0), |copy| copy.birth.born);
        let at = ended.map_or(cx.now.wall, |ended| ended.min(cx.now.wall)).max(born);
        self.persist(cx, Fact::Outlived { task, at });
    }

    fn let_go(&mut self, cx: &mut Context<'_>, tasks: &[TaskId]) {
        for task in tasks {
            self.release_inputs(task);
            self.drivers.remove(task);
            self.rivals.remove(task);
            self.given_back.remove(task);
            self.unanswered.remove(task);
            self.followers.remove(task);
            self.timers.clear_all(*task);
        }
        // What waits here for its end asks the others.
        for task in tasks.iter().filter(|task| self.gateway.following.contains_key(task)) {
            self.timers.set(*task, Kind::Follow, cx.now.mono + self.config.settle_after);
        }
        for task in tasks.iter().filter(|task| self.needs.contains(task)) {
            self.timers.set(*task, Kind::Need, cx.now.mono);
        }
        // A result that is still to be settled is offered all the same, until all say that they know nothing of it.
        for task in tasks {
            if self.keeps_result(task) {
                self.timers.set(*task, Kind::Report, cx.now.mono + self.config.report_again);
            }
        }
    }
}
