//! Every execution that ever began, and what came of it.

use super::{super::fabricator::truth, Rule, Violation, task_map::TaskMap};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{FailureKind, How, Outcome, Register, Sealed, Status},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Executions by task.
#[derive(Default)]
pub struct Executions {
    tasks: TaskMap<Vec<Execution>>,
    /// Of what several run: the replicas of each, which may be asked again under another id.
    replicas: BTreeMap<(TaskId, NodeId), BTreeSet<TaskId>>,
    /// Members that lie about what they ran.
    fabricators: usize,
}

struct Execution {
    attempt: u32,
    node: NodeId,
    outcome: Option<Arc<Outcome>>,
}

/// Why a task may end without a result.
#[derive(Clone, Copy, Debug, Default)]
pub struct Causes {
    pub cancel_wanted: bool,
    pub has_deadline: bool,
    pub is_manifest: bool,
    /// Another task was submitted under the same key.
    pub has_rival: bool,
    /// By so many it is to be run.
    pub redundancy: u8,
}

impl Executions {
    pub fn new(fabricators: usize) -> Self {
        Self { fabricators, ..Self::default() }
    }

    /// `running` counts the executions of that node, this one included.
    pub fn started(
        &mut self,
        task: TaskId,
        attempt: u32,
        node: NodeId,
        running: usize,
        slots: u32,
    ) -> Result<(), Violation> {
        self.tasks.entry(task).or_default().push(Execution { attempt, node, outcome: None });
        match running > slots as usize {
            true => Err(Violation::new(Rule::Slots, format!("{node} runs {running} tasks on {slots} slots"))),
            false => Ok(()),
        }
    }

    /// This task is the replica that the member runs of that.
    pub fn is_replica(&mut self, task: TaskId, of: TaskId, node: NodeId) {
        self.replicas.entry((of, node)).or_default().insert(task);
    }

    pub fn finished(&mut self, task: TaskId, attempt: u32, node: NodeId, outcome: Arc<Outcome>) {
        let executions = self.tasks.entry(task).or_default();
        let open = |one: &&mut Execution| one.attempt == attempt && one.node == node && one.outcome.is_none();
        if let Some(execution) = executions.iter_mut().find(open) {
            execution.outcome = Some(outcome);
        }
    }

    /// A task has ended so.
    pub fn ended(&self, task: TaskId, register: &Register, causes: Causes) -> Result<(), Violation> {
        let Some(ending) = register.ending() else { return Ok(()) };
        let fault = |what: String| {
            Err(Violation::new(Rule::ResultIsReal, format!("{task}: ended as {:?}, {what}", ending.how)))
        };
        match ending.how {
            How::Cancelled if !causes.cancel_wanted => return fault("which nobody wanted".into()),
            How::DeadlinePassed if !causes.has_deadline => return fault("and had no deadline".into()),
            How::Done if !causes.is_manifest && !ending.outcome.as_ref().is_some_and(Outcome::is_success) => {
                return fault("and its result is no success".into());
            }
            How::Failed if ending.outcome.as_ref().is_some_and(Outcome::is_success) => {
                return fault("and its result is a success".into());
            }
            _ => {}
        }
        let (Some((attempt, node)), Some(outcome)) = (ending.by, &ending.outcome) else { return Ok(()) };
        if matches!(&outcome.status, Status::Failed(failure) if failure.kind == FailureKind::Lost) {
            // Its executors are gone, and what came of them is the driver's word.
            return Ok(());
        }
        if causes.redundancy > 1 && !outcome.is_of_the_node() {
            return self.counted(&task, outcome, usize::from(causes.redundancy)).map_or(Ok(()), fault);
        }
        let made =
            |one: &Execution| one.attempt == attempt && one.node == node && one.outcome.as_deref() == Some(outcome);
        match self.tasks.get(&task).is_some_and(|executions| executions.iter().any(made)) {
            true => Ok(()),
            false => fault(format!("by attempt {attempt} of {node}, which made no such result")),
        }
    }

