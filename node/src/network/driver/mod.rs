//! The one task that owns the swarm. Dull: it turns what arrives into one call or one event each.

mod commands;
mod inside;
mod swarm_events;

use super::{
    admission::{Admission, Guest},
    behaviour::Behaviour,
    config::Config,
    dial::{Dialer, Pursuit},
    event::NetworkEvent,
    failure::{JoinFailure, Reported},
    handle::Command,
    kademlia::Announcing,
    metrics::Metrics,
    peers::Peers,
    substream::Notice,
    violations::Violations,
};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, core::ConnectedPoint, kad::QueryId, metrics::Metrics as Libp2pMetrics,
    swarm::ConnectionId,
};
use mesh_proto::id::{NetworkId, NodeId};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

pub struct Driver {
    pub swarm: Swarm<Behaviour>,
    pub network: NetworkId,
    pub config: Config,
    pub admission: Arc<Admission>,
    pub peers: Peers,
    pub metrics: Metrics,
    pub libp2p_metrics: Libp2pMetrics,
    pub dialer: Dialer,
    pub commands: mpsc::Receiver<Command>,
    pub notices: mpsc::Receiver<Notice>,
    pub events: mpsc::Sender<NetworkEvent>,
    pub state: State,
}

/// What the driver itself remembers.
pub struct State {
    /// Events that found no room. While there are any, the swarm is not polled: the network waits for the receiver.
    outbox: VecDeque<NetworkEvent>,
    connections: BTreeMap<ConnectionId, Connection>,
    reported: Reported,
    violations: Violations,
    blocked: BTreeMap<NodeId, Instant>,
    lookups: HashMap<QueryId, Lookup>,
    announcing: Announcing,
}

struct Connection {
    endpoint: ConnectedPoint,
    guest: Option<Arc<Guest>>,
    missed_pings: u32,
    since: Instant,
}

/// A Kademlia query that somebody waits for.
enum Lookup {
    Providers { found: Vec<NodeId>, reply: oneshot::Sender<Vec<NodeId>> },
    Closest { reply: oneshot::Sender<Vec<(NodeId, Vec<Multiaddr>)>> },
}

impl State {
    pub fn new(config: &Config) -> Self {
        Self {
            outbox: VecDeque::new(),
            connections: BTreeMap::new(),
            reported: Reported::default(),
            violations: Violations::new(config.max_violations, config.violation_decay),
            blocked: BTreeMap::new(),
            lookups: HashMap::new(),
            announcing: Announcing::default(),
        }
    }
}

impl Driver {
    /// Runs until all handles, or the receiver of events, are gone.
    pub async fn run(mut self) {
        let events = self.events.clone();
        loop {
            let (flowing, deadline) = (self.state.outbox.is_empty(), self.deadline());
            tokio::select! {
                event = self.swarm.select_next_some(), if flowing => self.on_swarm_event(event),
                Some(notice) = self.notices.recv(), if flowing => self.on_notice(notice),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                room = events.reserve(), if !flowing => {
                    let Ok(room) = room else { return };
                    if let Some(event) = self.state.outbox.pop_front() {
                        room.send(event);
                    }
                }
                () = events.closed() => return,
                () = tokio::time::sleep_until(deadline.into()), if flowing => self.on_deadline(),
            }
        }
    }

    fn deadline(&self) -> Instant {
        let unblock = self.state.blocked.values().min().copied();
        let idle = Instant::now() + Duration::from_secs(60);
        self.dialer.deadline().into_iter().chain(unblock).fold(idle, Instant::min)
    }

    fn on_deadline(&mut self) {
        let now = Instant::now();
        let over: Vec<_> =
            self.state.blocked.iter().filter(|(_, until)| **until <= now).map(|(node, _)| *node).collect();
        for node in over {
            self.state.blocked.remove(&node);
            self.swarm.behaviour_mut().blocked.unblock_peer(node.to_peer_id());
            tracing::info!(%node, "no longer blocked");
        }
        self.metrics.blocked.set(i64::try_from(self.state.blocked.len()).unwrap_or(i64::MAX));
        self.dial_what_is_due();
    }

    fn dial_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some(opts) = self.dialer.due(now) {
            let (connection, peer) = (opts.connection_id(), opts.get_peer_id());
            if let Err(error) = self.swarm.dial(opts) {
                self.dial_failed(connection, peer, &error);
            }
        }
    }

    fn dial_failed(&mut self, connection: ConnectionId, peer: Option<PeerId>, error: &libp2p::swarm::DialError) {
        if let Some(peer) = peer.filter(|peer| self.is_admitted(peer)) {
            return self.dialer.reached(peer, connection);
        }
        let failures = JoinFailure::of_dial(error, self.dialer.dialled(connection));
        let lasting = !failures.is_empty() && failures.iter().all(|(_, why)| why.is_lasting());
        let ours = !self.dialer.dialled(connection).is_empty();
        self.dialer.failed(connection, lasting, Instant::now(), rand::random());
        for (address, why) in failures {
            self.metrics.dial(why.label());
            // Kademlia's own dials to stale addresses are no news to an operator.
            if ours {
                self.unreachable(address, peer, why);
            }
        }
    }

    fn unreachable(&mut self, address: Multiaddr, peer: Option<PeerId>, why: JoinFailure) {
        if self.state.reported.note(&address, &why) {
            tracing::debug!(%address, %why, "not reached");
            self.tell(NetworkEvent::Unreachable { address, peer, why });
        }
    }

    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Writable { node, class } => self.tell(NetworkEvent::Writable { node, class }),
            Notice::Violation { node, reason } => self.violation(node, reason),
        }
    }

    /// Counts what a member did wrong; one that goes on is blocked for a while.
    fn violation(&mut self, node: NodeId, reason: &'static str) {
        self.metrics.refused(reason);
        if self.state.violations.note(node, Instant::now()) {
            tracing::warn!(%node, reason, time = ?self.config.block_time, "blocked for breaking the protocol repeatedly");
            self.block(node, self.config.block_time);
        }
    }

    fn block(&mut self, node: NodeId, time: Duration) {
        self.state.blocked.insert(node, Instant::now() + time);
        // Closes its connections as well.
        self.swarm.behaviour_mut().blocked.block_peer(node.to_peer_id());
        self.metrics.blocked.set(i64::try_from(self.state.blocked.len()).unwrap_or(i64::MAX));
    }

    fn pursue(&mut self, peer: Option<PeerId>, addresses: Vec<Multiaddr>, pursuit: Pursuit, after: Duration) {
        if !self.dialer.add(peer, addresses, pursuit, Instant::now() + after) {
            self.metrics.dial("no_room");
        }
        self.dial_what_is_due();
    }

    fn is_admitted(&self, peer: &PeerId) -> bool {
        NodeId::from_peer_id(peer).is_some_and(|node| self.peers.read().connected.contains_key(&node))
    }

    fn tell(&mut self, event: NetworkEvent) {
        if !self.state.outbox.is_empty() {
            self.state.outbox.push_back(event);
        } else if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.state.outbox.push_back(event);
        }
    }
}
