//! How the rest of the node speaks to the network.

use super::{
    Class, SendError,
    gossip::{GossipId, Verdict},
    peers::{PeerInfo, Peers},
    substream::{OpenError, Opening, Routes},
};
use bytes::Bytes;
use libp2p::{Multiaddr, Stream, StreamProtocol};
use mesh_proto::id::NodeId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// What the handle asks of the task that owns the swarm.
#[derive(Debug)]
pub enum Command {
    Dial { node: NodeId, addresses: Vec<Multiaddr> },
    Bootstrap(Multiaddr),
    Disconnect(NodeId),
    Block { node: NodeId, time: Duration },
    Publish { topic: String, bytes: Bytes },
    Judge { id: GossipId, verdict: Verdict },
    Open { node: NodeId, opening: Opening },
    Provide(Vec<u8>),
    StopProviding(Vec<u8>),
    Providers { key: Vec<u8>, reply: oneshot::Sender<Vec<NodeId>> },
    Closest { key: Vec<u8>, reply: oneshot::Sender<Vec<(NodeId, Vec<Multiaddr>)>> },
}

/// The network's task has more to do than it can, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the network is busy")]
    Busy,
    #[error("the network has ended")]
    Ended,
}

/// Incoming streams of one protocol.
pub type Incoming = mpsc::Receiver<(NodeId, Stream)>;

/// Cheap to clone. The network ends when all are dropped.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    pub(super) node: NodeId,
    pub(super) routes: Arc<Routes>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) peers: Peers,
    pub(super) incoming: Arc<Mutex<HashMap<String, Incoming>>>,
}

#[cfg(test)]
impl NetworkHandle {
    /// Of a network that has ended.
    pub fn of_nothing(node: NodeId) -> Self {
        let metrics = super::metrics::Metrics::register(&mut prometheus_client::registry::Registry::default());
        let (routes, commands) = (Arc::new(Routes::new(&metrics)), mpsc::channel(1).0);
        Self { node, routes, commands, peers: Peers::default(), incoming: Arc::default() }
    }
}

impl NetworkHandle {
    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Queues a frame. Returns at once, on any thread; takes no part of the swarm's task. Frames of one class to one node
    /// arrive in order, or the node is reported `Down`.
    pub fn send(&self, to: NodeId, class: Class, frame: Bytes) -> Result<(), SendError> {
        self.routes.send(to, class, frame)
    }

    /// Tries once to reach a node, at these addresses. `Up` says that it was; `Unreachable` why not, once for each cause.
    pub fn dial(&self, node: NodeId, addresses: Vec<Multiaddr>) -> Result<(), CommandError> {
        self.command(Command::Dial { node, addresses })
    }

    /// Tries an address until it is reached, and again when it is lost.
    pub fn bootstrap(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.command(Command::Bootstrap(address))
    }

    /// Closes all connections to a node, and no longer pursues it.
    pub fn disconnect(&self, node: NodeId) -> Result<(), CommandError> {
        self.command(Command::Disconnect(node))
    }

    /// Disconnects a node and refuses it for a time.
    pub fn block(&self, node: NodeId, time: Duration) -> Result<(), CommandError> {
        self.command(Command::Block { node, time })
    }

    /// Gossips to all who follow a topic of this network.
    pub fn publish(&self, topic: &str, bytes: Bytes) -> Result<(), CommandError> {
        self.command(Command::Publish { topic: topic.to_owned(), bytes })
    }

    /// Answers a gossip message. Until then it goes no further.
    pub fn judge(&self, id: GossipId, verdict: Verdict) -> Result<(), CommandError> {
        self.command(Command::Judge { id, verdict })
    }

    /// Opens a stream of another protocol to a connected node.
    pub async fn open_stream(&self, node: NodeId, protocol: &'static str) -> Result<Stream, OpenError> {
        let (reply, answer) = oneshot::channel();
        let opening = Opening { protocol: StreamProtocol::new(protocol), reply };
        self.commands.send(Command::Open { node, opening }).await.map_err(|_| OpenError::NotConnected)?;
        // The handler goes with its connection, and the reply with it.
        answer.await.unwrap_or(Err(OpenError::NotConnected))
    }

    /// The incoming streams of a protocol of the configuration. Once: the second caller gets `None`.
    pub fn incoming(&self, protocol: &str) -> Option<Incoming> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner).remove(protocol)
    }

    /// Lets the others know that this node has what the key names.
    pub fn provide(&self, key: &[u8]) -> Result<(), CommandError> {
        self.command(Command::Provide(key.to_vec()))
    }

    pub fn stop_providing(&self, key: &[u8]) -> Result<(), CommandError> {
        self.command(Command::StopProviding(key.to_vec()))
    }

    /// Who has what the key names, as far as can be learned within the time of a lookup [10 s]. This node is not named.
    pub async fn providers(&self, key: &[u8]) -> Result<Vec<NodeId>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Providers { key: key.to_vec(), reply })?;
        answer.await.map_err(|_| CommandError::Ended)
    }

    /// The members that are closest to a key by Kademlia's distance, with their addresses.
    pub async fn closest(&self, key: &[u8]) -> Result<Vec<(NodeId, Vec<Multiaddr>)>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Closest { key: key.to_vec(), reply })?;
        answer.await.map_err(|_| CommandError::Ended)
    }

    /// The members that are connected.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.peers.read().connected.values().cloned().collect()
    }

    pub fn is_connected(&self, node: NodeId) -> bool {
        self.peers.read().connected.contains_key(&node)
    }

    /// Where this node listens.
    pub fn listening(&self) -> Vec<Multiaddr> {
        self.peers.read().listening.iter().cloned().collect()
    }

    /// Where it is known to be reachable from outside.
    pub fn external(&self) -> Vec<Multiaddr> {
        self.peers.read().external.iter().cloned().collect()
    }

    /// Where the members that were met can be reached, to be remembered over a restart.
    pub fn known_addresses(&self) -> Vec<(NodeId, Vec<Multiaddr>)> {
        self.peers.read().addresses().iter().map(|(node, addresses)| (*node, addresses.clone())).collect()
    }

    fn command(&self, command: Command) -> Result<(), CommandError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Ended,
        })
    }
}
