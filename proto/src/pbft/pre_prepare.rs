use super::{Batch, Phase, Sequence, View, Vote};
use crate::{
    domain::Epoch,
    id::{Digest, NetworkId, NodeId},
    key::{BadSignature, SecretKey, Signature},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The primary's proposal. Section 4.2. What is signed is the digest of the batch, so that a certificate need not carry
/// the batch to prove that the primary proposed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrePrepare {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "v")]
    pub view: View,
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "b")]
    pub batch: Arc<Batch>,
    #[serde(rename = "s")]
    pub signature: Signature,
}

impl PrePrepare {
    /// The signature over a proposal of `digest`; of one in a NEW-VIEW as well.
    #[must_use]
    pub fn sign_digest(
        key: &SecretKey,
        network: &NetworkId,
        epoch: Epoch,
        at: (View, Sequence),
        digest: &Digest,
    ) -> Signature {
        key.sign(&Vote::statement(Phase::PrePrepare, network, epoch, at, digest))
    }

    /// `digest` is that of the batch, made once by the caller; `primary` the primary of the view.
    pub fn verify(&self, network: &NetworkId, primary: NodeId, digest: &Digest) -> Result<(), BadSignature> {
        let statement = Vote::statement(Phase::PrePrepare, network, self.epoch, (self.view, self.sequence), digest);
        crate::key::verify(primary, &statement, &self.signature)
    }
}
