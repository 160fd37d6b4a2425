use super::{LockName, Principal};
use crate::{
    id::{NodeId, TaskId},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What can have one holder at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Claim {
    /// A lock of this name.
    #[serde(rename = "l")]
    Lock(LockName),
    /// The right to run this task.
    #[serde(rename = "t")]
    Task(TaskId),
}

/// A number that grows with every grant of anything, and is never given twice: what it guards refuses whoever comes
/// with a lower one than it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// Who holds it, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    /// Whose command took it; only theirs renew and release it.
    #[serde(rename = "u")]
    pub owner: Principal,
    /// The node that uses it.
    #[serde(rename = "n")]
    pub holder: NodeId,
    #[serde(rename = "f")]
    pub fence: Fence,
    /// In agreed time.
    #[serde(rename = "w")]
    pub granted: Wall,
    /// In agreed time: from then on it is free.
    #[serde(rename = "x")]
    pub expires: Wall,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
