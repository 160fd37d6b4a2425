//! What happens in a large world, and when: all join, all rest, users have work done, and meanwhile some nodes die.

use crate::sim::options::Options;

/// Everything else about such a world is the same in all of them, but what its seed draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub nodes: usize,
    pub tasks: u64,
    /// How many of the nodes die for good.
    pub deaths: u64,
}

/// Microseconds between two nodes that start.
const STARTS: u64 = 20_000;
/// Microseconds in which those that started last have met all others.
const MEETS: u64 = 20_000_000;
/// Microseconds in which nobody wants anything: four heartbeats.
const RESTS: u64 = 12_000_000;
/// Microseconds in which all tasks are submitted, evenly, and all deaths happen.
const WORKS: u64 = 60_000_000;

impl Plan {
    /// When a node starts.
    pub fn starts_at(node: usize) -> u64 {
        node as u64 * STARTS
    }

    pub fn rests_from(&self) -> u64 {
        Self::starts_at(self.nodes) + MEETS
    }

    pub fn works_from(&self) -> u64 {
        self.rests_from() + RESTS
    }

    pub fn heals_at(&self) -> u64 {
        self.works_from() + WORKS
    }

    /// When the next task is submitted, behind so many.
    pub fn task_at(&self, submitted: u64) -> u64 {
        self.works_from() + submitted * WORKS / self.tasks.max(1)
    }

    /// When the next node dies, behind so many: none before there is work, or when all is done.
    pub fn death_at(&self, dead: u64) -> u64 {
        self.works_from() + (2 * dead + 1) * WORKS / (2 * self.deaths.max(1))
    }

    /// The world of it: no fault but deaths, no liar, nobody who agrees; the times and bounds that nodes have by
    /// default.
    pub fn options(self, seed: u64) -> Options {
        let tasks = mesh_tasks::Config::default();
        Options {
            seed,
            nodes: self.nodes,
            nodes_max: self.nodes,
            faults_for: WORKS,
            tasks_per_second: 1,
            wire: 1_000,
            // A network of one region, and disks that sync.
            latency: (250, 2_000),
            sync: (500, 3_000),
            batching: 1_000,
            fault_every: WORKS,
            faults: Vec::new(),
            queue: 1_000,
            duplicates: 0,
            drops: 0,
            late: 0,
            torn_absorbs: 0,
            torn_starts: 0,
            bad_executions: 0,
            drift: 100,
            segment: 64 << 10,
            absorb: 30_000_000,
            slots: tasks.slots,
            tasks: mesh_tasks::Config { story_max: STORY, ..tasks },
            membership: mesh_membership::Config::default(),
            forgetful: false,
            drains: false,
            strict: false,
            council: None,
            fabricators: 0,
            bidders: Vec::new(),
            flood: None,
            boundary: None,
            plan: Some(self),
        }
    }
}

/// Lines of stories that a node keeps: nobody reads them here, and there is one ring for each node.
const STORY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_submitted_and_all_that_die_have_died_before_it_heals() {
        let plan = Plan { nodes: 10, tasks: 7, deaths: 3 };
        assert!(plan.works_from() == plan.task_at(0) && plan.task_at(6) < plan.heals_at());
        assert!(plan.works_from() < plan.death_at(0) && plan.death_at(2) < plan.heals_at());
        let nobody = Plan { tasks: 0, deaths: 0, ..plan };
        assert_eq!(nobody.heals_at(), plan.heals_at());
    }
}
