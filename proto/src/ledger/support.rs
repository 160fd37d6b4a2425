use super::Index;
use crate::{
    certificate::{Certificate, Certified},
    domain::Domain,
    id::{NetworkId, NodeId, StoreId},
    key::{BadSignature, SecretKey},
};
use serde::{Deserialize, Serialize};

/// A node's word of what it can execute, and on which disk. Of two words of a node the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Support {
    /// The newest version of commands that its build executes.
    #[serde(rename = "v")]
    pub version: u16,
    #[serde(rename = "d")]
    pub store: StoreId,
    /// What it had executed when it said so.
    #[serde(rename = "i")]
    pub at: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedSupport {
    #[serde(rename = "n")]
    pub node: NodeId,
    #[serde(rename = "s")]
    support: Certificate<Support>,
}

impl SignedSupport {
    #[must_use]
    pub fn report(key: &SecretKey, network: &NetworkId, support: Support) -> Self {
        Self { node: key.node_id(), support: Certificate::issue(key, network, support) }
    }

    pub fn verify(&self, network: &NetworkId) -> Result<&Support, BadSignature> {
        self.support.verify(self.node, network)
    }

    /// What is said to be signed.
    #[must_use]
    pub fn unverified(&self) -> &Support {
        self.support.unverified()
    }
}

impl Certified for Support {
    const DOMAIN: Domain = Domain::Support;
}
