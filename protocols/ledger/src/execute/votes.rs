use super::{members, proposals};
use crate::{key, state::State};
use mesh_proto::ledger::{Done, Proposal, ProposalState, Rejection, SignedVote, Standing};

/// Counts a vote, whose signature was checked before it was ordered. The first of a voter in a round counts.
pub fn vote(state: &mut State, signed: &SignedVote) -> Result<Done, Rejection> {
    let vote = signed.unverified();
    let id = vote.proposal;
    let proposal: Proposal = state.get(&key::proposal(&id)).ok_or(Rejection::Unknown)?;
    let mut standing: Standing = state.get(&id.standing_key()).ok_or(Rejection::Unknown)?;
    if standing.state != ProposalState::Open {
        return Err(Rejection::Decided);
    }
    if standing.round != vote.round {
        return Err(Rejection::WrongRound { round: standing.round });
    }
    if !proposal.may_vote(&signed.voter) {
        return Err(Rejection::NotElector);
    }
    members::not_revoked(state, &signed.voter)?;
    let key = key::vote(&id, vote.round, &signed.voter);
    if state.map.get(&key).is_some() {
        return Err(Rejection::AlreadyVoted);
    }
    state.put(&key, signed);
    standing.tally.add(vote.choice);
    match standing.tally.decides(proposal.threshold, proposal.size()) {
        Some(decision) => {
            state.expect_no_more(standing.deadline, &id.standing_key());
            Ok(Done::Voted(proposals::decide(state, &id, standing, decision)))
        }
        None => {
            state.put(&id.standing_key(), &standing);
            Ok(Done::Voted(standing.state))
        }
    }
}
