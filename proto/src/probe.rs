//! Whether a member is there, as others find who probe it for themselves. Part of `/mesh/control/1`.

use crate::id::NodeId;
use serde::{Deserialize, Serialize};

/// What one member says to another about that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Probe {
    /// Is the receiver there? It is doubted as of this incarnation of it, and refutes that by a higher one.
    #[serde(rename = "p")]
    Ping { id: u64, doubted: u64 },
    /// It is.
    #[serde(rename = "e")]
    Echo { id: u64 },
    /// The sender has not heard `node` for so long, and wants to know what the receiver finds.
    #[serde(rename = "s")]
    Suspect { id: u64, node: NodeId, incarnation: u64, silent_ms: u64 },
    /// What the receiver asked about is there, or does not answer.
    #[serde(rename = "f")]
    Found { id: u64, is_there: bool },
}
