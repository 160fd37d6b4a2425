//! The messages of [`mesh_proto::blob`] on a stream: each is its length in 4 bytes, big-endian, and its CBOR.

use mesh_proto::codec;
use serde::Serialize;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use mesh_proto::{
    blob::{Refusal, Reply, Request},
    limits::{BLOB_BYTES as SIZE_MAX, BLOB_MESSAGE_BYTES as MESSAGE_MAX, NEEDED_BLOBS as NEEDED_MAX},
};

/// The protocol's name in multistream-select.
pub const PROTOCOL: &str = "/mesh/blob/1";

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
    use mesh_proto::id::BlobId;
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
