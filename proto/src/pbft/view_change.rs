use super::{Prepared, ReplicaId, Sequence, Stable, View};
use crate::{
    bounded, codec,
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId},
    key::{SecretKey, Signature},
    limits,
};
use serde::{Deserialize, Serialize};

/// A replica leaves for `view`, with all that prepared at it. Section 4.4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewChange {
    #[serde(rename = "c")]
    pub change: Change,
    #[serde(rename = "s")]
    pub signature: Signature,
}

/// What is signed of a VIEW-CHANGE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    #[serde(rename = "e")]
    pub epoch: Epoch,
    #[serde(rename = "v")]
    pub view: View,
    #[serde(rename = "r")]
    pub replica: ReplicaId,
    /// h: the last stable checkpoint.
    #[serde(rename = "h")]
    pub stable: Sequence,
    /// C: its proof; none at the start of the epoch, which the epoch's own certificate proves.
    #[serde(rename = "c")]
    pub proof: Option<Stable>,
    /// P: for each number above h that ever prepared here, the certificate of the highest view; by ascending number.
    #[serde(rename = "p", deserialize_with = "bounded::list::<_, _, { limits::PBFT_WINDOW }>")]
    pub prepared: Vec<Prepared>,
}

impl ViewChange {
    #[must_use]
    pub fn sign(key: &SecretKey, network: &NetworkId, change: Change) -> Self {
        let signature = key.sign(&Self::statement(network, change.epoch, &change.digest()));
        Self { change, signature }
    }

    #[must_use]
    pub fn statement(network: &NetworkId, epoch: Epoch, digest: &Digest) -> Statement {
        Statement::new(Domain::PbftViewChange, network, epoch, digest.as_bytes())
    }
}

impl Change {
    /// What a NEW-VIEW names it by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of("meshd v1 pbft view change", &[&codec::encode(self)])
    }
}
