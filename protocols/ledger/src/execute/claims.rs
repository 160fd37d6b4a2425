//! Locks and awards: one holder at a time, under a lease in agreed time and a number that grows.
//!
//! There is one counter for all of them. A number is then never given twice, also not to a name that was forgotten when
//! it was free; a counter for each name would have to be kept for ever.

use crate::{Event, key, state::State};
use mesh_proto::{
    id::NodeId,
    ledger::{Claim, Claimed, Done, Fence, Principal, Rejection},
    time::Wall,
};
use std::time::Duration;

pub fn take(
    state: &mut State,
    owner: &Principal,
    claim: Claim,
    holder: NodeId,
    lease_ms: u64,
) -> Result<Done, Rejection> {
    let key = key::claim(&claim);
    // Those that lapsed are gone: time comes before commands.
    if let Some(held) = state.get::<Claimed>(&key) {
        return Err(Rejection::Held(held));
    }
    if state.meta.claims >= state.meta.rules.claims {
        return Err(Rejection::TooMany);
    }
    if state.is_full(key.len()) {
        return Err(Rejection::Full);
    }
    state.meta.fence = Fence(state.meta.fence.0 + 1);
    state.meta.claims += 1;
    let (fence, expires) = (state.meta.fence, end(state, lease_ms));
    state.put(&key, &Claimed { owner: owner.clone(), holder, fence, granted: state.now(), expires });
    state.expect_at(expires, &key);
    state.events.push(Event::Granted { claim, holder, fence });
    Ok(Done::Granted { fence, expires })
}

pub fn renew(
    state: &mut State,
    owner: &Principal,
    claim: &Claim,
    fence: Fence,
    lease_ms: u64,
) -> Result<Done, Rejection> {
    let key = key::claim(claim);
    let mut held = own(state, &key, owner, fence)?;
    state.expect_no_more(held.expires, &key);
    held.expires = end(state, lease_ms);
    state.expect_at(held.expires, &key);
    state.put(&key, &held);
    Ok(Done::Granted { fence, expires: held.expires })
}

pub fn release(state: &mut State, owner: &Principal, claim: &Claim, fence: Fence) -> Result<Done, Rejection> {
    let key = key::claim(claim);
    let held = own(state, &key, owner, fence)?;
    state.expect_no_more(held.expires, &key);
    free(state, claim, &key, &held, false);
    Ok(Done::Released)
}

/// The lease is over. Its deadline is taken out already.
pub fn lapse(state: &mut State, claim: &Claim) {
    let key = key::claim(claim);
    if let Some(held) = state.get::<Claimed>(&key) {
        free(state, claim, &key, &held, true);
    }
}

fn free(state: &mut State, claim: &Claim, key: &[u8], held: &Claimed, lapsed: bool) {
    state.map.remove(key);
    state.meta.claims -= 1;
    state.events.push(Event::Freed { claim: claim.clone(), fence: held.fence, lapsed });
}

fn own(state: &State, key: &[u8], owner: &Principal, fence: Fence) -> Result<Claimed, Rejection> {
    let held: Claimed = state.get(key).ok_or(Rejection::NotHeld)?;
    if held.fence != fence {
        return Err(Rejection::NotHeld);
    }
    match held.owner == *owner {
        true => Ok(held),
        false => Err(Rejection::NotOwner),
    }
}

fn end(state: &State, lease_ms: u64) -> Wall {
    state.now() + Duration::from_millis(lease_ms)
}
