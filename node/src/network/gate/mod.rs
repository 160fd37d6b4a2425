//! The gate around all other behaviours.
//!
//! A behaviour inside does not exist for a peer that has not shown a valid credential, and the peer not for it: the
//! inner behaviours hear of a connection, and make their handler for it, only once the peer is admitted. Until then the
//! connection has one protocol, `/mesh/admit/1`; everything else is answered as by a node that never heard of it. A peer
//! that is not admitted in time is disconnected.

mod exchange;
mod handler;

pub use exchange::Failure;

use super::admission::{Admission, Guest};
use handler::{Command, Handler, Report};
use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialError, DialFailure, FromSwarm,
        NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        derive_prelude::ConnectionEstablished,
    },
};
use mesh_proto::id::NodeId;
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// Which side of the admission a connection is on: who dialled asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Asker,
    Door,
}

#[derive(Debug)]
pub enum Event<E> {
    /// Both sides let each other in.
    Admitted {
        peer: PeerId,
        connection: ConnectionId,
        guest: Box<Guest>,
    },
    /// One side does not let the other in, or the connection was lost before it was said. It is gone soon, or already.
    Refused {
        peer: PeerId,
        connection: ConnectionId,
        address: Multiaddr,
        role: Role,
        why: Failure,
    },
    Inner(E),
}

/// Why a connection does not even come to the door.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error("{0} is not the peer id of an ed25519 key")]
    ForeignKey(PeerId),
    #[error("{0} connections wait for admission already")]
    Crowded(usize),
}

pub struct Gate<B: NetworkBehaviour> {
    inner: B,
    admission: Arc<Admission>,
    timeout: Duration,
    max_unadmitted: usize,
    connections: BTreeMap<ConnectionId, Connection>,
    effects: VecDeque<Effect<B>>,
}

type Effect<B> = ToSwarm<Event<<B as NetworkBehaviour>::ToSwarm>, Command<THandler<B>>>;

struct Connection {
    peer: PeerId,
    endpoint: ConnectedPoint,
    failed_addresses: Vec<Multiaddr>,
    stage: Stage,
}

enum Stage {
    Outside,
    /// Not let in, and reported so.
    Refused,
    /// Admitted, but connections of an earlier run of the peer's process are still closing. gossipsub tells its
    /// subscriptions on the first connection to a peer only: a node that came back would hear nobody.
    Waiting(Box<Guest>),
    /// The inner behaviours know the connection.
    Inside {
        guest: Box<Guest>,
    },
}

impl<B: NetworkBehaviour> Gate<B> {
    pub fn new(inner: B, admission: Arc<Admission>, timeout: Duration, max_unadmitted: usize) -> Self {
        let (connections, effects) = (BTreeMap::new(), VecDeque::new());
        Self { inner, admission, timeout, max_unadmitted, connections, effects }
    }

    /// The behaviours inside. What they do reaches admitted peers only.
    pub fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    fn handler(&self, peer: PeerId, role: Role) -> Result<Handler<THandler<B>>, ConnectionDenied> {
        let node = NodeId::from_peer_id(&peer).ok_or_else(|| ConnectionDenied::new(Denied::ForeignKey(peer)))?;
        Ok(Handler::new(node, role, self.admission.clone(), self.timeout))
    }

    fn inside(&self, peer: PeerId) -> impl Iterator<Item = (ConnectionId, &Guest)> {
        self.connections.iter().filter_map(move |(id, connection)| match &connection.stage {
            Stage::Inside { guest } if connection.peer == peer => Some((*id, &**guest)),
            _ => None,
        })
    }

    fn judged(&mut self, id: ConnectionId, guest: Box<Guest>) {
        let Some(peer) = self.connections.get(&id).map(|connection| connection.peer) else { return };
        let stale: Vec<_> =
            self.inside(peer).filter(|(_, other)| other.instance != guest.instance).map(|(id, _)| id).collect();
        if stale.is_empty() {
            return self.open(id, guest);
        }
        for id in stale {
            self.effects.push_back(ToSwarm::CloseConnection { peer_id: peer, connection: CloseConnection::One(id) });
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stage = Stage::Waiting(guest);
        }
    }

