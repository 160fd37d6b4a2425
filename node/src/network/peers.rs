//! What is known of peers, for whoever asks from outside the swarm's task.

use super::{admission::Guest, reach::Reach};
use libp2p::Multiaddr;
use mesh_proto::id::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

/// Addresses kept of one node, and nodes of whom addresses are kept.
const ADDRESSES: usize = 8;
const NODES: usize = 1024;

/// A member that is connected.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    pub node: NodeId,
    /// Of the connection that carries its frames.
    pub address: Multiaddr,
    /// Whether this side dialled.
    pub outbound: bool,
    pub since: Instant,
    /// The latest ping, there and back.
    pub round_trip: Option<Duration>,
    pub guest: Arc<Guest>,
}

/// Written by the swarm's task, read by anybody.
#[derive(Clone, Debug, Default)]
pub struct Peers(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
pub struct Known {
    pub connected: BTreeMap<NodeId, PeerInfo>,
    pub listening: BTreeSet<Multiaddr>,
    pub external: BTreeSet<Multiaddr>,
    addresses: BTreeMap<NodeId, Vec<Multiaddr>>,
}

impl Peers {
    pub fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Notes where a node can be reached; an address that has just worked goes first.
    pub fn learn(&mut self, node: NodeId, address: Multiaddr, worked: bool) {
        if Reach::of(&address) == Reach::Nowhere {
            return;
        }
        if !self.addresses.contains_key(&node) && self.addresses.len() >= NODES {
            // Somebody who is not connected has to go.
            let victim = self.addresses.keys().find(|node| !self.connected.contains_key(node)).copied();
            let Some(victim) = victim else { return };
            self.addresses.remove(&victim);
        }
        let addresses = self.addresses.entry(node).or_default();
        match (addresses.iter().position(|known| *known == address), worked) {
            (Some(0), _) | (Some(_), false) => return,
            (Some(position), true) => {
                addresses.remove(position);
                addresses.insert(0, address);
            }
            (None, true) => addresses.insert(0, address),
            (None, false) => addresses.push(address),
        }
        addresses.truncate(ADDRESSES);
    }

    /// Where the nodes that were met can be reached, best address first.
    pub fn addresses(&self) -> &BTreeMap<NodeId, Vec<Multiaddr>> {
        &self.addresses
    }

    /// Where this node can be reached: what is confirmed first.
    pub fn own_addresses(&self) -> impl Iterator<Item = &Multiaddr> {
        self.external.iter().chain(self.listening.iter().rev())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_worked_last_comes_first_and_the_list_is_bounded() {
        let mut known = Known::default();
        let node = NodeId::from_bytes([1; 32]);
        for port in 1..=20 {
            known.learn(node, format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap(), false);
        }
        known.learn(node, "/ip4/10.0.0.1/tcp/5".parse().unwrap(), true);
        known.learn(node, "/ip4/0.0.0.0/tcp/5".parse().unwrap(), true);
        let addresses = &known.addresses()[&node];
        assert_eq!(addresses.len(), ADDRESSES);
        assert_eq!(addresses[0].to_string(), "/ip4/10.0.0.1/tcp/5");
    }
}
