//! A message at least of each shape of `/mesh/raft/1`, all of fixed values, so that their bytes are the same in every
//! build.

use crate::{
    Request, Response,
    message::{Answer, Ask, Piece, Place},
    types::{Batch, Entry, LogId, Member, Membership, Meta, Payload, Vote},
};
use mesh_proto::{fuzz::NOW, id::NodeId, pbft::Operations, time::Wall};
use openraft::{
    CommittedLeaderId, EmptyNode,
    raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse},
};
use std::collections::{BTreeMap, BTreeSet};

/// A message, encoded.
pub struct Sample {
    pub name: &'static str,
    /// Its rule in `schema.cddl`.
    pub rule: &'static str,
    /// Its decoder, by the name of the fuzz target.
    pub target: &'static str,
    pub bytes: Vec<u8>,
}

/// Every sample; their names are their files' in `tests/golden`.
pub fn all() -> Vec<Sample> {
    let requests = requests().into_iter().map(|(name, ask)| {
        let bytes = Request(ask).encode();
        Sample { name, rule: "raft-request", target: "raft_request", bytes }
    });
    let responses = responses().into_iter().map(|(name, answer)| {
        let bytes = Response(answer).encode();
        Sample { name, rule: "raft-response", target: "raft_response", bytes }
    });
    requests.chain(responses).collect()
}

fn requests() -> Vec<(&'static str, Ask)> {
    let append = AppendEntriesRequest {
        vote: Vote::new_committed(7, member(2)),
        prev_log_id: Some(log_id(6, 40)),
        entries: vec![
            Entry { log_id: log_id(7, 41), payload: Payload::Blank },
            Entry { log_id: log_id(7, 42), payload: Payload::Normal(batch()) },
            Entry { log_id: log_id(7, 43), payload: Payload::Membership(joint()) },
        ],
        leader_commit: Some(log_id(6, 39)),
    };
    let first = AppendEntriesRequest {
        vote: Vote::new_committed(1, member(1)),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    let vote = Vote::new(u64::MAX, member(3));
    vec![
        ("raft-append", Ask::Append(append)),
        ("raft-append-nothing", Ask::Append(first)),
        ("raft-vote", Ask::Vote(VoteRequest::new(vote, Some(log_id(7, 43))))),
        ("raft-vote-of-new", Ask::Vote(VoteRequest::new(vote, None))),
        ("raft-install", Ask::Install(piece(0, b"MESHSNAP", false))),
        ("raft-install-last", Ask::Install(piece(1 << 19, b"", true))),
        ("raft-order", Ask::Order(operations())),
        ("raft-follow", Ask::Follow),
        ("raft-am-i-in", Ask::AmIIn),
    ]
}

fn responses() -> Vec<(&'static str, Answer)> {
    let higher = Vote::new_committed(8, member(3));
    let place = |offset| Place("T7-N2-42".to_owned(), offset);
    let nodes = BTreeSet::from([1, 2, 3].map(|number| member(number).0));
    vec![
        ("raft-appended", Answer::Append(AppendEntriesResponse::Success)),
        ("raft-appended-some", Answer::Append(AppendEntriesResponse::PartialSuccess(Some(log_id(7, 41))))),
        ("raft-appended-none", Answer::Append(AppendEntriesResponse::PartialSuccess(None))),
        ("raft-append-conflict", Answer::Append(AppendEntriesResponse::Conflict)),
        ("raft-append-higher", Answer::Append(AppendEntriesResponse::HigherVote(higher))),
        ("raft-voted", Answer::Vote(VoteResponse::new(higher, Some(log_id(7, 43)), true))),
        ("raft-voted-against", Answer::Vote(VoteResponse::new(higher, None, false))),
        ("raft-installed", Answer::Installed(higher)),
        ("raft-restart", Answer::Restart(place(0), place(1 << 40))),
        ("raft-ordered", Answer::Ordered(42, b"outcome".as_slice().into())),
        ("raft-elsewhere", Answer::Elsewhere(Some(member(2).0))),
        ("raft-leaderless", Answer::Elsewhere(None)),
        ("raft-busy", Answer::Busy),
        ("raft-follows", Answer::Follows),
        ("raft-nodes", Answer::Nodes(Some(log_id(7, 43)), nodes)),
        ("raft-nodes-none", Answer::Nodes(None, BTreeSet::new())),
        ("raft-not-running", Answer::NotRunning),
    ]
}

pub fn member(number: u8) -> Member {
    Member(NodeId::from_bytes([number; 32]))
}

pub fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, member(2)), index)
}

pub fn operations() -> Operations {
    Operations::pack([&b"put a 1"[..], b""]).unwrap()
}

fn batch() -> Batch {
    Batch { time: NOW, requests: vec![operations(), Operations::default()] }
}

/// Three that are to become two others and one of them, and who learns.
fn joint() -> openraft::Membership<Member, EmptyNode> {
    let seats = |numbers: [u8; 3]| BTreeSet::from(numbers.map(member));
    let nodes = BTreeMap::from_iter((1..=6).map(|number| (member(number), EmptyNode::new())));
    openraft::Membership::new(vec![seats([1, 2, 3]), seats([3, 4, 5])], nodes)
}

fn piece(offset: u64, data: &[u8], done: bool) -> Piece {
    let meta = Meta {
        last_log_id: Some(log_id(7, 42)),
        last_membership: Membership::new(Some(log_id(6, 30)), joint()),
        snapshot_id: "T7-N2-42".to_owned(),
    };
    Piece { vote: Vote::new_committed(7, member(2)), meta, offset, data: data.into(), done }
}

/// The largest of `bytes` that a leader sends: of so many members, with the largest numbers.
pub fn largest_piece(bytes: usize, seats: u8, learners: u8) -> Request {
    let voters = BTreeSet::from_iter((0..seats).map(member));
    let others = BTreeSet::from_iter((seats..2 * seats).map(member));
    let nodes = BTreeMap::from_iter((0..2 * seats + learners).map(|number| (member(number), EmptyNode::new())));
    let membership = openraft::Membership::new(vec![voters, others], nodes);
    let at = log_id(u64::MAX, u64::MAX);
    let meta = Meta {
        last_log_id: Some(at),
        last_membership: Membership::new(Some(at), membership),
        snapshot_id: at.to_string(),
    };
    let vote = Vote::new_committed(u64::MAX, member(1));
    Request(Ask::Install(Piece { vote, meta, offset: u64::MAX, data: vec![1; bytes].into(), done: true }))
}

/// The largest that a leader sends of its log: what is read at once, and nothing but entries of one small request each;
/// or one entry of so many bytes.
pub fn largest_append(entries: usize, requests: usize, request: usize) -> Request {
    let operations = Operations::pack([vec![7; request - 4].as_slice()]).unwrap();
    let at = log_id(u64::MAX, u64::MAX);
    let entry = |_| {
        let requests = vec![operations.clone(); requests];
        Entry { log_id: at, payload: Payload::Normal(Batch { time: Wall(u64::MAX), requests }) }
    };
    Request(Ask::Append(AppendEntriesRequest {
        vote: Vote::new_committed(u64::MAX, member(1)),
        prev_log_id: Some(at),
        entries: (0..entries).map(entry).collect(),
        leader_commit: Some(at),
    }))
}
