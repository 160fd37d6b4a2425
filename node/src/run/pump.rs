//! What the network says, to whom it concerns.

use super::{own_entry::OwnEntry, readiness::Readiness};
use crate::{
    brain::{Doors, Inbox, fatal},
    directory,
    network::{Class, NetworkEvent},
};
use mesh_coordinator::Input;
use tokio::sync::mpsc;

/// Runs until the network ends, which the node must not outlive.
pub async fn events(
    mut events: mpsc::Receiver<NetworkEvent>,
    inbox: Inbox,
    doors: Doors,
    mut own: OwnEntry,
    readiness: Readiness,
) {
    while let Some(event) = events.recv().await {
        let inputs = match event {
            NetworkEvent::Up { node, guest, address, .. } => {
                tracing::info!(%node, %address, "member connected");
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
            NetworkEvent::Unreachable { address, why, .. } => {
                tracing::warn!(%address, "cannot join: {why}");
                readiness.note_failure(format!("{address}: {why}"));
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
            // Nothing is gossiped yet: what came is neither wrong nor for us.
            NetworkEvent::Gossip { .. } => None,
        };
        if let Some(input) = inputs
            && !send(&inbox, [input]).await
        {
            return;
        }
    }
    fatal("the network has ended");
}

async fn send<const N: usize>(inbox: &Inbox, inputs: [Input; N]) -> bool {
    for input in inputs {
        if inbox.send(input).await.is_err() {
            return false;
        }
    }
    true
}
