use crate::api::submission::show_date;
use mesh_proto::ledger::{Choice, Decision, Proposal, ProposalId, ProposalState, SignedVote, Standing};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of the list of proposals: how one stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalRow {
    pub proposal: String,
    pub title: String,
    /// `open accepted rejected expired withdrawn`
    pub state: String,
    /// From 1, of so many at most.
    pub round: u16,
    pub rounds: u16,
    /// When this round ends, in agreed time.
    pub deadline: String,
    /// Votes of this round.
    pub approve: u32,
    pub reject: u32,
    pub abstain: u32,
    /// How many may vote.
    pub electors: u32,
    /// When it was decided, in agreed time, and in which batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_index: Option<u64>,
}

/// A proposal: what was put to the vote, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProposalInfo {
    #[serde(flatten)]
    pub row: ProposalRow,
    /// Whose command it was; only theirs closes it.
    pub proposer: String,
    pub body: serde_json::Value,
    /// Peer ids of those who may vote.
    pub electorate: Vec<String>,
    /// The share of them that must approve.
    pub threshold: f64,
    /// How long a round lasts, in agreed time.
    pub round_ms: u64,
    /// When it was put to the vote, in agreed time, and in which batch.
    pub opened: String,
    pub opened_index: u64,
}

/// A vote of the round that is being voted, or was the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoteRow {
    /// A peer id.
    pub voter: String,
    pub choice: ChoiceName,
    pub round: u16,
}

/// What a voter says. To abstain counts in the size of the electorate, and for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceName {
    Approve,
    Reject,
    Abstain,
}

impl ProposalRow {
    pub fn new(id: &ProposalId, proposal: &Proposal, standing: &Standing) -> Self {
        let (decided, decided_index) = match standing.state {
            ProposalState::Open => (None, None),
            ProposalState::Decided { index, at, .. } => (Some(show_date(at)), Some(index.0)),
        };
        Self {
            proposal: id.to_string(),
            title: proposal.title.to_string(),
            state: state_name(standing.state).to_string(),
            round: standing.round,
            rounds: proposal.rounds,
            deadline: show_date(standing.deadline),
            approve: standing.tally.approve,
            reject: standing.tally.reject,
            abstain: standing.tally.abstain,
            electors: proposal.size(),
            decided,
            decided_index,
        }
    }
}

impl ProposalInfo {
    pub fn new(id: &ProposalId, proposal: &Proposal, standing: &Standing) -> Self {
        Self {
            row: ProposalRow::new(id, proposal, standing),
            proposer: proposal.proposer.to_string(),
            // Checked to be an object when it was proposed; another reader of numbers may have let through what this one
            // does not: then it is text.
            body: serde_json::from_str(&proposal.body).unwrap_or_else(|_| proposal.body.clone().into()),
            electorate: proposal.electorate.iter().map(ToString::to_string).collect(),
            threshold: f64::from(proposal.threshold.get()) / f64::from(mesh_proto::ledger::Threshold::WHOLE),
            round_ms: proposal.round_ms,
            opened: show_date(proposal.at),
            opened_index: proposal.opened.0,
        }
    }
}

impl From<&SignedVote> for VoteRow {
    fn from(signed: &SignedVote) -> Self {
        let vote = signed.unverified();
        Self { voter: signed.voter.to_string(), choice: vote.choice.into(), round: vote.round }
    }
}

impl From<ChoiceName> for Choice {
    fn from(name: ChoiceName) -> Self {
        match name {
            ChoiceName::Approve => Self::Approve,
            ChoiceName::Reject => Self::Reject,
            ChoiceName::Abstain => Self::Abstain,
        }
    }
}

impl From<Choice> for ChoiceName {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Approve => Self::Approve,
            Choice::Reject => Self::Reject,
            Choice::Abstain => Self::Abstain,
        }
    }
}

pub fn state_name(state: ProposalState) -> &'static str {
    match state {
        ProposalState::Open => "open",
        ProposalState::Decided { decision: Decision::Accepted, .. } => "accepted",
        ProposalState::Decided { decision: Decision::Rejected, .. } => "rejected",
        ProposalState::Decided { decision: Decision::Expired, .. } => "expired",
        ProposalState::Decided { decision: Decision::Withdrawn, .. } => "withdrawn",
    }
}
