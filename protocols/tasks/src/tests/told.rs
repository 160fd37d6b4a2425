use crate::{Answer, Effect, Fact};
use mesh_proto::{id::TaskId, task::Item};

/// Everything that came of one input, compared whole: a surplus message fails a test.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    pub facts: Vec<Fact>,
    /// To other nodes, by their place on the home list, in order.
    pub sent: Vec<(usize, Item)>,
    pub executed: Vec<(TaskId, u32)>,
    pub cancelled: Vec<(TaskId, u32)>,
    pub answers: Vec<Answer>,
}

impl Told {
    pub fn nothing() -> Self {
        Self::default()
    }

    /// One item to one node, and nothing else.
    pub fn sent(to: usize, item: Item) -> Self {
        Self { sent: vec![(to, item)], ..Self::default() }
    }

    pub fn add(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(fact) => self.facts.push(fact),
            Effect::Execute { birth, attempt, .. } => self.executed.push((birth.task, attempt)),
            Effect::Cancel { task, attempt } => self.cancelled.push((task, attempt)),
            Effect::Answer(answer) => self.answers.push(answer),
        }
    }
}
