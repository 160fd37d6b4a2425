//! The checkers: outside of the machines, told everything that is sent, said and on disk, and never forgetting.

mod after;
pub mod agreed;
mod blame;
mod disks;
mod executions;
mod losses;
mod promises;
mod registers;
mod reigns;
#[cfg(test)]
mod sample;
mod task_map;
mod turns;
mod users;

pub use crate::check::{Rule, Violation};
pub use agreed::Agreed;
pub use blame::Blame;
pub use disks::{Disk, Disks, Record};
pub use executions::{Causes, Executions};
use promises::Past;
pub use promises::Promises;
pub use registers::{Key, Registers, Write};
pub use reigns::Reigns;
pub use task_map::{TaskMap, TaskSet};
pub use turns::{Begun, Turns};
pub use users::{User, Users};

use super::count::{Count, Counts};
use mesh_coordinator::{Answer, StatusView};
use mesh_proto::{
    id::{Digest, LogPosition, NodeId, StoreId, TaskId},
    task::{Ballot, Birth, Ending, FailureKind, Fault, How, Item, Outcome, Register, Spec, Status, Version},
};
use mesh_tasks::Fact;
use registers::is_placement;
use reigns::First;
use std::sync::Arc;

/// Where an execution begins.
#[derive(Clone, Copy, Debug)]
pub struct Executor {
    pub node: NodeId,
    /// Executions there, this one included.
    pub running: usize,
    pub slots: u32,
    /// It has what the task requires of its node.
    pub able: bool,
}

/// All checkers of a world.
#[derive(Default)]
pub struct Checks {
    pub registers: Registers,
    reigns: Reigns,
    pub disks: Disks,
    pub promises: Promises,
    pub executions: Executions,
    pub users: Users,
    pub agreed: Agreed,
    /// Known limits of the protocol are violations as well.
    strict: bool,
    /// Ended records are forgotten while the world lasts.
    pub forgetful: bool,
    /// The first that was found.
    found: Option<Violation>,
}

