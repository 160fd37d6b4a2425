//! `/mesh/logs/1`: what a task writes while it runs. A reader sends one question, its length in 4 bytes before it; the
//! answer is chunks, each with its stream (0 is standard output, 1 standard error) in a byte and its length in 4. Whom it
//! can tell nothing now, as it tells too many, it answers with a [`REFUSED`] and no bytes.

use crate::{
    codec::{self, DecodeError},
    id::TaskId,
    limits,
};
use serde::{Deserialize, Serialize};

/// In the place of a stream: nothing will come, and another try may fare better.
pub const REFUSED: u8 = 2;

/// What a reader wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    #[serde(rename = "t")]
    pub task: TaskId,
    #[serde(rename = "a")]
    pub attempt: u32,
    /// From this byte of standard output on, and from this one of standard error.
    #[serde(rename = "o")]
    pub stdout: u64,
    #[serde(rename = "e")]
    pub stderr: u64,
    /// Until the attempt has ended.
    #[serde(rename = "f")]
    pub follow: bool,
}

impl Question {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::LOGS_QUESTION_BYTES)
    }
}
