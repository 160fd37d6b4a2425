//! Attempts that are not to go on where the mesh is lost: the others take the node for gone, and have them run elsewhere.

use crate::{effect::Context, executor::Place, story::Event, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::TaskId,
    task::{Item, OnIsolation},
};

impl Tasks {
    /// A member was found silent, or is back: with it the mesh may be lost to this node, or found. What is here is given back a
    /// part at a time.
    pub(crate) fn note_isolation(&mut self) {
        let is_isolated = self.roster.is_isolated();
        if is_isolated && !self.executor.outfit.is_isolated {
            self.counters.isolated += 1;
            self.executor.outfit.look_over();
        }
        self.executor.outfit.is_isolated = is_isolated;
    }

    /// Why such an attempt is not taken here, if it is not.
    pub(crate) fn isolated_for(&self, on_isolation: OnIsolation) -> Option<String> {
        let is_left = self.executor.outfit.is_isolated && on_isolation == OnIsolation::Stop;
        is_left.then(|| WHY.to_owned())
    }

    /// Whether it was waiting or running here and is no more. Its driver is told, or finds out when it can ask: in either case
    /// that counts against nobody.
    pub(crate) fn give_back_if_isolated(&mut self, cx: &mut Context<'_>, task: TaskId) -> bool {
        let Some(run) = self.executor.attempts.get(&task) else { return false };
        let (attempt, driver) = (run.attempt, run.driver);
        let is_over = matches!(run.place, Place::Ended | Place::Stopped);
        let Some(why) = self.isolated_for(run.on_isolation).filter(|_| !is_over) else { return false };
        self.counters.isolated_stopped += 1;
        self.tell(cx.now, task, Event::Isolated { attempt });
        self.timers.clear(task, Kind::Retract);
        self.withdraw(cx, task);
        self.send(driver, Item::NotRunning { task, attempt, why });
        true
    }
}

/// What its driver is told.
const WHY: &str = "its node has lost the mesh";