impl Checks {
    pub fn new(strict: bool, forgetful: bool, fabricators: usize) -> Self {
        let executions = Executions::new(fabricators);
        Self { strict, forgetful, executions, ..Self::default() }
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

    /// As [`Self::note`], for what concerns one task. Births of two home lists need not meet in a holder: what two drivers
    /// of one task can do to each other is excused of these, and nothing else; and of a replica that all had forgotten when it
    /// was asked for again: that is another one under its id.
    fn note_of(&mut self, task: &TaskId, result: Result<(), Violation>, counts: &mut Counts) {
        let is_excused = result.as_ref().is_err_and(|violation| violation.rule.is_between_drivers());
        if is_excused && !self.strict && self.registers.has_two_homes(task) {
            counts.add(Count::TwoHomes);
        } else if !(is_excused && self.forgetful && self.registers.is_replica_reborn(task)) {
            self.note(result);
        }
    }

    /// A fact is on the disk of `store`.
    pub fn persisted(&mut self, store: StoreId, fact: &Fact, counts: &mut Counts) {
        counts.fact(fact);
        match fact {
            Fact::Held { birth, ballot, version, register } => {
                self.born(birth);
                let result = self.written(store, birth.task, (*ballot, *version), register, Some(birth), counts);
                self.note_of(&birth.task, result, counts);
            }
            Fact::Written { task, ballot, version, register } => {
                let birth = self.disks.record(store, task).and_then(|record| record.birth.clone());
                let result = self.written(store, *task, (*ballot, *version), register, birth.as_ref(), counts);
                self.note_of(task, result, counts);
            }
            Fact::Dropped { tasks } => {
                for task in tasks {
                    let result = self.may_drop(store, task);
                    self.note_of(task, result, counts);
                    self.promises.dropped(store, task);
                }
            }
            Fact::Outlived { task, .. } => {
                let result = self.may_drop(store, task);
                self.note_of(task, result, counts);
                self.promises.dropped(store, task);
            }
            Fact::Promised { task, ballot, .. } => self.reigns.promised(store, *task, *ballot),
            Fact::Settled { task, attempt } => {
                let result = self.may_settle(store, *task, *attempt);
                self.note_of(task, result, counts);
            }
            Fact::Floor { .. } | Fact::Kept { .. } => {}
        }
        self.disks.apply(store, fact);
    }

    /// A replica is submitted, and cancelled, by whoever asks for it.
    fn born(&mut self, birth: &Birth) {
        let spec = if Spec::may_be_a_replica(&birth.spec) { Spec::decode(&birth.spec).ok() } else { None };
        if let Some((of, node)) = spec.and_then(|spec| spec.replica_of()) {
            self.executions.is_replica(birth.task, of, node);
            self.users.wants(birth.task, Causes { has_deadline: true, ..Causes::default() });
            self.users.wants_end(birth.task);
        }
    }

    fn written(
        &mut self,
        store: StoreId,
        task: TaskId,
        key: Key,
        register: &Arc<Register>,
        birth: Option<&Arc<Birth>>,
        counts: &mut Counts,
    ) -> Result<(), Violation> {
        let was_chosen = self.registers.chosen(&task).is_some();
        // Remembered whatever is found: it may be excused, and the next is judged by it.
        let judged = [
            self.promises.written(store, task, key),
            self.keeps_success(store, task, register),
            self.goes_up(store, task, key),
            self.begins(store, task, key, register),
        ];
        let on_disk = self.registers.on_disk(task, key, register, store);
        let seen = birth.map_or(Ok(()), |birth| self.registers.seen_with(task, key, birth));
        if let Some(birth) = birth {
            self.count_waiting(key, register, birth, counts);
            self.users.held(task);
        }
        judged.into_iter().collect::<Result<(), _>>()?;
        let is_news = on_disk?;
        seen?;
        if is_news {
            reigns::grows(task, &self.registers.decisions(&task))?;
        }
        let Some(chosen) = self.registers.chosen(&task).filter(|_| !was_chosen).cloned() else { return Ok(()) };
        let Some(ending) = chosen.ending() else { return Ok(()) };
        count_ending(ending, &chosen, counts);
        match birth.filter(|_| after::is_for_want_of_others(ending)) {
            Some(birth) => self.wants_others(birth, counts),
            None => self.executions.ended(task, &chosen, self.users.causes(&task)),
        }
    }

    /// A success that its executor has in its own record alone is not written over, unless it is kept as a result.
    fn keeps_success(&self, store: StoreId, task: TaskId, next: &Register) -> Result<(), Violation> {
        let Some(disk) = self.disks.get(store).filter(|_| next.ending().is_none()) else { return Ok(()) };
        let held = self.disks.record(store, &task).and_then(|record| record.held.as_ref());
        let Some(ending) = held.and_then(|(_, _, register)| register.ending()) else { return Ok(()) };
        let Some((attempt, _)) = ending.by.filter(|(_, node)| *node == disk.node) else { return Ok(()) };
        let is_needed = ending.outcome.as_ref().is_some_and(Outcome::is_success) && self.users.is_acknowledged(&task);
        match is_needed && disk.kept(task, attempt).is_none() {
            true => Err(Violation::new(
                Rule::Keeps,
                format!("{task}: store {store} writes over the success of attempt {attempt}, and nobody else has it"),
            )),
            false => Ok(()),
        }
    }

    /// The first write of a ballot must be allowed to be.
    fn begins(&self, store: StoreId, task: TaskId, key: Key, register: &Register) -> Result<(), Violation> {
        let history = self.registers.history(&task);
        if key.0.term == 0 || history.iter().any(|write| write.key.0 == key.0) {
            return Ok(());
        }
        let Some(node) = self.disks.get(store).map(|disk| disk.node) else { return Ok(()) };
        let first = First { task, key, register, node, store };
        self.reigns.begins(&first, history, &self.registers.decisions(&task))
    }

    /// A record may go when it has ended and is out of retention, or when its gateway gave it up before anything came of it.
    fn may_drop(&self, store: StoreId, task: &TaskId) -> Result<(), Violation> {
        let held = self.disks.record(store, task).and_then(|record| record.held.as_ref());
        let Some((ballot, version, _)) = held else { return Ok(()) };
        let is_forgotten = self.forgetful && self.registers.chosen(task).is_some();
        match is_forgotten || is_placement((*ballot, *version)) {
            true => Ok(()),
            false => Err(Violation::new(Rule::Keeps, format!("{task}: store {store} drops {ballot} {version:?}"))),
        }
    }

    /// A success is kept until its task has ended, if anybody was told that there is such a task.
    fn may_settle(&self, store: StoreId, task: TaskId, attempt: u32) -> Result<(), Violation> {
        let kept = self.disks.get(store).and_then(|disk| disk.kept(task, attempt));
        // What was counted is counted again.
        let is_needed = kept.is_some_and(|kept| kept.is_success() && kept.count.is_none())
            && self.users.is_acknowledged(&task)
            && self.registers.chosen(&task).is_none();
        match is_needed {
            true => Err(Violation::new(
                Rule::Keeps,
                format!("{task}: store {store} lets go of the success of attempt {attempt}, and it has not ended"),
            )),
            false => Ok(()),
        }
    }

    /// An execution begins.
    pub fn starts(&mut self, birth: &Birth, attempt: u32, at: &Executor, counts: &mut Counts) {
        let (task, node) = (birth.task, at.node);
        let started = self.executions.started(task, attempt, node, at.running, at.slots);
        self.note(started);
        if !at.able {
            let what = format!("{task}: {node} begins attempt {attempt} and does not have what it requires");
            self.note(Err(Violation::new(Rule::Able, what)));
        }
        self.starts_after(birth, counts);
        let what = match () {
            () if !self.registers.is_granted(&task, attempt, node) => "before it is in force",
            () if !self.users.may_run(birth) => "of another task than was acknowledged under its key",
            () => return,
        };
        let violation = Violation::new(Rule::InForce, format!("{task}: {node} begins attempt {attempt} {what}"));
        self.note_of(&task, Err(violation), counts);
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
        // What two nodes trade rests on no record.
        let Some(task) = item.task() else { return };
        let result = self.check_sent(store, item, after, counts);
        self.note_of(&task, result, counts);
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
                let key = (*ballot, Version::BIRTH);
                self.registers.seen(birth.task, key, register)?;
                self.registers.seen_with(birth.task, key, birth)
            }
            Item::Born { task, ballot } => self.registers.said_to_be_born(*task, *ballot),
            Item::Write { task, ballot, version, register, birth } => {
                let history = self.registers.history(task);
                if ballot.term > 0 && !history.iter().any(|write| write.key.0 == *ballot) {
                    counts.add(Count::Takeover);
                }
                let key = (*ballot, *version);
                self.registers.seen(*task, key, register)?;
                birth.iter().try_for_each(|birth| self.registers.seen_with(*task, key, birth))?;
                self.check_promise(store, item, after)
            }
            Item::Assign { task, attempt, .. } => {
                match self.registers.is_granted(task, attempt.number, attempt.executor) {
                    true => Ok(()),
                    false => {
                        let what = format!("{task}: attempt {} is granted before it is in force", attempt.number);
                        Err(Violation::new(Rule::InForce, what))
                    }
                }
            }
            Item::InForce { task, ballot, version, complete } => {
                let is_this = |write: &&Write| write.key == (*ballot, *version);
                let write = self.registers.history(task).iter().find(is_this);
                let is_true = write.is_some_and(|write| write.is_in_force() && (!complete || write.is_on_all()));
                // What holders have outlived they had.
                match is_true || self.forgetful && self.registers.chosen(task).is_some() {
                    true => Ok(()),
                    false => Err(Violation::new(
                        Rule::EndedIsChosen,
                        format!("{task}: {ballot} {version:?} is said to be in force, or on all, and it never was"),
                    )),
                }
            }
            Item::Ended { task, register, .. } => self.registers.said_to_have_ended(*task, register),
            Item::Promise { task, held, .. } => {
                if let Some(held) = held {
                    let key = (held.ballot, held.version);
                    self.registers.seen(*task, key, &held.register)?;
                    self.registers.seen_with(*task, key, &held.birth)?;
                }
                self.check_promise(store, item, after)
            }
            Item::Placed { .. }
            | Item::Wrote { .. }
            | Item::Pull { .. }
            | Item::Refused { .. }
            | Item::Prepare { .. } => self.check_promise(store, item, after),
            _ => Ok(()),
        }
    }

    fn check_promise(&mut self, store: StoreId, item: &Item, after: LogPosition) -> Result<(), Violation> {
        let Some(task) = item.task() else { return Ok(()) };
        let past =
            PastOf { store, history: self.registers.history(&task), promised: self.reigns.promised_by(store, &task) };
        self.promises.sent(store, item, after, self.disks.record(store, &task), &past)
    }

    /// A user is told something of a task that it submitted with content `digest`, or asked for.
    pub fn answered(&mut self, digest: Option<Digest>, answer: &Answer, counts: &mut Counts) {
        counts.answer(answer);
        let result = match answer {
            Answer::Placed { task, copies, degraded, existing, .. } => self
                .placed(task, *copies as usize, *degraded, *existing)
                .and_then(|()| self.users.acknowledged(*task, digest)),
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

    /// What is new is on the disks of all its holders, as many as was said; of what was there already its holders are
    /// named, and a majority of them has something of it.
    fn placed(&mut self, task: &TaskId, copies: usize, degraded: bool, existing: bool) -> Result<(), Violation> {
        let history = self.registers.history(task);
        let fits = |write: &&Write| write.register.holders.len() == copies;
        let is_bound = match existing {
            false => history.iter().filter(fits).any(|write| {
                let home = write.register.joint.as_ref().map_or(0, Vec::len);
                is_placement(write.key) && write.is_on_all() && degraded == (copies < COPIES.min(home))
            }),
            true => {
                history.iter().any(|write| write.is_in_force() || write.is_on_all())
                    && history.iter().filter(fits).any(|write| !write.on.is_empty())
            }
        };
        match is_bound {
            true => Ok(()),
            false => Err(Violation::new(
                Rule::AcknowledgedIsHeld,
                format!(
                    "{task}: said to be on {copies} disks, degraded {degraded}, existing {existing}, and it is not"
                ),
            )),
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
}

/// Of one task on one disk.
struct PastOf<'a> {
    store: StoreId,
    history: &'a [Write],
    promised: Vec<Ballot>,
}

impl Past for PastOf<'_> {
    fn was_written(&self, key: Key) -> bool {
        self.history.iter().any(|write| write.key == key && write.on.contains(&self.store))
    }

    fn was_reached(&self, key: Key) -> bool {
        let reaches = |write: &Write| write.key.0 == key.0 && write.key.1 >= key.1;
        self.history.iter().any(|write| reaches(write) && write.on.contains(&self.store))
    }

    fn was_promised(&self, ballot: Ballot) -> bool {
        // What it took under a ballot was a promise of it as well.
        let took = |write: &Write| write.key.0 == ballot && write.on.contains(&self.store);
        self.promised.contains(&ballot) || self.history.iter().any(took)
    }
}

/// Copies of a record that there should be.
const COPIES: usize = 3;

fn count_ending(ending: &Ending, register: &Register, counts: &mut Counts) {
    if let Some((outcome, count)) = ending.outcome.as_ref().and_then(|outcome| Some((outcome, outcome.count.as_ref()?)))
    {
        let is_undecided =
            matches!(&outcome.status, Status::Failed(failure) if failure.kind == FailureKind::NoMajority);
        counts.add(if is_undecided { Count::EndedUndecided } else { Count::EndedCounted });
        if count.said.iter().any(|one| one.result != outcome.result()) {
            counts.add(Count::EndedDissent);
        }
        // No two that err say the same.
        let lies: Vec<_> = count.said.iter().map(|one| one.result).filter(|said| *said != outcome.result()).collect();
        if !is_undecided && lies.iter().any(|lie| lies.iter().filter(|other| *other == lie).count() > 1) {
            counts.add(Count::LiarsOutvoted);
        }
        // Three are asked of most, and five at most.
        if count.asked == 4 || count.asked > 5 {
            counts.add(Count::EndedMore);
        }
    }
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
    fn an_execution_where_something_is_lacking_is_found() {
        let (mut checks, mut counts) = world(3);
        held(&mut checks, &mut counts, &[0, 1, 2]);
        let at = Executor { node: node(0), running: 1, slots: 1, able: true };
        checks.starts(&birth(1), 1, &at, &mut counts);
        assert_eq!(checks.found(), None);
        checks.starts(&birth(1), 1, &Executor { able: false, ..at }, &mut counts);
        assert_eq!(checks.found().unwrap().rule, Rule::Able);
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
        checks.persisted(StoreId(0), &write(0, 9), &mut counts);
        assert_eq!(checks.found(), None);
        checks.persisted(StoreId(0), &write(0, 8), &mut counts);
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
