//! A running node.

use super::{
    able,
    blobs::NodeBlobs,
    draining::NodeDraining,
    free_memory,
    keeping::{Keeping, Wants},
    logs::NodeLogs,
    membership::NodeMembership,
    meters::BrainMeters,
    own_entry::OwnEntry,
    parts, peers, pump, readiness,
    versions::versions,
};
use crate::{
    api::{self, Api, Pulse},
    blob::{self, BlobStore},
    brain::{self, BrainHandle, Doors, Frames, Hands, LogState, Restored, Waiting, clock},
    config::Loaded,
    consensus::{self, Verifiers},
    directory::Directory,
    executor::{self, Executors},
    gauge::Gauge,
    identity::{ApiToken, DataDir, Founding, Identity, IdentityError, Peers, Roll, read_bootstrap},
    log::{Disk, FileDisk, NewLog},
    metrics::Metrics,
    network::{self, NetworkIdentity},
    raft,
    work::{Replicas, Work},
};
use libp2p::Multiaddr;
use mesh_proto::{id::StoreId, member::Presence};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// What a node is started with.
pub struct Options {
    pub loaded: Loaded,
}

/// Why a node does not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Restore(#[from] brain::RestoreError),
    #[error(transparent)]
    Network(#[from] network::NetworkError),
    #[error(transparent)]
    Executor(#[from] executor::ConfigError),
    #[error("exec.allow: {0}")]
    Allow(#[from] executor::AllowError),
    #[error("exec.writable: {path}: {error}; name directories that are there")]
    Writable { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Blob(#[from] blob::OpenError),
    #[error("cannot serve the API on {address}: {error}; is another node running? Choose another with --api-listen")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("cannot serve metrics on {address}: {error}; choose another address with --metrics-listen")]
    ListenMetrics { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Serve(#[from] api::ServeError),
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A node at work.
pub struct Node {
    dir: Arc<DataDir>,
    served: api::Served,
    threads: brain::Running,
    network: network::NetworkHandle,
    background: Background,
    brain: BrainHandle,
    engine: (oneshot::Sender<()>, JoinHandle<()>),
    left: CancellationToken,
}

/// What goes on beside, until this is dropped. A start that fails drops it before the network: its end is no failure then.
struct Background {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    /// A task that is at work now hears of its end only when it waits.
    is_over: Arc<AtomicBool>,
}

impl Background {
    fn push(&mut self, task: tokio::task::JoinHandle<()>) {
        self.tasks.push(task);
    }

    fn extend(&mut self, tasks: impl IntoIterator<Item = tokio::task::JoinHandle<()>>) {
        self.tasks.extend(tasks);
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Node {
    /// Starts everything. Must be called on a tokio runtime, which then carries the node.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_on(options, |disk| disk).await
    }

    /// The same with something over the log's disk.
    pub async fn start_on<D: Disk + 'static>(
        options: Options,
        seam: impl FnOnce(FileDisk) -> D,
    ) -> Result<Self, StartError> {
        let Options { loaded } = options;
        let config = &loaded.config;
        let dir = Arc::new(DataDir::lock(&config.node.data_dir)?);
        let identity = Identity::load(dir.path(), clock::wall())?;
        let token = ApiToken::load_or_create(&dir)?;
        let directory = Directory::new(identity.genesis.clone());
        if let Some(roll) = Roll::load(dir.path())? {
            directory.set_roll(Arc::new(roll));
        }

        // The brain, from the disk.
        let (remembered, skipped) = Peers::load(dir.path())?;
        if skipped > 0 {
            tracing::warn!(skipped, "lines of the file of remembered peers could not be read");
        }
        let met = remembered.iter().next().is_some() || skipped > 0;
        let new = NewLog { store_id: StoreId(rand::random()), salt: rand::random() };
        let executor_config = parts::executor_config(config, &dir)?;
        for warning in executor_config.exec.iter().flat_map(|exec| exec.allowed.warnings()) {
            tracing::warn!("exec.allow: {warning}");
        }
        let has = able::capabilities(config, &versions(config, &executor_config).await);
        let founding = Founding::load(dir.path())?;
        let had_log = std::fs::read_dir(dir.file("log")).is_ok_and(|mut entries| entries.next().is_some());
        let restored = brain::restore(&dir, &parts::log_config(config), new, seam, |store| {
            let alone = !met && founding.is_of(store, had_log);
            parts::coordinator_config(config, &identity, &has, alone, store)
        })?;
        directory.fill(&restored.coordinator);
        let store = restored.coordinator.store();
        founding.bind(&dir, store)?;
        let (inbox, outbox) = brain::inbox();
        let doors = Doors::default();

        // The network.
        let mut metrics = Metrics::new();
        let consensus = consensus::Metrics::default();
        consensus.register(metrics.registry_mut());
        let genesis = Arc::new(identity.genesis.clone());
        let verifiers = Verifiers::start(Arc::clone(&genesis), &inbox, &consensus).map_err(StartError::Thread)?;
        let frames = Frames {
            inbox: inbox.clone(),
            doors: doors.clone(),
            directory: directory.clone(),
            verifiers: verifiers.clone(),
        };
        let network_identity = NetworkIdentity {
            keypair: parts::keypair(&identity),
            genesis: identity.genesis.clone(),
            credential: identity.credential.clone(),
            store,
            directory: Arc::new(directory.clone()),
            remembered: parts::remembered(&remembered),
        };
        let bootstrap = parts::bootstrap(config, &read_bootstrap(dir.path())?);
        let network_config = parts::network_config(config, bootstrap);
        let (network, events) =
            network::start(network_config, network_identity, Arc::new(frames), metrics.registry_mut()).await?;

        // What runs tasks.
        let blobs = BlobStore::open(dir.file("blobs"), parts::blob_config(config))?;
        blobs.metrics().register(metrics.registry_mut());
        let (ended, ends) = mpsc::channel(1024);
        let executor_config = parts::executor_config(config, &dir)?;
        let executors = Executors::start(executor::ExecutorConfig { has: has.clone(), ..executor_config }, ended)?;
        executors.wasm_metrics().register(metrics.registry_mut());
        executors.worker_metrics().register(metrics.registry_mut());
        let replicas = Replicas::new(network.clone(), directory.clone(), config.tasks.blob_copies as usize);
        let runtime = Handle::current();
        let waiting = Waiting::default();
        let brain = BrainHandle::new(inbox.clone(), waiting.clone(), runtime.clone()).judging(genesis);
        let work = Work::new(
            executors.clone(),
            ends,
            blobs.clone(),
            replicas.clone(),
            parts::awards(brain.clone(), &identity),
            parts::seals(&identity),
            Arc::new(brain.clone()),
            inbox.clone(),
            config.exec.in_place,
        );

        // The engine, on a network where one makes the order.
        let (port, of_engine) = raft::Port::new(network.clone(), inbox.clone(), runtime.clone());
        let serving = raft::serve(&network, of_engine.slot.clone());
        let me = identity.key.node_id();
        let (log, times) = (parts::log_config(config), parts::raft_config(config));
        let engine = raft::Service::new(me, store, dir.file("raft"), log, times, of_engine);

        // The threads.
        let (speak, asked_to_speak) = watch::channel(0);
        let gauge = Gauge::default();
        let hands = Hands {
            network: network.clone(),
            waiting,
            work: work.clone(),
            inbox: inbox.clone(),
            runtime: runtime.clone(),
            speak,
            cancels: Default::default(),
            verifiers,
            raft: port,
            gauge: gauge.clone(),
        };
        let state = LogState::default();
        for unknown in [&state.headroom, &state.free] {
            unknown.store(u64::MAX, Ordering::Relaxed);
        }
        parts::register_log(&state, metrics.registry_mut());
        let pulse = Pulse::new();
        let pause = config.membership.times().0.get() * 2;
        let Restored { coordinator, log, store: kept } = restored;
        let drains = coordinator.members().me().drains;
        let threads = brain::start(
            Restored { coordinator, log, store: kept },
            outbox,
            hands,
            directory.clone(),
            state,
            pulse.clone(),
            pause,
        )
        .map_err(StartError::Thread)?;

        // What goes on beside.
        let meters = BrainMeters::default();
        metrics.registry_mut().register_collector(Box::new(meters.clone()));
        let (wishes, wished) = mpsc::channel(8);
        let left = CancellationToken::new();
        let own = OwnEntry::new(
            &identity,
            Presence { drains, ..parts::presence(config, &identity, has, store) },
            network.clone(),
            inbox.clone(),
            asked_to_speak,
            executors.workers().changes(),
            wished,
        );
        let gossip = pump::Gossip { network: network.clone(), directory: directory.clone() };
        let unready = readiness::Readiness::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let pump = pump::events(events, inbox.clone(), doors, own, unready.clone(), gossip, Arc::clone(&is_over));
        let mut background = Background { tasks: Vec::new(), is_over };
        background.push(runtime.spawn(pump));
        background.extend(serving.map(|serving| runtime.spawn(serving)));
        let (stop_engine, stop) = oneshot::channel();
        let engine = (stop_engine, runtime.spawn(engine.run(stop)));
        background.push(runtime.spawn(peers::remember(
            network.clone(),
            Arc::clone(&dir),
            directory.clone(),
            remembered,
        )));
        background.push(runtime.spawn(free_memory::watch(inbox.clone())));
        background.push(runtime.spawn(readiness::watch(unready.clone(), meters.clone(), brain.clone())));
        let (wants, wanted) = Wants::new();
        background.extend(super::blobs::serve(&network, &blobs, wants.clone()).map(|serving| runtime.spawn(serving)));
        let repair_delay = config.tasks.repair_delay.get();
        let keeping = Keeping::new(blobs.clone(), replicas.clone(), brain.clone(), wants, repair_delay);
        background.push(runtime.spawn(keeping.run()));
        background.push(runtime.spawn(super::keeping::restore(blobs.clone(), replicas.clone(), wanted)));
        background.push(runtime.spawn(super::announce::announce(blobs.clone(), network.clone())));
        let logs = super::logs::serve(&network, &work, metrics.registry_mut());
        background.extend(logs.map(|serving| runtime.spawn(serving)));
        background.push(runtime.spawn(super::blobs::collect(blobs.clone(), brain.clone())));
        let roll = super::roll::RollKeeper {
            brain: brain.clone(),
            inbox: inbox.clone(),
            directory: directory.clone(),
            network: network.clone(),
            dir: Arc::clone(&dir),
            meters: meters.clone(),
        };
        background.push(runtime.spawn(roll.run()));
        background.push(runtime.spawn(super::admission::admit(brain.clone(), identity.credential.clone())));

        // The API, last: whoever asks finds a whole node.
        let counted = api::Meters::new(metrics.registry_mut());
        let metrics = Arc::new(Mutex::new(metrics));
        let encode: Arc<dyn Fn() -> String + Send + Sync> =
            Arc::new(move || match metrics.lock().unwrap_or_else(PoisonError::into_inner).encode() {
                Ok(text) => text,
                Err(error) => {
                    tracing::error!(%error, "metrics cannot be encoded");
                    String::new()
                }
            });
        gauge.set_metrics(Arc::clone(&encode));
        let ports = api::Ports {
            brain: Arc::new(brain.clone()),
            blobs: Arc::new(NodeBlobs::new(blobs, replicas, brain.clone())),
            logs: Arc::new(NodeLogs::new(network.clone(), work, brain.clone())),
            membership: Arc::new(NodeMembership::new(&identity, brain.clone(), directory.clone())),
            draining: Arc::new(NodeDraining::new(wishes, brain.clone(), runtime.clone(), left.clone())),
            signer: Arc::new(parts::signer(&identity)),
            credential: Arc::new({
                let (directory, own) = (directory.clone(), identity.credential.clone());
                move |node| if node == own.node() { Some(own.clone()) } else { directory.credential(node) }
            }),
            peers: Arc::new({
                let network = network.clone();
                move || peers::views(&network)
            }),
            gauge,
            metrics: encode,
            unready: Arc::new(move || unready.reasons()),
            last_status: Arc::new(move || meters.last()),
            workers: executors.workers().clone(),
            containment: Arc::new(move || executors.containment()),
            config: Arc::new(parts::shown(&loaded)),
            pulse,
        };
        let listen = config.api.listen;
        let listener = TcpListener::bind(listen).map_err(|error| StartError::Listen { address: listen, error })?;
        let hosts = |address: SocketAddr| api::Hosts::new(address.ip(), config.api.hosts.clone());
        let metrics_listener = match config.api.metrics_listen {
            Some(address) => {
                let bound = TcpListener::bind(address);
                Some((bound.map_err(|error| StartError::ListenMetrics { address, error })?, hosts(address)))
            }
            None => None,
        };
        if !listen.ip().is_loopback() {
            tracing::warn!(%listen, "the API is reachable from other machines and speaks plain HTTP: put TLS in front");
        }
        let access =
            api::Access { tokens: api::Tokens::default().with("default", token.as_str()), hosts: hosts(listen) };
        let network_id = identity.genesis.network_id();
        let api = Api::new(network_id, ports, access, api::Limits::default(), counted);
        background.push(runtime.spawn(crate::steward::run(api.clone(), config.committee.clone())));
        let served = api::serve(api::Listeners { api: listener, metrics: metrics_listener }, api, runtime)?;
        if let Some(address) = served.metrics() {
            tracing::info!(%address, "metrics and probes are answered here, too");
        }
        parts::write_api_address(&dir, served.address())?;
        Ok(Self { dir, served, threads, network, background, brain, engine, left })
    }

    /// Where the API listens.
    pub fn api(&self) -> SocketAddr {
        self.served.address()
    }

    /// Where peers can reach this node.
    pub fn listening(&self) -> Vec<Multiaddr> {
        self.network.listening()
    }

    /// The brain, for what runs in this process beside the API.
    pub fn brain(&self) -> &BrainHandle {
        &self.brain
    }

    /// Comes to an end when this node has left the mesh: it is to be stopped then.
    pub async fn left(&self) {
        self.left.cancelled().await;
    }

    /// Takes no more requests, ends what runs, and leaves a disk from which the next start goes on. Blocks.
    pub fn stop(self) {
        let Self { dir, served, threads, network, background, brain, engine: (stop_engine, engine), left } = self;
        left.cancel();
        served.close();
        // While the brain is there that executes what it has begun.
        if stop_engine.send(()).is_ok() {
            let until = std::time::Instant::now() + Duration::from_secs(3);
            while !engine.is_finished() && std::time::Instant::now() < until {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        drop(background);
        drop(brain);
        let ended = std::thread::spawn(move || threads.stop());
        let until = std::time::Instant::now() + Duration::from_secs(3);
        while !ended.is_finished() && std::time::Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        // The last words have left through the network; only now may another process take the directory.
        drop((network, dir));
    }
}

/// The file in which `run` says where its API listens, for the verbs that ask it.
pub const API_ADDRESS: &str = "api-address";
