//! The second verdict: once nothing goes wrong any more, everything comes to rest in time.

use super::{
    check::{Rule, Violation, Write},
    count::Count,
    event::Event,
    needs::is_able,
    node::Node,
    world::World,
};
use mesh_proto::{
    id::{StoreId, TaskId},
    task::{How, Spec},
};
use std::collections::BTreeSet;

impl World {
    /// Looks whether all is as it must be. Whether there is nothing left to wait for.
    pub(super) fn inspect(&mut self) -> bool {
        let Some(healed) = self.healed else { return false };
        let since = self.at - healed;
        // Users go on asking for as long as the world waits for something else, and a node may have to do with what is as
        // good as new at the very moment that somebody looks (seed 500378).
        let busy = self.busy();
        self.busy_since = busy.as_ref().and(self.busy_since.or(Some(self.at)));
        let mut rests = since > LEAST && !self.patrons.is_waiting() && busy.is_none();
        let busy = busy.filter(|_| self.busy_since.is_some_and(|then| then + TAKES <= self.at));
        let late = [self.unended(), self.not_taken(), self.missing_copies(), self.unsettled(), busy, self.cut_off()];
        if let Some(waits) = self.patrons.waiting(self.at.saturating_sub(OUTCOMES)).filter(|_| since > OUTCOMES) {
            self.fail(Rule::Outcomes, format!("nothing came of {waits}"));
        }
        for (late, bound) in late.into_iter().zip(self.bounds()) {
            let Some(violation) = late else { continue };
            rests = false;
            if since > bound {
                self.checks.note(Err(violation));
            }
        }
        if let Some(violation) = self.is_behind() {
            rests = false;
            if since > OUTCOMES {
                self.checks.note(Err(violation));
            }
        }
        self.queue.push(self.at + 1_000_000, Event::Inspect);
        if rests {
            self.judge();
        }
        rests
    }

    /// A correct replica that has not executed what others had some time ago.
    fn is_behind(&mut self) -> Option<Violation> {
        self.ordered.push_back((self.at, self.checks.agreed.order.last()));
        while self.ordered.get(1).is_some_and(|(then, _)| then + CATCHES_UP <= self.at) {
            self.ordered.pop_front();
        }
        let (_, due) = self.ordered.front().copied().filter(|(then, _)| then + CATCHES_UP <= self.at)?;
        // Whom others do not listen to is not told what it asks for.
        let is_heard = |node: &usize| !self.lies(*node) && !self.crooks.contains_key(node);
        let correct = self.nodes.iter().filter(|node| node.counts() && is_heard(&node.index));
        correct.into_iter().find_map(|node| {
            let index = node.body.as_ref()?.brain.agreement()?.ledger()?.index();
            let what = format!("n{} is at batch {index}, and others were at {due} long ago", node.index);
            (index < due).then(|| Violation::new(Rule::Outcomes, what))
        })
    }

    /// All is said and done: the histories of the ledger are looked at as a whole.
    fn judge(&mut self) {
        self.look_at_accused();
        self.look_at_ballots();
        match self.checks.agreed.judge() {
            Ok(judged) => {
                self.counts.add_many(Count::HistoryChecked, judged.checked);
                self.counts.add_many(Count::HistoryOpen, judged.open);
                self.counts.add_many(Count::HistoryEnded, judged.ended);
            }
            Err(violation) => self.checks.note(Err(violation)),
        }
    }

    /// In the order of the things looked at, microseconds after the end of all faults.
    fn bounds(&self) -> [u64; 6] {
        let repair = self.options.tasks.repair_delay.as_micros() as u64;
        [ENDS, ENDS, repair + ENDS, ENDS, repair + ENDS, ENDS]
    }

