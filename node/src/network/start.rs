//! Puts the parts together and starts the task that owns the swarm.

use super::{
    FrameHandler,
    admission::{Admission, Directory},
    behaviour::{Behaviour, Inside},
    claim,
    config::Config,
    dial::{Dialer, Pursuit},
    discovery,
    driver::{Driver, State},
    event::NetworkEvent,
    gate::Gate,
    gossip::{self, GossipError},
    handle::NetworkHandle,
    kademlia,
    metrics::Metrics,
    peers::Peers,
    reach::split_peer,
    substream::{self, Routes, Shared},
    transport,
};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, TransportError,
    allow_block_list::{self, BlockedPeers},
    connection_limits::{self, ConnectionLimits},
    identify, identity, memory_connection_limits,
    metrics::{Metrics as Libp2pMetrics, Registry},
    noise, ping, swarm,
};
use mesh_proto::{
    credential::Credential,
    genesis::Genesis,
    id::{NodeId, StoreId},
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::sync::mpsc;

/// Who this node is, and whom it knows.
pub struct NetworkIdentity {
    /// The node's ed25519 key.
    pub keypair: identity::Keypair,
    pub genesis: Genesis,
    pub credential: Credential,
    pub store: StoreId,
    /// The member table, as far as admissions need it.
    pub directory: Arc<dyn Directory>,
    /// Members met in earlier runs, with their addresses. Each is dialled until it is reached.
    pub remembered: Vec<(NodeId, Vec<Multiaddr>)>,
}

/// Why there is no network. The operator's to mend, all of them.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error("the node's key is not an ed25519 key")]
    Key,
    #[error("the node's key cannot secure connections: {0}")]
    Noise(#[from] noise::Error),
    #[error(transparent)]
    Gossip(#[from] GossipError),
    #[error("cannot listen on {address}: {error}; is the port taken, or the address of another machine?")]
    Listen { address: Multiaddr, error: io::Error },
    #[error("`{0}` is not the name of a protocol: it must begin with /")]
    ProtocolName(String),
}

/// Commands and notices that may wait for the swarm's task.
const WAITING: usize = 1024;

/// Starts the network on the current tokio runtime. It ends when all handles or the receiver are dropped; should its
/// task ever panic, the receiver ends, and the caller must end the process.
pub async fn start(
    config: Config,
    identity: NetworkIdentity,
    handler: Arc<dyn FrameHandler>,
    registry: &mut Registry,
) -> Result<(NetworkHandle, mpsc::Receiver<NetworkEvent>), NetworkError> {
    let NetworkIdentity { keypair, genesis, credential, store, directory, remembered } = identity;
    let peer = keypair.public().to_peer_id();
    let node = NodeId::from_peer_id(&peer).ok_or(NetworkError::Key)?;
    let network = genesis.network_id();
    let metrics = Metrics::register(registry);
    let libp2p_metrics = Libp2pMetrics::new(registry);
    let admission = Arc::new(Admission::new(genesis, node, credential, store, rand::random(), directory));
    let routes = Arc::new(Routes::new(&metrics));
    let (notify, notices) = mpsc::channel(WAITING);
    let (command, commands) = mpsc::channel(WAITING);
    let (events, received) = mpsc::channel(config.max_waiting_events.max(1));
    let (accept, incoming) = incoming(&config)?;

    let shared = Shared {
        frames: config.frames,
        handler,
        metrics: metrics.clone(),
        notices: notify,
        accepted: substream::accepted(accept.keys()),
        incoming: accept,
    };
    let inside = Inside {
        identify: identify::Behaviour::new(identify_config(&keypair)),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(config.ping_interval).with_timeout(config.ping_timeout),
        ),
        kademlia: kademlia::build(peer, &network),
        gossip: gossip::build(&keypair, &network, &config, registry)?,
        substream: substream::Behaviour::new(shared, routes.clone()),
    };
    let gate = Gate::new(inside, admission.clone(), config.admission_timeout, config.max_unadmitted);
    let transport = transport::build(&keypair, &config)?;
    let swarm_config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(config.idle_timeout);
    let swarm = Swarm::new(transport, behaviour(gate, peer, &config), peer, swarm_config);

    let peers = Peers::default();
    let mut driver = Driver {
        swarm,
        network,
        admission,
        peers: peers.clone(),
        metrics,
        libp2p_metrics,
        dialer: dialer(&config, remembered),
        commands,
        notices,
        events,
        state: State::new(&config),
        config,
    };
    listen(&mut driver)?;
    tokio::spawn(driver.run());
    let incoming = Arc::new(Mutex::new(incoming));
    Ok((NetworkHandle { node, routes, commands: command, peers, incoming }, received))
}

/// The system's own error, where there is one: libp2p wraps it in some that say nothing.
fn innermost(error: io::Error) -> io::Error {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut code = None;
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        code = code.or(io.and_then(io::Error::raw_os_error));
        next = io.and_then(io::Error::get_ref).map(|inner| inner as _).or_else(|| error.source());
    }
    code.map_or(error, io::Error::from_raw_os_error)
}

