//! The derived behaviours, alone: they are slow to compile.

use super::{gate::Gate, substream};
use libp2p::{
    allow_block_list::{self, BlockedPeers},
    connection_limits, gossipsub, identify,
    kad::{self, store::MemoryStore},
    mdns, memory_connection_limits, ping,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
};

/// What the swarm runs. The gate comes last, so that a connection that is denied for another reason never reaches it.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    pub limits: connection_limits::Behaviour,
    pub memory: memory_connection_limits::Behaviour,
    pub blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub mdns: Toggle<mdns::tokio::Behaviour>,
    pub gate: Gate<Inside>,
}

/// What only admitted peers meet. identify too: it would tell a stranger the protocols, addresses and software.
#[derive(NetworkBehaviour)]
pub struct Inside {
    pub identify: identify::Behaviour,
    pub ping: ping::Behaviour,
    pub kademlia: kad::Behaviour<MemoryStore>,
    pub gossip: gossipsub::Behaviour,
    pub substream: substream::Behaviour,
}
