//! One signature for all that a node sends in one flush. A verification costs 41 µs, a hash less than one.

use crate::{
    codec::{self, DecodeError},
    domain::{Domain, Epoch, Statement},
    envelope::{OpenError, Payload},
    id::{Digest, NetworkId, NodeId},
    key::{self, BadSignature, SecretKey, Signature},
    limits,
    merkle::{BatchSize, Leaf, Path, Tree},
    verified::Verified,
};
use serde::{Deserialize, Serialize};

/// The signature of a batch, without the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    #[serde(rename = "k")]
    signer: NodeId,
    #[serde(rename = "e")]
    epoch: Epoch,
    #[serde(rename = "s")]
    signature: Signature,
}

/// A batch whose signature was made or checked here; gives the proof of each of its leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBatch {
    seal: Seal,
    tree: Tree,
}

/// The proof of one message of a batch, to keep or to forward beside the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedLeaf {
    #[serde(rename = "b")]
    seal: Seal,
    #[serde(rename = "i")]
    index: u32,
    #[serde(rename = "c")]
    count: u32,
    #[serde(rename = "h")]
    path: Path,
}

/// Why a seal does not hold for these leaves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Size(#[from] BatchSize),
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl SealedBatch {
    /// Signs the root over `leaves`.
    pub fn sign(key: &SecretKey, network: &NetworkId, epoch: Epoch, leaves: &[Leaf]) -> Result<Self, BatchSize> {
        let tree = Tree::new(leaves)?;
        let signature = key.sign(&statement(network, epoch, tree.root(), tree.count()));
        Ok(Self { seal: Seal { signer: key.node_id(), epoch, signature }, tree })
    }

    #[must_use]
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    #[must_use]
    pub fn signer(&self) -> NodeId {
        self.seal.signer
    }

    /// The proof of the `index`-th leaf; `None` beyond the last.
    #[must_use]
    pub fn leaf(&self, index: u32) -> Option<SignedLeaf> {
        let path = self.tree.path(index)?;
        Some(SignedLeaf { seal: self.seal.clone(), index, count: self.tree.count(), path })
    }
}

impl Seal {
    /// For a receiver that has the whole batch: one signature to check.
    pub fn verify(self, network: &NetworkId, leaves: &[Leaf]) -> Result<SealedBatch, SealError> {
        let tree = Tree::new(leaves)?;
        key::verify(self.signer, &statement(network, self.epoch, tree.root(), tree.count()), &self.signature)?;
        Ok(SealedBatch { seal: self, tree })
    }
}

impl SignedLeaf {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::SIGNED_LEAF_BYTES)
    }

    /// Checks that `leaf` is what was signed, and returns by whom.
    pub fn verify(&self, network: &NetworkId, leaf: Leaf) -> Result<NodeId, BadSignature> {
        let signer = self.seal.signer;
        let root = self.path.root(leaf, self.index, self.count).ok_or(BadSignature(signer))?;
        key::verify(signer, &statement(network, self.seal.epoch, root, self.count), &self.seal.signature)?;
        Ok(signer)
    }

    /// [`verify`](Self::verify), then decodes the message that the leaf was made of.
    pub fn open<T: Payload>(&self, network: &NetworkId, message: &[u8]) -> Result<Verified<T>, OpenError> {
        if message.len() > T::LIMIT {
            return Err(DecodeError::TooLarge { size: message.len(), limit: T::LIMIT }.into());
        }
        let signer = self.verify(network, Leaf::new(T::DOMAIN, message))?;
        let value = codec::decode_canonical(message, T::LIMIT)?;
        Ok(Verified::signed_in(self.seal.epoch, signer, value))
    }
}

fn statement(network: &NetworkId, epoch: Epoch, root: Digest, count: u32) -> Statement {
    let mut payload = [0; 36];
    payload[..4].copy_from_slice(&count.to_le_bytes());
    payload[4..].copy_from_slice(root.as_bytes());
    Statement::new(Domain::Batch, network, epoch, &payload)
}
