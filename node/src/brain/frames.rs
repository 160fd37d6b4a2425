//! From bytes of a peer to an input: decoded and checked on the network's tasks, not on the brain's thread.

use super::Inbox;
use crate::{
    consensus::Verifiers,
    directory::Directory,
    network::{Class, FrameHandler, Violation},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use mesh_coordinator::{ControlMessage, Input};
use mesh_proto::{
    codec,
    id::NodeId,
    pbft::Kind,
    task::{FRAME_LIMIT, Frame},
};
use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::Notify;

/// Members of which the brain has been told that they are up. Their frames wait until then: the two come by different
/// ways.
#[derive(Clone, Default)]
pub struct Doors(Arc<State>);

#[derive(Default)]
struct State {
    open: RwLock<HashSet<NodeId>>,
    changed: Notify,
}

impl Doors {
    pub fn open(&self, node: NodeId) {
        self.0.open.write().unwrap_or_else(PoisonError::into_inner).insert(node);
        self.0.changed.notify_waiters();
    }

    pub fn close(&self, node: NodeId) {
        self.0.open.write().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }

    fn is_open(&self, node: NodeId) -> bool {
        self.0.open.read().unwrap_or_else(PoisonError::into_inner).contains(&node)
    }

    /// Whether the door opened within a second.
    async fn pass(&self, node: NodeId) -> bool {
        if self.is_open(node) {
            return true;
        }
        let opened = async {
            loop {
                let changed = self.0.changed.notified();
                if self.is_open(node) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), opened).await.is_ok()
    }
}

/// Decodes frames for the brain.
pub struct Frames {
    pub inbox: Inbox,
    pub doors: Doors,
    pub directory: Directory,
    pub verifiers: Verifiers,
}

impl FrameHandler for Frames {
    fn frame(&self, from: NodeId, class: Class, frame: Bytes) -> BoxFuture<'_, Result<(), Violation>> {
        Box::pin(async move {
            let input = match class {
                Class::Task => {
                    let frame: Frame =
                        codec::decode(&frame, FRAME_LIMIT).map_err(|_| Violation { reason: "task_frame" })?;
                    Input::Task { from, frame }
                }
                Class::Control => self.control(from, &frame)?,
                Class::Bulk => reply(from, &frame)?,
                Class::Consensus => {
                    // Told from its first bytes; the rest is looked at under the limits of the epoch.
                    let kind = Kind::of(&frame).ok_or(Violation { reason: "consensus_frame" })?;
                    if self.doors.pass(from).await {
                        self.verifiers.take(from, kind, frame).await;
                    }
                    return Ok(());
                }
            };
            if !self.doors.pass(from).await {
                return Ok(());
            }
            let taken = match class {
                Class::Control => self.inbox.control(input).await,
                Class::Consensus | Class::Task | Class::Bulk => self.inbox.send(input).await,
            };
            if taken.is_err() {
                tracing::debug!("the brain has ended");
            }
            Ok(())
        })
    }
}

fn reply(from: NodeId, frame: &[u8]) -> Result<Input, Violation> {
    match ControlMessage::decode_reply(frame) {
        Ok(message @ ControlMessage::Reply { .. }) => Ok(Input::Control { from, message }),
        Ok(_) | Err(_) => Err(Violation { reason: "bulk_frame" }),
    }
}

impl Frames {
    /// Entries of members are verified here, one by one; what does not verify is left out.
    fn control(&self, from: NodeId, frame: &[u8]) -> Result<Input, Violation> {
        let message = ControlMessage::decode(frame).map_err(|_| Violation { reason: "control_frame" })?;
        let message = match message {
            ControlMessage::Members(members) => ControlMessage::Members(
                members.iter().filter_map(|member| self.directory.verify(&member.entry)).collect(),
            ),
            other => other,
        };
        Ok(Input::Control { from, message })
    }
}
