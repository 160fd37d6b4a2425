use mesh_proto::{
    id::Digest,
    pbft::{Sequence, View},
};
use serde::{Deserialize, Serialize};

/// Why a replica stops for good. Stopping is inside the fault model, diverging is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Alarm {
    #[error("two certificates for number {sequence} in view {view}: more than f members lie")]
    #[serde(rename = "p")]
    TwoPrepared {
        #[serde(rename = "v")]
        view: View,
        #[serde(rename = "n")]
        sequence: Sequence,
    },
    #[error("number {sequence} committed as {one} and as {other}: more than f members lie")]
    #[serde(rename = "c")]
    TwoCommitted {
        #[serde(rename = "n")]
        sequence: Sequence,
        #[serde(rename = "d")]
        one: Digest,
        #[serde(rename = "o")]
        other: Digest,
    },
    #[error("the state at {sequence} is {own} here, and {stable} is stable: kept for inspection")]
    #[serde(rename = "d")]
    Diverged {
        #[serde(rename = "n")]
        sequence: Sequence,
        #[serde(rename = "d")]
        own: Digest,
        #[serde(rename = "s")]
        stable: Digest,
    },
    #[error("{outcomes} outcomes for the {requests} requests of number {sequence}")]
    #[serde(rename = "w")]
    WrongOutcomes {
        #[serde(rename = "n")]
        sequence: Sequence,
        #[serde(rename = "q")]
        requests: usize,
        #[serde(rename = "o")]
        outcomes: usize,
    },
}

impl Alarm {
    /// Whether a restart changes nothing. What the caller did wrong it does again, or is mended.
    #[must_use]
    pub const fn outlives_a_restart(&self) -> bool {
        match self {
            Self::TwoPrepared { .. } | Self::TwoCommitted { .. } | Self::Diverged { .. } => true,
            Self::WrongOutcomes { .. } => false,
        }
    }
}
