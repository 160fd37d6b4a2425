//! From a node to the queues of the connection that carries its frames: what makes sending possible from any thread,
//! without passing by the task that owns the swarm.

use super::queue::{Queue, Refused};
use crate::network::{SendError, class::Class, config::FrameConfig, metrics::Metrics};
use bytes::Bytes;
use mesh_proto::id::NodeId;
use prometheus_client::metrics::counter::Counter;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The queues to one node, one for each class.
#[derive(Debug)]
pub struct Outbound {
    queues: [Arc<Queue>; 4],
}

impl Outbound {
    pub fn new(frames: &FrameConfig) -> Self {
        Self { queues: Class::ALL.map(|class| Arc::new(Queue::new(frames.of(class)))) }
    }

    pub fn queue(&self, class: Class) -> &Arc<Queue> {
        &self.queues[class.index()]
    }

    pub fn close(&self) {
        self.queues.iter().for_each(|queue| queue.close());
    }
}

/// Written when a node comes or goes, read for each frame.
#[derive(Debug)]
pub struct Routes {
    nodes: RwLock<HashMap<NodeId, Arc<Outbound>>>,
    full: [Counter; 4],
}

impl Routes {
    pub fn new(metrics: &Metrics) -> Self {
        Self { nodes: RwLock::default(), full: Class::ALL.map(|class| metrics.queue_full(class)) }
    }

    pub fn send(&self, to: NodeId, class: Class, frame: Bytes) -> Result<(), SendError> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let outbound = nodes.get(&to).ok_or(SendError::NotConnected)?;
        outbound.queue(class).push(frame).map_err(|refused| match refused {
            Refused::Full => {
                self.full[class.index()].inc();
                SendError::Full
            }
            Refused::Closed => SendError::NotConnected,
            Refused::TooLarge => SendError::TooLarge,
        })
    }

    pub fn insert(&self, node: NodeId, outbound: Arc<Outbound>) {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner).insert(node, outbound);
    }

    pub fn remove(&self, node: &NodeId) {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}
