//! Whether a history can have happened. All that is judged is in its lines, whenever they were written.

mod ballots;
mod claims;
mod ending;
mod growth;
mod keys;
#[cfg(test)]
mod tests;

pub use keys::COUNTER;

use super::line::{Found, Line, Operation, Proof, Proposal, Standing};
use crate::check::{Rule, Violation};

/// Hears a history, a line at a time, and judges it at its end.
#[derive(Default)]
pub struct Judge {
    operations: Vec<Operation>,
    /// When the memory was read in the end, and what was there.
    read: Option<(u64, u64)>,
    found: Vec<Found>,
    proposals: Vec<Proposal>,
    proofs: Vec<Proof>,
    standings: Vec<Standing>,
    nodes: usize,
    is_over: bool,
    troubles: Vec<Violation>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Judgement {
    pub violations: Vec<Violation>,
    /// Keys whose histories were looked at, and those of which too much was asked at once to look at all orders.
    pub keys: u64,
    pub too_long: u64,
    pub grants: u64,
    pub proposals: u64,
    pub proofs: u64,
}

impl Judge {
    pub fn hear(&mut self, line: Line) {
        match line {
            Line::Siege(siege) => self.nodes = siege.nodes,
            Line::Operation(operation) => self.operations.push(operation),
            Line::Fault(_) => {}
            Line::Stuck { at, ms } => {
                let what = format!("all nodes were up, and nothing was agreed on for {ms} ms up to {at} us");
                self.troubles.push(Violation::new(Rule::Outcomes, what));
            }
            Line::Died { at, node, status, log } => {
                let what = format!("node {node} ended by itself before {at} us ({status}):\n{log}");
                self.troubles.push(Violation::new(Rule::NoPanic, what));
            }
            Line::Read { asked, answered } => self.read = Some((asked, answered)),
            Line::Found(found) => self.found.push(found),
            Line::Proposal(proposal) => self.proposals.push(proposal),
            Line::Proof(proof) => self.proofs.push(proof),
            Line::Standing(standing) => self.standings.push(standing),
            Line::End { .. } => self.is_over = true,
        }
    }

    pub fn judge(mut self) -> Judgement {
        self.operations.sort_by_key(|operation| operation.asked);
        let mut judgement = Judgement {
            violations: std::mem::take(&mut self.troubles),
            proposals: self.proposals.len() as u64,
            proofs: self.proofs.len() as u64,
            ..Judgement::default()
        };
        let mut note = |result: Result<(), Violation>| judgement.violations.extend(result.err());
        if !self.is_over || self.read.is_none() {
            let what = "the history breaks off before all was read back: what is missing nobody knows";
            note(Err(Violation::new(Rule::Outcomes, what)));
        }
        note(answers(&self.operations));
        note(growth::of_batches(&self.operations));
        note(growth::of_versions(&self.operations));
        note(keys::counters(&self.operations, &self.found));
        ballots::judge(&self.operations, &self.proposals).into_iter().for_each(|found| note(Err(found)));
        note(ending::proofs(&self.proposals, &self.proofs));
        if self.is_over {
            note(ending::standings(self.nodes, &self.standings));
        }
        let claims = claims::judge(&self.operations);
        let keys = keys::judge(&self.operations, self.read, &self.found);
        judgement.violations.extend(claims.as_ref().err().cloned());
        judgement.violations.extend(keys.as_ref().err().cloned());
        judgement.grants = claims.unwrap_or_default();
        (judgement.keys, judgement.too_long) = keys.unwrap_or_default();
        judgement
    }
}

/// What a user is told is an answer to what he asked, and the same whenever he asks.
fn answers(operations: &[Operation]) -> Result<(), Violation> {
    use super::line::{Told, Wish};
    for operation in operations {
        if let (Some(told), Some(again)) = (operation.told(), &operation.again)
            && told != again
        {
            return Err(Violation::new(Rule::ExactlyOnce, format!("told {again:?} as well: {operation:?}")));
        }
        let Some(told) = operation.told() else { continue };
        let fits = match (&operation.wish, told) {
            (Wish::Put { .. } | Wish::Swap { writes: true, .. }, Told::Written { .. })
            | (Wish::Get { .. }, Told::Value { .. } | Told::Nothing)
            | (Wish::Delete { .. } | Wish::Swap { writes: false, .. }, Told::Deleted { .. })
            | (Wish::Swap { .. }, Told::Mismatch { .. })
            | (Wish::Lock { .. }, Told::Granted { .. } | Told::Held)
            | (Wish::Unlock { .. }, Told::Released | Told::NotHeld)
            | (Wish::Renew { .. }, Told::NotHeld)
            | (Wish::Propose, Told::Proposed { .. })
            | (Wish::Vote { .. }, Told::Voted { .. }) => true,
            (Wish::Renew { fence, .. }, Told::Granted { fence: same, .. }) => fence == same,
            // A node votes once on a proposal: that it has already would be by the same vote.
            (Wish::Vote { .. }, Told::Rejected { code }) => code == "decided",
            _ => false,
        };
        if !fits || operation.answered.is_none() {
            return Err(Violation::new(Rule::ExactlyOnce, format!("no answer to what was asked: {operation:?}")));
        }
    }
    Ok(())
}
