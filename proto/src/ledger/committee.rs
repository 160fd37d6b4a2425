use super::Index;
use crate::{
    bounded,
    domain::Epoch,
    id::{NodeId, StoreId},
    limits,
};
use serde::{Deserialize, Serialize};

/// A place in the committee: a key, and the disk that remembers what the key signed. A key whose disk was lost does not
/// return under another: it could contradict itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    #[serde(rename = "n")]
    pub node: NodeId,
    /// A founder's is not known before it reports it.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub store: Option<StoreId>,
}

/// How far the committee grows by itself, and whether it replaces who fails. For the members' brains: the ledger only
/// keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auto {
    #[serde(rename = "o")]
    pub on: bool,
    /// 1 to 31.
    #[serde(rename = "m")]
    pub max: u8,
}

/// A change that is ordered and takes effect at the next checkpoint boundary. There is one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Pending {
    #[serde(rename = "a")]
    Add(Seat),
    #[serde(rename = "r")]
    Remove(NodeId),
    /// The active version of commands.
    #[serde(rename = "v")]
    Version(u16),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committee {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// The checkpoint at whose end this epoch began.
    #[serde(rename = "i")]
    pub since: Index,
    /// In order of their nodes.
    #[serde(rename = "s", deserialize_with = "bounded::list::<_, _, { limits::FOUNDERS }>")]
    pub seats: Vec<Seat>,
    #[serde(rename = "a")]
    pub auto: Auto,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub pending: Option<Pending>,
}

impl Committee {
    #[must_use]
    pub fn seat(&self, node: &NodeId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.node == *node)
    }
}