    /// What is wrong with what was counted, if more than half of those that are to be asked are honest.
    fn counted(&self, task: &TaskId, outcome: &Outcome, redundancy: usize) -> Option<String> {
        if self.fabricators > redundancy / 2 {
            return None;
        }
        let Some(count) = &outcome.count else { return Some("and nobody was counted".into()) };
        let ran = |one: &Sealed, run: &Execution| {
            run.node == one.node && run.outcome.as_ref().is_some_and(|outcome| outcome.result() == one.result)
        };
        let is_said = |one: &&Sealed| {
            let replicas = self.replicas.get(&(*task, one.node)).into_iter().flatten();
            replicas.filter_map(|replica| self.tasks.get(replica)).flatten().any(|run| ran(one, run))
        };
        if let Some(liar) = count.said.iter().find(|one| !is_said(one)) {
            return Some(format!("and {} never said what is counted of it", liar.node));
        }
        let result = outcome.result();
        let agree = count.said.iter().filter(|one| one.result == result).count();
        match &outcome.status {
            Status::Failed(failure) if failure.kind == FailureKind::NoMajority => {
                let like = |one: &Sealed| count.said.iter().filter(|other| other.result == one.result).count();
                let (most, said) = (count.said.iter().map(like).max().unwrap_or(0), count.said.len());
                let is_none = said >= redundancy && most * 2 <= said;
                (!is_none).then(|| format!("where {most} of {said} that spoke say the same"))
            }
            _ if agree * 2 <= redundancy => Some(format!("by {agree} of {redundancy}")),
            Status::Exit(0) if outcome.stdout != truth(task) => Some("which is a lie".into()),
            Status::Exit(_) | Status::Signal(_) | Status::Failed(_) => None,
        }
    }

    pub fn of(&self, task: &TaskId) -> usize {
        self.tasks.get(task).map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::{ended, node, outcome, task};
    use mesh_proto::{
        id::{Digest, NetworkId},
        key::SecretKey,
        task::{Count, Sealable, State},
    };

    #[test]
    fn too_many_at_a_time_are_found() {
        let mut executions = Executions::default();
        executions.started(task(1), 1, node(0), 2, 2).unwrap();
        assert_eq!(executions.started(task(2), 1, node(0), 3, 2).unwrap_err().rule, Rule::Slots);
    }

    #[test]
    fn a_result_that_nobody_made_is_found() {
        let mut executions = Executions::default();
        executions.started(task(1), 1, node(0), 1, 2).unwrap();
        let end = ended(&[0, 1, 2], How::Done, 7);
        let check = |executions: &Executions| executions.ended(task(1), &end, Causes::default());
        assert_eq!(check(&executions).unwrap_err().rule, Rule::ResultIsReal);
        executions.finished(task(1), 1, node(0), Arc::new(outcome(0, 8)));
        assert_eq!(check(&executions).unwrap_err().rule, Rule::ResultIsReal);
        executions.started(task(1), 1, node(0), 1, 2).unwrap();
        executions.finished(task(1), 1, node(0), Arc::new(outcome(0, 7)));
        check(&executions).unwrap();
    }

    #[test]
    fn an_end_without_its_cause_is_found() {
        let executions = Executions::default();
        let none = Causes::default();
        for how in [How::Cancelled, How::DeadlinePassed] {
            let end = ended(&[0, 1, 2], how, 0);
            assert_eq!(executions.ended(task(1), &end, none).unwrap_err().rule, Rule::ResultIsReal);
            let causes = Causes { cancel_wanted: true, has_deadline: true, ..none };
            executions.ended(task(1), &end, causes).unwrap();
        }
    }

    #[test]
    fn a_want_of_a_majority_where_most_agree_is_found() {
        let check = |marks: &[u8]| {
            let mut executions = Executions::default();
            let mut said = Vec::new();
            for (n, mark) in (1..).zip(marks) {
                let (replica, by, mut what) = (task(10 + n), node(n), outcome(0, *mark));
                executions.is_replica(replica, task(1), by);
                // Asked for again, it is not run once more.
                executions.is_replica(task(20 + n), task(1), by);
                executions.started(replica, 1, by, 1, 1).unwrap();
                let of = Sealable { task: task(1), work: Digest::from_bytes([1; 32]) };
                what.seal(&SecretKey::from_bytes(&[1; 32]), &NetworkId::from_bytes([1; 32]), &of);
                said.push(Sealed { node: by, result: what.result(), seal: what.seal.unwrap() });
                executions.finished(replica, 1, by, Arc::new(what));
            }
            let mut register = Register::clone(&ended(&[0, 1, 2], How::Failed, 7));
            let State::Ended(ending) = &mut register.state else { panic!("it has ended") };
            let count = Some(Count { asked: 6, said });
            ending.outcome = Some(Outcome { count, ..Outcome::failed(FailureKind::NoMajority, "") });
            executions.ended(task(1), &register, Causes { redundancy: 3, ..Causes::default() })
        };
        check(&[7, 8, 9]).unwrap();
        check(&[7, 7, 8, 8]).unwrap();
        for agreeing in [&[7, 7, 7][..], &[7, 7, 8], &[7, 8]] {
            assert_eq!(check(agreeing).unwrap_err().rule, Rule::ResultIsReal, "{agreeing:?}");
        }
    }
}
