//! Functions over all members, computed between them. Part of `/mesh/control/1`.

use crate::{bounded, fixed::Fixed, id::NodeId, limits};
use serde::{Deserialize, Serialize};

/// One aggregation: who asked, and a number that it drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateId {
    #[serde(rename = "o")]
    pub origin: NodeId,
    #[serde(rename = "n")]
    pub number: u64,
}

/// How the values of all members become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Fold {
    /// Added up: for counts, sums and means.
    #[serde(rename = "s")]
    Sum,
    #[serde(rename = "l")]
    Least,
    #[serde(rename = "m")]
    Most,
    /// How many values lie in each of the buckets that all members know: for quantiles and histograms.
    #[serde(rename = "b")]
    Buckets,
}

/// What is folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    #[serde(rename = "f")]
    pub fold: Fold,
    /// Each member finds its own value by it.
    #[serde(rename = "m", deserialize_with = "bounded::text::<_, { limits::AGGREGATE_NAME_BYTES }>")]
    pub name: String,
    /// Numbers in a value of it: 1, but for vectors; 0 where it is only counted who has one.
    #[serde(rename = "l")]
    pub length: u16,
}

/// What one member says to another about an aggregation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Aggregate {
    #[serde(rename = "s")]
    Share(Box<Share>),
    /// The receiver's share of that turn of its life is counted, by this life of the sender.
    #[serde(rename = "t")]
    Taken { id: AggregateId, life: u64, turn: u64, own: u64 },
    /// The sender takes no part, or not any more: it counts nothing of the receiver's up to that turn, and what it gave is void.
    #[serde(rename = "r")]
    Refused { id: AggregateId, turn: u64 },
    /// It has its answer, or has been given up.
    #[serde(rename = "e")]
    Ended { id: AggregateId },
}

/// All that the sender has given to the receiver since its life began: whatever is lost between comes with the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    #[serde(rename = "i")]
    pub id: AggregateId,
    #[serde(rename = "q")]
    pub subject: Subject,
    /// When the sender began to take part, by its own clock: a later life knows nothing of an earlier one.
    #[serde(rename = "b")]
    pub life: u64,
    /// Counts what was given; a lower one is out of date.
    #[serde(rename = "t")]
    pub turn: u64,
    /// Milliseconds after which it is over.
    #[serde(rename = "w")]
    pub left_ms: u32,
    /// By what they are of.
    #[serde(rename = "g", deserialize_with = "bounded::list::<_, _, { limits::AGGREGATE_NUMBERS }>")]
    pub given: Vec<(u16, Fixed)>,
    /// The least or most that the sender knows of.
    #[serde(rename = "x", deserialize_with = "bounded::list::<_, _, { limits::AGGREGATE_LENGTH }>")]
    pub extremes: Vec<(u16, Fixed)>,
}
