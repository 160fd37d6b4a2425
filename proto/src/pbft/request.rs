use super::{Operations, RequestNumber};
use crate::{
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId, NodeId},
    key::{self, BadSignature, SecretKey, Signature},
};
use serde::{Deserialize, Serialize};

/// A gateway's batch of operations, ordered as one: the REQUEST of section 4.1, of which the gateway is the client. Its
/// signature has no epoch, since it may be ordered in a later one than it was made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(rename = "g")]
    pub gateway: NodeId,
    #[serde(rename = "n")]
    pub number: RequestNumber,
    #[serde(rename = "o")]
    pub operations: Operations,
    #[serde(rename = "s")]
    pub signature: Signature,
}

impl Request {
    #[must_use]
    pub fn sign(key: &SecretKey, network: &NetworkId, number: RequestNumber, operations: Operations) -> Self {
        let gateway = key.node_id();
        let signature = key.sign(&statement(network, &digest(gateway, number, &operations)));
        Self { gateway, number, operations, signature }
    }

    /// What batches name it by. It does not cover the signature: the same request signed twice is the same request.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(self.gateway, self.number, &self.operations)
    }

    /// `digest` is its own, made once by the caller.
    pub fn verify(&self, network: &NetworkId, digest: &Digest) -> Result<(), BadSignature> {
        key::verify(self.gateway, &statement(network, digest), &self.signature)
    }
}

fn digest(gateway: NodeId, number: RequestNumber, operations: &Operations) -> Digest {
    let parts: [&[u8]; 3] = [gateway.as_bytes(), &number.get().to_le_bytes(), operations.as_bytes()];
    Digest::of("meshd v1 pbft request", &parts)
}

fn statement(network: &NetworkId, digest: &Digest) -> Statement {
    Statement::new(Domain::PbftRequest, network, Epoch(0), digest.as_bytes())
}
