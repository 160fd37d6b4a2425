//! What the swarm reports: connections, listeners, and the behaviours outside the gate.

use super::{Connection, Driver};
use crate::network::{
    admission::Guest, behaviour::BehaviourEvent, denied, dial::Pursuit, discovery, event::NetworkEvent,
    failure::JoinFailure, gate, kademlia,
};
use libp2p::{
    Multiaddr, PeerId, kad, mdns,
    metrics::Recorder,
    swarm::{ConnectionId, SwarmEvent},
};
use mesh_proto::{address::Addresses, id::NodeId};
use std::{sync::Arc, time::Instant};

impl Driver {
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        self.libp2p_metrics.record(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { connection_id, endpoint, .. } => {
                self.metrics.connections.inc();
                let connection = Connection { endpoint, guest: None, missed_pings: 0, since: Instant::now() };
                self.state.connections.insert(connection_id, connection);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.closed(peer_id, connection_id, num_established);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "an incoming connection came to nothing");
                self.metrics.refused(denied::reason(&error));
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.peers.write().listening.insert(address.clone());
                self.addresses_changed();
                self.tell(NetworkEvent::Listening(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.peers.write().listening.remove(&address);
                self.addresses_changed();
                self.tell(NetworkEvent::NoLongerListening(address));
            }
            SwarmEvent::ExternalAddrConfirmed { address } => {
                self.peers.write().external.insert(address);
                self.addresses_changed();
            }
            SwarmEvent::ExternalAddrExpired { address } => {
                self.peers.write().external.remove(&address);
                self.addresses_changed();
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener failed to accept"),
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                tracing::error!(?addresses, %error, "no longer listening");
            }
            _ => {}
        }
        self.dial_what_is_due();
    }

    fn closed(&mut self, peer: PeerId, id: ConnectionId, others: u32) {
        self.metrics.connections.dec();
        self.state.connections.remove(&id);
        // Lost before it was admitted or refused.
        self.dialer.failed(id, false, Instant::now(), rand::random());
        if others == 0 {
            self.dialer.lost(peer, Instant::now(), rand::random());
        }
    }

    fn addresses_changed(&self) {
        let peers = self.peers.read();
        self.admission.set_addresses(Addresses::first_of(peers.own_addresses().map(Multiaddr::to_string)));
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Mdns(event) => self.on_mdns(event),
            BehaviourEvent::Gate(gate::Event::Inner(event)) => self.on_inside(event),
            BehaviourEvent::Gate(gate::Event::Admitted { peer, connection, guest }) => {
                self.admitted(peer, connection, *guest);
            }
            BehaviourEvent::Gate(gate::Event::Refused { peer, connection, address, role, why }) => {
                self.refused(peer, connection, address, role, &why);
            }
            BehaviourEvent::Limits(never) | BehaviourEvent::Memory(never) | BehaviourEvent::Blocked(never) => {
                match never {}
            }
        }
    }

    fn on_mdns(&mut self, event: mdns::Event) {
        match event {
            mdns::Event::Discovered(found) => {
                for (peer, address) in found {
                    let delay = discovery::delay(self.swarm.local_peer_id(), &peer);
                    self.pursue(Some(peer), vec![address], Pursuit::WhileSeen, delay);
                }
            }
            mdns::Event::Expired(gone) => gone.iter().for_each(|(peer, _)| self.dialer.unseen(*peer)),
        }
    }

    fn admitted(&mut self, peer: PeerId, id: ConnectionId, guest: Guest) {
        self.metrics.admission("admitted");
        self.dialer.reached(peer, id);
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        let (address, outbound) = (connection.endpoint.get_remote_address().clone(), connection.endpoint.is_dialer());
        let mut peers = self.peers.write();
        if let Some(node) = NodeId::from_peer_id(&peer) {
            if outbound {
                peers.learn(node, address.clone(), true);
            }
            let told = guest.addresses.iter().filter_map(|text| text.parse().ok());
            for told in told.filter(|told| kademlia::is_worth_telling(told, &address)) {
                peers.learn(node, told, false);
            }
        }
        drop(peers);
        connection.guest = Some(Arc::new(guest));
        if outbound {
            self.metrics.dial("reached");
            self.state.reported.forget(&address);
        } else {
            // A member came in: this node can be reached from where that member is, and may serve lookups.
            self.swarm.behaviour_mut().gate.inner_mut().kademlia.set_mode(Some(kad::Mode::Server));
        }
    }

    fn refused(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        address: Multiaddr,
        role: gate::Role,
        failure: &gate::Failure,
    ) {
        let why = JoinFailure::of_admission(failure);
        self.metrics.admission(why.label());
        tracing::debug!(%peer, %address, ?role, %failure, "no admission");
        self.dialer.failed(id, why.is_lasting(), Instant::now(), rand::random());
        match role {
            gate::Role::Asker => self.unreachable(address, Some(peer), why),
            gate::Role::Door => self.metrics.refused("stranger"),
        }
    }
}
