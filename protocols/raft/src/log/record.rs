use crate::types::{Entry, LogId, Vote};
use mesh_proto::codec;
use serde::{Deserialize, Serialize};
use std::io;

/// One record of the journal. What holds is what the records say in their order.
#[derive(Serialize, Deserialize)]
pub enum Record {
    #[serde(rename = "v")]
    Vote(Vote),
    #[serde(rename = "e")]
    Entry(Entry),
    /// Entries from this one on were replaced by a leader's.
    #[serde(rename = "t")]
    Truncated(u64),
    /// Entries up to this one are covered by a snapshot.
    #[serde(rename = "p")]
    Purged(LogId),
    /// Known to be decided. Lost without harm: the next leader says it again.
    #[serde(rename = "c")]
    Committed(LogId),
}

impl Record {
    /// Bytes of the largest: a batch and what is said around it.
    const LIMIT: usize = 8 * 1024 * 1024;

    pub fn encode(&self) -> Vec<u8> {
        codec::encode_into(Vec::with_capacity(256), self)
    }

    pub fn decode(bytes: &[u8]) -> io::Result<Self> {
        codec::decode(bytes, Self::LIMIT).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
