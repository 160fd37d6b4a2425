use super::{EpochConfig, ReplicaId, RequestNumber, Sequence};
use crate::{
    codec,
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId},
    key::{SecretKey, Signature},
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// A replica's word that its state behind `sequence` has this digest. Section 4.3. The view is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "n")]
    pub sequence: Sequence,
    #[serde(rename = "d")]
    pub digest: Digest,
    #[serde(rename = "r")]
    pub replica: ReplicaId,
    #[serde(rename = "s")]
    pub signature: Signature,
}

/// The root of a Merkle tree over pieces of state, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roots {
    #[serde(rename = "d")]
    pub root: Digest,
    #[serde(rename = "c")]
    pub count: u32,
}

/// All that a checkpoint's digest covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    #[serde(rename = "n")]
    pub sequence: Sequence,
    /// Agreed time: of the last execution.
    #[serde(rename = "t")]
    pub time: Wall,
    /// The application's state.
    #[serde(rename = "s")]
    pub state: Roots,
    /// The client table.
    #[serde(rename = "c")]
    pub clients: Roots,
    /// What the numbers of new clients must be above.
    #[serde(rename = "f")]
    pub floor: RequestNumber,
    /// Of the numbers above this checkpoint. Another epoch than the one that certifies the checkpoint: the committee
    /// changes here.
    #[serde(rename = "x")]
    pub config: EpochConfig,
}

impl Checkpoint {
    #[must_use]
    pub fn statement(network: &NetworkId, epoch: Epoch, sequence: Sequence, digest: &Digest) -> Statement {
        let mut payload = [0; 40];
        payload[..8].copy_from_slice(&sequence.get().to_le_bytes());
        payload[8..].copy_from_slice(digest.as_bytes());
        Statement::new(Domain::PbftCheckpoint, network, epoch, &payload)
    }

    #[must_use]
    pub fn sign(
        key: &SecretKey,
        network: &NetworkId,
        (epoch, replica): (Epoch, ReplicaId),
        sequence: Sequence,
        digest: Digest,
    ) -> Self {
        let signature = key.sign(&Self::statement(network, epoch, sequence, &digest));
        Self { epoch, sequence, digest, replica, signature }
    }
}

impl Roots {
    /// Of nothing.
    pub const EMPTY: Self = Self { root: Digest::from_bytes([0; 32]), count: 0 };
}

impl Summary {
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("meshd v1 pbft checkpoint", &[&codec::encode(self)])
    }
}
