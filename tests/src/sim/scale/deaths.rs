//! Nodes that die for good while all others work: the machine, its disk, and all that was under way there.

use crate::sim::{count::Count, event::Event, world::World};
use mesh_proto::id::TaskId;

/// Nodes that are drawn at once, at most, until one is found whose death takes away nothing that is still needed.
const DRAWS: usize = 64;
/// Microseconds until it is tried again where none was.
const AGAIN: u64 = 250_000;

impl World {
    /// One node more dies. Not one with whose disk a task that has not ended would lose the majority of its copies: the
    /// machines promise nothing for such a one.
    pub(in crate::sim) fn death(&mut self) {
        let Some(plan) = self.options.plan else { return };
        let dead = self.counts.of(Count::Destroyed);
        if dead >= plan.deaths || self.healed.is_some() {
            return;
        }
        let running = self.running();
        let waited: Vec<_> = self.clients.waited_for().collect();
        for _ in 0..DRAWS {
            let node = *self.fate.pick(&running);
            if self.checks.may_lose_of(self.nodes[node].store(), waited.iter()) {
                self.destroy(node);
                return self.queue.push(plan.death_at(dead + 1).max(self.at), Event::Death);
            }
            self.count(Count::Spared);
        }
        self.queue.push(self.at + AGAIN, Event::Death);
    }

    /// How many records have ended, and lost the majority of their copies before these could be made anew; and how many
    /// tasks cannot be submitted any more.
    pub(in crate::sim) fn count_losses(&mut self) {
        let thinned = self.clients.acknowledged().filter(|(task, _)| !self.checks.has_majority(task)).count();
        self.counts.add_many(Count::Thinned, thinned as u64);
        let barred = self.clients.waited_for().filter(|task| self.is_barred(task)).count();
        self.counts.add_many(Count::Barred, barred as u64);
    }

    /// Nobody was told that it is taken, and under its key there is a birth that nobody can settle: two that were to
    /// hold it had just died. Its user has to take another key.
    pub(in crate::sim) fn is_barred(&self, task: &TaskId) -> bool {
        !self.checks.users.is_acknowledged(task) && !self.checks.may_be_settled(task)
    }
}
