//! Ends of executions that are held back for a moment, so that one write, one sync and one frame carry many: a group
//! commit, for commands that end one by one. Only where others wait for the slot that the ended one gave free, and so
//! nobody waits for it alone.

use crate::{effect::Context, executor::Place, tasks::Tasks};
use mesh_proto::{
    id::TaskId,
    task::{Outcome, Priority},
    time::Mono,
};
use std::sync::Arc;

/// So many at most: what is lost with the node is run again.
const HELD_MAX: usize = 64;

/// Soft, as all of the executor: an end that was held when the node died has not happened.
#[derive(Debug, Default)]
pub struct Ends {
    held: Vec<(TaskId, u32, Arc<Outcome>)>,
    due: Option<Mono>,
}

impl Ends {
    pub fn due(&self) -> Option<Mono> {
        self.due
    }
}

impl Tasks {
    /// An execution ended: its slot goes to the next at once, and what came of it into the record, now or with others.
    pub fn executed(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32, outcome: Arc<Outcome>) {
        let Some(was_in) = self.vacate(cx, task, attempt) else { return };
        self.ends.held.push((task, attempt, outcome));
        let can_wait = matches!(was_in, Place::Running(priority) if self.others_wait(priority));
        if can_wait && self.ends.held.len() < HELD_MAX {
            self.ends.due.get_or_insert(cx.now.mono + self.config.linger);
        } else {
            self.release_ends(cx);
        }
    }

    /// Of no lower priority than one that has ended.
    fn others_wait(&self, priority: Priority) -> bool {
        self.executor.next_priority().is_some_and(|next| next >= priority)
    }

    /// All that is held back goes into the records.
    pub fn release_ends(&mut self, cx: &mut Context<'_>) {
        self.ends.due = None;
        for (task, attempt, outcome) in std::mem::take(&mut self.ends.held) {
            self.ended(cx, task, attempt, outcome);
        }
        self.drain_local(cx);
    }

    /// Before something is said or decided about an attempt: what came of it must not be held back then.
    pub(crate) fn release_end_of(&mut self, cx: &mut Context<'_>, task: &TaskId) {
        if self.executor.has_ended(task) {
            self.release_ends(cx);
        }
    }

    pub(crate) fn ends_due(&mut self, cx: &mut Context<'_>) {
        if self.ends.due.is_some_and(|due| due <= cx.now.mono) {
            self.release_ends(cx);
        }
    }
}
