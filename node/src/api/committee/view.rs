use mesh_proto::ledger::{Committee, Index, Pending, Row, Seat};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who agrees for the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitteeInfo {
    /// Counts its changes.
    pub epoch: u64,
    /// The batch at whose end this epoch began.
    pub since: u64,
    pub members: Vec<SeatInfo>,
    /// Whether it replaces who fails by itself, and how far it grows.
    pub auto: AutoInfo,
    /// A change that waits for the next checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingInfo>,
    /// The version of commands that it executes.
    pub version: u16,
    /// What the next motion must carry.
    pub serial: u64,
    /// The batch behind which it was so.
    pub index: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeatInfo {
    /// A peer id.
    pub node: String,
    /// The disk that remembers what the key signed; missing of a founder that has not said it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoInfo {
    pub on: bool,
    /// How many members it has at most, 1 to 31.
    pub max: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PendingInfo {
    /// A peer id.
    Add(String),
    /// A peer id.
    Remove(String),
    /// Of commands.
    Version(u16),
}

/// The committee as the ledger has it.
pub struct Seen {
    pub committee: Committee,
    pub serial: u64,
    version: u16,
    index: Index,
}

impl Seen {
    pub fn of(answer: mesh_proto::ledger::Answer) -> Option<Self> {
        let index = answer.index;
        answer.rows.into_iter().find_map(|row| match row {
            Row::Committee { committee, version, serial } => Some(Self { committee, serial, version, index }),
            _ => None,
        })
    }
}

impl From<&Seen> for CommitteeInfo {
    fn from(seen: &Seen) -> Self {
        let committee = &seen.committee;
        Self {
            epoch: committee.epoch.0,
            since: committee.since.0,
            members: committee.seats.iter().map(SeatInfo::from).collect(),
            auto: AutoInfo { on: committee.auto.on, max: committee.auto.max },
            pending: committee.pending.as_ref().map(PendingInfo::from),
            version: seen.version,
            serial: seen.serial,
            index: seen.index.0,
        }
    }
}

impl From<&Seat> for SeatInfo {
    fn from(seat: &Seat) -> Self {
        Self { node: seat.node.to_string(), store: seat.store.map(|store| store.to_string()) }
    }
}

impl From<&Pending> for PendingInfo {
    fn from(pending: &Pending) -> Self {
        match pending {
            Pending::Add(seat) => Self::Add(seat.node.to_string()),
            Pending::Remove(node) => Self::Remove(node.to_string()),
            Pending::Version(version) => Self::Version(*version),
        }
    }
}
