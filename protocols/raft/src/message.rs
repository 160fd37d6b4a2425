//! What engines say to each other, and gateways to leaders.

use crate::types::{LogId, Member, Meta, Types, Vote};
use mesh_proto::{
    codec::{self, DecodeError},
    id::NodeId,
    pbft::Operations,
    task::Octets,
};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, VoteRequest, VoteResponse};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A request of `/mesh/raft/1`. Opaque but to this crate.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request(pub(crate) Ask);

/// Its answer.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Response(pub(crate) Answer);

#[derive(Serialize, Deserialize)]
pub(crate) enum Ask {
    #[serde(rename = "a")]
    Append(AppendEntriesRequest<Types>),
    #[serde(rename = "v")]
    Vote(VoteRequest<Member>),
    #[serde(rename = "s")]
    Install(Piece),
    /// Operations of a gateway, to be ordered.
    #[serde(rename = "o")]
    Order(Operations),
    /// Who asks is to be a learner.
    #[serde(rename = "f")]
    Follow,
    /// Whether who asks is still in the configuration.
    #[serde(rename = "m")]
    AmIIn,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    #[serde(rename = "a")]
    Append(AppendEntriesResponse<Member>),
    #[serde(rename = "v")]
    Vote(VoteResponse<Member>),
    #[serde(rename = "s")]
    Installed(Vote),
    /// It came with another piece than the next one.
    #[serde(rename = "b")]
    Restart(Place, Place),
    /// What came of the operations, in the batch of this number.
    #[serde(rename = "o")]
    Ordered(u64, Octets),
    /// Somebody else leads, perhaps this one.
    #[serde(rename = "e")]
    Elsewhere(Option<NodeId>),
    /// Too much waits here.
    #[serde(rename = "f")]
    Busy,
    /// A learner from now on, or before.
    #[serde(rename = "l")]
    Follows,
    /// The nodes of the last configuration that is decided, as far as the answerer knows, and where in the log it is.
    #[serde(rename = "m")]
    Nodes(Option<LogId>, BTreeSet<NodeId>),
    /// No engine runs here, or it has ended.
    #[serde(rename = "n")]
    NotRunning,
}

/// Of a snapshot: its number of a piece, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place(pub String, pub u64);

/// As openraft's own, but for the bytes, which are bytes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Piece {
    #[serde(rename = "v")]
    pub vote: Vote,
    #[serde(rename = "m")]
    pub meta: Meta,
    #[serde(rename = "o")]
    pub offset: u64,
    #[serde(rename = "b")]
    pub data: Octets,
    #[serde(rename = "d")]
    pub done: bool,
}

impl Request {
    /// Bytes of the largest, checked before anything is decoded: a piece of a snapshot, or entries that are read at once.
    /// They have half of it. Some members make more of less, an empty request of an entry 48 bytes of one, so what one
    /// message can have us allocate is some fifty times this.
    pub const LIMIT: usize = 1024 * 1024;

    pub fn order(operations: Operations) -> Self {
        Self(Ask::Order(operations))
    }

    /// Whether it waits for others: not one of those by which a follower hears its leader.
    pub fn is_order(&self) -> bool {
        matches!(self.0, Ask::Order(_))
    }

    pub fn encode(&self) -> Vec<u8> {
        let room = match &self.0 {
            Ask::Append(append) => 256 + append.entries.len() * 1024,
            Ask::Install(piece) => 1024 + piece.data.len(),
            Ask::Order(operations) => 64 + operations.as_bytes().len(),
            Ask::Vote(_) | Ask::Follow | Ask::AmIIn => 256,
        };
        codec::encode_into(Vec::with_capacity(room), self)
    }

    /// Only the one encoding of it: openraft's own types would pass over entries that they do not know, and over what
    /// comes twice.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, Self::LIMIT)
    }
}

impl Response {
    /// Bytes of the largest: outcomes of one gateway's request.
    pub const LIMIT: usize = 16 * 1024 * 1024;

    pub fn not_running() -> Self {
        Self(Answer::NotRunning)
    }

    pub fn busy() -> Self {
        Self(Answer::Busy)
    }

    pub fn encode(&self) -> Vec<u8> {
        codec::encode_into(Vec::with_capacity(256), self)
    }

    /// Only the one encoding of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, Self::LIMIT)
    }

    /// Of operations: what came of them and in which batch; else who may lead.
    pub fn into_ordered(self) -> Result<(u64, Octets), Option<NodeId>> {
        match self.0 {
            Answer::Ordered(index, outcome) => Ok((index, outcome)),
            Answer::Elsewhere(leader) => Err(leader),
            _ => Err(None),
        }
    }
}

impl From<InstallSnapshotRequest<Types>> for Piece {
    fn from(request: InstallSnapshotRequest<Types>) -> Self {
        let InstallSnapshotRequest { vote, meta, offset, data, done } = request;
        Self { vote, meta, offset, data: data.into(), done }
    }
}

impl From<Piece> for InstallSnapshotRequest<Types> {
    fn from(piece: Piece) -> Self {
        let Piece { vote, meta, offset, data, done } = piece;
        Self { vote, meta, offset, data: data.to_vec(), done }
    }
}
