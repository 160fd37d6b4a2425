//! Messages that third parties forward or keep as proof: signed whole, with all that says where they count.

use crate::{
    codec::{self, DecodeError},
    domain::{Domain, Epoch, Statement},
    id::{NetworkId, NodeId},
    key::{self, BadSignature, SecretKey, Signature},
    limits,
    verified::Verified,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What an envelope, or a leaf of a batch, can hold.
pub trait Payload: Serialize + DeserializeOwned {
    const DOMAIN: Domain;
    /// Bytes of the largest encoding; at most [`limits::ENVELOPE_PAYLOAD_BYTES`] in an envelope.
    const LIMIT: usize;
}

/// A payload as bytes, with its purpose, network, epoch, signer and signature. To be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    #[serde(rename = "d")]
    domain: Domain,
    #[serde(rename = "n")]
    network: NetworkId,
    #[serde(rename = "e")]
    epoch: Epoch,
    #[serde(rename = "k")]
    signer: NodeId,
    #[serde(rename = "p", with = "serde_bytes")]
    payload: Vec<u8>,
    #[serde(rename = "s")]
    signature: Signature,
}

/// Why an envelope is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("signed for {found:?}, and {expected:?} was expected")]
    Domain { expected: Domain, found: Domain },
    #[error("signed for another network")]
    Network,
    #[error(transparent)]
    Signature(#[from] BadSignature),
    #[error("payload: {0}")]
    Payload(#[from] DecodeError),
}

impl Envelope {
    #[must_use]
    pub fn seal<T: Payload>(key: &SecretKey, network: &NetworkId, epoch: Epoch, value: &T) -> Self {
        let payload = codec::encode(value);
        let signature = key.sign(&Statement::new(T::DOMAIN, network, epoch, &payload));
        Self { domain: T::DOMAIN, network: *network, epoch, signer: key.node_id(), payload, signature }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_canonical(bytes, limits::ENVELOPE_BYTES)
    }

    /// Checks purpose, network and signature, then decodes. Whether the signer is a member, and may say this in this
    /// epoch, is for the receiver.
    pub fn open<T: Payload>(&self, network: &NetworkId) -> Result<Verified<T>, OpenError> {
        if self.domain != T::DOMAIN {
            return Err(OpenError::Domain { expected: T::DOMAIN, found: self.domain });
        }
        if self.network != *network {
            return Err(OpenError::Network);
        }
        // Before the signature, which costs time in proportion.
        if self.payload.len() > T::LIMIT {
            return Err(DecodeError::TooLarge { size: self.payload.len(), limit: T::LIMIT }.into());
        }
        let statement = Statement::new(self.domain, &self.network, self.epoch, &self.payload);
        key::verify(self.signer, &statement, &self.signature)?;
        let value = codec::decode_canonical(&self.payload, T::LIMIT)?;
        Ok(Verified::signed_in(self.epoch, self.signer, value))
    }

    /// Who is said to have signed; for choosing whether to open at all.
    #[must_use]
    pub fn unverified_signer(&self) -> NodeId {
        self.signer
    }

    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }
}
