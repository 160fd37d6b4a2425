//! The libp2p swarm, the admission gate and the framed substreams.

mod admission;
mod behaviour;
mod claim;
mod class;
mod config;
mod denied;
mod dial;
mod discovery;
mod driver;
mod event;
mod failure;
mod gate;
mod gossip;
mod handle;
mod kademlia;
mod metrics;
mod peers;
mod reach;
mod start;
mod substream;
mod transport;
mod violations;

pub use admission::{Directory, Guest, KnowsNobody};
pub use class::Class;
pub use config::{Backoff, Config, FrameBounds, FrameConfig};
pub use event::NetworkEvent;
pub use failure::JoinFailure;
pub use gossip::{GossipId, Verdict};
pub use handle::{CommandError, Incoming, NetworkHandle};
pub use metrics::Metrics;
pub use peers::PeerInfo;
pub use reach::split_peer;
pub use start::{NetworkError, NetworkIdentity, start};
pub use substream::OpenError;

use bytes::Bytes;
use futures::future::BoxFuture;
use mesh_proto::id::NodeId;

/// Takes the frames of all peers.
pub trait FrameHandler: Send + Sync + 'static {
    /// Decodes one frame and passes it on. The next frame of this peer and class waits until this returns, and with it
    /// the peer's writer: waiting is back-pressure. A frame shares its memory with those around it: copy what is kept.
    /// Frames of a node may come shortly before its `Up` or after its `Down`.
    fn frame(&self, from: NodeId, class: Class, frame: Bytes) -> BoxFuture<'_, Result<(), Violation>>;
}

/// A peer sent what it may not. Counted by reason; a peer that repeats it is disconnected and blocked for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a peer violated the protocol: {reason}")]
pub struct Violation {
    /// One of a fixed set: it labels a metric.
    pub reason: &'static str,
}

/// Why a frame was not taken. It stays with the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection that carries frames. `Up` says when there is one.
    #[error("not connected")]
    NotConnected,
    /// The queue to this node and class is full. `Writable` says when half of it is free.
    #[error("the queue is full")]
    Full,
    /// Above the limit of its class: never sent.
    #[error("the frame is above the limit of its class")]
    TooLarge,
}
