//! Every execution that ever began, and what came of it.

use super::{Rule, Violation, task_map::TaskMap};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{FailureKind, How, Outcome, Register, Status},
};
use std::sync::Arc;

/// Executions by task.
#[derive(Default)]
pub struct Executions {
    tasks: TaskMap<Vec<Execution>>,
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
}

impl Executions {
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
        let made =
            |one: &Execution| one.attempt == attempt && one.node == node && one.outcome.as_deref() == Some(outcome);
        match self.tasks.get(&task).is_some_and(|executions| executions.iter().any(made)) {
            true => Ok(()),
            false => fault(format!("by attempt {attempt} of {node}, which made no such result")),
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
}
