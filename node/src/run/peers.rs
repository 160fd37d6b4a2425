//! Connections: for people, and for the next start.

use super::parts::NOW_AND_THEN;
use crate::{
    api::members::PeerView,
    identity::{DataDir, KnownPeer, Peers},
    network::NetworkHandle,
};
use libp2p::{Multiaddr, multiaddr::Protocol};
use mesh_proto::address::Addresses;
use std::{sync::Arc, time::Duration};

/// Between two looks for the first member that was met.
const SOON: Duration = Duration::from_millis(200);

/// The connections of now.
pub fn views(network: &NetworkHandle) -> Vec<PeerView> {
    network
        .peers()
        .into_iter()
        .map(|peer| PeerView {
            node: peer.node.to_string(),
            transport: transport(&peer.address).into(),
            address: peer.address.to_string(),
            outbound: peer.outbound,
            rtt_us: peer.round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
            connected_ms: u64::try_from(peer.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
        .collect()
}

fn transport(address: &Multiaddr) -> &'static str {
    let mut name = "tcp";
    for part in address {
        match part {
            Protocol::QuicV1 => name = "quic",
            Protocol::Ws(_) | Protocol::Wss(_) => name = "websocket",
            Protocol::Memory(_) => name = "memory",
            _ => {}
        }
    }
    name
}

/// Writes down where members can be reached, now and then and when that has changed.
pub async fn remember(network: NetworkHandle, dir: Arc<DataDir>) {
    let mut written = Vec::new();
    loop {
        // The first at once: a node that has met somebody must know it when its log is lost.
        tokio::time::sleep(if written.is_empty() { SOON } else { NOW_AND_THEN }).await;
        let known = network.known_addresses();
        if known.is_empty() || known == written {
            continue;
        }
        let mut peers = Peers::default();
        for (node, addresses) in &known {
            let addresses = Addresses::first_of(addresses.iter().map(ToString::to_string));
            peers.remember(KnownPeer { node: *node, addresses });
        }
        let dir = dir.clone();
        let saved = tokio::task::spawn_blocking(move || peers.save(&dir)).await;
        match saved {
            Ok(Ok(())) => written = known,
            Ok(Err(error)) => tracing::warn!(%error, "peers are not remembered"),
            Err(error) => tracing::warn!(%error, "peers are not remembered"),
        }
    }
}
