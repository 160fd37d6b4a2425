//! The checkers: outside of the machines, told everything that is sent, said and on disk, and never forgetting.

mod disks;
mod executions;
mod promises;
mod registers;
#[cfg(test)]
mod sample;
mod task_map;
mod users;
mod violation;

pub use disks::{Disk, Disks, Record};
pub use executions::{Causes, Executions};
pub use promises::Promises;
pub use registers::{Key, Registers, Write};
pub use task_map::{TaskMap, TaskSet};
pub use users::{User, Users};
pub use violation::{Rule, Violation};

use super::count::{Count, Counts};
use mesh_coordinator::{Answer, StatusView};
use mesh_proto::{
    id::{Digest, LogPosition, NodeId, StoreId, TaskId},
    task::{Ending, Fault, Holder, How, Item, Outcome, Register, Version},
};
use mesh_tasks::Fact;
use std::{collections::BTreeSet, sync::Arc};

/// All checkers of a world.
#[derive(Default)]
pub struct Checks {
    pub registers: Registers,
    pub disks: Disks,
    pub promises: Promises,
    pub executions: Executions,
    pub users: Users,
    /// Known limits of the protocol are violations as well.
    strict: bool,
    /// The first that was found.
    found: Option<Violation>,
}

impl Checks {
    pub fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    pub fn found(&self) -> Option<&Violation> {
        self.found.as_ref()
    }

    pub fn note(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result
            && self.found.is_none()
        {
            self.found = Some(violation);
        }
    }

    /// As [`Self::note`], for what concerns one task.
    fn note_of(&mut self, task: &TaskId, result: Result<(), Violation>, counts: &mut Counts) {
        if result.is_err() && !self.strict && self.registers.has_two_homes(task) {
            counts.add(Count::TwoHomes);
        } else {
            self.note(result);
        }
    }

    /// A fact is on the disk of `store`.
    pub fn persisted(&mut self, store: StoreId, fact: &Fact, counts: &mut Counts) {
        counts.fact(fact);
        match fact {
            Fact::Held { birth, ballot, version, register } => {
                let result = self.written(store, birth.task, (*ballot, *version), register, counts);
                self.note_of(&birth.task, result, counts);
            }
            Fact::Written { task, ballot, version, register } => {
                let result = self.written(store, *task, (*ballot, *version), register, counts);
                self.note_of(task, result, counts);
            }
            Fact::Dropped { tasks } => {
                for task in tasks {
                    self.promises.dropped(store, task);
                }
            }
            Fact::Promised { .. } | Fact::Floor { .. } | Fact::Kept { .. } | Fact::Settled { .. } => {}
        }
        self.disks.apply(store, fact);
    }

    fn written(
        &mut self,
        store: StoreId,
        task: TaskId,
        key: Key,
        register: &Arc<Register>,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let was_chosen = self.registers.chosen(&task).is_some();
        self.promises.written(store, task, key)?;
        self.goes_up(store, task, key)?;
        self.registers.on_disk(task, key, register, store)?;
        match self.registers.chosen(&task) {
            Some(chosen) if !was_chosen => {
                if let Some(ending) = chosen.ending() {
                    count_ending(ending, chosen, counts);
                }
                self.executions.ended(task, chosen, self.users.causes(&task))
            }
            _ => Ok(()),
        }
    }

    /// What a disk has of a task only rises; but a gateway may replace a birth of its own that was not complete.
    fn goes_up(&self, store: StoreId, task: TaskId, key: Key) -> Result<(), Violation> {
        let held = self.disks.record(store, &task).and_then(|record| record.held.as_ref());
        let is_birth = |(ballot, version): Key| ballot.term == 0 && version == Version::BIRTH;
        match held.map(|(ballot, version, _)| (*ballot, *version)) {
            Some(held) if key < held && !is_birth(held) => Err(Violation::new(
                Rule::PromisesKept,
                format!("{task}: store {store} goes back from {} {:?} to {} {:?}", held.0, held.1, key.0, key.1),
            )),
            _ => Ok(()),
        }
    }