    fn unended(&self) -> Option<Violation> {
        let unended =
            self.clients.acknowledged().find_map(|(task, waits)| match (self.checks.registers.chosen(&task), waits) {
                (None, _) => self.must_end(&task).then_some((task, "has not ended")),
                (Some(_), true) => Some((task, "has ended and its user was not told")),
                (Some(_), false) => None,
            });
        unended.map(|(task, what)| {
            let brains = self.nodes.iter().filter_map(|node| Some((node.index, node.body.as_ref()?.brain.tasks())));
            let polled: Vec<_> = brains.map(|(index, tasks)| (index, tasks.replicas_of(&task))).collect();
            let polled = polled.into_iter().filter(|(_, replicas)| !replicas.is_empty());
            let told: String = polled.map(|(index, replicas)| format!("; n{index} polls {replicas:?}")).collect();
            Violation::new(Rule::Ends, format!("{task} {what}{told}"))
        })
    }

    /// For what nobody has it waits on, and so does all that is to start after it. What will never start ends, where so many
    /// are there that they can say that there is no such task; a birth that nobody was told of may be there for ever.
    fn must_end(&self, task: &TaskId) -> bool {
        let members = self.nodes.iter().filter(|node| node.counts());
        let away = members.clone().filter(|node| !node.is_running()).count();
        let is_certain = away <= members.count().min(self.options.tasks.copies) / 2;
        let mut after = Vec::new();
        for other in self.clients.after(task) {
            match self.checks.registers.chosen(other).and_then(|register| register.ending()) {
                Some(ending) if ending.how != How::Done => return true,
                Some(_) => {}
                None if self.checks.disks.holding(other).next().is_none() => return is_certain,
                None => after.push(other),
            }
        }
        let ends = |other: &TaskId| self.checks.users.is_acknowledged(other) && self.must_end(other);
        self.is_anybody_able(task) && after.into_iter().all(ends)
    }

    fn is_anybody_able(&self, task: &TaskId) -> bool {
        let (requirements, redundancy) = self.clients.requirements(task).unzip();
        // Who claims more cores than it has is not asked for few.
        let able = |node: &&Node| requirements.is_none_or(|asked| is_able(&node.id, &node.word().capabilities, asked));
        let there = self.nodes.iter().filter(|node| node.counts() && node.is_running()).filter(able).count();
        there >= usize::from(redundancy.unwrap_or(1))
    }

    fn not_taken(&self) -> Option<Violation> {
        if self.options.plan.is_some() {
            // Of a large world all is to come to its end, whenever it was submitted.
            let task = self.clients.waited_for().find(|task| !self.is_barred(task))?;
            return Some(Violation::new(Rule::Ends, format!("{task} was submitted, and nobody was told how it ended")));
        }
        let before = self.at.saturating_sub(TAKES);
        let task = self.clients.not_taken(before).next()?;
        Some(Violation::new(Rule::Takes, format!("{task} is refused {} s after it was submitted", TAKES / 1_000_000)))
    }

    /// An acknowledged record with fewer copies of its end than there should be.
    fn missing_copies(&self) -> Option<Violation> {
        let live: BTreeSet<StoreId> =
            self.nodes.iter().filter(|node| node.counts() && node.is_running()).map(|node| node.store()).collect();
        let wanted = self.options.tasks.copies.min(self.members().len());
        let copies = |task: &TaskId| {
            let end = self.checks.registers.chosen(task).and_then(|register| register.ending());
            let holding = self
                .checks
                .disks
                .holding(task)
                .filter(|(store, register)| live.contains(store) && (end.is_none() || register.ending() == end));
            holding.count()
        };
        let retained = |task: &TaskId| {
            let is_dropped = self.options.forgetful && self.checks.registers.chosen(task).is_some();
            // Where nodes die by plan, they may take what has ended with them.
            !is_dropped
                && !self.may_have_two_drivers(task)
                && (self.options.plan.is_none() || self.checks.has_majority(task))
        };
        let (task, have) = self
            .clients
            .acknowledged()
            .filter(|(task, _)| retained(task))
            .map(|(task, _)| (task, copies(&task)))
            .find(|(_, have)| *have < wanted)?;
        Some(Violation::new(Rule::Copies, format!("{task} is on {have} live disks of {wanted}")))
    }

