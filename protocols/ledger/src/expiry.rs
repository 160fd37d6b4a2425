//! What time does, at the agreed time of a batch, before its commands.

use crate::{
    execute::{claims, proposals},
    key,
    state::State,
};

/// What a batch may drop of expired memory, beside one for each of its commands.
const SWEPT: usize = 64;

/// Ends leases and rounds of votes that are over. All of them, so that no command finds one that should be.
pub fn observable(state: &mut State) {
    let now = state.now();
    while let Some(entry) = state.map.first(&[key::DEADLINE]) {
        let Some((time, what)) = key::at_of(entry.key()).filter(|(time, _)| *time <= now) else { return };
        let what = what.to_vec();
        state.expect_no_more(time, &what);
        match (key::claim_of(&what), key::proposal_of(&what)) {
            (Some(claim), _) => claims::lapse(state, &claim),
            (None, Some(proposal)) => proposals::time_is_over(state, &proposal),
            (None, None) => {}
        }
    }
}

/// Drops some of the memory that has expired. It is absent already for whoever asks; this gives the room back, at a
/// bounded rate, so that a million keys that expire at once stop nobody.
pub fn memory(state: &mut State, commands: usize) {
    let now = state.now();
    for _ in 0..commands + SWEPT {
        let Some(entry) = state.map.first(&[key::EXPIRY]) else { return };
        let expiry = entry.key().to_vec();
        match key::at_of(&expiry) {
            Some((time, memory)) if time <= now => {
                state.map.remove(memory);
                state.map.remove(&expiry);
            }
            Some(_) | None => return,
        }
    }
}
