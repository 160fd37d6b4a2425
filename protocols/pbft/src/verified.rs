use crate::Body;
use mesh_proto::{
    id::{Digest, NodeId},
    pbft::{
        Batch, Checkpoint, Chunk, Decided, EpochCertificate, Fetch, NewView, PrePrepare, Reply, Status, ViewChange,
        Vote,
    },
};
use std::sync::Arc;

/// A message whose signatures and certificates hold. Made by a `Verifier` alone, so that a replica and a client never see
/// anything else; carries the digests that were made for it.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The peer of the connection.
    pub(crate) from: NodeId,
    pub(crate) message: Checked,
}

#[derive(Clone, Debug)]
pub(crate) enum Checked {
    Request(Body),
    /// With the digest of the batch.
    PrePrepare(Arc<PrePrepare>, Digest),
    Prepare(Vote),
    Commit(Vote),
    Checkpoint(Checkpoint),
    /// With the digest of what was signed.
    ViewChange(Arc<ViewChange>, Digest),
    NewView(Arc<NewView>),
    Status(Status),
    Fetch(Fetch),
    Requests(Vec<Body>),
    Batch(Arc<Batch>, Digest),
    Decided(Decided),
    Stable(Arc<EpochCertificate>),
    Epochs(Vec<Arc<EpochCertificate>>),
    Chunk(Chunk),
    Reply(Arc<Reply>),
}

impl Verified {
    /// The peer of the connection.
    #[must_use]
    pub fn from(&self) -> NodeId {
        self.from
    }

    /// The gateway of a request that another node brings.
    #[must_use]
    pub fn relayed_for(&self) -> Option<NodeId> {
        match &self.message {
            Checked::Request(body) => Some(body.request.gateway).filter(|gateway| *gateway != self.from),
            _ => None,
        }
    }

    /// Requests that it brings whole: from their gateway, relayed, or fetched.
    #[must_use]
    pub fn requests(&self) -> &[Body] {
        match &self.message {
            Checked::Request(body) => std::slice::from_ref(body),
            Checked::Requests(bodies) => bodies,
            Checked::PrePrepare(..)
            | Checked::Prepare(_)
            | Checked::Commit(_)
            | Checked::Checkpoint(_)
            | Checked::ViewChange(..)
            | Checked::NewView(_)
            | Checked::Status(_)
            | Checked::Fetch(_)
            | Checked::Batch(..)
            | Checked::Decided(_)
            | Checked::Stable(_)
            | Checked::Epochs(_)
            | Checked::Chunk(_)
            | Checked::Reply(_) => &[],
        }
    }

    /// For a client; all else is for a replica.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        matches!(self.message, Checked::Reply(_))
    }
}
