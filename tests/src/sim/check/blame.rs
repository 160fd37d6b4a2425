//! Whoever fails what it was granted is thought less of by the driver that granted it: members that lie about themselves are
//! found out by what comes of what they get so.

use super::{Rule, Violation};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ballot, Fault, Item, Register},
};
use mesh_tasks::Fact;
use std::collections::{BTreeMap, BTreeSet};

/// What one process has seen of others since it was started: what they do well is as soft as what is thought of them.
#[derive(Default)]
pub struct Blame {
    /// Of what it drives: under which ballot, and which attempts had failed when that began or have since.
    driven: BTreeMap<TaskId, (Ballot, BTreeSet<(u32, NodeId)>)>,
    failed: BTreeMap<NodeId, u32>,
    /// Has been told by these of something that went well.
    helped_by: BTreeSet<NodeId>,
}

/// Parts per million that a member begins with, of which each attempt that fails takes an eighth.
const NEUTRAL: u32 = 500_000;

impl Blame {
    /// A frame has arrived, of which the brain will hear.
    pub fn hears(&mut self, from: NodeId, items: &[Item]) {
        let is_good = |item: &Item| matches!(item, Item::Report { outcome, .. } if !outcome.is_of_the_node());
        if items.iter().any(is_good) {
            self.helped_by.insert(from);
        }
    }

    /// The brain of `me` persists something. Who has failed it one more attempt by that, for which nobody else is to blame.
    pub fn persists(&mut self, me: NodeId, fact: &Fact) -> Vec<NodeId> {
        let (task, ballot, register) = match fact {
            Fact::Held { birth, ballot, register, .. } => (birth.task, *ballot, register),
            Fact::Written { task, ballot, register, .. } => (*task, *ballot, register),
            Fact::Promised { .. }
            | Fact::Dropped { .. }
            | Fact::Outlived { .. }
            | Fact::Floor { .. }
            | Fact::Kept { .. }
            | Fact::Settled { .. } => return Vec::new(),
        };
        if ballot.driver != me {
            self.driven.remove(&task);
            return Vec::new();
        }
        let blamed = match self.driven.get(&task) {
            // With an end comes what the end itself has stopped, which is nobody's failure.
            Some((same, known)) if *same == ballot && register.ending().is_none() => blamed(register, known),
            _ => Vec::new(),
        };
        let all = register.failed.iter().map(|failed| (failed.attempt.number, failed.attempt.executor));
        match register.ending() {
            Some(_) => self.driven.remove(&task),
            None => self.driven.insert(task, (ballot, all.collect())),
        };
        for node in &blamed {
            *self.failed.entry(*node).or_default() += 1;
        }
        blamed
    }

    /// How many attempts it has failed here, if it has done nothing well.
    pub fn failures(&self, node: &NodeId) -> Option<u32> {
        self.failed.get(node).copied().filter(|_| !self.helped_by.contains(node))
    }

    /// What is thought of a member here must be no more than what its failures leave of it.
    pub fn judge(&self, node: &NodeId, performance: u32) -> Result<(), Violation> {
        let Some(failures) = self.failures(node) else { return Ok(()) };
        let most = (0..failures.min(100)).fold(NEUTRAL, |left, _| left - left / 8);
        match performance > most {
            true => {
                let what =
                    format!("{node} has failed {failures} attempts, done nothing well, and is worth {performance}");
                Err(Violation::new(Rule::Blamed, what))
            }
            false => Ok(()),
        }
    }
}

/// Of attempts that are newly told of.
fn blamed(register: &Register, known: &BTreeSet<(u32, NodeId)>) -> Vec<NodeId> {
    let is_news = |number, node| !known.contains(&(number, node));
    let failed = register.failed.iter().filter(|one| is_news(one.attempt.number, one.attempt.executor));
    // What its program makes of it is not its node's, nor what was given back or handed over.
    let failed = failed.filter(|one| one.fault == Fault::Node);
    failed.map(|one| one.attempt.executor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::{ballot, node, outcome, register, task};
    use mesh_proto::{
        id::TaskId,
        task::{Attempt, FailedAttempt, FailureKind, Outcome, Version},
        time::Wall,
    };
    use std::sync::Arc;

    fn written(task: TaskId, term: u32, failed: &[(u32, u8, Fault, &str)]) -> Fact {
        let of = |(number, executor, fault, why): &(u32, u8, Fault, &str)| FailedAttempt {
            attempt: Attempt { number: *number, executor: node(*executor), granted: Wall(1) },
            at: Wall(1),
            why: (*why).into(),
            fault: *fault,
        };
        let failed = failed.iter().map(of).collect();
        let register = Arc::new(Register { failed, ..Register::clone(&register(&[0, 1, 2], 9)) });
        Fact::Written { task, ballot: ballot(term, 0), version: Version(2), register }
    }

    #[test]
    fn who_fails_and_is_worth_as_much_as_before_is_found() {
        let mut blame = Blame::default();
        assert_eq!(blame.persists(node(0), &written(task(1), 1, &[(1, 1, Fault::Node, "lost")])), []);
        let again = [(1, 1, Fault::Node, "lost"), (2, 2, Fault::Node, "not allowed")];
        assert_eq!(blame.persists(node(0), &written(task(1), 1, &again)), [node(2)]);
        assert_eq!(blame.persists(node(0), &written(task(1), 1, &again)), [], "told once");
        blame.judge(&node(2), 437_500).unwrap();
        blame.judge(&node(1), 500_000).unwrap();
        assert_eq!(blame.judge(&node(2), 437_501).unwrap_err().rule, Rule::Blamed);
        assert_eq!(blame.failures(&node(2)), Some(1));
    }

    #[test]
    fn nobody_is_blamed_for_what_another_saw_or_for_what_it_gave_back_or_helped_with() {
        let mut blame = Blame::default();
        let failed = [(1, 1, Fault::Node, "gone")];
        blame.persists(node(0), &written(task(1), 1, &[]));
        // Another ballot of this driver, and another driver.
        assert_eq!(blame.persists(node(0), &written(task(1), 2, &failed)), []);
        assert_eq!(blame.persists(node(5), &written(task(1), 2, &failed)), []);
        let handed = [(1, 1, Fault::Nobody, "its node stops"), (2, 1, Fault::Program, "exited with code 3")];
        blame.persists(node(0), &written(task(2), 1, &[]));
        assert_eq!(blame.persists(node(0), &written(task(2), 1, &handed)), []);
        blame.persists(node(0), &written(task(3), 1, &[]));
        assert_eq!(blame.persists(node(0), &written(task(3), 1, &failed)), [node(1)]);
        let report = |outcome: Outcome| Item::Report { task: task(4), attempt: 1, outcome: Arc::new(outcome) };
        blame.hears(node(1), &[report(Outcome::failed(FailureKind::Lost, ""))]);
        assert_eq!(blame.judge(&node(1), 500_000).unwrap_err().rule, Rule::Blamed);
        blame.hears(node(1), &[report(outcome(0, 1))]);
        blame.judge(&node(1), 500_000).unwrap();
    }
}
