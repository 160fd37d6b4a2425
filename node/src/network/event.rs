//! What the network tells the rest of the node.

use super::{admission::Guest, class::Class, failure::JoinFailure, gossip::GossipId};
use bytes::Bytes;
use libp2p::{Multiaddr, PeerId};
use mesh_proto::id::NodeId;
use std::sync::Arc;

#[derive(Debug)]
pub enum NetworkEvent {
    /// A member is connected, both sides let each other in, and frames can be sent to it.
    Up { node: NodeId, address: Multiaddr, outbound: bool, guest: Arc<Guest> },
    /// A connection that carried frames is gone; frames in flight may be lost. When another takes over, `Up` follows.
    Down { node: NodeId },
    /// Half of a queue that refused a frame is free again.
    Writable { node: NodeId, class: Class },
    /// A member's gossip. It goes no further until [`NetworkHandle::judge`](super::NetworkHandle::judge) is called.
    Gossip { topic: String, from: NodeId, bytes: Bytes, id: GossipId },
    /// An address did not lead to membership with the node there. Once for each address and cause, until it answers.
    Unreachable { address: Multiaddr, peer: Option<PeerId>, why: JoinFailure },
    /// The node listens here.
    Listening(Multiaddr),
    /// An address at which the node listened is gone.
    NoLongerListening(Multiaddr),
}
