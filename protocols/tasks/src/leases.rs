//! Records that somebody else needs: what is to start after a task is told again how it ended when its driver changes, and
//! whoever runs it takes what it takes out of that record. So a holder keeps it for as long as some driver says that it does, and
//! with it the blobs that it names.
//!
//! Soft: who was started again forgets nothing of age before every driver has had time to say so once more.

use crate::{effect::Context, tasks::Tasks};
use mesh_proto::{
    id::{NodeId, TaskId},
    time::Mono,
};
use std::collections::{BTreeMap, BTreeSet};

/// Who needs which, and until when that is believed.
#[derive(Debug, Default)]
pub struct Leases {
    until: BTreeMap<(TaskId, NodeId), Mono>,
    by_end: BTreeSet<(Mono, TaskId, NodeId)>,
    /// How many each has.
    of: BTreeMap<NodeId, usize>,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    all: usize,
    /// Of one member: else one alone, in error or in bad faith, would leave none for the others.
    each: usize,
}

impl Leases {
    pub fn is_needed(&self, task: &TaskId) -> bool {
        let of_task = (*task, NodeId::from_bytes([0; 32]))..=(*task, NodeId::from_bytes([0xff; 32]));
        self.until.range(of_task).next().is_some()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Begins one, or moves its end. No new one where there are as many as may be; whether there is one now.
    fn begin(&mut self, task: TaskId, node: NodeId, until: Mono, most: Bounds) -> bool {
        if let Some(before) = self.until.get(&(task, node)).copied() {
            self.by_end.remove(&(before, task, node));
        } else if self.until.len() >= most.all || self.of.get(&node).is_some_and(|count| *count >= most.each) {
            return false;
        } else {
            *self.of.entry(node).or_default() += 1;
        }
        self.until.insert((task, node), until);
        self.by_end.insert((until, task, node));
        true
    }

    fn end(&mut self, task: TaskId, node: NodeId) {
        if let Some(until) = self.until.remove(&(task, node)) {
            self.by_end.remove(&(until, task, node));
            if let Some(count) = self.of.get_mut(&node) {
                *count -= 1;
                if *count == 0 {
                    self.of.remove(&node);
                }
            }
        }
    }

    /// What nobody has said for long is not so any more.
    pub fn expire(&mut self, now: Mono) {
        while let Some((_, task, node)) = self.by_end.first().copied().filter(|(until, ..)| *until <= now) {
            self.end(task, node);
        }
    }
}

impl Tasks {
    /// Of what is not held here nothing can be kept.
    pub(crate) fn on_needed(&mut self, cx: &Context<'_>, from: NodeId, task: TaskId, still: bool) {
        if still && self.shelf.is_held(&task) {
            let all = (self.config.retained_max / 2).max(LEAST);
            let each = (all / self.roster.count().max(1)).max(LEAST_OF_ONE);
            if !self.leases.begin(task, from, cx.now.mono + self.config.needed_for, Bounds { all, each }) {
                self.counters.needs_refused += 1;
            }
        } else {
            self.leases.end(task, from);
        }
    }

    /// Whoever needs a record has had time to say so since this node was started.
    pub(crate) fn has_heard_of_needs(&self, now: Mono) -> bool {
        now.since(self.up_since) >= self.config.needed_for.min(self.config.retention)
    }
}

/// Records that are kept for others make up half of those that are kept at most, but for so many.
const LEAST: usize = 1_024;

/// Each member's share of them, where there are so many that an even one is less.
const LEAST_OF_ONE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn task(n: u8) -> TaskId {
        TaskId::from_bytes([n; 32])
    }

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn most(all: usize, each: usize) -> Bounds {
        Bounds { all, each }
    }

    #[test]
    fn a_record_is_needed_until_the_last_that_needs_it_does_no_more_or_is_not_heard() {
        let mut leases = Leases::default();
        leases.begin(task(1), node(0), Mono(5), most(9, 9));
        leases.begin(task(1), node(255), Mono(7), most(9, 9));
        leases.end(task(2), node(0));
        leases.expire(Mono(5));
        assert!(leases.is_needed(&task(1)) && !leases.is_needed(&task(0)) && !leases.is_needed(&task(2)));
        leases.begin(task(1), node(255), Mono(9), most(9, 9));
        leases.expire(Mono(8));
        assert!(leases.is_needed(&task(1)));
        leases.end(task(1), node(255));
        assert!(!leases.is_needed(&task(1)));
    }

    #[test]
    fn there_are_no_more_than_may_be() {
        let mut leases = Leases::default();
        let begun: Vec<bool> = (0..9).map(|n| leases.begin(task(n), node(1), Mono(5), most(4, 9))).collect();
        assert_eq!((leases.len(), begun.iter().filter(|begun| **begun).count()), (4, 4));
        assert!(leases.begin(task(0), node(1), Mono(9), most(4, 1)));
        leases.expire(Mono(5));
        assert!(leases.is_needed(&task(0)) && leases.len() == 1, "one that there is goes on");
    }

    proptest! {
        #[test]
        fn both_ways_of_looking_show_the_same(steps in vec((0u8..3, 0u8..4, 0u8..3, 0u64..20), 0..60)) {
            let mut leases = Leases::default();
            for (what, of, by, time) in steps {
                match what {
                    0 => {
                        let had = leases.until.contains_key(&(task(of), node(by)));
                        let may = leases.len() < 5 && leases.of.get(&node(by)).is_none_or(|count| *count < 2);
                        prop_assert_eq!(leases.begin(task(of), node(by), Mono(time), most(5, 2)), had || may);
                    }
                    1 => leases.end(task(of), node(by)),
                    _ => leases.expire(Mono(time)),
                }
                let by_end: BTreeSet<_> = leases.until.iter().map(|((task, node), until)| (*until, *task, *node)).collect();
                prop_assert_eq!(&by_end, &leases.by_end);
                let mut of = BTreeMap::<NodeId, usize>::new();
                leases.until.keys().for_each(|(_, node)| *of.entry(*node).or_default() += 1);
                prop_assert_eq!(&of, &leases.of);
                prop_assert!(leases.len() <= 5 && of.values().all(|count| *count <= 2));
            }
        }
    }
}
