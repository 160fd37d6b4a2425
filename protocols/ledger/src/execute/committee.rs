//! Motions, and the committee that they change.

use super::{members, versions};
use crate::{
    Event, key,
    quorum::weak,
    state::{State, record},
};
use mesh_proto::{
    domain::Epoch,
    id::NodeId,
    ledger::{Change, Done, Index, Pending, Rejection, Seat, SignedMotion},
    limits,
    role::Role,
};

/// What one member of the committee may have asked for at once without having found others. A liar's motions must not
/// keep those of others out.
const MOTIONS_OF_ONE: usize = 8;

/// A signature under a change, which was checked before it was ordered. The change is made with the first that governs,
/// or with that of the f + 1st member of the committee.
pub fn motion(state: &mut State, signed: &SignedMotion) -> Result<Done, Rejection> {
    let (motion, by) = (signed.unverified(), signed.by);
    if motion.serial != state.meta.serial {
        return Err(Rejection::Overtaken { serial: state.meta.serial });
    }
    let governs = members::governs(state, &by);
    if !governs && state.committee.seat(&by).is_none() {
        return Err(Rejection::NotEntitled);
    }
    members::not_revoked(state, &by)?;
    check(state, &motion.change)?;
    let key = key::motion(&motion.change.digest());
    let mut signers: Vec<NodeId> = state.get(&key).unwrap_or_default();
    if signers.contains(&by) {
        return Err(Rejection::Already);
    }
    signers.push(by);
    // Who lost its seat meanwhile does not count.
    let signed = signers.iter().filter(|node| state.committee.seat(node).is_some()).count();
    let needed = weak(state.meta.engine, state.committee.seats.len());
    if governs || signed >= needed {
        return Ok(Done::Moved { from: make(state, &motion.change) });
    }
    let alone = state.map.below(&[key::MOTION], usize::MAX);
    if alone.iter().filter(|entry| record::<Vec<NodeId>>(entry.value()).contains(&by)).count() >= MOTIONS_OF_ONE {
        return Err(Rejection::TooMany);
    }
    state.put(&key, &signers);
    // Both at most 31.
    Ok(Done::Seconded { signed: signed as u8, needed: needed as u8 })
}

/// The end of a checkpoint: what waited for it is in force from the next batch on.
pub fn take_effect(state: &mut State) {
    let Some(pending) = state.committee.pending.take() else { return };
    match pending {
        Pending::Add(seat) => {
            state.committee.seats.push(seat);
            state.committee.seats.sort();
            state.put(&key::node(key::IDENTITY, &seat.node), &seat);
            next_epoch(state);
        }
        Pending::Remove(node) => {
            state.committee.seats.retain(|seat| seat.node != node);
            next_epoch(state);
        }
        Pending::Version(version) => {
            state.meta.version = version;
            state.events.push(Event::VersionActivated(version));
        }
    }
    state.keep_committee();
}

/// Whether a change could be made now.
fn check(state: &State, change: &Change) -> Result<(), Rejection> {
    let room = |known: bool| match known || state.meta.members < state.meta.rules.members {
        true => Ok(()),
        false => Err(Rejection::TooMany),
    };
    match change {
        // The ordering engine counts on a change that waits: it is in force soon, and can be undone then.
        Change::Revoke(node) if matches!(state.committee.pending, Some(Pending::Add(seat)) if seat.node == *node) => {
            Err(Rejection::Pending)
        }
        Change::Revoke(node) => {
            let known = members::member(state, node);
            room(known.is_some())?;
            match known.and_then(|member| member.revoked) {
                Some(_) => Err(Rejection::Already),
                None => Ok(()),
            }
        }
        Change::InviterAdd { key, uses, until, governs } => {
            let known = members::inviter(state, key);
            room(known.is_some())?;
            let same = members::Inviter { uses: *uses, until: *until, governs: *governs };
            if known == Some(same) { Err(Rejection::Already) } else { Ok(()) }
        }
        Change::InviterRemove(key) => members::inviter(state, key).map(drop).ok_or(Rejection::Unknown),
        Change::CommitteeAdd(seat) => addable(state, seat),
        Change::CommitteeRemove(node) => {
            nothing_pending(state)?;
            state.committee.seat(node).ok_or(Rejection::Unknown)?;
            if state.committee.seats.len() == 1 { Err(Rejection::LastSeat) } else { Ok(()) }
        }
        Change::CommitteeAuto(auto) if state.committee.auto == *auto => Err(Rejection::Already),
        Change::CommitteeAuto(_) => Ok(()),
    }
}

fn addable(state: &State, seat: &Seat) -> Result<(), Rejection> {
    nothing_pending(state)?;
    if state.committee.seat(&seat.node).is_some() {
        return Err(Rejection::Already);
    }
    if state.committee.seats.len() >= limits::FOUNDERS {
        return Err(Rejection::TooMany);
    }
    members::not_revoked(state, &seat.node)?;
    let member = members::member(state, &seat.node).ok_or(Rejection::NotMember)?;
    if member.role != Role::Full || !member.is_active(state.now()) {
        return Err(Rejection::NotMember);
    }
    let was = state.get::<Seat>(&key::node(key::IDENTITY, &seat.node));
    if was.is_some_and(|was| was.store != seat.store) {
        return Err(Rejection::SecondIdentity);
    }
    match versions::supports(state, &seat.node, state.meta.version) {
        true => Ok(()),
        false => Err(Rejection::Unsupported),
    }
}

pub fn nothing_pending(state: &State) -> Result<(), Rejection> {
    match state.committee.pending {
        Some(_) => Err(Rejection::Pending),
        None => Ok(()),
    }
}

/// Makes a change that was checked; from which batch on it is in force.
fn make(state: &mut State, change: &Change) -> Index {
    state.meta.serial += 1;
    let motions = state.map.below(&[key::MOTION], usize::MAX);
    // Made for another point.
    for key in motions.into_iter().map(|entry| entry.key().to_vec()).collect::<Vec<_>>() {
        state.map.remove(&key);
    }
    match change {
        Change::Revoke(node) => members::revoke(state, node),
        Change::InviterAdd { key, uses, until, governs } => {
            let inviter_key = key::node(key::INVITER, key);
            state.meta.members += u64::from(state.map.get(&inviter_key).is_none());
            let inviter = members::Inviter { uses: *uses, until: *until, governs: *governs };
            state.put(&inviter_key, &inviter);
            state.events.push(Event::InvitersChanged);
        }
        Change::InviterRemove(key) => {
            state.map.remove(&key::node(key::INVITER, key));
            state.meta.members = state.meta.members.saturating_sub(1);
            state.events.push(Event::InvitersChanged);
        }
        Change::CommitteeAdd(seat) => return wait(state, Pending::Add(*seat)),
        Change::CommitteeRemove(node) => return wait(state, Pending::Remove(*node)),
        Change::CommitteeAuto(auto) => {
            state.committee.auto = *auto;
            state.keep_committee();
            state.events.push(Event::CommitteeChanged(state.committee.clone()));
        }
    }
    state.meta.index
}

/// Puts a change off to the next boundary at or after this batch; from which batch on it is in force.
pub fn wait(state: &mut State, pending: Pending) -> Index {
    state.committee.pending = Some(pending);
    state.keep_committee();
    state.events.push(Event::ChangePending(pending));
    state.meta.boundary(state.meta.index).next()
}

fn next_epoch(state: &mut State) {
    state.committee.epoch = Epoch(state.committee.epoch.0 + 1);
    state.committee.since = state.meta.index;
    state.events.push(Event::CommitteeChanged(state.committee.clone()));
}
