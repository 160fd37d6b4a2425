//! ed25519 keys and signatures. Verification is strict everywhere: lax and batch verification accept what strict does
//! not, and two nodes that judge one signature differently disagree for ever.

use crate::{domain::Statement, id::NodeId};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, fmt};
use zeroize::Zeroizing;

/// A private key. Wiped when dropped, never shown, not `Clone`: who needs it shares it.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Any 32 bytes are a key; they must come from the operating system's generator.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The bytes to keep in a file of mode 0600; wiped when dropped.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs a [`Statement`], and nothing else, so that no signature of ours lacks a domain.
    #[must_use]
    pub fn sign(&self, statement: &Statement) -> Signature {
        Signature(self.0.sign(statement.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.node_id())
    }
}

/// An ed25519 signature; a CBOR byte string of 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<64>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

/// A signature that is not by this key over this statement, or a key that is no point of the curve or a weak one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a signature by {0}")]
pub struct BadSignature(pub NodeId);

/// Checks that `node` signed `statement`. 41 µs: off the brain's thread, and once a batch.
pub fn verify(node: NodeId, statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
    check(&unpack(node)?, node, statement, signature)
}

/// Keys that were unpacked before: for who checks many signatures of few, a tenth of the cost of each.
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<NodeId, VerifyingKey>);

/// Beyond so many they are unpacked anew: members, and the gateways that are at work.
const KEYS: usize = 256;

impl Keys {
    /// As [`verify`].
    pub fn verify(&mut self, node: NodeId, statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
        if let Some(key) = self.0.get(&node) {
            return check(key, node, statement, signature);
        }
        let key = unpack(node)?;
        check(&key, node, statement, signature)?;
        // Only who signed something: others could fill it.
        if self.0.len() >= KEYS {
            self.0.clear();
        }
        self.0.insert(node, key);
        Ok(())
    }
}

fn unpack(node: NodeId) -> Result<VerifyingKey, BadSignature> {
    VerifyingKey::from_bytes(node.as_bytes()).map_err(|_| BadSignature(node))
}

fn check(key: &VerifyingKey, node: NodeId, said: &Statement, signature: &Signature) -> Result<(), BadSignature> {
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    key.verify_strict(said.as_bytes(), &signature).map_err(|_| BadSignature(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Domain, Epoch},
        id::NetworkId,
    };

    fn statement(payload: &[u8]) -> Statement {
        Statement::new(Domain::Batch, &NetworkId::from_bytes([9; 32]), Epoch(1), payload)
    }

    #[test]
    fn a_signature_holds_for_its_key_and_statement_only() {
        let key = SecretKey::from_bytes(&[7; 32]);
        let signature = key.sign(&statement(b"yes"));
        assert_eq!(verify(key.node_id(), &statement(b"yes"), &signature), Ok(()));
        assert!(verify(key.node_id(), &statement(b"no"), &signature).is_err());
        assert!(verify(SecretKey::from_bytes(&[8; 32]).node_id(), &statement(b"yes"), &signature).is_err());
    }

    #[test]
    fn a_key_that_was_unpacked_checks_as_one_that_was_not() {
        let mut keys = Keys::default();
        for n in 0..=u8::MAX {
            let key = SecretKey::from_bytes(&[n; 32]);
            let signature = key.sign(&statement(&[n]));
            for _ in 0..2 {
                assert_eq!(keys.verify(key.node_id(), &statement(&[n]), &signature), Ok(()));
                assert!(keys.verify(key.node_id(), &statement(b"no"), &signature).is_err());
            }
        }
        assert_eq!(keys.0.len(), KEYS);
        let key = SecretKey::from_bytes(&[1; 32].map(|byte: u8| byte ^ 0x55));
        assert!(keys.verify(key.node_id(), &statement(b"yes"), &Signature([0; 64])).is_err());
        assert_eq!(keys.0.len(), KEYS, "who signed nothing takes nobody's place");
        let signature = key.sign(&statement(b"yes"));
        let another = SecretKey::from_bytes(&[0xab; 32]).sign(&statement(b"yes"));
        assert!(keys.verify(key.node_id(), &statement(b"yes"), &another).is_err());
        assert_eq!(keys.verify(key.node_id(), &statement(b"yes"), &signature), Ok(()));
    }

    /// Checklist item 4 of mesh-pbft: strict verification alone refuses these.
    #[test]
    fn a_weak_key_signs_nothing() {
        // The identity point: under lax verification R = identity, s = 0 is its signature of anything.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(verify(NodeId::from_bytes(identity), &statement(b""), &Signature(signature)).is_err());
        assert!(verify(NodeId::from_bytes([0xff; 32]), &statement(b""), &Signature(signature)).is_err());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", SecretKey::from_bytes(&[0xab; 32]));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }

    #[test]
    fn keys_are_libp2p_keys() {
        let theirs = libp2p_identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let ours = SecretKey::from_bytes(&[7; 32]);
        assert_eq!(ours.node_id().to_peer_id(), theirs.public().to_peer_id());
        assert_eq!(*ours.to_bytes(), [7; 32]);
    }
}
