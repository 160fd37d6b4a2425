//! The messages of `/mesh/blob/1`. A stream carries one request and its answer:
//!
//! ```text
//! Has{id}                 -> Blob{size}                                     |  Refused(why)
//! Get{id, start}          -> Blob{size}, then the segments from `start` on  |  Refused(why)
//! Keep{id, size, lease}   -> Kept                                           |  Refused(why)
//!                         -> Send{start}; segments from `start` on          -> Kept | Refused(why)
//! Need{blobs}             -> Lacks{blobs}
//! ```
//!
//! A message is its length in 4 bytes, big-endian, and its CBOR. A segment is bao's encoding of the chunk groups of one
//! aligned 512 KiB: hash pairs from the root down, in pre-order, with the groups between them. Its length follows from
//! size and start, so nothing in it can claim anything.

use crate::{
    codec::{self, DecodeError},
    id::BlobId,
    limits,
    task::BlobRef,
};
use serde::{Deserialize, Serialize};

/// What a stream is opened for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Request {
    /// How large is this blob, if you have it?
    Has { id: BlobId },
    /// Send me the blob from `start` on, which is on a chunk group's boundary and not above the size.
    Get { id: BlobId, start: u64 },
    /// Take this blob from me and keep it for `lease_ms` at least; answer when it is durable.
    Keep { id: BlobId, size: u64, lease_ms: u64 },
    /// I hold records that name you for these blobs, or by which it falls to you to have them: do not let them go, and
    /// get those that you lack. At most [`limits::NEEDED_BLOBS`].
    Need { blobs: Vec<BlobRef> },
}

impl Request {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::BLOB_MESSAGE_BYTES)
    }
}

/// The other side's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Reply {
    /// To `Has` and `Get`: of this size, in bytes. To `Get`, the segments follow.
    Blob {
        size: u64,
    },
    /// To `Keep`: what is before `start` I have; send the segments from there on.
    Send {
        start: u64,
    },
    /// To `Keep`: content, name and lease are durable here.
    Kept,
    /// To `Need`: of these there is nothing here.
    Lacks {
        blobs: Vec<BlobId>,
    },
    Refused(Refusal),
}

impl Reply {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::BLOB_MESSAGE_BYTES)
    }
}

/// Why a peer does not do what was asked. No fault of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
pub enum Refusal {
    #[error("it has no such blob")]
    Unknown,
    #[error("it is busy for {retry_ms} ms")]
    Busy { retry_ms: u64 },
    #[error("it has no room: {available_bytes} bytes available")]
    QuotaFull { available_bytes: u64 },
    #[error("it takes no blob above {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    /// The request cannot be: not a message of this protocol, or a start that is no group's boundary.
    #[error("it did not understand the request")]
    BadRequest,
    /// What was sent did not match its hash.
    #[error("it found what was sent wrong at byte {at}")]
    BadContent { at: u64 },
    #[error("its disk failed")]
    Failed,
}