    /// Makes the connection known to the inner behaviours.
    fn open(&mut self, id: ConnectionId, guest: Box<Guest>) {
        let Some(connection) = self.connections.get(&id) else { return };
        let peer_id = connection.peer;
        let other_established = self.inside(peer_id).count();
        let made = match &connection.endpoint {
            ConnectedPoint::Dialer { address, role_override, port_use } => {
                self.inner.handle_established_outbound_connection(id, peer_id, address, *role_override, *port_use)
            }
            ConnectedPoint::Listener { local_addr, send_back_addr } => {
                self.inner.handle_established_inbound_connection(id, peer_id, local_addr, send_back_addr)
            }
        };
        let handler = match made {
            Ok(handler) => handler,
            Err(denied) => {
                tracing::debug!(%peer_id, %denied, "an admitted connection was denied");
                self.effects.push_back(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) });
                return;
            }
        };
        self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id,
            connection_id: id,
            endpoint: &connection.endpoint,
            failed_addresses: &connection.failed_addresses,
            other_established,
        }));
        self.effects.push_back(ToSwarm::NotifyHandler {
            peer_id,
            handler: NotifyHandler::One(id),
            event: Command::Open(Box::new(handler)),
        });
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stage = Stage::Inside { guest };
        }
    }

    fn closed(&mut self, closed: ConnectionClosed<'_>) {
        let Some(connection) = self.connections.remove(&closed.connection_id) else { return };
        let peer_id = closed.peer_id;
        if let Stage::Inside { .. } = connection.stage {
            let remaining_established = self.inside(peer_id).count();
            self.inner
                .on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed { remaining_established, ..closed }));
            self.open_waiting(peer_id);
            return;
        }
        if connection.endpoint.is_dialer() {
            // For whoever inside asked for the dial: it came to nothing.
            self.inner.on_swarm_event(FromSwarm::DialFailure(DialFailure {
                peer_id: Some(peer_id),
                error: &DialError::Aborted,
                connection_id: closed.connection_id,
            }));
        }
        if !matches!(connection.stage, Stage::Refused) {
            let why = Failure::Lost(io::Error::new(io::ErrorKind::ConnectionReset, "closed before admission"));
            self.effects.push_back(connection.refused(closed.connection_id, why));
        }
    }

    /// Opens what waited for the last stale connection to go.
    fn open_waiting(&mut self, peer: PeerId) {
        let waiting: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.peer == peer && matches!(connection.stage, Stage::Waiting(_)))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            match std::mem::replace(&mut connection.stage, Stage::Outside) {
                Stage::Waiting(guest) => self.judged(id, guest),
                stage => connection.stage = stage,
            }
        }
    }

    /// An inner behaviour means by `Any` a connection it knows.
    fn recipient(&self, peer: PeerId, wanted: NotifyHandler) -> Option<ConnectionId> {
        match wanted {
            NotifyHandler::Any => self.inside(peer).map(|(id, _)| id).next(),
            NotifyHandler::One(wanted) => {
                let connection = self.connections.get(&wanted)?;
                matches!(connection.stage, Stage::Inside { .. }).then_some(wanted)
            }
        }
    }
}

impl Connection {
    fn refused<E, C>(&self, connection: ConnectionId, why: Failure) -> ToSwarm<Event<E>, C> {
        let role = if self.endpoint.is_dialer() { Role::Asker } else { Role::Door };
        let address = self.endpoint.get_remote_address().clone();
        ToSwarm::GenerateEvent(Event::Refused { peer: self.peer, connection, address, role, why })
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Gate<B> {
    type ConnectionHandler = Handler<THandler<B>>;
    type ToSwarm = Event<B::ToSwarm>;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Self::ConnectionHandler, ConnectionDenied> {
        let outside = self
            .connections
            .values()
            .filter(|connection| matches!(connection.stage, Stage::Outside | Stage::Refused))
            .count();
        if outside >= self.max_unadmitted {
            return Err(ConnectionDenied::new(Denied::Crowded(outside)));
        }
        self.handler(peer, Role::Door)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        role: Endpoint,
        _: PortUse,
    ) -> Result<Self::ConnectionHandler, ConnectionDenied> {
        // When a hole was punched both have dialled; libp2p says who is to act as if it had not.
        self.handler(peer, if role.is_dialer() { Role::Asker } else { Role::Door })
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let connection = Connection {
                    peer: established.peer_id,
                    endpoint: established.endpoint.clone(),
                    failed_addresses: established.failed_addresses.to_vec(),
                    stage: Stage::Outside,
                };
                self.connections.insert(established.connection_id, connection);
            }
            FromSwarm::ConnectionClosed(closed) => self.closed(closed),
            FromSwarm::AddressChange(change) => {
                let Some(connection) = self.connections.get_mut(&change.connection_id) else { return };
                connection.endpoint = change.new.clone();
                if let Stage::Inside { .. } = connection.stage {
                    self.inner.on_swarm_event(FromSwarm::AddressChange(change));
                }
            }
            other => self.inner.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, report: THandlerOutEvent<Self>) {
        match report {
            Report::Judged(guest) => self.judged(id, guest),
            Report::Mutual => {
                let Some(connection) = self.connections.get(&id) else { return };
                if let Stage::Inside { guest } = &connection.stage {
                    let guest = guest.clone();
                    self.effects.push_back(ToSwarm::GenerateEvent(Event::Admitted { peer, connection: id, guest }));
                }
            }
            Report::Failed(why) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    // What is inside stays so until the connection closes: the inner behaviours have to hear of it.
                    if !matches!(connection.stage, Stage::Inside { .. }) {
                        connection.stage = Stage::Refused;
                    }
                    let refused = connection.refused(id, why);
                    self.effects.push_back(refused);
                }
            }
            Report::Over => {
                self.effects
                    .push_back(ToSwarm::CloseConnection { peer_id: peer, connection: CloseConnection::One(id) });
            }
            Report::Inner(event) => self.inner.on_connection_handler_event(peer, id, event),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Poll::Ready(effect);
            }
            match std::task::ready!(self.inner.poll(cx)) {
                ToSwarm::NotifyHandler { peer_id, handler, event } => {
                    if let Some(id) = self.recipient(peer_id, handler) {
                        let (handler, event) = (NotifyHandler::One(id), Command::Inner(event));
                        return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event });
                    }
                }
                other => return Poll::Ready(other.map_in(Command::Inner).map_out(Event::Inner)),
            }
        }
    }
}
