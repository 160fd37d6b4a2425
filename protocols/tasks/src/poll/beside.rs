//! One more is asked beside a member that says that it has a queue.

use super::{Replica, State};
use crate::tasks::Tasks;
use mesh_proto::{id::TaskId, limits, time::Mono};
use std::time::Duration;

impl Tasks {
    /// One that takes long and says that it has a queue may well have one, and may never end what it was asked: its word stays
    /// welcome, and one more is asked beside it, whose word counts as much. Each time after as long again, and no more than
    /// there are: a mesh that is full has enough to do.
    pub(super) fn ask_beside(&mut self, now: Mono, task: &TaskId, limit: Duration) {
        let Some(poll) = self.polls.open.get(task) else { return };
        let is_slow = |replica: &Replica| {
            matches!(replica.state, State::Asked | State::Refused(_)) && now.since(replica.since) > limit
        };
        let is_due = poll.widened.is_none_or(|at| now.since(at) > limit);
        let has_room = poll.size < limits::REPLICAS && poll.asked() >= poll.size;
        if !is_due || !has_room || !poll.replicas.iter().any(is_slow) || self.others_for(task, poll).next().is_none() {
            return;
        }
        if let Some(poll) = self.polls.open.get_mut(task) {
            poll.size += 1;
            poll.widened = Some(now);
        }
    }
}
