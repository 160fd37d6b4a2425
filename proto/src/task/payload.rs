use super::{INLINE_LIMIT, Octets};
use crate::{
    bounded,
    id::{BlobId, NodeId},
    limits,
};
use serde::{Deserialize, Serialize};

/// How a blob begins among the bytes of what names it: a map of one, `b`, to a map of three, whose `i` are 32 bytes.
pub(super) const BLOB_BEGINS: [u8; 8] = *b"\xa1\x61b\xa3\x61i\x58\x20";

/// Bytes that go into a task or come out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// At most [`INLINE_LIMIT`] bytes, in the record itself.
    #[serde(rename = "i")]
    Inline(#[serde(deserialize_with = "bounded::octets::<_, INLINE_LIMIT>")] Octets),
    /// A blob, durable on the nodes that the reference names.
    #[serde(rename = "b")]
    Blob(BlobRef),
    /// A path on a file system that all nodes share (`--in-place`).
    #[serde(rename = "p")]
    Path(#[serde(deserialize_with = "bounded::text::<_, { limits::PATH_BYTES }>")] String),
}

impl Payload {
    /// No bytes.
    pub fn empty() -> Self {
        Self::Inline(Octets::default())
    }

    /// Known size in bytes; a path's is not known here.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Inline(bytes) => Some(bytes.len() as u64),
            Self::Blob(blob) => Some(blob.size),
            Self::Path(_) => None,
        }
    }

    pub(super) fn is_within_limits(&self) -> bool {
        match self {
            Self::Inline(bytes) => bytes.len() <= INLINE_LIMIT,
            Self::Blob(blob) => blob.nodes.len() <= limits::BLOB_NODES,
            Self::Path(path) => path.len() <= limits::PATH_BYTES,
        }
    }

    /// The blob behind it, if it is one.
    pub fn blob(&self) -> Option<&BlobRef> {
        match self {
            Self::Blob(blob) => Some(blob),
            Self::Inline(_) | Self::Path(_) => None,
        }
    }
}

/// A blob by its hash, with the nodes on whose disks it was when this reference was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    #[serde(rename = "i")]
    pub id: BlobId,
    /// Bytes.
    #[serde(rename = "s")]
    pub size: u64,
    #[serde(rename = "n", deserialize_with = "bounded::list::<_, _, { limits::BLOB_NODES }>")]
    pub nodes: Vec<NodeId>,
}
