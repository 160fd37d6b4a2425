//! What happens to each task on this node, a line of the log each with the task's trace id: one id from submission to
//! result, in the logs of every node that had to do with it. For who asks for it with `meshd::trail=debug`: ten lines a
//! task would cost more than the task.

use mesh_coordinator::{Answer, Command, Effect, Fact, Input};
use mesh_proto::{
    id::{NetworkId, TaskId},
    task::{Birth, Register, Spec, State},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// The name by which a filter asks for it.
const TARGET: &str = "meshd::trail";
/// Tasks whose trace is remembered, for lines about what does not carry it.
const REMEMBERED: usize = 65_536;

/// The trace ids of tasks that were seen here lately.
pub struct Trail {
    network: NetworkId,
    traces: HashMap<TaskId, String>,
    order: VecDeque<TaskId>,
}

impl Trail {
    pub fn new(network: NetworkId) -> Self {
        Self { network, traces: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether anybody reads it.
    pub fn is_on() -> bool {
        tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
    }

    /// What is about to be told to the brain.
    pub fn input(&mut self, input: &Input) {
        match input {
            Input::Command { command: Command::Submit { specs, .. }, .. } => {
                for spec in specs.iter().filter_map(|spec| Spec::decode(spec).ok()) {
                    let task = spec.id(&self.network);
                    self.remember(task, &spec);
                    self.tell(task, "submitted here");
                }
            }
            Input::Executed { task, attempt, .. } => self.tell(*task, &format!("attempt {attempt} finished here")),
            _ => {}
        }
    }

    /// What the brain decided.
    pub fn effects(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Persist(Fact::Task(fact)) => self.fact(fact),
                Effect::Execute { birth, attempt, .. } => {
                    self.born(birth);
                    self.tell(birth.task, &format!("attempt {attempt} begins here"));
                }
                Effect::Cancel { task, attempt } => self.tell(*task, &format!("attempt {attempt} is to end")),
                Effect::Answer { answers, .. } => answers.iter().for_each(|answer| self.answer(answer)),
                Effect::Persist(Fact::Member(_) | Fact::Introduced | Fact::Agreement(_))
                | Effect::SumUp { .. }
                | Effect::Verify(_)
                | Effect::Port(_)
                | Effect::Halted(_)
                | Effect::Accused { .. }
                | Effect::Send { .. }
                | Effect::Measure { .. }
                | Effect::Dial { .. }
                | Effect::Disconnect { .. }
                | Effect::Announce { .. }
                | Effect::Speak { .. } => {}
            }
        }
    }

    fn fact(&mut self, fact: &mesh_tasks::Fact) {
        match fact {
            mesh_tasks::Fact::Held { birth, register, .. } => {
                self.born(birth);
                self.tell(birth.task, &format!("held here: {}", said(register)));
            }
            mesh_tasks::Fact::Written { task, register, .. } => {
                self.tell(*task, &format!("written here: {}", said(register)));
            }
            _ => {}
        }
    }

    fn answer(&self, answer: &Answer) {
        match answer {
            Answer::Placed { task, copies, .. } => self.tell(*task, &format!("acknowledged, on {copies} disks")),
            Answer::Ended { task, .. } => self.tell(*task, "its result is told to its user"),
            _ => {}
        }
    }

    fn born(&mut self, birth: &Arc<Birth>) {
        if !self.traces.contains_key(&birth.task)
            && let Ok(spec) = Spec::decode(&birth.spec)
        {
            self.remember(birth.task, &spec);
        }
    }

    fn remember(&mut self, task: TaskId, spec: &Spec) {
        let trace = data_encoding::HEXLOWER.encode(&spec.trace);
        if self.traces.insert(task, trace).is_none() {
            self.order.push_back(task);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }

    fn tell(&self, task: TaskId, what: &str) {
        let trace = self.traces.get(&task).map(String::as_str);
        tracing::debug!(target: TARGET, trace, %task, "{what}");
    }
}

fn said(register: &Register) -> String {
    match &register.state {
        State::Waiting => "granted to nobody yet".into(),
        State::Assigned(attempt) => format!("attempt {} granted to {}", attempt.number, attempt.executor),
        State::Ended(ending) => format!("ended, {:?}", ending.how),
    }
}
