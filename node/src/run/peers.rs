//! Connections: for people, and for the next start.

use super::parts::NOW_AND_THEN;
use crate::{
    api::members::PeerView,
    directory::Directory,
    identity::{DataDir, KnownPeer, Peers},
    network::NetworkHandle,
};
use libp2p::{Multiaddr, multiaddr::Protocol};
use mesh_proto::{address::Addresses, id::NodeId};
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

/// Writes down where members can be reached, now and then and when that has changed. `remembered`: what was written in
/// former lives, which stays as long as there is room: a node that comes back while most of the others are away must not
/// forget them.
pub async fn remember(network: NetworkHandle, dir: Arc<DataDir>, directory: Directory, remembered: Peers) {
    let mut written = remembered;
    let (mut heard, mut has_met) = (Vec::new(), false);
    loop {
        // The first at once: a node that has met somebody must know it when its log is lost.
        tokio::time::sleep(if has_met { NOW_AND_THEN } else { SOON }).await;
        let known = network.known_addresses();
        if known.is_empty() || known == heard {
            continue;
        }
        has_met = true;
        let peers = merged(&written, &known, |node| network.is_connected(node), |node| directory.is_gone(node));
        if peers == written {
            heard = known;
            continue;
        }
        let (dir, saving) = (dir.clone(), peers.clone());
        let saved = tokio::task::spawn_blocking(move || saving.save(&dir)).await;
        match saved {
            Ok(Ok(())) => (written, heard) = (peers, known),
            Ok(Err(error)) => tracing::warn!(%error, "peers are not remembered"),
            Err(error) => tracing::warn!(%error, "peers are not remembered"),
        }
    }
}

/// What was remembered, with what is known now before it: of that who is connected first. Those who are gone for good are
/// left out, unless nobody else is there: an empty list would say that this node has never met anybody.
fn merged(
    before: &Peers,
    known: &[(NodeId, Vec<Multiaddr>)],
    is_connected: impl Fn(NodeId) -> bool,
    is_gone: impl Fn(NodeId) -> bool,
) -> Peers {
    let mut peers = before.clone();
    // What is remembered last comes first.
    for connected in [false, true] {
        for (node, addresses) in known.iter().filter(|(node, _)| is_connected(*node) == connected) {
            let addresses = Addresses::first_of(addresses.iter().map(ToString::to_string));
            // Without one there is nothing to remember, and what was known before may still be right.
            if !addresses.is_empty() {
                peers.remember(KnownPeer { node: *node, addresses });
            }
        }
    }
    let gone: Vec<NodeId> = peers.iter().map(|peer| peer.node).filter(|node| is_gone(*node)).collect();
    if gone.len() < peers.iter().count() {
        gone.into_iter().for_each(|node| peers.forget(node));
    }
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u16) -> NodeId {
        let mut bytes = [7; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn at(n: u16, port: u16) -> (NodeId, Vec<Multiaddr>) {
        (node(n), vec![format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()])
    }

    fn nodes(peers: &Peers) -> Vec<NodeId> {
        peers.iter().map(|peer| peer.node).collect()
    }

    fn met(known: &[(NodeId, Vec<Multiaddr>)]) -> Peers {
        merged(&Peers::default(), known, |_| true, |_| false)
    }

    #[test]
    fn who_was_met_in_a_former_life_stays_behind_who_is_met_in_this() {
        let before = met(&[at(1, 1), at(2, 2), at(3, 3)]);
        let peers = merged(&before, &[at(2, 20), at(4, 4)], |who| who == node(2), |_| false);
        assert_eq!(nodes(&peers), [2, 4, 3, 1].map(node));
        let addresses = &peers.iter().next().unwrap().addresses;
        assert_eq!(addresses.iter().collect::<Vec<_>>(), ["/ip4/10.0.0.1/tcp/20"]);
        assert_eq!(merged(&peers, &[at(2, 20), at(4, 4)], |who| who == node(2), |_| false), peers, "no news");
    }

    #[test]
    fn the_list_is_bounded_and_the_oldest_goes_first() {
        let before = met(&(0..300).map(|n| at(n, 1)).collect::<Vec<_>>());
        let peers = merged(&before, &[at(1000, 1)], |_| true, |_| false);
        assert_eq!((peers.iter().count(), nodes(&peers)[0]), (256, node(1000)));
        assert!(nodes(&peers).contains(&node(299)) && !nodes(&peers).contains(&node(44)));
    }

    #[test]
    fn who_is_gone_is_dropped_unless_nobody_would_be_left() {
        let before = met(&[at(1, 1), at(2, 2)]);
        assert_eq!(nodes(&merged(&before, &[], |_| false, |who| who == node(1))), [node(2)]);
        assert_eq!(merged(&before, &[], |_| false, |_| true), before);
    }
}
