//! Who may write: a ballot needs promises before its first write, which must go on with what was decided. And what is
//! decided grows, and is never decided again.
//!
//! The other checkers see it when two decisions contradict each other. This one sees it when they could have: that a
//! majority was one too small shows here at once, elsewhere only if the wrong two nodes are cut off in that moment.

use super::{
    Rule, Violation,
    registers::{Key, Write, is_placement, precedence},
    task_map::TaskMap,
};
use mesh_proto::{
    id::{NodeId, StoreId, TaskId},
    task::{Attempt, Ballot, Fault, Holder, Register, State},
};

/// Promises on disk, by task and ballot.
#[derive(Default)]
pub struct Reigns {
    promises: TaskMap<Vec<(Ballot, Vec<StoreId>)>>,
}

/// The first write of a ballot, about to be on its driver's disk.
pub struct First<'a> {
    pub task: TaskId,
    pub key: Key,
    pub register: &'a Register,
    /// On whose disk it is.
    pub node: NodeId,
    pub store: StoreId,
}

impl Reigns {
    /// `store` has promised `ballot`, durably.
    pub fn promised(&mut self, store: StoreId, task: TaskId, ballot: Ballot) {
        let ballots = self.promises.entry(task).or_default();
        match ballots.iter_mut().rfind(|(known, _)| *known == ballot) {
            Some((_, stores)) if stores.contains(&store) => {}
            Some((_, stores)) => stores.push(store),
            None => ballots.push((ballot, vec![store])),
        }
    }

    /// All ballots that `store` ever promised for a task.
    pub fn promised_by(&self, store: StoreId, task: &TaskId) -> Vec<Ballot> {
        let ballots = self.promises.get(task).into_iter().flatten();
        ballots.filter(|(_, stores)| stores.contains(&store)).map(|(ballot, _)| *ballot).collect()
    }

    /// Judges the first write of a ballot above 0 by all writes and by the decisions so far.
    pub fn begins(&self, first: &First<'_>, history: &[Write], decisions: &[&Write]) -> Result<(), Violation> {
        let (task, (ballot, version)) = (first.task, first.key);
        let fault = |what: String| {
            Err(Violation::new(Rule::Ballots, format!("{task}: {ballot} {version:?} is written first {what}")))
        };
        if (ballot.driver, ballot.nonce) != (first.node, first.store.0) {
            return fault(format!("by {} with store {}, whose ballot it is not", first.node, first.store));
        }
        // How it ended is decided. Where holders have outlived it, what they forgot counts as had.
        if decisions
            .iter()
            .any(|write| write.register.ending().is_some() && write.register.state == first.register.state)
        {
            return Ok(());
        }
        let promised: &[StoreId] = self
            .promises
            .get(&task)
            .and_then(|ballots| ballots.iter().rfind(|(known, _)| *known == ballot))
            .map_or(&[], |(_, stores)| stores.as_slice());
        let has_majority = |holders: &[Holder]| {
            let have = holders.iter().filter(|holder| promised.contains(&holder.store)).count();
            have > holders.len() / 2
        };
        let before = |key: Key| precedence(key) < precedence((ballot, version));
        let last = decisions.iter().rev().find(|write| before(write.key));
        // A change of holders that was aimed anew by whoever began it is bound by the old ones, as it was before.
        let binding = last.map(|last| match &last.register.joint {
            Some(old) if first.register.joint.as_ref() == Some(old) => old,
            _ => &last.register.holders,
        });
        if last.is_some_and(|last| !is_placement(last.key))
            && let Some(holders) = binding.filter(|holders| !has_majority(holders))
        {
            return fault(format!("without a majority of {holders:?}: promised by {promised:?}"));
        }
        let goes_on_with = |write: &&Write| {
            before(write.key)
                && last.is_none_or(|last| precedence(write.key) >= precedence(last.key) || are_one_task(last, write))
                && write.key.1.next() == version
                && write.register.state == first.register.state
                && write.register.failed == first.register.failed
        };
        // Of a birth that is settled its home list is in `joint`.
        let is_covered = |write: &Write| write.register.lists().all(|holders| has_majority(holders));
        let mut adoptable = history.iter().filter(goes_on_with).peekable();
        match (adoptable.peek().is_some(), adoptable.any(is_covered)) {
            (true, true) => Ok(()),
            (true, false) => fault(format!("without the majorities of what it goes on with: promised by {promised:?}")),
            (false, _) => fault(format!(
                "as {:?}, which goes on with nothing since {:?} was decided",
                first.register.state,
                last.map(|last| (last.key, &last.register.state))
            )),
        }
    }
}

/// Whether what was decided only ever grows: attempts come one after the other, each with one executor, and what has
/// failed stays so. `decisions` are all of one task, in order.
pub fn grows(task: TaskId, decisions: &[&Write]) -> Result<(), Violation> {
    for pair in decisions.windows(2) {
        let [earlier, later] = pair else { continue };
        if is_placement(later.key) || are_one_task(earlier, later) {
            continue;
        }
        let (then, now) = (failures(&earlier.register), failures(&later.register));
        // What counts against a node may turn out to be nobody's fault.
        let kept = then.iter().filter(|one| one.1 == Fault::Program || now.contains(one)).enumerate();
        let kept = kept.into_iter().all(|(at, one)| now.get(at) == Some(one));
        let fault = match (&earlier.register.state, &later.register.state) {
            _ if !kept => "forgets what has failed",
            (State::Assigned(_) | State::Ended(_), State::Waiting) => "goes back to waiting",
            (State::Assigned(then), State::Assigned(now)) if now.number < then.number => "goes back to an attempt",
            (State::Assigned(then), State::Assigned(now))
                if now.number == then.number && now.executor != then.executor =>
            {
                "grants one attempt twice"
            }
            _ => continue,
        };
        return Err(Violation::new(
            Rule::Ballots,
            format!(
                "{task}: {} {:?} {fault}: {:?} after {:?}",
                later.key.0, later.key.1, later.register, earlier.register
            ),
        ));
    }
    Ok(())
}

/// Whether these are two births of the same task, or one and what was made of the other. Of such, where nobody can say
/// which came about, some birth goes on: an attempt may then run for nothing, but it is what the user asked for. That
/// of two tasks under one key the other goes on must not be.
fn are_one_task(birth: &Write, other: &Write) -> bool {
    is_placement(birth.key)
        && match (&birth.birth, &other.birth) {
            (Some(one), Some(other)) => one != other && one.digest() == other.digest(),
            _ => false,
        }
}

/// What has failed by its own or its node's fault. Of what was given back only the last are told.
fn failures(register: &Register) -> Vec<(Attempt, Fault)> {
    let failed = register.failed.iter().filter(|failed| failed.fault != Fault::Nobody);
    failed.map(|failed| (failed.attempt, failed.fault)).collect()
}
