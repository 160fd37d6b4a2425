//! What users have their tasks start after: others of theirs, and now and then what never was.

use super::{
    count::{Count, Counts},
    dice::Dice,
};
use mesh_proto::{
    id::TaskId,
    task::{Dependency, Part, Place, Take},
};
use std::collections::VecDeque;

/// The tasks that a user remembers when he makes up the next one.
pub struct Known {
    dice: Dice,
    /// The latest, each with whether it is to start after others itself.
    tasks: VecDeque<(TaskId, bool)>,
    drawn: Drawn,
}

/// What was drawn and is not counted yet.
#[derive(Default)]
struct Drawn {
    after: u64,
    chains: u64,
    joins: u64,
    nobody: u64,
}

impl Known {
    pub fn new(dice: Dice) -> Self {
        Self { dice, tasks: VecDeque::new(), drawn: Drawn::default() }
    }

    /// What the next task is to start after; mostly nothing.
    pub fn draw(&mut self) -> Vec<Dependency> {
        if self.tasks.is_empty() || !self.dice.chance(AFTER) {
            return Vec::new();
        }
        let mut after: Vec<Dependency> = Vec::new();
        for _ in 0..self.dice.range(1..=3) {
            let (task, is_chain) = match self.dice.chance(NOBODY) {
                true => (self.nobody(), false),
                false => self.tasks[self.dice.below(self.tasks.len())],
            };
            if after.iter().all(|one| one.task != task) {
                self.drawn.chains += u64::from(is_chain);
                let takes = Take { part: Part::Output, place: Place::File(after.len().to_string()) };
                let takes = if self.dice.chance(500) { vec![takes] } else { Vec::new() };
                after.push(Dependency { task, takes });
            }
        }
        self.drawn.after += 1;
        self.drawn.joins += u64::from(after.len() > 1);
        after
    }

    fn nobody(&mut self) -> TaskId {
        self.drawn.nobody += 1;
        let mut id = [0xee; 32];
        id[..8].copy_from_slice(&self.dice.next().to_le_bytes());
        TaskId::from_bytes(id)
    }

    /// What many ask for and nobody has waits for ever, and so would all behind it: few are.
    pub fn add(&mut self, task: TaskId, is_after_others: bool, asks_nothing: bool) {
        if !asks_nothing && !self.dice.chance(ASKING) {
            return;
        }
        self.tasks.push_back((task, is_after_others));
        if self.tasks.len() > REMEMBERED {
            self.tasks.pop_front();
        }
    }

    pub fn count(&mut self, counts: &mut Counts) {
        let Drawn { after, chains, joins, nobody } = std::mem::take(&mut self.drawn);
        counts.add_many(Count::After, after);
        counts.add_many(Count::AfterChain, chains);
        counts.add_many(Count::AfterSome, joins);
        counts.add_many(Count::AfterNobody, nobody);
    }
}

/// Of a thousand tasks, those that are to start after others; and of a thousand of these others, those that never were.
const AFTER: u32 = 200;
const NOBODY: u32 = 30;
/// And of a thousand that ask something of their node, those that others may be behind.
const ASKING: u32 = 200;
/// Few, so that tasks of one user make diamonds.
const REMEMBERED: usize = 10;
