use crate::{bounded, id::Digest, limits, task::Octets, time::Wall};
use serde::{Deserialize, Serialize};

/// What a compare-and-swap must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Expect {
    /// Nothing, or nothing that has not expired.
    #[serde(rename = "a")]
    Absent,
    /// The write that was answered with this version. Versions of a key only grow, also when it was deleted between,
    /// so that nothing is taken for what was there before.
    #[serde(rename = "v")]
    Version(u64),
    /// A value with this BLAKE3 hash, whoever wrote it.
    #[serde(rename = "h")]
    Value(Digest),
}

/// What is at a key of the shared memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryItem {
    #[serde(rename = "n")]
    pub version: u64,
    /// The agreed time at which it was written.
    #[serde(rename = "w")]
    pub written: Wall,
    /// The agreed time from which on it is absent. Default never.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub expires: Option<Wall>,
    #[serde(rename = "v", deserialize_with = "bounded::octets::<_, { limits::MEMORY_VALUE_BYTES }>")]
    pub value: Octets,
}
