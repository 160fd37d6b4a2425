//! What this node has, and what waits here while that changes.

use crate::{capability, effect::Context, executor::Place, tasks::Tasks, timers::Kind};
use mesh_proto::{
    capability::Capabilities,
    id::TaskId,
    task::{Item, Spec},
};
use std::ops::Bound;

/// Attempts that are looked over in one turn.
const ROUND: usize = 1_000;

/// Programs attach themselves to a node, and go.
#[derive(Debug, Default)]
pub(crate) struct Outfit {
    /// How often it has changed.
    count: u32,
    /// From where on what waits was taken by what this node had before.
    unsure: Option<Bound<TaskId>>,
    /// This node has lost the mesh.
    pub(crate) is_isolated: bool,
}

impl Outfit {
    /// Whether there may be something here that this node is not able to run any more.
    pub fn is_unsure(&self) -> bool {
        self.unsure.is_some()
    }

    /// All that is here is to be looked at, a part in each turn.
    pub fn look_over(&mut self) {
        self.unsure = Some(Bound::Unbounded);
    }
}

impl Tasks {
    /// What this node has from now on. What was granted here by what it had, and has not begun, is given back, a part at a time;
    /// what runs has begun when it had it.
    pub fn have(&mut self, cx: &mut Context<'_>, capabilities: &Capabilities) {
        if self.roster.set_capabilities(&self.me.node, capabilities) {
            self.seeking.look_at(self.me.node);
            self.executor.outfit.count = self.executor.outfit.count.wrapping_add(1);
            self.executor.outfit.look_over();
            self.fill_slots(cx);
            self.drain_local(cx);
        }
    }

    /// A part of what is here, after what this node has changed.
    pub(crate) fn look_over_some(&mut self, cx: &mut Context<'_>) {
        for task in self.take_unsure() {
            if !self.give_back_if_draining(cx, task) && !self.give_back_if_isolated(cx, task) {
                self.give_back_if_lacking(cx, task);
            }
        }
    }

    /// Whether it has not begun and asks for something that this node has no more: then its driver finds another. That counts
    /// against nobody.
    pub(crate) fn give_back_if_lacking(&mut self, cx: &mut Context<'_>, task: TaskId) -> bool {
        let Some(run) = self.executor.attempts.get(&task) else { return false };
        let waits = matches!(run.place, Place::Queued(_) | Place::Retracted(_));
        let outfit = self.executor.outfit.count;
        if !waits || run.found_able.is_none_or(|found| found == outfit) {
            return false;
        }
        let why = Spec::decode(&run.birth.spec).ok().and_then(|spec| self.lacks_for(&spec));
        let Some(why) = why else {
            if let Some(run) = self.executor.attempts.get_mut(&task) {
                run.found_able = Some(outfit);
            }
            return false;
        };
        let Some(run) = self.remove_attempt(cx, task) else { return false };
        self.timers.clear(task, Kind::Retract);
        self.counters.unable += 1;
        self.send(run.driver, Item::NotRunning { task, attempt: run.attempt, why: format!("{why} any more") });
        true
    }

    pub(crate) fn lacks_for(&self, spec: &Spec) -> Option<String> {
        let own = &self.roster.seat(&self.me.node)?.capabilities;
        capability::rate(&spec.requirements, own).err().map(|lacked| format!("it does not have {lacked}"))
    }

    pub(crate) fn outfit_for(&self, spec: &Spec) -> Option<u32> {
        spec.requirements.hard().next().map(|_| self.executor.outfit.count)
    }

    /// The next of what is here that is to be looked over.
    fn take_unsure(&mut self) -> Vec<TaskId> {
        let Some(from) = self.executor.outfit.unsure.take() else { return Vec::new() };
        let behind = self.executor.attempts.range((from, Bound::Unbounded));
        let part: Vec<TaskId> = behind.take(ROUND).map(|(task, _)| *task).collect();
        self.executor.outfit.unsure = part.last().filter(|_| part.len() == ROUND).map(|last| Bound::Excluded(*last));
        part
    }
}
