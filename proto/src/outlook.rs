//! Why a task is where it is: what its driver knows of those that it may grant it to.

use crate::{bounded, capability::Requirement, id::NodeId, limits};
use serde::{Deserialize, Serialize};

/// As its driver has it now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outlook {
    /// The next attempt is granted in so many milliseconds: the last one came to nothing.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub again_ms: Option<u64>,
    /// Members that run tasks, the best first: of many not all.
    #[serde(rename = "c", deserialize_with = "bounded::list::<_, _, { limits::CANDIDATES }>")]
    pub candidates: Vec<Candidate>,
    /// And so many more.
    #[serde(rename = "m")]
    pub more: u32,
}

/// A member that may be granted the task, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    #[serde(rename = "n")]
    pub node: NodeId,
    /// It is in reach of the driver.
    #[serde(rename = "r")]
    pub reached: bool,
    #[serde(rename = "s")]
    pub slots: u32,
    /// What it runs, has queued and was granted.
    #[serde(rename = "b")]
    pub busy: u32,
    /// Its last attempt at the task, which came to nothing; 0 if there was none.
    #[serde(rename = "t")]
    pub tried: u32,
    /// How far it has what is only preferred, what became of the attempts that it was granted, and what it is worth by these
    /// and its load, in parts per million.
    #[serde(rename = "q")]
    pub capability_ppm: u32,
    #[serde(rename = "p")]
    pub performance_ppm: u32,
    #[serde(rename = "w")]
    pub worth_ppm: u32,
    /// What is required and it does not have: the first of it.
    #[serde(rename = "l", deserialize_with = "bounded::list::<_, _, { limits::LACKED }>")]
    pub lacked: Vec<Requirement>,
}
