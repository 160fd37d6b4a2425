use mesh_proto::{
    id::{NetworkId, NodeId},
    key::SecretKey,
    ledger::{Motion, SignedMotion, SignedVote, Vote},
};

/// What the API needs of the node's key: a vote and a motion are answered for in person, so each is signed by the node
/// that its user came to.
pub trait Signer: Send + Sync + 'static {
    /// Whose signature it is.
    fn node(&self) -> NodeId;
    fn vote(&self, vote: Vote) -> SignedVote;
    fn motion(&self, motion: Motion) -> SignedMotion;
}

/// With a key that this process holds.
pub struct KeySigner {
    pub key: SecretKey,
    pub network: NetworkId,
}

impl Signer for KeySigner {
    fn node(&self) -> NodeId {
        self.key.node_id()
    }

    fn vote(&self, vote: Vote) -> SignedVote {
        SignedVote::cast(&self.key, &self.network, vote)
    }

    fn motion(&self, motion: Motion) -> SignedMotion {
        SignedMotion::sign(&self.key, &self.network, motion)
    }
}
