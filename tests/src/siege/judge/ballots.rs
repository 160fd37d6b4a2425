use crate::check::{Rule, Violation};
use crate::siege::line::{Operation, Outcome, Proposal, Told, Wish};
use mesh_proto::ledger::Threshold;
use std::collections::BTreeMap;

/// What users were told of one proposal.
#[derive(Default)]
struct Ballot {
    /// By choice, with approval first: how many were counted, and how many may have been.
    counted: [u32; 2],
    open: [u32; 2],
    /// Told to be so at the end of a vote.
    decided: Option<String>,
    is_torn: bool,
}

/// What was put to the vote is there once, its votes are counted once each, and what was decided stands.
pub fn judge(operations: &[Operation], proposals: &[Proposal]) -> Vec<Violation> {
    let wrong = |what: String| Violation::new(Rule::Decisions, what);
    let mut found = Vec::new();
    let mut there: BTreeMap<&str, &Proposal> = BTreeMap::new();
    let mut titles: BTreeMap<&str, &str> = BTreeMap::new();
    for proposal in proposals {
        there.insert(&proposal.proposal, proposal);
        if let Some(other) = titles.insert(&proposal.title, &proposal.proposal)
            && other != proposal.proposal
        {
            let what = format!("{} was put to the vote as {other} and as {}", proposal.title, proposal.proposal);
            found.push(Violation::new(Rule::ExactlyOnce, what));
        }
    }
    let mut ballots: BTreeMap<&str, Ballot> = BTreeMap::new();
    for operation in operations {
        match (&operation.wish, &operation.outcome) {
            (Wish::Propose, Outcome::Told(Told::Proposed { proposal })) => {
                let title = there.get(proposal.as_str()).map(|there| there.title.as_str());
                if title != Some(&operation.number.to_string()) {
                    found.push(wrong(format!("{operation:?} is not there, or as {title:?}")));
                }
            }
            (Wish::Propose, Outcome::Refused(_)) if titles.contains_key(operation.number.to_string().as_str()) => {
                found.push(wrong(format!("{operation:?} is there, and was refused")));
            }
            (Wish::Vote { proposal, approve, .. }, outcome) => {
                ballots.entry(proposal).or_default().vote(usize::from(!approve), outcome);
            }
            _ => {}
        }
    }
    for (id, ballot) in &ballots {
        match there.get(id) {
            Some(proposal) => found.extend(ballot.compare(proposal).err().map(wrong)),
            None => found.push(wrong(format!("{id} was voted on, and is not there"))),
        }
    }
    found.extend(proposals.iter().filter_map(|proposal| decision(proposal).err().map(wrong)));
    found
}

impl Ballot {
    fn vote(&mut self, choice: usize, outcome: &Outcome) {
        match outcome {
            Outcome::Told(Told::Voted { state }) => {
                self.counted[choice] += 1;
                if state != "open" {
                    self.is_torn |= self.decided.as_ref().is_some_and(|decided| decided != state);
                    self.decided = Some(state.clone());
                }
            }
            Outcome::Unknown => self.open[choice] += 1,
            Outcome::Told(_) | Outcome::Refused(_) => {}
        }
    }

    fn compare(&self, proposal: &Proposal) -> Result<(), String> {
        let id = &proposal.proposal;
        for (choice, count) in [proposal.approve, proposal.reject].into_iter().enumerate() {
            let (counted, open) = (self.counted[choice], self.open[choice]);
            if !(counted..=counted + open).contains(&count) {
                return Err(format!(
                    "{counted} votes were counted and {open} may be, and there are {count}: {proposal:?}"
                ));
            }
        }
        match &self.decided {
            Some(decided) if self.is_torn || *decided != proposal.state => {
                Err(format!("{id} was told to be {decided}, and is {}", proposal.state))
            }
            _ => Ok(()),
        }
    }
}

/// What the votes come to.
fn decision(proposal: &Proposal) -> Result<(), String> {
    let Proposal { approve, reject, electors, state, .. } = proposal;
    let needed = u64::from(*electors) * u64::from(Threshold::DEFAULT.get());
    let share = |votes: u32| u64::from(votes) * u64::from(Threshold::WHOLE);
    let fits = match state.as_str() {
        "accepted" => share(*approve) >= needed,
        "rejected" => share(electors.saturating_sub(*reject)) < needed,
        // Its time is over, or not yet.
        "open" | "expired" => share(*approve) < needed && share(electors.saturating_sub(*reject)) >= needed,
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(format!("not what its votes come to: {proposal:?}")),
    }
}
