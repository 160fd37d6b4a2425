//! Whose word on a task is taken. Whoever is a member can say of any task that it has ended, is settled, or is taken; it
//! counts where it is said by one that holds the task, or may well do so by what is known here. That stands against any other
//! member, and not against a holder that lies.
//!
//! Holders change, and drivers with them, and who does not hold the task hears of it late. So a word that is not taken is
//! never needed: whoever waits for it asks again those that should know, and of what has ended each holder says so.

use crate::{tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::Holder,
    time::Mono,
};

impl Tasks {
    /// By what this node holds of the task, or by the members.
    fn may_hold(&self, node: &NodeId, task: &TaskId) -> bool {
        let is_it = |holder: &Holder| holder.node == *node;
        *node == self.me.node
            || self.shelf.promised(task).is_some_and(|promised| promised.driver == *node)
            || self
                .shelf
                .copy(task)
                .is_some_and(|copy| copy.register.lists().flatten().any(is_it) || copy.birth.home.iter().any(is_it))
            || self.roster.is_near(node, task, self.config.home)
    }

    /// How a task stands that is followed, cancelled or placed here.
    pub(crate) fn may_tell(&self, node: &NodeId, task: &TaskId) -> bool {
        self.gateway.has_asked(node, task) || self.may_hold(node, task)
    }

    /// What becomes of an attempt that is here, or of what came of it.
    pub(crate) fn may_settle(&self, node: &NodeId, task: &TaskId) -> bool {
        let run = self.executor.attempts.get(task);
        let granted = |holder: &Holder| holder.node == *node;
        run.is_some_and(|run| run.driver == *node || run.birth.home.iter().any(granted))
            || self.executor.offered.get(task).is_some_and(|offered| offered.contains(node))
            || self.shelf.outbox().range((*task, 0)..=(*task, u32::MAX)).any(|(_, kept)| kept.holders.contains(node))
            || self.may_hold(node, task)
    }

    /// Whether it is said by one that may settle it. Of what is not here anybody may say anything.
    pub(crate) fn settles(&mut self, node: &NodeId, task: &TaskId) -> bool {
        let is_here = self.executor.attempts.contains_key(task) || self.keeps_result(task);
        let counts = !is_here || self.may_settle(node, task);
        self.counters.stale_items += u64::from(!counts);
        counts
    }

    /// The same of what is followed or cancelled. A stranger may have taken over from those that are known here: they are asked
    /// soon, and say so, or how it ended.
    pub(crate) fn tells(&mut self, now: Mono, node: &NodeId, task: &TaskId) -> bool {
        let counts = self.may_tell(node, task);
        if !counts {
            self.counters.stale_items += 1;
            let soon = now + self.config.settle_after;
            if self.timers.due(task, Kind::Follow).is_some_and(|due| due > soon) {
                self.timers.set(*task, Kind::Follow, soon);
            }
        }
        counts
    }
}
