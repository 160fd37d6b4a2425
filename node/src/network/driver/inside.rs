//! What the behaviours behind the gate report. Every peer here is a member.

use super::{Driver, Lookup};
use crate::network::{
    behaviour::InsideEvent,
    event::NetworkEvent,
    gossip::{self, GossipId},
    kademlia,
    peers::PeerInfo,
    substream,
};
use bytes::Bytes;
use libp2p::{
    PeerId, gossipsub, identify,
    kad::{self, GetClosestPeersError, GetProvidersOk, QueryResult},
    metrics::Recorder,
    ping,
    swarm::{
        ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use mesh_proto::id::NodeId;
use std::time::{Duration, Instant};

/// Providers that a lookup connects to.
const PROVIDERS: usize = 8;
/// Pings without an answer after which a connection is closed.
const MISSED_PINGS: u32 = 3;
/// A connection beside the one that is used is closed when it is so old, at its next ping.
const SPARE: Duration = Duration::from_secs(3);

impl Driver {
    pub(super) fn on_inside(&mut self, event: InsideEvent) {
        match event {
            InsideEvent::Identify(event) => {
                self.libp2p_metrics.record(&event);
                self.on_identify(event);
            }
            InsideEvent::Ping(event) => {
                self.libp2p_metrics.record(&event);
                self.on_ping(event);
            }
            InsideEvent::Kademlia(event) => {
                self.libp2p_metrics.record(&event);
                self.on_kademlia(event);
            }
            InsideEvent::Gossip(event) => {
                self.libp2p_metrics.record(&event);
                self.on_gossip(event);
            }
            InsideEvent::Substream(event) => self.on_substream(event),
        }
    }

    fn on_substream(&mut self, event: substream::Event) {
        match event {
            substream::Event::Up { node, connection } => self.up(node, connection),
            substream::Event::Down { node } => {
                if self.peers.write().connected.remove(&node).is_some() {
                    self.metrics.members.dec();
                }
                tracing::debug!(%node, "down");
                self.tell(NetworkEvent::Down { node });
            }
        }
    }

    fn up(&mut self, node: NodeId, id: ConnectionId) {
        let Some(connection) = self.state.connections.get(&id) else { return };
        let Some(guest) = connection.guest.clone() else { return };
        let (address, outbound) = (connection.endpoint.get_remote_address().clone(), connection.endpoint.is_dialer());
        let info = PeerInfo {
            node,
            address: address.clone(),
            outbound,
            since: Instant::now(),
            round_trip: None,
            guest: guest.clone(),
        };
        if self.peers.write().connected.insert(node, info).is_none() {
            self.metrics.members.inc();
        }
        tracing::debug!(%node, %address, outbound, "up");
        self.tell(NetworkEvent::Up { node, address, outbound, guest });
    }

    fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else { return };
        let Some(connection) = self.state.connections.get(&connection_id) else { return };
        let Some(node) = NodeId::from_peer_id(&peer_id) else { return };
        let connected = connection.endpoint.get_remote_address();
        let serves = info.protocols.contains(&kademlia::protocol(&self.network));
        let useful = info.listen_addrs.into_iter().filter(|address| kademlia::is_worth_telling(address, connected));
        let mut peers = self.peers.write();
        for address in useful.take(mesh_proto::limits::ADDRESSES) {
            peers.learn(node, address.clone(), false);
            if serves {
                self.swarm.behaviour_mut().gate.inner_mut().kademlia.add_address(&peer_id, address);
            }
        }
    }

    fn on_ping(&mut self, event: ping::Event) {
        let Some(connection) = self.state.connections.get_mut(&event.connection) else { return };
        match event.result {
            Ok(round_trip) => {
                connection.missed_pings = 0;
                let Some(node) = NodeId::from_peer_id(&event.peer) else { return };
                if let Some(info) = self.peers.write().connected.get_mut(&node) {
                    info.round_trip = Some(round_trip);
                }
                self.close_spare(event.peer, event.connection);
            }
            Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                connection.missed_pings += 1;
                if connection.missed_pings >= MISSED_PINGS {
                    tracing::info!(peer = %event.peer, %error, "closing a connection that does not answer");
                    self.swarm.close_connection(event.connection);
                }
            }
        }
    }

    /// Two that dial each other at once, or by two addresses, have two connections, of which one is enough. Not at once:
    /// the other side may be about to choose this one, since it knows that the rest are dead.
    fn close_spare(&mut self, peer: PeerId, id: ConnectionId) {
        let is_old = self.state.connections.get(&id).is_some_and(|connection| connection.since.elapsed() >= SPARE);
        if is_old && self.swarm.behaviour_mut().gate.inner_mut().substream.is_spare(&peer, id) {
            tracing::debug!(%peer, "closing a connection that nobody uses");
            self.swarm.close_connection(id);
        }
    }

    fn on_kademlia(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest { request } => {
                let source = match &request {
                    kad::InboundRequest::PutRecord { source, .. } => NodeId::from_peer_id(source),
                    _ => None,
                };
                let peers = self.peers.read();
                let known = |peer: &PeerId| {
                    let node = NodeId::from_peer_id(peer);
                    node.and_then(|node| peers.addresses().get(&node).cloned()).unwrap_or_default()
                };
                let kademlia = &mut self.swarm.behaviour_mut().gate.inner_mut().kademlia;
                let judged = kademlia::judge(kademlia, request, known);
                drop(peers);
                match (judged, source) {
                    (Ok(()), _) => {}
                    (Err(reason), Some(node)) => self.violation(node, reason),
                    (Err(reason), None) => self.metrics.refused(reason),
                }
            }
            kad::Event::OutboundQueryProgressed { id, result, step, .. } => self.on_lookup(id, result, step.last),
            _ => {}
        }
    }

    fn on_lookup(&mut self, id: kad::QueryId, result: QueryResult, last: bool) {
        let Some(lookup) = self.state.lookups.get_mut(&id) else { return };
        let mut closest = Vec::new();
        match (lookup, result) {
            (
                Lookup::Providers { found, .. },
                QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })),
            ) => {
                for node in providers.iter().filter_map(NodeId::from_peer_id) {
                    if !found.contains(&node) {
                        found.push(node);
                    }
                }
                // Where they are is known to the query, and forgotten with it.
                let found: Vec<PeerId> = found.iter().take(PROVIDERS).map(|node| node.to_peer_id()).collect();
                for peer in found {
                    let dial = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing);
                    let dial = dial.addresses(Vec::new()).extend_addresses_through_behaviour().allocate_new_port();
                    if let Err(error) = self.swarm.dial(dial.build()) {
                        tracing::debug!(%peer, %error, "a provider was not dialled");
                    }
                }
            }
            (Lookup::Closest { .. }, QueryResult::GetClosestPeers(result)) => {
                let peers = match result {
                    Ok(found) => found.peers,
                    Err(GetClosestPeersError::Timeout { peers, .. }) => peers,
                };
                closest.extend(
                    peers
                        .into_iter()
                        .filter_map(|peer| NodeId::from_peer_id(&peer.peer_id).map(|node| (node, peer.addrs))),
                );
            }
            _ => {}
        }
        if !last {
            return;
        }
        let gone = match self.state.lookups.remove(&id) {
            Some(Lookup::Providers { found, reply }) => reply.send(found).is_err(),
            Some(Lookup::Closest { reply }) => reply.send(closest).is_err(),
            None => false,
        };
        if gone {
            tracing::trace!("nobody waits for the lookup any more");
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                let from = message.source.and_then(|author| NodeId::from_peer_id(&author));
                let via = NodeId::from_peer_id(&propagation_source);
                let topic = gossip::name(&self.network, &message.topic).map(str::to_owned);
                let (Some(from), Some(via), Some(topic)) = (from, via, topic) else {
                    return self.reject(&message_id, &propagation_source);
                };
                let (bytes, id) = (Bytes::from(message.data), GossipId { message: message_id, via });
                self.tell(NetworkEvent::Gossip { topic, from, bytes, id });
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                tracing::debug!(peer = %peer_id, ?failed_messages, "gossip to a slow peer was dropped");
                self.metrics.refused("gossip_slow_peer");
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::debug!(peer = %peer_id, "does not gossip");
            }
            _ => {}
        }
    }

    fn reject(&mut self, message: &gossipsub::MessageId, via: &PeerId) {
        self.metrics.refused("gossip_foreign");
        let gossip = &mut self.swarm.behaviour_mut().gate.inner_mut().gossip;
        let known = gossip.report_message_validation_result(message, via, gossipsub::MessageAcceptance::Reject);
        tracing::debug!(%message, known, "gossip of no topic or author of ours");
    }
}
