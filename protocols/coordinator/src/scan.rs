//! Lists, for which every record held here is looked at: so many in each turn, however many there are. A turn in which a
//! million were looked at would take seconds, and look to others like a death.

use crate::{Coordinator, ListFilter, QueryReply, TaskSummary, lists::REPLY_MAX};
use mesh_proto::{
    id::{NodeId, TaskId},
    time::Now,
};
use std::{collections::VecDeque, ops::Bound};

/// Records looked at in one turn, about 2 µs each.
const ROUND: usize = 500;
/// Lists under way, at most: what is asked above it is not answered, as by a node that is too busy to, and this node is
/// named as one that did not.
const SCANS: usize = 256;

/// Lists under way, which take turns.
#[derive(Debug, Default)]
pub struct Scans(VecDeque<Scan>);

#[derive(Debug)]
struct Scan {
    asker: Asker,
    wanted: Wanted,
    found: Vec<TaskSummary>,
}

/// What is looked for.
#[derive(Debug)]
pub enum Wanted {
    /// Its `after` is where it goes on.
    Matching(ListFilter),
    /// Those that are left of these.
    These(VecDeque<TaskId>),
}

/// Whose question it is: the number is the question's.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    Peer(NodeId, u64),
    /// One of this node's own.
    Own(u64),
}

impl Scans {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Coordinator {
    /// Begins a list, and ends it at once where there is little to look at.
    pub(crate) fn begin_scan(&mut self, now: Now, asker: Asker, wanted: Wanted) {
        if self.scans.0.len() >= SCANS {
            if let Asker::Own(query) = asker {
                self.queries.pass(query, self.node());
            }
            return;
        }
        self.scans.0.push_back(Scan { asker, wanted, found: Vec::new() });
        // Where others go on, it waits for its turn: a turn of the brain begins as many as come.
        if self.scans.0.len() == 1 {
            self.scan(now);
        }
    }

    /// One turn's part of the lists.
    pub(crate) fn scan(&mut self, now: Now) {
        let mut left = ROUND;
        while left > 0
            && let Some(mut scan) = self.scans.0.pop_front()
        {
            if matches!(scan.asker, Asker::Own(query) if !self.queries.is_open(query)) {
                continue;
            }
            let looked = self.look(&mut scan, left);
            left -= looked;
            match left {
                0 => self.scans.0.push_back(scan),
                _ => self.end_scan(now, scan),
            }
        }
    }

    /// At how many it looked: fewer than it might have when it is through.
    fn look(&self, scan: &mut Scan, most: usize) -> usize {
        let mut looked = 0;
        match &mut scan.wanted {
            Wanted::Matching(filter) => {
                let limit = filter.limit.min(REPLY_MAX) as usize;
                let start = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
                for (task, copy) in self.tasks.shelf().copies(start).take(most) {
                    if scan.found.len() >= limit {
                        break;
                    }
                    looked += 1;
                    filter.after = Some(*task);
                    scan.found.extend(self.summary_if(filter, task, &copy));
                }
            }
            Wanted::These(tasks) => {
                while looked < most
                    && let Some(task) = tasks.pop_front()
                {
                    looked += 1;
                    scan.found.extend(self.row_of(&task));
                }
            }
        }
        looked
    }

    fn end_scan(&mut self, now: Now, scan: Scan) {
        let reply = QueryReply::List(scan.found);
        match scan.asker {
            Asker::Peer(node, query) => self.reply(node, query, reply),
            Asker::Own(query) => self.on_reply(now, self.node(), query, reply),
        }
    }
}
