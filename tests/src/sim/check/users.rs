//! What users wanted of tasks and were told about them.

use super::{Rule, Violation, executions::Causes, task_map::TaskMap};
use mesh_proto::{
    id::{Digest, TaskId},
    task::{Birth, Ending, Register},
};

/// All tasks that a user ever asked for.
#[derive(Default)]
pub struct Users {
    tasks: TaskMap<User>,
    /// Counts what is put in order.
    events: u64,
}

/// One task as its users see it.
#[derive(Default)]
pub struct User {
    pub acknowledged: bool,
    /// Of the content that was acknowledged.
    digest: Option<Digest>,
    told: Option<Ending>,
    causes: Causes,
    /// In which order it was first acknowledged, and was first on a disk.
    known_since: Option<u64>,
    held_since: Option<u64>,
}

impl Users {
    /// A task is going to be submitted.
    pub fn wants(&mut self, task: TaskId, wish: Causes) {
        let causes = &mut self.tasks.entry(task).or_default().causes;
        causes.has_deadline |= wish.has_deadline;
        causes.is_manifest |= wish.is_manifest;
        causes.has_rival |= wish.has_rival;
        causes.redundancy = causes.redundancy.max(wish.redundancy);
    }

    /// Somebody asked for it to be cancelled.
    pub fn wants_end(&mut self, task: TaskId) {
        self.tasks.entry(task).or_default().causes.cancel_wanted = true;
    }

    pub fn causes(&self, task: &TaskId) -> Causes {
        self.tasks.get(task).map(|user| user.causes).unwrap_or_default()
    }

    pub fn is_acknowledged(&self, task: &TaskId) -> bool {
        self.tasks.get(task).is_some_and(|user| user.acknowledged)
    }

    /// It is on a disk.
    pub fn held(&mut self, task: TaskId) {
        self.events += 1;
        self.tasks.entry(task).or_default().held_since.get_or_insert(self.events);
    }

    /// Whether anybody knew that there is such a task when the other was first on a disk.
    pub fn was_known_before(&self, task: &TaskId, other: &TaskId) -> bool {
        let known = self.tasks.get(task).and_then(|user| user.known_since);
        let held = self.tasks.get(other).and_then(|user| user.held_since);
        known.is_some_and(|known| held.is_none_or(|held| known < held))
    }

    /// Of two tasks that were submitted under one key, only the acknowledged one may run once it is that.
    pub fn may_run(&self, birth: &Birth) -> bool {
        let Some(user) = self.tasks.get(&birth.task).filter(|user| user.causes.has_rival) else { return true };
        user.digest.is_none_or(|digest| digest == birth.digest())
    }

    pub fn acknowledged(&mut self, task: TaskId, digest: Option<Digest>) -> Result<(), Violation> {
        self.events += 1;
        let user = self.tasks.entry(task).or_default();
        user.acknowledged = true;
        user.known_since.get_or_insert(self.events);
        match (user.digest, digest) {
            (Some(first), Some(second)) if first != second => Err(Violation::new(
                Rule::AcknowledgedIsHeld,
                format!("{task}: acknowledged with two contents, {first:?} and {second:?}"),
            )),
            (None, Some(_)) => {
                user.digest = digest;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub fn told_end(&mut self, task: TaskId, register: &Register) -> Result<(), Violation> {
        let user = self.tasks.entry(task).or_default();
        match (&user.told, register.ending()) {
            (Some(first), Some(second)) if first != second => Err(Violation::new(
                Rule::OneEnding,
                format!("{task}: users were told two ends, {:?} and {:?}", first.how, second.how),
            )),
            (None, Some(ending)) => {
                user.told = Some(ending.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::{ended, task};
    use mesh_proto::task::{How, spec_digest};

    #[test]
    fn two_contents_under_one_key_are_found() {
        let mut users = Users::default();
        let (a, b) = (Some(spec_digest(b"a")), Some(spec_digest(b"b")));
        users.acknowledged(task(1), a).unwrap();
        users.acknowledged(task(1), a).unwrap();
        users.acknowledged(task(2), b).unwrap();
        assert_eq!(users.acknowledged(task(1), b).unwrap_err().rule, Rule::AcknowledgedIsHeld);
    }

    #[test]
    fn two_ends_of_one_task_are_found() {
        let mut users = Users::default();
        users.told_end(task(1), &ended(&[0], How::Done, 1)).unwrap();
        users.told_end(task(1), &ended(&[1], How::Cancelled, 1)).unwrap_err();
        let again = users.told_end(task(1), &ended(&[0], How::Done, 2)).unwrap_err();
        assert_eq!(again.rule, Rule::OneEnding);
    }
}
