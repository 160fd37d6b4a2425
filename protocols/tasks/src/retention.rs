//! What is forgotten, and how long a key is remembered.

use crate::{Fact, effect::Context, tasks::Tasks, timers::Kind};
use mesh_proto::{id::TaskId, time::Wall};
use std::time::Duration;

/// Of so many times the records that are kept it is remembered, in some dozen bytes each, that there were these.
const REMEMBERED: usize = 4;

/// Records dropped in one round.
const ROUND: usize = 5_000;

impl Tasks {
    /// Keys drawn before this are not remembered: a submission with one is refused, since it may have run.
    pub(crate) fn floor(&self, wall: Wall) -> Wall {
        let retention = u64::try_from(self.config.retention.as_millis()).unwrap_or(u64::MAX);
        self.shelf.floor().max(Wall(wall.0.saturating_sub(retention)))
    }

    pub(crate) fn is_forgotten(&self, cx: &Context<'_>, born: Wall) -> bool {
        born < self.floor(cx.now.wall)
    }

    /// Drops terminal records that are out of retention, by age and by number, and promises that nothing came of.
    pub(crate) fn retire(&mut self, cx: &mut Context<'_>) {
        let wall = cx.now.wall;
        let surplus = self.shelf.ended().len().saturating_sub(self.config.retained_max);
        let keep_for = self.config.retention + Duration::from_secs(60);
        let mut raised = Wall(0);
        let mut gone: Vec<TaskId> = Vec::new();
        for (at, (ended, task)) in self.shelf.ended().iter().enumerate().take(ROUND) {
            let is_old = wall.since(*ended) > keep_for;
            if !is_old && at >= surplus {
                break;
            }
            // A record that a lagging holder may still ask about is kept by its driver until all have it.
            if self.drivers.contains_key(task) {
                continue;
            }
            if !is_old && let Some(copy) = self.shelf.copy(task) {
                raised = raised.max(Wall(copy.birth.born.0 + 1));
            }
            gone.push(*task);
        }
        // A client whose clock is ahead must not shut out the others.
        let raised = raised.min(wall);
        if raised > self.shelf.floor() {
            self.persist(cx, Fact::Floor { floor: raised });
        }
        let bare: Vec<TaskId> = self
            .shelf
            .bare_promises()
            .filter(|(_, (_, at))| wall.since(*at) > keep_for)
            .map(|(task, _)| *task)
            .take(ROUND)
            .collect();
        gone.extend(bare);
        // Long enough for whoever was cut off with what it knew of them.
        let surplus = self.shelf.gone().len().saturating_sub(self.config.retained_max.saturating_mul(REMEMBERED));
        let faded = self.shelf.gone().iter().enumerate().take(ROUND);
        let faded = faded.take_while(|(at, (ended, _))| *at < surplus || wall.since(*ended) > keep_for * 4);
        gone.extend(faded.map(|(_, (_, task))| *task));
        if !gone.is_empty() {
            self.counters.retired += gone.len() as u64;
            self.forget(cx, gone);
        }
    }

    pub(crate) fn forget(&mut self, cx: &mut Context<'_>, tasks: Vec<TaskId>) {
        for task in &tasks {
            self.drivers.remove(task);
            self.rivals.remove(task);
            self.followers.remove(task);
            self.timers.clear_all(*task);
        }
        // A result that is still to be settled is offered all the same, until all say that they know nothing of it.
        for task in &tasks {
            if self.keeps_result(task) {
                self.timers.set(*task, Kind::Report, cx.now.mono + self.config.report_again);
            }
        }
        self.persist(cx, Fact::Dropped { tasks });
    }
}
