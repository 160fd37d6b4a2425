//! Proposals from their opening to their decision.

use crate::{Event, key, state::State};
use mesh_proto::{
    id::NodeId,
    ledger::{
        CommandId, Decision, Done, Electorate, Principal, Proposal, ProposalId, ProposalState, Propose, Rejection,
        Standing, Tally,
    },
    limits,
    time::Wall,
};
use std::time::Duration;

pub fn propose(state: &mut State, id: &CommandId, propose: &Propose) -> Result<Done, Rejection> {
    let electorate = electorate(state, &propose.electorate)?;
    if state.meta.open >= state.meta.rules.open_proposals {
        return Err(Rejection::TooMany);
    }
    let proposal = Proposal {
        proposer: id.principal.clone(),
        key: id.key.clone(),
        title: propose.title.clone(),
        body: propose.body.clone(),
        electorate,
        threshold: propose.threshold,
        round_ms: propose.round_ms,
        rounds: propose.rounds,
        opened: state.meta.index,
        at: state.now(),
    };
    let weight = proposal.body.len() + proposal.electorate.len() * (limits::ENTRY_KEY_BYTES + 100);
    if state.is_full(weight) {
        return Err(Rejection::Full);
    }
    let id = proposal.id(&state.meta.network);
    state.put(&key::proposal(&id), &proposal);
    state.meta.open += 1;
    let standing = Standing { round: 1, deadline: Wall(0), tally: Tally::default(), state: ProposalState::Open };
    begin_round(state, &id, &proposal, standing);
    state.events.push(Event::Opened(id));
    Ok(Done::Proposed(id))
}

pub fn close(state: &mut State, owner: &Principal, id: &ProposalId) -> Result<Done, Rejection> {
    let proposal: Proposal = state.get(&key::proposal(id)).ok_or(Rejection::Unknown)?;
    let standing: Standing = state.get(&id.standing_key()).ok_or(Rejection::Unknown)?;
    if standing.state != ProposalState::Open {
        return Err(Rejection::Decided);
    }
    if proposal.proposer != *owner {
        return Err(Rejection::NotOwner);
    }
    state.expect_no_more(standing.deadline, &id.standing_key());
    Ok(Done::Voted(decide(state, id, standing, Decision::Withdrawn)))
}

/// A round has lasted as long as it may. Its deadline is taken out already.
pub fn time_is_over(state: &mut State, id: &ProposalId) {
    let (Some(proposal), Some(standing)) =
        (state.get::<Proposal>(&key::proposal(id)), state.get::<Standing>(&id.standing_key()))
    else {
        return;
    };
    if standing.round < proposal.rounds {
        let round = standing.round + 1;
        begin_round(state, id, &proposal, Standing { round, tally: Tally::default(), ..standing });
        state.events.push(Event::Reopened { proposal: *id, round });
    } else {
        decide(state, id, standing, Decision::Expired);
    }
}

/// Writes the decision, which nothing changes any more, and lets the oldest ones go. The deadline is taken out already.
pub fn decide(state: &mut State, id: &ProposalId, standing: Standing, decision: Decision) -> ProposalState {
    let decided = ProposalState::Decided { decision, index: state.meta.index, at: state.now() };
    state.put(&id.standing_key(), &Standing { state: decided, ..standing });
    state.map.put(&key::decided(state.meta.index, id), &[]);
    state.meta.open -= 1;
    state.meta.decided += 1;
    state.events.push(Event::Decided { proposal: *id, decision });
    while state.meta.decided > state.meta.rules.decided_proposals {
        forget_oldest(state);
    }
    decided
}

fn begin_round(state: &mut State, id: &ProposalId, proposal: &Proposal, standing: Standing) {
    let deadline = state.now() + Duration::from_millis(proposal.round_ms);
    state.put(&id.standing_key(), &Standing { deadline, ..standing });
    state.expect_at(deadline, &id.standing_key());
}

fn forget_oldest(state: &mut State) {
    state.meta.decided = state.meta.decided.saturating_sub(1);
    let Some(oldest) = state.map.first(&[key::DECIDED]).map(|entry| entry.key().to_vec()) else { return };
    state.map.remove(&oldest);
    let Some(id) = key::proposal_of(&oldest) else { return };
    let votes = state.map.below(&key::votes(&id), usize::MAX);
    let votes: Vec<Vec<u8>> = votes.into_iter().map(|entry| entry.key().to_vec()).collect();
    for key in votes.iter().chain(&[key::proposal(&id), id.standing_key()]) {
        state.map.remove(key);
    }
}

/// The keys that may vote, in order, from now on the same.
fn electorate(state: &State, electorate: &Electorate) -> Result<Vec<NodeId>, Rejection> {
    let seated = || state.committee.seats.iter().map(|seat| seat.node);
    let mut nodes: Vec<NodeId> = match electorate {
        Electorate::Committee => seated().collect(),
        // One more than there may be is enough to know.
        Electorate::All => super::members::active(state, limits::ELECTORATE + 1).into_iter().chain(seated()).collect(),
        Electorate::Ids(ids) => ids.clone(),
    };
    nodes.sort();
    nodes.dedup();
    match (1..=limits::ELECTORATE).contains(&nodes.len()) {
        true => Ok(nodes),
        false => Err(Rejection::Electorate),
    }
}
