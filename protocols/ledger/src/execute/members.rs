//! Who belongs to the network as the ledger knows it, and who may let others in.

use crate::{Event, key, state::State};
use mesh_proto::{
    bounded,
    credential::Credential,
    genesis::Genesis,
    id::NodeId,
    ledger::{Done, Index, Rejection, Seat},
    role::Role,
    time::Wall,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    #[serde(rename = "r")]
    pub role: Role,
    /// When its invitation was issued.
    #[serde(rename = "v")]
    pub invited: Wall,
    /// When its membership ends.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub until: Option<Wall>,
    #[serde(rename = "a")]
    pub admitted: Index,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub revoked: Option<Wall>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inviter {
    /// How many it may still let in.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub uses: Option<u32>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub until: Option<Wall>,
    /// Whether its signature alone carries a motion.
    #[serde(rename = "g")]
    pub governs: bool,
}

/// The maker, who invites and governs, and the founding committee.
pub fn found(state: &mut State, genesis: &Genesis) {
    let maker = Inviter { uses: None, until: None, governs: true };
    state.put(&key::node(key::INVITER, &genesis.maker), &maker);
    let member = Member { role: Role::Full, invited: Wall(0), until: None, admitted: Index::GENESIS, revoked: None };
    for node in genesis.committee.iter() {
        state.put(&key::node(key::MEMBER, node), &member);
        state.put(&key::node(key::IDENTITY, node), &Seat { node: *node, store: None });
        state.meta.members += 1;
    }
}

/// Whose signatures were checked before this was ordered.
pub fn admit(state: &mut State, credential: &Credential) -> Result<Done, Rejection> {
    let (node, now) = (credential.node(), state.now());
    let known = member(state, &node);
    let revoked = known.and_then(|member| member.revoked);
    if let Some(at) = revoked.filter(|at| credential.invited() <= *at) {
        return Err(Rejection::Revoked { at });
    }
    // Anybody may show a credential, as often as they like: one from before a revocation must not come back into force
    // behind the later one that undid that, nor one with a role that it does not have any more.
    if known.is_some_and(|member| credential.invited() < member.invited) {
        return Err(Rejection::Already);
    }
    let newcomer = known.is_none() || revoked.is_some();
    if known.is_none() && state.meta.members >= state.meta.rules.members {
        return Err(Rejection::TooMany);
    }
    let invitation = credential.invitation();
    let until = invitation.and_then(|invitation| invitation.member_until);
    if until.is_some_and(|until| now > until) {
        return Err(Rejection::Expired);
    }
    if let Some(invitation) = invitation {
        let inviter_key = key::node(key::INVITER, &invitation.inviter);
        let mut inviter: Inviter = state.get(&inviter_key).ok_or(Rejection::NotInviter)?;
        if inviter.until.is_some_and(|until| invitation.issued > until) {
            return Err(Rejection::NotInviter);
        }
        // Who was let in in time stays in, as with a credential that is shown at the door.
        if newcomer && now > invitation.expires {
            return Err(Rejection::Expired);
        }
        if let (true, Some(uses)) = (newcomer, inviter.uses) {
            inviter.uses = Some(uses.checked_sub(1).ok_or(Rejection::NotInviter)?);
            state.put(&inviter_key, &inviter);
        }
    }
    let admitted = known.map_or(state.meta.index, |member| member.admitted);
    let member = Member { role: credential.role(), invited: credential.invited(), until, admitted, revoked: None };
    if known != Some(member) {
        state.put(&key::node(key::MEMBER, &node), &member);
        state.meta.members += u64::from(known.is_none());
        state.events.push(Event::Admitted(node));
    }
    Ok(Done::Kept)
}

/// It is a member no more, also if it never was: its credential is refused wherever it is shown.
pub fn revoke(state: &mut State, node: &NodeId) {
    let known = member(state, node);
    let unknown =
        Member { role: Role::Client, invited: Wall(0), until: None, admitted: state.meta.index, revoked: None };
    state.meta.members += u64::from(known.is_none());
    let revoked = Member { revoked: Some(state.now()), ..known.unwrap_or(unknown) };
    state.put(&key::node(key::MEMBER, node), &revoked);
    state.events.push(Event::Revoked(*node));
}

pub fn member(state: &State, node: &NodeId) -> Option<Member> {
    state.get(&key::node(key::MEMBER, node))
}

pub fn inviter(state: &State, key: &NodeId) -> Option<Inviter> {
    state.get(&key::node(key::INVITER, key))
}

/// Whether its word alone moves something.
pub fn governs(state: &State, key: &NodeId) -> bool {
    let now = state.now();
    inviter(state, key).is_some_and(|inviter| inviter.governs && inviter.until.is_none_or(|until| now <= until))
}

pub fn not_revoked(state: &State, node: &NodeId) -> Result<(), Rejection> {
    match member(state, node).and_then(|member| member.revoked) {
        Some(at) => Err(Rejection::Revoked { at }),
        None => Ok(()),
    }
}

impl Member {
    pub fn is_active(&self, now: Wall) -> bool {
        self.revoked.is_none() && self.until.is_none_or(|until| now <= until)
    }
}

/// Those who are members now, in order, the first `limit` of them.
pub fn active(state: &State, limit: usize) -> Vec<NodeId> {
    let now = state.now();
    let all = state.map.below(&[key::MEMBER], usize::MAX);
    let active = all.into_iter().filter(|entry| crate::state::record::<Member>(entry.value()).is_active(now));
    active.filter_map(|entry| key::node_of(entry.key())).take(limit).collect()
}
