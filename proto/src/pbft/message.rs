use super::{
    Batch, Checkpoint, Chunk, Decided, EpochCertificate, Fetch, NewView, PrePrepare, Reply, Request, Sizes, Status,
    ViewChange, Vote,
};
use crate::{
    bounded,
    codec::{self, DecodeError},
    limits,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything that replicas and gateways say to one another, on `/mesh/pbft/1`. The letters are the wire's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Message {
    /// From its gateway to all replicas, or relayed by one of them to the primary.
    #[serde(rename = "q")]
    Request(Arc<Request>),
    #[serde(rename = "o")]
    PrePrepare(Arc<PrePrepare>),
    #[serde(rename = "p")]
    Prepare(Vote),
    #[serde(rename = "c")]
    Commit(Vote),
    #[serde(rename = "k")]
    Checkpoint(Checkpoint),
    #[serde(rename = "v")]
    ViewChange(Arc<ViewChange>),
    #[serde(rename = "n")]
    NewView(Arc<NewView>),
    #[serde(rename = "t")]
    Status(Status),
    #[serde(rename = "f")]
    Fetch(Fetch),
    /// Asked for by digest.
    #[serde(rename = "b")]
    Requests(#[serde(deserialize_with = "bounded::list::<_, _, { limits::PBFT_FETCH_DIGESTS }>")] Vec<Arc<Request>>),
    /// Asked for by digest.
    #[serde(rename = "a")]
    Batch(Arc<Batch>),
    #[serde(rename = "d")]
    Decided(Decided),
    /// A stable checkpoint, or the end of an epoch: what it covers, with its proof.
    #[serde(rename = "s")]
    Stable(Arc<EpochCertificate>),
    /// Ends of epochs, in order.
    #[serde(rename = "e")]
    Epochs(#[serde(deserialize_with = "bounded::list::<_, _, { limits::PBFT_EPOCHS }>")] Vec<Arc<EpochCertificate>>),
    #[serde(rename = "h")]
    Chunk(Chunk),
    #[serde(rename = "r")]
    Reply(Arc<Reply>),
}

/// Which message it is, told from the first bytes of the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Request,
    PrePrepare,
    Prepare,
    Commit,
    Checkpoint,
    ViewChange,
    NewView,
    Status,
    Fetch,
    Requests,
    Batch,
    Decided,
    Stable,
    Epochs,
    Chunk,
    Reply,
}

impl Message {
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let carried = match self {
            Self::Request(request) => request.operations.as_bytes().len(),
            Self::Requests(requests) => requests.iter().map(|request| request.operations.as_bytes().len() + 256).sum(),
            _ => 0,
        };
        codec::encode_into(Vec::with_capacity(512 + carried), self)
    }

    /// Reads one. The kind is told from the first bytes, and its limit checked, before anything else is read; only the
    /// one encoding of a value is taken, since most are signed.
    pub fn decode(bytes: &[u8], sizes: &Sizes) -> Result<Self, DecodeError> {
        let kind = Kind::of(bytes).ok_or_else(|| DecodeError::Malformed("no message begins so".into()))?;
        codec::decode_canonical(bytes, sizes.limit(kind))
    }
}

impl Kind {
    pub const ALL: [Self; 16] = [
        Self::Request,
        Self::PrePrepare,
        Self::Prepare,
        Self::Commit,
        Self::Checkpoint,
        Self::ViewChange,
        Self::NewView,
        Self::Status,
        Self::Fetch,
        Self::Requests,
        Self::Batch,
        Self::Decided,
        Self::Stable,
        Self::Epochs,
        Self::Chunk,
        Self::Reply,
    ];

    /// A map of one entry, whose key is one letter.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let [0xa1, 0x61, letter, ..] = bytes else { return None };
        Some(match letter {
            b'q' => Self::Request,
            b'o' => Self::PrePrepare,
            b'p' => Self::Prepare,
            b'c' => Self::Commit,
            b'k' => Self::Checkpoint,
            b'v' => Self::ViewChange,
            b'n' => Self::NewView,
            b't' => Self::Status,
            b'f' => Self::Fetch,
            b'b' => Self::Requests,
            b'a' => Self::Batch,
            b'd' => Self::Decided,
            b's' => Self::Stable,
            b'e' => Self::Epochs,
            b'h' => Self::Chunk,
            b'r' => Self::Reply,
            _ => return None,
        })
    }
}
