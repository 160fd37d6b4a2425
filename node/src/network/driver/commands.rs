//! What the handle asks for.

use super::{Driver, Lookup};
use crate::network::{
    dial::Pursuit,
    gossip::{self, GossipId, Verdict},
    handle::Command,
    reach::split_peer,
};
use bytes::Bytes;
use libp2p::{gossipsub::MessageAcceptance, kad::RecordKey};
use std::time::Duration;

/// Lookups that may wait at one time. More are answered empty.
const LOOKUPS: usize = 256;

impl Driver {
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { node, addresses } => {
                self.pursue(Some(node.to_peer_id()), addresses, Pursuit::Once, Duration::ZERO);
            }
            Command::Bootstrap(address) => {
                let (address, peer) = split_peer(address);
                self.pursue(peer, vec![address], Pursuit::Always, Duration::ZERO);
            }
            Command::Disconnect(node) => {
                self.dialer.remove(node.to_peer_id());
                if self.swarm.disconnect_peer_id(node.to_peer_id()).is_err() {
                    tracing::debug!(%node, "is not connected");
                }
            }
            Command::Block { node, time } => self.block(node, time),
            Command::Publish { topic, bytes } => self.publish(&topic, bytes),
            Command::Judge { id, verdict } => self.judge(&id, verdict),
            Command::Open { node, opening } => {
                self.swarm.behaviour_mut().gate.inner_mut().substream.open(node.to_peer_id(), opening);
            }
            Command::Provide(key) => self.provide(key),
            Command::StopProviding(key) => {
                self.swarm.behaviour_mut().gate.inner_mut().kademlia.stop_providing(&RecordKey::from(key));
            }
            Command::Providers { key, reply } => {
                if self.state.lookups.len() < LOOKUPS {
                    let kademlia = &mut self.swarm.behaviour_mut().gate.inner_mut().kademlia;
                    let query = kademlia.get_providers(RecordKey::from(key));
                    self.state.lookups.insert(query, Lookup::Providers { found: Vec::new(), reply });
                }
            }
            Command::Closest { key, reply } => {
                if self.state.lookups.len() < LOOKUPS {
                    let query = self.swarm.behaviour_mut().gate.inner_mut().kademlia.get_closest_peers(key);
                    self.state.lookups.insert(query, Lookup::Closest { reply });
                }
            }
        }
    }

    fn provide(&mut self, key: Vec<u8>) {
        match self.swarm.behaviour_mut().gate.inner_mut().kademlia.start_providing(RecordKey::from(key)) {
            Ok(_) => {
                if self.state.announcing.taken() {
                    tracing::info!("blobs are announced again");
                }
            }
            Err(error) => {
                self.metrics.unannounced.inc();
                if self.state.announcing.refused() {
                    tracing::warn!(%error, "too much is announced here to announce one more blob: who looks for it by \
                        Kademlia does not find it on this node");
                }
            }
        }
    }

    fn publish(&mut self, topic: &str, bytes: Bytes) {
        let topic = gossip::topic(&self.network, topic);
        if let Err(error) = self.swarm.behaviour_mut().gate.inner_mut().gossip.publish(topic, bytes) {
            // Alone, or before the first neighbour subscribed: gossip has nobody to reach, and repeats itself anyway.
            tracing::debug!(%error, "not gossiped");
            self.metrics.refused("gossip_not_sent");
        }
    }

    fn judge(&mut self, id: &GossipId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gate.inner_mut().gossip;
        let known = gossip.report_message_validation_result(&id.message, &id.via.to_peer_id(), acceptance);
        if !known {
            tracing::debug!(message = %id.message, "judged too late: it is no longer kept");
        }
        if verdict == Verdict::Reject {
            self.violation(id.via, "gossip_rejected");
        }
    }
}
