use super::{Operations, RequestNumber};
use crate::{
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId, NodeId},
    key::{SecretKey, Signature},
};
use serde::{Deserialize, Serialize};

/// A gateway's batch of operations, ordered as one: the REQUEST of section 4.1, of which the gateway is the client. Its
/// signature has no epoch, since it may be ordered in a later one than it was made in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(rename = "g")]
    pub gateway: NodeId,
    /// The number that the gateway began at when it started: of two of its lives that came to the same number by their
    /// clocks, not even the same question has the same digest, or one would be told what was true in the other.
    #[serde(rename = "l")]
    pub life: RequestNumber,
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
        Self::sign_with_digest(key, network, (number, number), operations).0
    }

    /// Of a life and its number, with the digest that was made for the signature: operations are hashed once.
    #[must_use]
    pub fn sign_with_digest(
        key: &SecretKey,
        network: &NetworkId,
        (life, number): (RequestNumber, RequestNumber),
        operations: Operations,
    ) -> (Self, Digest) {
        let gateway = key.node_id();
        let digest = digest(gateway, (life, number), &operations);
        let signature = key.sign(&Self::statement(network, &digest));
        (Self { gateway, life, number, operations, signature }, digest)
    }

    /// What batches name it by. It does not cover the signature: the same request signed twice is the same request.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(self.gateway, (self.life, self.number), &self.operations)
    }

    /// What the gateway signs.
    #[must_use]
    pub fn statement(network: &NetworkId, digest: &Digest) -> Statement {
        Statement::new(Domain::PbftRequest, network, Epoch(0), digest.as_bytes())
    }
}

fn digest(gateway: NodeId, (life, number): (RequestNumber, RequestNumber), operations: &Operations) -> Digest {
    let (life, number) = (life.get().to_le_bytes(), number.get().to_le_bytes());
    let parts: [&[u8]; 4] = [gateway.as_bytes(), &life, &number, operations.as_bytes()];
    Digest::of("meshd v1 pbft request", &parts)
}
