//! What the network says, to whom it concerns.

use super::{own_entry::OwnEntry, readiness::Readiness};
use crate::{
    brain::{Doors, Inbox, fatal},
    directory::{self, Directory},
    network::{Class, GossipId, NetworkEvent, NetworkHandle, Verdict, split_peer},
};
use mesh_coordinator::Input;
use mesh_proto::id::NodeId;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::mpsc;

/// Runs until the network ends, which the node must not outlive, but where it is over already.
pub async fn events(
    mut events: mpsc::Receiver<NetworkEvent>,
    inbox: Inbox,
    doors: Doors,
    mut own: OwnEntry,
    readiness: Readiness,
    gossip: Gossip,
    is_over: Arc<AtomicBool>,
) {
    own.refresh().await;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = own.asked() => {
                own.say_again().await;
                continue;
            }
        };
        let Some(event) = event else { break };
        let inputs = match event {
            NetworkEvent::Up { node, guest, address, .. } => {
                tracing::info!(%node, %address, "member connected");
                readiness.note_reached(node, &split_peer(address).0);
                let input =
                    [Input::Member(directory::seen_at_the_door(&guest)), Input::Up { node, store: guest.store }];
                if !send(&inbox, input).await {
                    return;
                }
                doors.open(node);
                continue;
            }
            NetworkEvent::Down { node } => {
                tracing::info!(%node, "member disconnected");
                doors.close(node);
                Some(Input::Down { node })
            }
            NetworkEvent::Writable { node, class: Class::Task } => Some(Input::Writable { node }),
            NetworkEvent::Writable { .. } => None,
            NetworkEvent::Unreachable { address, peer, why } => {
                tracing::warn!(%address, "cannot join: {why}");
                let peer = peer.as_ref().and_then(NodeId::from_peer_id);
                readiness.note_failure(split_peer(address).0, peer, why.to_string());
                None
            }
            NetworkEvent::Listening(address) => {
                tracing::info!(%address, "listening");
                own.refresh().await;
                None
            }
            NetworkEvent::NoLongerListening(address) => {
                tracing::info!(%address, "no longer listening");
                own.refresh().await;
                None
            }
            NetworkEvent::Gossip { topic, bytes, id, .. } => gossip.heard(&topic, &bytes, id),
        };
        if let Some(input) = inputs
            && !send(&inbox, [input]).await
        {
            return;
        }
    }
    if !is_over.load(Ordering::Acquire) {
        fatal("the network has ended");
    }
}

/// Judges what is gossiped.
pub struct Gossip {
    pub network: NetworkHandle,
    pub directory: Directory,
}

impl Gossip {
    fn heard(&self, topic: &str, bytes: &[u8], id: GossipId) -> Option<Input> {
        let (verdict, member) = match topic {
            directory::TOPIC => self.directory.judge(bytes),
            // Of a later version: neither wrong nor for us.
            _ => (Verdict::Ignore, None),
        };
        if let Err(error) = self.network.judge(id, verdict) {
            tracing::debug!(%error, "gossip that was not judged goes no further");
        }
        member.map(Input::Announced)
    }
}

async fn send<const N: usize>(inbox: &Inbox, inputs: [Input; N]) -> bool {
    for input in inputs {
        if inbox.send(input).await.is_err() {
            return false;
        }
    }
    true
}