    /// `store` sends `item`, which rests on its record `after`.
    pub fn sent(&mut self, store: StoreId, item: &Item, after: LogPosition, counts: &mut Counts) {
        counts.item(item);
        let result = self.check_sent(store, item, after, counts);
        self.note_of(&item.task(), result, counts);
    }

    fn check_sent(
        &mut self,
        store: StoreId,
        item: &Item,
        after: LogPosition,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        match item {
            Item::Place { birth, ballot, register, .. } => {
                self.registers.seen(birth.task, (*ballot, Version::BIRTH), register)
            }
            Item::Write { task, ballot, version, register, .. } => {
                let history = self.registers.history(task).unwrap_or_default();
                if ballot.term > 0 && !history.iter().any(|write| write.key.0 == *ballot) {
                    counts.add(Count::Takeover);
                }
                self.registers.seen(*task, (*ballot, *version), register)
            }
            Item::Ended { task, register, .. } => self.registers.said_to_have_ended(*task, register),
            Item::Promise { task, held, .. } => {
                if let Some(held) = held {
                    self.registers.seen(*task, (held.ballot, held.version), &held.register)?;
                }
                self.check_promise(store, item, after)
            }
            Item::Placed { .. } | Item::Wrote { .. } | Item::Pull { .. } | Item::Refused { .. } => {
                self.check_promise(store, item, after)
            }
            _ => Ok(()),
        }
    }

    fn check_promise(&mut self, store: StoreId, item: &Item, after: LogPosition) -> Result<(), Violation> {
        let task = item.task();
        let was_written = |key: Key| {
            let history = self.registers.history(&task).unwrap_or_default();
            history.iter().any(|write| write.key == key && write.on.contains(&store))
        };
        self.promises.sent(store, item, after, self.disks.record(store, &task), was_written)
    }

    /// A user is told something of a task that it submitted with content `digest`, or asked for.
    pub fn answered(&mut self, digest: Option<Digest>, answer: &Answer, counts: &mut Counts) {
        counts.answer(answer);
        let result = match answer {
            Answer::Placed { task, copies, existing, .. } => {
                let on: BTreeSet<StoreId> = self
                    .registers
                    .history(task)
                    .unwrap_or_default()
                    .iter()
                    .flat_map(|write| write.on.iter().copied())
                    .collect();
                // Of what was there already its holders are named, of which a majority must have it; of what is new, all.
                let least = if *existing { *copies as usize / 2 + 1 } else { *copies as usize };
                match on.len() < least {
                    true => Err(Violation::new(
                        Rule::AcknowledgedIsHeld,
                        format!("{task}: said to be on {copies} disks, it was on {}", on.len()),
                    )),
                    false => self.users.acknowledged(*task, digest),
                }
            }
            Answer::Ended { task, register } => {
                self.registers.said_to_have_ended(*task, register).and_then(|()| self.users.told_end(*task, register))
            }
            Answer::Status(status) => self.status(status),
            _ => Ok(()),
        };
        match answer {
            Answer::Placed { task, .. } | Answer::Ended { task, .. } => self.note_of(task, result, counts),
            _ => self.note(result),
        }
    }

    fn status(&self, status: &StatusView) -> Result<(), Violation> {
        match status.running > u64::from(status.slots) {
            true => Err(Violation::new(
                Rule::Bounded,
                format!("{} says it runs {} on {} slots", status.node, status.running, status.slots),
            )),
            false => Ok(()),
        }
    }

    pub fn finished(&mut self, task: TaskId, attempt: u32, node: NodeId, outcome: Arc<Outcome>) {
        self.executions.finished(task, attempt, node, outcome);
    }

