//! A small signed statement that travels inside other messages. Its network is not in it: that is known from where it
//! is found, and is signed along.

use crate::{
    codec,
    domain::{Domain, Epoch, Statement},
    id::{NetworkId, NodeId},
    key::{self, BadSignature, SecretKey, Signature},
};
use serde::{Deserialize, Serialize};

/// What a certificate can be over.
pub trait Certified: Serialize {
    const DOMAIN: Domain;
}

/// A body and somebody's signature of it; who that must be, the reader knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate<T> {
    #[serde(rename = "b")]
    body: T,
    #[serde(rename = "s")]
    signature: Signature,
}

impl<T: Certified> Certificate<T> {
    #[must_use]
    pub fn issue(key: &SecretKey, network: &NetworkId, body: T) -> Self {
        let signature = key.sign(&statement(network, &body));
        Self { body, signature }
    }

    /// The body, if `signer` signed it for this network. Certificates have no epoch: they outlive committees.
    pub fn verify(&self, signer: NodeId, network: &NetworkId) -> Result<&T, BadSignature> {
        key::verify(signer, &statement(network, &self.body), &self.signature)?;
        Ok(&self.body)
    }

    /// The body, whoever signed it.
    pub fn unverified(&self) -> &T {
        &self.body
    }
}

fn statement<T: Certified>(network: &NetworkId, body: &T) -> Statement {
    Statement::new(T::DOMAIN, network, Epoch(0), &codec::encode(body))
}
