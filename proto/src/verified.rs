//! Values whose sender is known beyond doubt. The brain takes peers' words in no other form.

use crate::id::NodeId;

/// A value and the node that answers for it. Made by checking a signature, in this crate, or by
/// [`trusting_the_connection`](Self::trusting_the_connection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    from: NodeId,
}

impl<T> Verified<T> {
    /// For a point-to-point message that nobody forwards and nobody keeps as proof: `peer` must be the key that the
    /// connection itself authenticated (Noise, TLS) and that admission let in. Never for what came by way of a third,
    /// and never for a peer that the message names itself.
    #[must_use]
    pub fn trusting_the_connection(peer: NodeId, value: T) -> Self {
        Self { value, from: peer }
    }

    /// By the code that has just checked `from`'s signature.
    pub(crate) fn signed_by(from: NodeId, value: T) -> Self {
        Self { value, from }
    }

    /// The signer, or the peer of the connection.
    #[must_use]
    pub fn from(&self) -> NodeId {
        self.from
    }

    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Part of what was verified is verified.
    #[must_use]
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Verified<U> {
        Verified { value: part(self.value), from: self.from }
    }
}