    /// Whether the disk of `store` can be lost and nobody loses what a majority of intact disks must tell: every
    /// record whose holders still have such a majority keeps it.
    pub fn may_lose(&self, store: StoreId) -> bool {
        let safe = |holders: &[Holder]| {
            let intact = holders.iter().filter(|holder| self.disks.is_intact(holder.store)).count();
            let named = holders.iter().any(|holder| holder.store == store && self.disks.is_intact(store));
            let majority = holders.len() / 2 + 1;
            intact < majority || intact - usize::from(named) >= majority
        };
        let is_safe = |write: &Write| safe(&write.register.holders) && write.register.joint.as_deref().is_none_or(safe);
        self.registers.all().all(|history| {
            let newest = history.iter().rev().find(|write| !write.on.is_empty());
            let in_force = history.iter().rev().find(|write| write.is_in_force());
            newest.is_none_or(is_safe) && in_force.is_none_or(is_safe)
        })
    }
}

fn count_ending(ending: &Ending, register: &Register, counts: &mut Counts) {
    counts.add(match ending.how {
        How::Done => Count::EndedDone,
        How::Failed
            if ending.outcome.is_none()
                || register.failed.iter().filter(|one| one.fault == Fault::Node).count() > 1 =>
        {
            Count::EndedPoison
        }
        How::Failed => Count::EndedFailed,
        How::Cancelled => Count::EndedCancelled,
        How::DeadlinePassed => Count::EndedDeadline,
    });
}

#[cfg(test)]
mod tests {
    use super::{
        sample::{ballot, birth, ended, node, register, task},
        *,
    };

    fn world(stores: u8) -> (Checks, Counts) {
        let mut checks = Checks::default();
        for n in 0..stores {
            checks.disks.born(StoreId(u64::from(n)), node(n));
        }
        (checks, Counts::default())
    }

    fn held(checks: &mut Checks, counts: &mut Counts, of: &[u8]) {
        let record = register(of, 1);
        for &n in of {
            let fact =
                Fact::Held { birth: birth(1), ballot: ballot(0, 0), version: Version::BIRTH, register: record.clone() };
            checks.persisted(StoreId(u64::from(n)), &fact, counts);
        }
    }

    fn placed(copies: u32) -> Answer {
        Answer::Placed { index: 0, task: task(1), copies, degraded: false, existing: false }
    }

    #[test]
    fn an_acknowledgement_of_more_copies_than_there_are_is_found() {
        let (mut checks, mut counts) = world(3);
        held(&mut checks, &mut counts, &[0, 1]);
        checks.answered(None, &placed(2), &mut counts);
        assert_eq!(checks.found(), None);
        checks.answered(None, &placed(3), &mut counts);
        assert_eq!(checks.found().unwrap().rule, Rule::AcknowledgedIsHeld);
    }

    #[test]
    fn a_disk_that_goes_back_is_found() {
        let (mut checks, mut counts) = world(3);
        let write = |term, version| Fact::Written {
            task: task(1),
            ballot: ballot(term, 0),
            version: Version(version),
            register: register(&[0, 1, 2], version),
        };
        checks.persisted(StoreId(0), &write(3, 9), &mut counts);
        assert_eq!(checks.found(), None);
        checks.persisted(StoreId(0), &write(2, 10), &mut counts);
        assert_eq!(checks.found().unwrap().rule, Rule::PromisesKept);
    }

    #[test]
    fn an_ending_that_a_minority_has_is_not_to_be_told() {
        let (mut checks, mut counts) = world(3);
        let end = ended(&[0, 1, 2], How::Cancelled, 0);
        let fact = Fact::Written { task: task(1), ballot: ballot(0, 0), version: Version(2), register: end.clone() };
        checks.users.wants_end(task(1));
        checks.persisted(StoreId(0), &fact, &mut counts);
        checks.answered(None, &Answer::Ended { task: task(1), register: end }, &mut counts);
        assert_eq!(checks.found().unwrap().rule, Rule::EndedIsChosen);
    }

    #[test]
    fn a_disk_that_a_majority_needs_must_not_be_lost() {
        let (mut checks, mut counts) = world(4);
        held(&mut checks, &mut counts, &[0, 1, 2]);
        assert!(checks.may_lose(StoreId(0)));
        checks.disks.lost(StoreId(0));
        assert!(!checks.may_lose(StoreId(1)) && !checks.may_lose(StoreId(2)));
        assert!(checks.may_lose(StoreId(3)));
    }
}
