use super::{Decision, Inclusion, InclusionError, Proposal, ProposalId, ProposalState, SignedVote, Standing, Tally};
use crate::{
    bounded,
    codec::{self, DecodeError},
    id::{Digest, NetworkId, NodeId},
    key::BadSignature,
    limits,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a third party needs to check a decision with nothing but the network's id: the proposal, whose hash the voters
/// signed, and their votes. That the time was over, or that the proposer closed it, no vote says: there, and for
/// whether it is what the mesh recorded, the state's word is needed too, under a root that the committee certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionProof {
    #[serde(rename = "p")]
    pub proposal: Box<Proposal>,
    #[serde(rename = "s")]
    pub standing: Standing,
    /// Those of the last round, in order of their voters.
    #[serde(rename = "v", deserialize_with = "bounded::list::<_, _, { limits::ELECTORATE }>")]
    pub votes: Vec<SignedVote>,
    /// That the standing is in the state.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub inclusion: Option<Inclusion>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the electorate is not in order, each once")]
    Electorate,
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error("{0} voted on something else, or in another round")]
    OtherVote(NodeId),
    #[error("{0} is not of the electorate")]
    NotElector(NodeId),
    #[error("{0} is counted twice")]
    Twice(NodeId),
    #[error("the votes are {votes:?}, and {claimed:?} is claimed")]
    Count { votes: Tally, claimed: Tally },
    #[error("the votes decide {votes:?}, and {claimed:?} is claimed")]
    Undecided { votes: Option<Decision>, claimed: ProposalState },
    #[error("no vote proves {0:?}: the state's word is needed")]
    NeedsState(Decision),
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
    #[error("the state says otherwise")]
    OtherState,
}

impl DecisionProof {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::PROOF_BYTES)
    }

    /// What the votes alone prove. One signature for each: 41 µs.
    pub fn verify(&self, network: &NetworkId) -> Result<(ProposalId, Decision), ProofError> {
        let id = self.count(network)?;
        match self.standing.state {
            ProposalState::Decided { decision: decision @ (Decision::Expired | Decision::Withdrawn), .. } => {
                Err(ProofError::NeedsState(decision))
            }
            ProposalState::Decided { decision, .. } => Ok((id, decision)),
            claimed @ ProposalState::Open => Err(ProofError::Undecided { votes: None, claimed }),
        }
    }

    /// [`verify`](Self::verify), and that the state with this root has it so. That the committee certified the root is
    /// for the caller to check.
    pub fn verify_recorded(&self, network: &NetworkId, root: &Digest) -> Result<(ProposalId, Decision), ProofError> {
        let id = self.count(network)?;
        let inclusion = self.inclusion.as_ref().ok_or(InclusionError::Missing)?;
        let recorded = inclusion.value(root, &id.standing_key())?;
        if recorded.as_deref() != Some(&codec::encode(&self.standing)) {
            return Err(ProofError::OtherState);
        }
        match self.standing.state {
            ProposalState::Decided { decision, .. } => Ok((id, decision)),
            claimed @ ProposalState::Open => Err(ProofError::Undecided { votes: None, claimed }),
        }
    }

    /// Checks the votes, and that they are what the standing says they are.
    fn count(&self, network: &NetworkId) -> Result<ProposalId, ProofError> {
        // A key named twice would have two votes' weight in the size, and the search assumes order.
        if !self.proposal.electorate.is_sorted_by(|a, b| a < b) {
            return Err(ProofError::Electorate);
        }
        let id = self.proposal.id(network);
        let (mut tally, mut seen) = (Tally::default(), BTreeSet::new());
        for signed in &self.votes {
            let vote = signed.verify(network)?;
            if vote.proposal != id || vote.round != self.standing.round {
                return Err(ProofError::OtherVote(signed.voter));
            }
            if !self.proposal.may_vote(&signed.voter) {
                return Err(ProofError::NotElector(signed.voter));
            }
            if !seen.insert(signed.voter) {
                return Err(ProofError::Twice(signed.voter));
            }
            tally.add(vote.choice);
        }
        if tally != self.standing.tally {
            return Err(ProofError::Count { votes: tally, claimed: self.standing.tally });
        }
        let votes = tally.decides(self.proposal.threshold, self.proposal.size());
        let agrees = match self.standing.state {
            ProposalState::Decided { decision: decision @ (Decision::Accepted | Decision::Rejected), .. } => {
                votes == Some(decision)
            }
            ProposalState::Decided { decision: Decision::Expired | Decision::Withdrawn, .. } | ProposalState::Open => {
                votes.is_none()
            }
        };
        match agrees {
            true => Ok(id),
            false => Err(ProofError::Undecided { votes, claimed: self.standing.state }),
        }
    }
}