fn behaviour(gate: Gate<Inside>, peer: PeerId, config: &Config) -> Behaviour {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(config.max_pending_incoming))
        .with_max_established(Some(config.max_connections))
        .with_max_established_per_peer(Some(config.max_connections_per_peer));
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        memory: memory_connection_limits::Behaviour::with_max_percentage(config.max_memory_fraction),
        blocked: allow_block_list::Behaviour::<BlockedPeers>::default(),
        mdns: discovery::build(config.mdns, peer),
        gate,
    }
}

/// Not the signed-peer-record variant: js-libp2p then fails identify altogether.
fn identify_config(keypair: &identity::Keypair) -> identify::Config {
    identify::Config::new("/mesh/1".to_owned(), keypair.public())
        .with_agent_version(concat!("meshd/", env!("CARGO_PKG_VERSION")).to_owned())
        .with_push_listen_addr_updates(true)
}

fn dialer(config: &Config, remembered: Vec<(NodeId, Vec<Multiaddr>)>) -> Dialer {
    let (mut dialer, now) = (Dialer::new(config.backoff, config.max_dials), Instant::now());
    let bootstrap = config.bootstrap.iter().cloned().map(split_peer).map(|(address, peer)| (peer, vec![address]));
    let remembered = remembered.into_iter().map(|(node, addresses)| (Some(node.to_peer_id()), addresses));
    for (peer, addresses) in bootstrap.chain(remembered) {
        if !dialer.add(peer, addresses, Pursuit::Always, now) {
            tracing::warn!(?peer, "not dialled: no address, or too many peers to dial");
        }
    }
    dialer
}

fn listen(driver: &mut Driver) -> Result<(), NetworkError> {
    let addresses = driver.config.listen.clone();
    for address in &addresses {
        claim::check(address).map_err(|error| NetworkError::Listen { address: address.clone(), error })?;
    }
    for address in addresses {
        driver.swarm.listen_on(address.clone()).map_err(|error| NetworkError::Listen {
            address,
            error: match error {
                TransportError::Other(error) => innermost(error),
                error @ TransportError::MultiaddrNotSupported(_) => io::Error::other(error.to_string()),
            },
        })?;
    }
    for address in driver.config.external.clone() {
        driver.swarm.add_external_address(address);
    }
    Ok(())
}

type Acceptors = HashMap<StreamProtocol, mpsc::Sender<(NodeId, libp2p::Stream)>>;
type Incoming = HashMap<String, super::handle::Incoming>;

fn incoming(config: &Config) -> Result<(Acceptors, Incoming), NetworkError> {
    let (mut accept, mut incoming) = (HashMap::new(), HashMap::new());
    for name in &config.stream_protocols {
        let protocol = StreamProtocol::try_from_owned((*name).to_owned())
            .map_err(|_| NetworkError::ProtocolName((*name).into()))?;
        let (sender, receiver) = mpsc::channel(config.max_waiting_streams.max(1));
        accept.insert(protocol, sender);
        incoming.insert((*name).to_owned(), receiver);
    }
    Ok((accept, incoming))
}
