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

use mesh_proto::{codec, id::BlobId, task::BlobRef};
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The protocol's name in multistream-select.
pub const PROTOCOL: &str = "/mesh/blob/1";

/// No blob is larger: 2^48 bytes keep every sum here within 64 bits.
pub const SIZE_MAX: u64 = 1 << 48;

/// No message is larger, in bytes.
pub const MESSAGE_MAX: usize = 128 << 10;

/// Blobs of which one message speaks: each names at most eight nodes and takes 350 bytes.
pub const NEEDED_MAX: usize = 256;

/// What a stream is opened for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// How large is this blob, if you have it?
    Has { id: BlobId },
    /// Send me the blob from `start` on, which is on a chunk group's boundary and not above the size.
    Get { id: BlobId, start: u64 },
    /// Take this blob from me and keep it for `lease_ms` at least; answer when it is durable.
    Keep { id: BlobId, size: u64, lease_ms: u64 },
    /// I hold records that name you for these blobs, or by which it falls to you to have them: do not let them go, and
    /// get those that you lack. At most [`NEEDED_MAX`].
    Need { blobs: Vec<BlobRef> },
}

/// The other side's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why a peer does not do what was asked. No fault of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
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

/// Why no message was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Malformed(#[from] codec::DecodeError),
}

pub(super) async fn write<T: Serialize>(stream: &mut (impl AsyncWrite + Unpin), message: &T) -> io::Result<()> {
    let mut frame = codec::encode_into(vec![0; 4], message);
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&frame).await?;
    stream.flush().await
}

pub(super) async fn read<T: serde::de::DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<T, MessageError> {
    let size = stream.read_u32().await? as usize;
    if size > MESSAGE_MAX {
        return Err(codec::DecodeError::TooLarge { size, limit: MESSAGE_MAX }.into());
    }
    let mut bytes = vec![0; size];
    stream.read_exact(&mut bytes).await?;
    Ok(codec::decode(&bytes, MESSAGE_MAX)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_keep_their_encoding() {
        let id = BlobId::from_bytes([0xab; 32]);
        let get = codec::encode(&Request::Get { id, start: 1 << 14 });
        assert_eq!(get, [&b"\xa1\x63Get\xa2\x62id\x58\x20"[..], &[0xab; 32], b"\x65start\x19\x40\x00"].concat());
        assert_eq!(codec::encode(&Reply::Kept), b"\x64Kept");
        let busy = Reply::Refused(Refusal::Busy { retry_ms: 500 });
        assert_eq!(codec::decode::<Reply>(&codec::encode(&busy), MESSAGE_MAX), Ok(busy));
    }

    proptest! {
        /// Whatever a peer sends is a message or an error.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                if let Ok(request) = read::<Request>(&mut &bytes[..]).await {
                    prop_assert!(codec::encode(&request).len() <= MESSAGE_MAX);
                }
                Ok(())
            })?;
        }
    }
}
