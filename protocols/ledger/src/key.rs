//! Where things are in the map. The first byte says what it is; numbers are big-endian, so that they are in order.

use mesh_proto::{
    id::{Digest, NodeId, TaskId},
    ledger::{Claim, Index, LockName, ProposalId},
    time::Wall,
};

pub const META: &[u8] = b"0";
pub const COMMITTEE: &[u8] = b"c";
pub const EVIDENCE: u8 = b'e';
pub const INVITER: u8 = b'i';
pub const IDENTITY: u8 = b'k';
pub const LOCK: u8 = b'l';
pub const MEMORY: u8 = b'm';
pub const MEMBER: u8 = b'n';
pub const MOTION: u8 = b'o';
pub const PROPOSAL: u8 = b'p';
pub const STANDING: u8 = b'q';
pub const SUPPORT: u8 = b's';
pub const AWARD: u8 = b't';
pub const VOTE: u8 = b'v';
/// Outcomes that are remembered, by batch.
pub const WINDOW: u8 = b'w';
/// When something observable ends, and the key of what.
pub const DEADLINE: u8 = b'x';
/// When a value of memory expires, and its key.
pub const EXPIRY: u8 = b'y';
/// Decided proposals, oldest decision first.
pub const DECIDED: u8 = b'z';

/// Of a namespace and a key in it, or what keys there begin with. Names have no control characters, so the zero ends the
/// namespace.
pub fn memory(namespace: &str, key: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + namespace.len() + key.len());
    bytes.push(MEMORY);
    bytes.extend_from_slice(namespace.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

pub fn claim(claim: &Claim) -> Vec<u8> {
    match claim {
        Claim::Lock(name) => [&[LOCK], name.as_str().as_bytes()].concat(),
        Claim::Task(task) => [&[AWARD], task.as_bytes().as_slice()].concat(),
    }
}

/// What a key of a claim is the key of.
pub fn claim_of(key: &[u8]) -> Option<Claim> {
    match key.split_first()? {
        (&LOCK, name) => Some(Claim::Lock(LockName::new(std::str::from_utf8(name).ok()?).ok()?)),
        (&AWARD, task) => Some(Claim::Task(TaskId::from_bytes(task.try_into().ok()?))),
        _ => None,
    }
}

pub fn node(tag: u8, node: &NodeId) -> Vec<u8> {
    [&[tag], node.as_bytes().as_slice()].concat()
}

pub fn node_of(key: &[u8]) -> Option<NodeId> {
    Some(NodeId::from_bytes(key.get(1..)?.try_into().ok()?))
}

pub fn evidence(accused: &NodeId, digest: &Digest) -> Vec<u8> {
    [&[EVIDENCE], accused.as_bytes().as_slice(), digest.as_bytes()].concat()
}

pub fn motion(change: &Digest) -> Vec<u8> {
    [&[MOTION], change.as_bytes().as_slice()].concat()
}

pub fn proposal(id: &ProposalId) -> Vec<u8> {
    [&[PROPOSAL], id.0.as_bytes().as_slice()].concat()
}

/// The id at the end of a key of a proposal, a standing or a decision.
pub fn proposal_of(key: &[u8]) -> Option<ProposalId> {
    let id = key.len().checked_sub(32)?;
    Some(ProposalId(Digest::from_bytes(key[id..].try_into().ok()?)))
}

pub fn votes(id: &ProposalId) -> Vec<u8> {
    [&[VOTE], id.0.as_bytes().as_slice()].concat()
}

pub fn round(id: &ProposalId, round: u16) -> Vec<u8> {
    [votes(id).as_slice(), &round.to_be_bytes()].concat()
}

pub fn vote(id: &ProposalId, of_round: u16, voter: &NodeId) -> Vec<u8> {
    [round(id, of_round).as_slice(), voter.as_bytes()].concat()
}

pub fn decided(index: Index, id: &ProposalId) -> Vec<u8> {
    [&[DECIDED], index.0.to_be_bytes().as_slice(), id.0.as_bytes()].concat()
}

pub fn window(index: Index, part: u16) -> Vec<u8> {
    [window_batch(index).as_slice(), &part.to_be_bytes()].concat()
}

pub fn window_batch(index: Index) -> Vec<u8> {
    [&[WINDOW], index.0.to_be_bytes().as_slice()].concat()
}

pub fn window_of(key: &[u8]) -> Option<Index> {
    Some(Index(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?)))
}

/// `tag` is [`DEADLINE`] or [`EXPIRY`].
pub fn at(tag: u8, time: Wall, key: &[u8]) -> Vec<u8> {
    [&[tag], time.0.to_be_bytes().as_slice(), key].concat()
}

/// When, and the key of what.
pub fn at_of(key: &[u8]) -> Option<(Wall, &[u8])> {
    let time = key.get(1..9)?.try_into().ok()?;
    Some((Wall(u64::from_be_bytes(time)), &key[9..]))
}
