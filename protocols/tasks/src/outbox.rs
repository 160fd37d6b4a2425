//! Results that wait here until their tasks are settled, and are offered until then.

use crate::{Fact, effect::Context, quorum, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ending, Item, Outcome, Register},
};
use std::{collections::BTreeSet, sync::Arc};

impl Tasks {
    /// An end that this node wrote as driver, of its own execution, is about to be written over by one that does not know it.
    /// Who drives a task has its results in the record alone: this one is kept as any other executor's from here on.
    pub(crate) fn keep_own_result(&mut self, cx: &mut Context<'_>, task: &TaskId, next: &Register) {
        let Some(copy) = self.shelf.copy(task).filter(|copy| !copy.settled && next.ending().is_none()) else { return };
        let Some(Ending { by: Some((attempt, by)), outcome: Some(outcome), .. }) = copy.register.ending() else {
            return;
        };
        if *by != self.me.node || !outcome.is_success() {
            return;
        }
        let (attempt, outcome) = (*attempt, Arc::new(outcome.clone()));
        let holders = next.holders.iter().map(|holder| holder.node).collect();
        self.counters.outbox_kept += 1;
        self.persist(cx, Fact::Kept { task: *task, attempt, outcome, holders });
        self.timers.set(*task, Kind::Report, cx.now.mono + self.config.report_again);
    }

    /// A result of the task waits here to be settled.
    pub(crate) fn keeps_result(&self, task: &TaskId) -> bool {
        self.shelf.outbox().range((*task, 0)..=(*task, u32::MAX)).next().is_some()
    }

    pub(crate) fn kept(&self, task: TaskId) -> Vec<(u32, Arc<Outcome>)> {
        let of_task = self.shelf.outbox().range((task, 0)..=(task, u32::MAX));
        of_task.map(|((_, attempt), kept)| (*attempt, Arc::clone(&kept.outcome))).collect()
    }

    /// Nobody has settled a result: all that hold or should hold the task are asked.
    pub(crate) fn report_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        self.drop_unknown(cx, task);
        let home = self.roster.home(&task, self.config.home);
        let kept: Vec<(u32, Arc<Outcome>, BTreeSet<NodeId>)> = self
            .shelf
            .outbox()
            .range((task, 0)..=(task, u32::MAX))
            .map(|((_, attempt), kept)| {
                let asked = kept.holders.iter().copied().chain(home.iter().map(|holder| holder.node)).collect();
                (*attempt, Arc::clone(&kept.outcome), asked)
            })
            .collect();
        if kept.is_empty() {
            return;
        }
        self.executor.unknown.remove(&task);
        let all = kept.iter().flat_map(|(_, _, asked)| asked).copied().collect();
        self.executor.offered.insert(task, all);
        // Who drives it, or is about to, need not tell the others, who would take it for one that does not; but itself, though it
        // be none of those that should hold it (simulator, seed 205).
        let drives = self.drivers.contains_key(&task);
        for (attempt, outcome, asked) in kept {
            let asked = if drives { BTreeSet::from([self.me.node]) } else { asked };
            for node in asked {
                self.send(node, Item::Report { task, attempt, outcome: Arc::clone(&outcome) });
            }
        }
        self.timers.set(task, Kind::Report, cx.now.mono + self.config.report_again * 4);
    }

    /// A member is back that may drive what is in the outbox.
    pub(crate) fn report_to(&mut self, task: TaskId, node: NodeId) {
        let kept = self.shelf.outbox().range((task, 0)..=(task, u32::MAX));
        let reports: Vec<Item> = kept
            .filter(|(_, kept)| kept.holders.contains(&node))
            .map(|((_, attempt), kept)| Item::Report { task, attempt: *attempt, outcome: Arc::clone(&kept.outcome) })
            .collect();
        for item in reports {
            self.send(node, item);
        }
    }

    /// One of those that should hold the task knows nothing of it.
    pub(crate) fn report_unknown(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId) {
        if self.shelf.outbox().range((task, 0)..=(task, u32::MAX)).next().is_some() {
            self.executor.unknown.entry(task).or_default().insert(from);
            self.drop_unknown(cx, task);
        }
    }

    /// When of its holders as last known, and of those that should hold it today, so many know nothing of a task or are out
    /// of the mesh that the others could decide nothing about it, it is out of retention, and the result of no use. Should it live on elsewhere yet, it is run
    /// again: one that is away for good must not keep an executor's outbox full. Not while this node holds the record itself,
    /// whatever it had to say before it did.
    fn drop_unknown(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some((_, kept)) = self.shelf.outbox().range((task, 0)..=(task, u32::MAX)).next() else { return };
        if self.shelf.copy(&task).is_some() {
            return;
        }
        let unknown = self.executor.unknown.get(&task);
        let knows_nothing = |node: &NodeId| {
            unknown.is_some_and(|unknown| unknown.contains(node))
                || self.roster.seat(node).is_none_or(|seat| !seat.keeps)
        };
        let home: Vec<NodeId> =
            self.roster.home(&task, self.config.home).into_iter().map(|holder| holder.node).collect();
        let is_unknown = [&kept.holders, &home].into_iter().all(|nodes| {
            let needed = quorum::nothing_left(nodes.len(), self.config.copies);
            nodes.iter().filter(|node| knows_nothing(node)).count() >= needed
        });
        if is_unknown {
            for (attempt, _) in self.kept(task) {
                self.on_settled(cx, task, attempt);
            }
        }
    }
}
