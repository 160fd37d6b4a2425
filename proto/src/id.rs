//! Names of things. Each is a type of its own, so that none is taken for another.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: expected {expected}")]
pub struct ParseIdError {
    pub text: String,
    pub kind: &'static str,
    pub expected: &'static str,
}

/// 32 bytes, shown as 64 lower-case hexadecimal digits, encoded as a CBOR byte string.
macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &data_encoding::HEXLOWER.encode(&self.0[..4]))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                data_encoding::HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| ParseIdError {
                        text: text.chars().take(80).collect(),
                        kind: $kind,
                        expected: "64 lower-case hexadecimal digits",
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde_bytes::ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
            }
        }
    };
}

digest_id!(
    /// A network: the BLAKE3 hash of its canonical genesis record. In every signed envelope, gossip topic and
    /// Kademlia protocol name.
    NetworkId,
    "network id"
);
digest_id!(
    /// One unit of work: BLAKE3 over (domain, network, principal, idempotency key). DESIGN section 7.
    TaskId,
    "task id"
);
digest_id!(
    /// A set of tasks made by one `map`; derived as a [`TaskId`] is, under its own domain.
    JobId,
    "job id"
);
digest_id!(
    /// The BLAKE3 hash of a blob's content, equal to what `b3sum` prints.
    BlobId,
    "blob id"
);
digest_id!(
    /// The BLAKE3 hash of anything else.
    Digest,
    "digest"
);

impl Digest {
    /// The hash of `parts`, each behind its length, under a domain: no two lists of parts collide.
    pub fn of(domain: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// A member's ed25519 public key. Its text form is the libp2p peer id of that key (`12D3Koo…`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

impl NodeId {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `None` for a key that is no ed25519 key or a peer id that hides its key behind a hash.
    pub fn from_peer_id(peer: &libp2p_identity::PeerId) -> Option<Self> {
        // An ed25519 peer id is the identity multihash (0x00, 36) of the key's protobuf (08 01 12 20 key).
        let bytes = peer.to_bytes();
        let key = bytes.strip_prefix(&[0x00, 36, 0x08, 0x01, 0x12, 0x20])?;
        key.try_into().ok().map(Self)
    }

    /// The libp2p name of this member. Made from the bytes alone: no curve arithmetic.
    ///
    /// # Panics
    /// Never: the bytes are a well-formed identity multihash by construction.
    pub fn to_peer_id(self) -> libp2p_identity::PeerId {
        let mut bytes = vec![0x00, 36, 0x08, 0x01, 0x12, 0x20];
        bytes.extend_from_slice(&self.0);
        libp2p_identity::PeerId::from_bytes(&bytes).expect("an identity multihash of 36 bytes is a peer id")
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_peer_id().fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

impl FromStr for NodeId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        libp2p_identity::PeerId::from_str(text).ok().and_then(|peer| Self::from_peer_id(&peer)).ok_or_else(|| {
            ParseIdError {
                text: text.chars().take(80).collect(),
                kind: "peer id",
                expected: "the peer id of an ed25519 key, such as 12D3Koo…",
            }
        })
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

/// One life of a node's disk, random. A member with another store id holds nothing and promised nothing of what it
/// held and promised before. DESIGN section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(pub u64);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The number of a record in a node's log, from 1. [`LogPosition::START`] is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogPosition(pub u64);

impl LogPosition {
    pub const START: Self = Self(0);

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text_and_their_wire_form() {
        let id = TaskId::from_bytes([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(crate::codec::decode::<TaskId>(&crate::codec::encode(&id), 64), Ok(id));
        assert!("AB".parse::<TaskId>().is_err());
    }

    #[test]
    fn a_node_id_is_the_peer_id_of_its_key() {
        let key = libp2p_identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let peer = key.public().to_peer_id();
        let node = NodeId::from_peer_id(&peer).unwrap();
        assert_eq!(node.to_peer_id(), peer);
        assert_eq!(node.to_string().parse(), Ok(node));
        assert_eq!(node.as_bytes(), &key.public().try_into_ed25519().unwrap().to_bytes());
    }
}
