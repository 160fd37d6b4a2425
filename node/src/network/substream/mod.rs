//! Long-lived framed substreams: one for each peer, direction and class, and plain streams for other protocols.
//!
//! Of several connections to a peer, one *carries* what we send: the oldest. The peer chooses for itself what carries
//! its frames; each side reads wherever the other writes, so two dials that cross lose and reorder nothing. When a
//! connection closes that carried either direction, `Down` says that frames may be lost, and another takes over.

mod codec;
mod handler;
mod pump;
mod queue;
mod routes;
mod upgrade;

pub use handler::{Handler, OpenError, Opening, Shared};
pub use routes::{Outbound, Routes};

use crate::network::config::FrameConfig;
use handler::{Command, Report};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandlerInEvent,
        ToSwarm, derive_prelude::ConnectionEstablished,
    },
};
use mesh_proto::id::NodeId;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::{Context, Poll},
};

/// What the tasks of substreams tell the task that owns the swarm.
#[derive(Debug)]
pub enum Notice {
    /// A queue that had refused a frame is half empty.
    Writable { node: NodeId, class: super::Class },
    /// A peer sent what it may not.
    Violation { node: NodeId, reason: &'static str },
}

#[derive(Debug)]
pub enum Event {
    /// Frames can be sent to this peer.
    Up { node: NodeId, connection: ConnectionId },
    /// A connection that carried frames is gone; those in flight may be lost.
    Down { node: NodeId },
}

/// The key of this peer is no ed25519 key. The gate admits no such peer, so this is never seen.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not the peer id of an ed25519 key")]
struct ForeignKey(PeerId);

pub struct Behaviour {
    shared: Arc<Shared>,
    routes: Arc<Routes>,
    peers: BTreeMap<PeerId, Peer>,
    effects: VecDeque<ToSwarm<Event, Command>>,
}

struct Peer {
    node: NodeId,
    /// Oldest first.
    connections: Vec<Connection>,
    carrier: Option<Carrier>,
}

struct Connection {
    id: ConnectionId,
    receiving: bool,
}

struct Carrier {
    connection: ConnectionId,
    outbound: Arc<Outbound>,
    ready: bool,
}

impl Behaviour {
    pub fn new(shared: Shared, routes: Arc<Routes>) -> Self {
        Self { shared: Arc::new(shared), routes, peers: BTreeMap::new(), effects: VecDeque::new() }
    }

    /// Opens a stream of another protocol to an admitted peer, on the connection that carries its frames.
    pub fn open(&mut self, peer: PeerId, opening: Opening) {
        let carrier = self.peers.get(&peer).and_then(|peer| peer.carrier.as_ref()).filter(|carrier| carrier.ready);
        let Some(carrier) = carrier else {
            if opening.reply.send(Err(OpenError::NotConnected)).is_err() {
                tracing::debug!("nobody waits for the stream any more");
            }
            return;
        };
        let handler = NotifyHandler::One(carrier.connection);
        self.effects.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: Command::Open(opening) });
    }

    /// Whether neither side sends its frames on this connection, and both do on others.
    pub fn is_spare(&self, peer: &PeerId, id: ConnectionId) -> bool {
        let Some(Peer { connections, carrier: Some(carrier), .. }) = self.peers.get(peer) else { return false };
        let is_idle = connections.iter().any(|connection| connection.id == id && !connection.receiving);
        is_idle && carrier.ready && carrier.connection != id && connections.iter().any(|other| other.receiving)
    }

    fn handler(&self, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        let node = NodeId::from_peer_id(&peer).ok_or_else(|| ConnectionDenied::new(ForeignKey(peer)))?;
        Ok(Handler::new(node, self.shared.clone()))
    }

    fn connected(&mut self, peer_id: PeerId, id: ConnectionId) {
        let Some(node) = NodeId::from_peer_id(&peer_id) else { return };
        let peer = self.peers.entry(peer_id).or_insert_with(|| Peer { node, connections: Vec::new(), carrier: None });
        peer.connections.push(Connection { id, receiving: false });
        let effect = peer.choose_carrier(peer_id, &self.shared.frames);
        self.effects.extend(effect);
    }

    fn closed(&mut self, peer_id: PeerId, id: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&peer_id) else { return };
        let node = peer.node;
        let received = peer.connections.iter().any(|connection| connection.id == id && connection.receiving);
        peer.connections.retain(|connection| connection.id != id);
        let was_up = peer.carrier.as_ref().is_some_and(|carrier| carrier.ready);
        let gone = peer.carrier.take_if(|carrier| carrier.connection == id);
        if let Some(gone) = &gone {
            gone.outbound.close();
            self.routes.remove(&node);
        }
        if was_up && (received || gone.is_some()) {
            self.effects.push_back(ToSwarm::GenerateEvent(Event::Down { node }));
        }
        match &peer.carrier {
            Some(carrier) if was_up && received => {
                let connection = carrier.connection;
                self.effects.push_back(ToSwarm::GenerateEvent(Event::Up { node, connection }));
            }
            _ => {
                let effect = peer.choose_carrier(peer_id, &self.shared.frames);
                self.effects.extend(effect);
            }
        }
        if peer.connections.is_empty() {
            self.peers.remove(&peer_id);
        }
    }
}

impl Peer {
    fn choose_carrier(&mut self, peer_id: PeerId, frames: &FrameConfig) -> Option<ToSwarm<Event, Command>> {
        if self.carrier.is_some() {
            return None;
        }
        let connection = self.connections.first()?.id;
        let outbound = Arc::new(Outbound::new(frames));
        self.carrier = Some(Carrier { connection, outbound: outbound.clone(), ready: false });
        let handler = NotifyHandler::One(connection);
        Some(ToSwarm::NotifyHandler { peer_id, handler, event: Command::Carry(outbound) })
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, connection_id, .. }) => {
                self.connected(peer_id, connection_id);
            }
            FromSwarm::ConnectionClosed(closed) => self.closed(closed.peer_id, closed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer_id: PeerId, id: ConnectionId, report: Report) {
        let Some(peer) = self.peers.get_mut(&peer_id) else { return };
        let node = peer.node;
        match report {
            Report::Ready => {
                let Some(carrier) = peer.carrier.as_mut().filter(|carrier| carrier.connection == id) else { return };
                carrier.ready = true;
                self.routes.insert(node, carrier.outbound.clone());
                self.effects.push_back(ToSwarm::GenerateEvent(Event::Up { node, connection: id }));
            }
            Report::Receiving => {
                if let Some(connection) = peer.connections.iter_mut().find(|connection| connection.id == id) {
                    connection.receiving = true;
                }
            }
            Report::Broken(why) => {
                tracing::debug!(%node, why, "closing a connection");
                self.effects.push_back(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) });
            }
        }
    }

    // No waker: whoever calls a method of ours has the swarm, and polls it next.
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        self.effects.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// All protocols that are accepted on an admitted connection.
pub fn accepted<'a>(streams: impl Iterator<Item = &'a StreamProtocol>) -> Arc<[StreamProtocol]> {
    super::Class::ALL.iter().map(|class| class.protocol()).chain(streams.cloned()).collect()
}