    /// Births of two home lists need not meet in a holder: that one of them ended is then unknown to the other.
    pub(super) fn may_have_two_drivers(&self, task: &TaskId) -> bool {
        !self.options.strict && self.checks.registers.has_two_homes(task)
    }

    /// A result that an executor still keeps.
    fn unsettled(&self) -> Option<Violation> {
        self.nodes.iter().filter(|node| node.counts()).find_map(|node| {
            let (task, attempt) = self.checks.disks.get(node.store())?.outbox().next()?;
            let what = format!("n{} still keeps its result of attempt {attempt} of {task}", node.index);
            Some(Violation::new(Rule::Outbox, what))
        })
    }
}

impl World {
    /// A node that takes nothing new though nothing is cut any more.
    fn cut_off(&self) -> Option<Violation> {
        self.nodes.iter().filter(|node| node.counts()).find_map(|node| {
            let cut = node.body.as_ref()?.brain.partition();
            let what = || format!("n{} is still cut off: {cut:?}", node.index);
            (cut.partitioned || cut.read_only.is_some()).then(|| Violation::new(Rule::Heals, what()))
        })
    }

    /// A node that still has something to do with a task. Whoever drives what has ended, for a holder that is gone, does
    /// nothing for it; a birth that nobody was told of, and of whose home list a majority is gone, nobody can settle.
    fn busy(&self) -> Option<Violation> {
        self.nodes.iter().filter(|node| node.counts()).find_map(|node| {
            let tasks = node.body.as_ref()?.brain.tasks();
            let totals = tasks.totals();
            if totals.placing + totals.queued > 0 || totals.running + totals.reserved > 0 {
                return Some(Violation::new(Rule::Rests, format!("n{} still has {totals:?}", node.index)));
            }
            let has_ended = |task: &&TaskId| self.checks.registers.chosen(task).is_some();
            if let Some(task) = tasks.polls().find(has_ended) {
                let what = format!("n{} asks for replicas of {task}, which has ended", node.index);
                return Some(Violation::new(Rule::Rests, what));
            }
            let replica_of =
                |task: &TaskId| Spec::decode(&tasks.shelf().live_copy(task)?.birth.spec).ok()?.replica_of();
            let is_born = |task: &TaskId| self.checks.registers.history(task).iter().any(Write::is_in_force);
            let forsaken = |task: &&TaskId| is_born(task) && replica_of(task).is_some_and(|(of, _)| has_ended(&&of));
            if let Some(task) = tasks.shelf().live().iter().find(forsaken) {
                let what = format!("n{} has {task}, a replica of what has ended", node.index);
                return Some(Violation::new(Rule::Rests, what));
            }
            let stale = tasks.shelf().live().iter().find(has_ended)?;
            let copy = tasks.shelf().live_copy(stale)?;
            let (ballot, version) = copy.stamp();
            let what = format!("n{} has {stale} as of {ballot} {version:?}, and it has ended", node.index);
            Some(Violation::new(Rule::Rests, what))
        })
    }
}

/// Microseconds after the faults in which everything has ended, everybody knows, and outboxes are empty.
const ENDS: u64 = 60_000_000;
/// Microseconds after the faults, and after he asked, in which a user of the ledger knows what came of it: members lie on,
/// and the committee may have to leave some views.
const OUTCOMES: u64 = 90_000_000;
/// Microseconds in which a replica of a healed mesh has what others have.
const CATCHES_UP: u64 = 5_000_000;
/// Microseconds in which a healed mesh takes a task.
const TAKES: u64 = 15_000_000;
/// A world goes on for so long after its faults, so that new tasks are seen to be taken.
const LEAST: u64 = 12_000_000;
