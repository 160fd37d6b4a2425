//! Which version of commands is executed. Raised one at a time, when all of the committee can.

use super::{committee, members};
use crate::{key, state::State};
use mesh_proto::{
    id::NodeId,
    ledger::{Done, Pending, Rejection, Seat, SignedSupport, Support},
};

/// A member's report, whose signature was checked before it was ordered.
pub fn support(state: &mut State, signed: &SignedSupport) -> Result<Done, Rejection> {
    let (node, support) = (signed.node, signed.unverified());
    let seat = state.committee.seat(&node).copied();
    let member = members::member(state, &node).is_some_and(|member| member.is_active(state.now()));
    if seat.is_none() && !member {
        return Err(Rejection::NotMember);
    }
    if support.at > state.meta.index {
        return Err(Rejection::Ahead);
    }
    let key = key::node(key::SUPPORT, &node);
    // An older word that somebody brings again.
    if state.get::<Support>(&key).is_some_and(|known| known.at > support.at) {
        return Err(Rejection::Already);
    }
    match seat {
        // A founder's disk, which the genesis does not know, is the one that it reports first.
        Some(Seat { store: None, .. }) => pin(state, Seat { node, store: Some(support.store) }),
        Some(Seat { store, .. }) if store != Some(support.store) => return Err(Rejection::SecondIdentity),
        Some(_) | None => {}
    }
    state.put(&key, support);
    Ok(Done::Kept)
}

pub fn activate(state: &mut State, version: u16) -> Result<Done, Rejection> {
    if Some(version) != state.meta.version.checked_add(1) {
        return Err(Rejection::Unsupported);
    }
    committee::nothing_pending(state)?;
    if !state.committee.seats.iter().all(|seat| supports(state, &seat.node, version)) {
        return Err(Rejection::Unsupported);
    }
    Ok(Done::Moved { from: committee::wait(state, Pending::Version(version)) })
}

/// Every build executes version 1.
pub fn supports(state: &State, node: &NodeId, version: u16) -> bool {
    let reported = state.get::<Support>(&key::node(key::SUPPORT, node)).map_or(1, |support| support.version);
    reported >= version
}

fn pin(state: &mut State, pinned: Seat) {
    for seat in &mut state.committee.seats {
        if seat.node == pinned.node {
            *seat = pinned;
        }
    }
    state.keep_committee();
    state.put(&key::node(key::IDENTITY, &pinned.node), &pinned);
}
