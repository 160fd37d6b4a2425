//! Values whose sender is known beyond doubt. The brain takes peers' words in no other form.

use crate::{domain::Epoch, id::NodeId};

/// A value and the node that answers for it. Made by checking a signature, in this crate, or by
/// [`trusting_the_connection`](Self::trusting_the_connection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    from: NodeId,
    epoch: Option<Epoch>,
}

impl<T> Verified<T> {
    /// For a point-to-point message that nobody forwards and nobody keeps as proof: `peer` must be the key that the
    /// connection itself authenticated (Noise, TLS) and that admission let in. Never for what came by way of a third,
    /// and never for a peer that the message names itself.
    #[must_use]
    pub fn trusting_the_connection(peer: NodeId, value: T) -> Self {
        Self { value, from: peer, epoch: None }
    }

    /// By the code that has just checked `from`'s signature.
    pub(crate) fn signed_by(from: NodeId, value: T) -> Self {
        Self { value, from, epoch: None }
    }

    /// [`signed_by`](Self::signed_by), over an epoch too.
    pub(crate) fn signed_in(epoch: Epoch, from: NodeId, value: T) -> Self {
        Self { value, from, epoch: Some(epoch) }
    }

    /// The signer, or the peer of the connection.
    #[must_use]
    pub fn from(&self) -> NodeId {
        self.from
    }

    /// The epoch that was signed along; `None` for certificates and for what rests on the connection.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}
