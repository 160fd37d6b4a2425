use crate::{bounded, capability::WorkerKind, limits};
use serde::{Deserialize, Serialize};

/// A task for whichever program of a kind is attached to the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSpec {
    #[serde(rename = "k")]
    pub kind: WorkerKind,
    /// For the program to read as it likes.
    #[serde(
        rename = "a",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::ARGUMENTS }>"
    )]
    pub argv: Vec<String>,
    /// Files that are to come of it.
    #[serde(
        rename = "o",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::TASK_FILES }>"
    )]
    pub outputs: Vec<String>,
}
