//! What is to start after others: not before all of these have ended well, and cancelled only where one has not.

use super::{Checks, Count, Counts, Rule, Violation};
use mesh_proto::{
    id::TaskId,
    task::{Birth, Ending, FailureKind, How, Outcome, Register, Spec, State, Status},
};

/// What a task is to start after.
pub fn after(birth: &Birth) -> Vec<TaskId> {
    let spec = Spec::decode(&birth.spec);
    spec.map(|spec| spec.after.iter().map(|dependency| dependency.task).collect()).unwrap_or_default()
}

/// Whether it was cancelled as it could not start.
pub fn is_for_want_of_others(ending: &Ending) -> bool {
    let status = ending.outcome.as_ref().map(|outcome: &Outcome| &outcome.status);
    matches!(status, Some(Status::Failed(failure)) if failure.kind == FailureKind::Dependency)
}

impl Checks {
    /// An execution begins.
    pub(super) fn starts_after(&mut self, birth: &Birth, counts: &mut Counts) {
        let after = after(birth);
        if after.is_empty() {
            return;
        }
        counts.add(Count::StartedAfter);
        for other in after {
            let how = self.how_ended(&other);
            if how == Some(How::Done) {
                continue;
            }
            let what = format!("{}: begins, and {other}, which it is to start after, has ended as {how:?}", birth.task);
            self.note_of_other(&other, Violation::new(Rule::After, what), counts);
        }
    }

    /// It ended without having started, for which one of the others must be the cause.
    pub(super) fn wants_others(&mut self, birth: &Birth, counts: &mut Counts) -> Result<(), Violation> {
        let mut innocent = None;
        for other in after(birth) {
            let cause = match self.registers.chosen(&other).and_then(|register| register.ending()) {
                Some(ending) if is_for_want_of_others(ending) => Some(Count::WantOfAChain),
                Some(Ending { how: How::Failed, .. }) => Some(Count::WantAsFailed),
                Some(Ending { how: How::Cancelled, .. }) => Some(Count::WantAsCancelled),
                Some(Ending { how: How::DeadlinePassed, .. }) => Some(Count::WantAsLate),
                // It may have come when it was not waited for any more.
                Some(Ending { how: How::Done, .. }) | None if !self.users.was_known_before(&other, &birth.task) => {
                    Some(Count::WantAsUnknown)
                }
                Some(Ending { how: How::Done, .. }) if self.forgetful => Some(Count::WantAsForgotten),
                Some(Ending { how: How::Done, .. }) | None => None,
            };
            if let Some(cause) = cause {
                counts.add(cause);
                return Ok(());
            }
            innocent = Some(other);
        }
        let what = format!("{}: cancelled for want of others, all of which ended well or go on", birth.task);
        match innocent {
            Some(other) => {
                self.note_of_other(&other, Violation::new(Rule::After, what), counts);
                Ok(())
            }
            None => Err(Violation::new(Rule::After, what)),
        }
    }

    /// A record that waits for others is on a disk.
    pub(super) fn count_waiting(&self, key: super::Key, register: &Register, birth: &Birth, counts: &mut Counts) {
        if register.state == State::Waiting && !after(birth).is_empty() {
            counts.add(if key.0.term == 0 { Count::HeldAfter } else { Count::TakeoverAfter });
        }
    }

    fn how_ended(&self, task: &TaskId) -> Option<How> {
        self.registers.chosen(task).and_then(|register| register.ending()).map(|ending| ending.how)
    }

    /// Of a task whose births did not meet nobody can say for certain how it ended.
    fn note_of_other(&mut self, other: &TaskId, violation: Violation, counts: &mut Counts) {
        match !self.strict && self.registers.has_two_homes(other) {
            true => counts.add(Count::TwoHomes),
            false => self.note(Err(violation)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Executor,
            sample::{ballot, birth, ended, node, spec, task},
        },
        *,
    };
    use crate::check::Rule;
    use mesh_proto::{
        codec,
        id::StoreId,
        task::{Dependency, TaskKey, Version},
    };
    use mesh_tasks::Fact;
    use std::sync::Arc;

    /// Task 2, to start after task 1.
    fn second() -> Birth {
        let after = vec![Dependency { task: task(1), takes: Vec::new() }];
        let spec = Spec { key: TaskKey::Own(vec![2]), after, ..spec() };
        Birth { spec: codec::encode(&spec).into(), ..Birth::clone(&birth(2)) }
    }

    /// A world in which task 1 has ended so, on a majority of its holders.
    fn first_ended(how: Option<How>) -> (Checks, Counts) {
        let mut checks = Checks::default();
        checks.users.acknowledged(task(1), None).unwrap();
        for store in 0..3 {
            checks.disks.born(StoreId(store), node(store as u8));
        }
        if let Some(how) = how {
            let (key, register) = ((ballot(0, 0), Version(2)), ended(&[0, 1, 2], how, 1));
            for store in [StoreId(0), StoreId(1)] {
                let (birth, register) = (birth(1), Arc::clone(&register));
                let fact = Fact::Held { birth, ballot: key.0, version: key.1, register };
                checks.disks.apply(store, &fact);
                checks.registers.on_disk(task(1), key, &ended(&[0, 1, 2], how, 1), store).unwrap();
            }
        }
        (checks, Counts::default())
    }

    #[test]
    fn what_begins_before_others_have_ended_well_is_found() {
        let at = Executor { node: node(0), running: 1, slots: 2, able: true };
        for how in [None, Some(How::Failed), Some(How::Cancelled)] {
            let (mut checks, mut counts) = first_ended(how);
            checks.starts_after(&second(), &mut counts);
            assert_eq!(checks.found().map(|found| found.rule), Some(Rule::After), "{how:?} {at:?}");
        }
        let (mut checks, mut counts) = first_ended(Some(How::Done));
        checks.starts_after(&second(), &mut counts);
        assert_eq!(checks.found(), None);
    }

    #[test]
    fn what_is_cancelled_for_want_of_others_that_ended_well_or_go_on_is_found() {
        for (how, is_found) in [(None, true), (Some(How::Done), true), (Some(How::Failed), false)] {
            let (mut checks, mut counts) = first_ended(how);
            checks.wants_others(&second(), &mut counts).unwrap();
            assert_eq!(checks.found().is_some(), is_found, "{how:?}");
        }
        let mut checks = Checks::default();
        checks.wants_others(&second(), &mut Counts::default()).unwrap();
        assert_eq!(checks.found(), None, "it never was");
    }
}
