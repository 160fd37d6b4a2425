//! A node that drains holds nothing that is new and runs nothing that has not begun: what waits here goes back to its drivers,
//! and the others replace its copies, as they do those of a node that is lost, but at once. It goes on doing for its users
//! what it does as a gateway.

use crate::{effect::Context, executor::Place, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::TaskId,
    task::{Holder, Item},
};

/// How far it is.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    /// What runs is not waited for any more.
    stops: bool,
    /// Records that name this node as their holder: so far in this look through all, and by the last one.
    so_far: usize,
    named: Option<usize>,
}

impl Drain {
    pub fn begin_look(&mut self) {
        self.so_far = 0;
    }

    pub fn saw(&mut self, more: usize) {
        self.so_far += more;
    }

    pub fn end_look(&mut self) {
        self.named = Some(self.so_far);
    }

    /// As of the last look through all records; `None` before the first.
    pub fn named(&self) -> Option<usize> {
        self.named
    }
}

impl Tasks {
    /// This node is to hold and run nothing, by what it says of itself.
    pub fn drains(&self) -> bool {
        self.roster.drains(&self.me.node)
    }

    /// It does so from now on, or does no more.
    pub(crate) fn note_draining(&mut self, cx: &mut Context<'_>) {
        // What is counted is counted from the first record on.
        (self.drain, self.repair_cursor) = (Drain::default(), None);
        match self.drains() {
            true => self.executor.outfit.look_over(),
            false => self.fill_slots(cx),
        }
    }

    /// What still runs on a node that drains is ended, and run elsewhere.
    pub fn stop_running(&mut self, cx: &mut Context<'_>) {
        if self.drains() {
            self.drain.stops = true;
            self.executor.outfit.look_over();
            self.look_over_some(cx);
            self.drain_local(cx);
        }
    }

    /// Why nothing is taken here, if nothing is.
    pub(crate) fn drained_for(&self) -> Option<String> {
        self.drains().then(|| WHY.to_owned())
    }

    /// Whether it was here and is no more. That counts against nobody.
    pub(crate) fn give_back_if_draining(&mut self, cx: &mut Context<'_>, task: TaskId) -> bool {
        let Some(run) = self.executor.attempts.get(&task).filter(|_| self.drains()) else { return false };
        let (attempt, driver) = (run.attempt, run.driver);
        match run.place {
            Place::Queued(_) | Place::Retracted(_) => {
                self.remove_attempt(cx, task);
            }
            Place::Running(_) | Place::Instant if self.drain.stops => self.withdraw(cx, task),
            Place::Running(_) | Place::Instant | Place::Ended | Place::Stopped => return false,
        }
        self.timers.clear(task, Kind::Retract);
        self.counters.drained += 1;
        self.send(driver, Item::NotRunning { task, attempt, why: WHY.into() });
        true
    }

    /// Who of a record's holders looks after it: the first that is there. One that drains does where nobody else could.
    pub(crate) fn looks_after(&self, holders: &[Holder], stays: impl Fn(&Holder) -> bool) -> bool {
        let drains = self.drains();
        let first = holders.iter().find(|holder| if **holder == self.me { !drains } else { stays(holder) });
        first.map_or(drains && holders.contains(&self.me), |first| *first == self.me)
    }
}

/// What drivers are told.
const WHY: &str = "its node drains";
