//! What openraft is made with.

use mesh_proto::{id::NodeId, pbft::Operations, task::Octets, time::Wall};
use openraft::EmptyNode;
use serde::{Deserialize, Serialize};
use std::fmt;

openraft::declare_raft_types!(
    pub Types:
        D = Batch,
        R = Ran,
        NodeId = Member,
        Node = EmptyNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = tokio::fs::File,
        Responder = openraft::impls::OneshotResponder<Types>,
        AsyncRuntime = openraft::TokioRuntime,
);

pub type Entry = openraft::Entry<Types>;
pub type Payload = openraft::EntryPayload<Types>;
pub type LogId = openraft::LogId<Member>;
pub type Vote = openraft::Vote<Member>;
pub type Meta = openraft::SnapshotMeta<Member, EmptyNode>;
pub type Membership = openraft::StoredMembership<Member, EmptyNode>;
pub type Snapshot = openraft::Snapshot<Types>;
pub type StorageError = openraft::StorageError<Member>;
pub type StorageIOError = openraft::StorageIOError<Member>;
pub type Raft = openraft::Raft<Types>;
pub type Metrics = openraft::RaftMetrics<Member, EmptyNode>;

/// A node's id, with a default, which openraft asks for and nobody has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Member(pub NodeId);

impl Default for Member {
    fn default() -> Self {
        Self(NodeId::from_bytes([0; 32]))
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What one entry of the log orders: requests of gateways, each of them operations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The leader's clock. Agreed time does not go back: the ledger sees to it.
    #[serde(rename = "t")]
    pub time: Wall,
    #[serde(rename = "q")]
    pub requests: Vec<Operations>,
}

/// What came of an entry: for each of its requests the outcome, as the machine encodes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    #[serde(rename = "o")]
    pub outcomes: Vec<Octets>,
}

#[cfg(test)]
impl From<u64> for Member {
    fn from(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        Self(NodeId::from_bytes(bytes))
    }
}
