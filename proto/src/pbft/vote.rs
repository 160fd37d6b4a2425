use super::{ReplicaId, Sequence, View};
use crate::{
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId},
    key::{SecretKey, Signature},
};
use serde::{Deserialize, Serialize};

/// What a signature over (view, sequence number, digest) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    #[serde(rename = "o")]
    PrePrepare,
    #[serde(rename = "p")]
    Prepare,
    #[serde(rename = "c")]
    Commit,
}

/// A PREPARE or a COMMIT, by the message that it is in. Section 4.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "v")]
    pub view: View,
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "d")]
    pub digest: Digest,
    #[serde(rename = "r")]
    pub replica: ReplicaId,
    #[serde(rename = "s")]
    pub signature: Signature,
}

impl Vote {
    /// What is signed; which phase it is for is in the domain.
    #[must_use]
    pub fn statement(
        phase: Phase,
        network: &NetworkId,
        epoch: Epoch,
        (view, sequence): (View, Sequence),
        digest: &Digest,
    ) -> Statement {
        let domain = match phase {
            Phase::PrePrepare => Domain::PbftPrePrepare,
            Phase::Prepare => Domain::PbftPrepare,
            Phase::Commit => Domain::PbftCommit,
        };
        let mut payload = [0; 48];
        payload[..8].copy_from_slice(&view.get().to_le_bytes());
        payload[8..16].copy_from_slice(&sequence.get().to_le_bytes());
        payload[16..].copy_from_slice(digest.as_bytes());
        Statement::new(domain, network, epoch, &payload)
    }

    #[must_use]
    pub fn sign(
        key: &SecretKey,
        network: &NetworkId,
        phase: Phase,
        (epoch, replica): (Epoch, ReplicaId),
        at: (View, Sequence),
        digest: Digest,
    ) -> Self {
        let signature = key.sign(&Self::statement(phase, network, epoch, at, &digest));
        Self { epoch, view: at.0, sequence: at.1, digest, replica, signature }
    }

    #[must_use]
    pub fn own_statement(&self, phase: Phase, network: &NetworkId) -> Statement {
        Self::statement(phase, network, self.epoch, (self.view, self.sequence), &self.digest)
    }
}
