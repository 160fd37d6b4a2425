use super::members;
use crate::{Event, key, state::State};
use mesh_proto::ledger::{Done, Evidence, Rejection};

/// Keeps evidence, which was judged before it was ordered. What follows from it is for a decision.
pub fn record(state: &mut State, evidence: &Evidence) -> Result<Done, Rejection> {
    let accused = evidence.accused;
    if state.committee.seat(&accused).is_none() && members::member(state, &accused).is_none() {
        return Err(Rejection::NotMember);
    }
    let key = key::evidence(&accused, &evidence.digest());
    if state.map.get(&key).is_some() {
        return Err(Rejection::Already);
    }
    let most = usize::try_from(state.meta.rules.evidence).unwrap_or(usize::MAX);
    if state.map.below(&key::node(key::EVIDENCE, &accused), most).len() >= most {
        return Err(Rejection::TooMany);
    }
    if state.is_full(evidence.proof.len()) {
        return Err(Rejection::Full);
    }
    state.put(&key, evidence);
    state.events.push(Event::Accused(accused));
    Ok(Done::Kept)
}
