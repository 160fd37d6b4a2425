//! From the operator's configuration to what each part takes.

use super::{StartError, node::API_ADDRESS};
use crate::{
    api::KeySigner,
    blob::BlobConfig,
    brain::{BrainHandle, LogState, clock},
    config::{Config, Entry, Loaded},
    directory,
    executor::{Allowed, Compilation, ExecConfig, ExecutorConfig, Limits, WasmConfig, WorkersConfig},
    identity::{DataDir, Identity, Peers},
    log::LogConfig,
    network,
    work::{Awards, Seals},
};
use libp2p::{Multiaddr, identity::Keypair};
use mesh_proto::{
    address::Addresses,
    capability::Capabilities,
    id::{NodeId, StoreId},
    key::SecretKey,
    member::Presence,
    table::Member,
    time::Wall,
};
use prometheus_client::registry::Registry;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub fn log_config(config: &Config) -> LogConfig {
    LogConfig { segment_size: config.log.segment_size.bytes(), free_segments: config.log.free_segments as usize }
}

pub fn raft_config(config: &Config) -> mesh_raft::Config {
    let section = &config.raft;
    mesh_raft::Config {
        heartbeat: section.heartbeat.get(),
        election: (section.election_min.get(), section.election_max.get()),
        snapshot_after: (section.snapshot_bytes.bytes(), u64::from(section.snapshot_entries)),
        kept_bytes: section.kept_log.bytes(),
        install: section.install_timeout.get(),
        ..mesh_raft::Config::new(clock::wall)
    }
}

/// `alone`: on the disk that the network was made on, and it has met nobody, as the file of peers says, which outlives a lost
/// log.
pub fn coordinator_config(
    config: &Config,
    identity: &Identity,
    has: &Capabilities,
    alone: bool,
    store: StoreId,
) -> mesh_coordinator::Config {
    mesh_coordinator::Config {
        network: identity.genesis.network_id(),
        seed: rand::random(),
        me: Member { capabilities: has.clone(), ..directory::myself(identity, store) },
        alone: identity.genesis.maker == identity.key.node_id() && alone,
        agreement: Some(agreement_setup(identity)),
        membership: membership_config(config),
        aggregation: mesh_gossip::Config::default(),
        tasks: tasks_config(config),
    }
}

/// What signs for this node's users.
pub fn signer(identity: &Identity) -> KeySigner {
    KeySigner { key: SecretKey::from_bytes(&identity.key.to_bytes()), network: identity.genesis.network_id() }
}

/// In the name of the nodes, as the admission to the ledger.
pub fn awards(brain: BrainHandle, identity: &Identity) -> Awards {
    let principal = "meshd".parse().expect("a name of five letters is a name");
    Awards::new(Arc::new(brain), identity.key.node_id(), principal)
}

fn agreement_setup(identity: &Identity) -> mesh_coordinator::agreement::Setup {
    mesh_coordinator::agreement::Setup {
        genesis: identity.genesis.clone(),
        key: Arc::new(SecretKey::from_bytes(&identity.key.to_bytes())),
        replica: mesh_pbft::Config::default(),
        client: mesh_pbft::ClientConfig::default(),
        rules: mesh_ledger::Rules::default(),
    }
}

pub fn membership_config(config: &Config) -> mesh_membership::Config {
    let (heartbeat, timeout) = config.membership.times();
    mesh_membership::Config { heartbeat: heartbeat.get(), timeout: timeout.get(), ..mesh_membership::Config::default() }
}

pub fn tasks_config(config: &Config) -> mesh_tasks::Config {
    mesh_tasks::Config {
        copies: config.tasks.copies as usize,
        place_timeout: config.tasks.place_timeout.get(),
        repair_delay: config.tasks.repair_delay.get(),
        poison_limit: config.tasks.poison_limit,
        retention: config.tasks.retention.get(),
        retained_max: config.tasks.max_ended as usize,
        slots: config.exec.slots,
        auction: config.auction.config(),
        ..mesh_tasks::Config::default()
    }
}

/// What this node says of itself, before it has said anything.
pub fn presence(config: &Config, identity: &Identity, has: Capabilities, store: StoreId) -> Presence {
    // What is no label was refused with the rest of the configuration.
    let label = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
    Presence {
        credential: identity.credential.clone(),
        store,
        incarnation: 0,
        addresses: Addresses::default(),
        joined: Wall::default(),
        left: false,
        name: label(&config.node.name),
        zone: label(&config.node.zone),
        drains: false,
        capabilities: has,
    }
}

/// Signs what came of replicas.
pub fn seals(identity: &Identity) -> Seals {
    Seals::new(SecretKey::from_bytes(&identity.key.to_bytes()), identity.genesis.network_id())
}

pub fn keypair(identity: &Identity) -> Keypair {
    let mut secret = identity.key.to_bytes();
    Keypair::ed25519_from_bytes(&mut secret[..]).unwrap_or_else(|_| unreachable!("32 bytes are an ed25519 key"))
}

pub fn remembered(peers: &Peers) -> Vec<(NodeId, Vec<Multiaddr>)> {
    let parse = |addresses: &Addresses| addresses.iter().filter_map(|address| address.parse().ok()).collect();
    peers.iter().map(|peer| (peer.node, parse(&peer.addresses))).collect()
}

/// What the operator named, then what came with the invitation.
pub fn bootstrap(config: &Config, invited: &Addresses) -> Vec<Multiaddr> {
    let mut all = config.network.bootstrap.clone();
    for address in invited.iter().filter_map(|address| address.parse().ok()) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

pub fn network_config(config: &Config, bootstrap: Vec<Multiaddr>) -> network::Config {
    let section = &config.network;
    network::Config {
        listen: section.listen.clone(),
        external: section.external.clone(),
        bootstrap,
        mdns: section.mdns,
        max_connections: section.max_connections,
        max_connections_per_peer: section.max_connections_per_peer,
        max_pending_incoming: section.max_pending_incoming,
        max_unadmitted: section.max_unadmitted as usize,
        admission_timeout: section.admission_timeout.get(),
        idle_timeout: section.idle_timeout.get(),
        stream_protocols: vec![crate::blob::PROTOCOL, super::logs::PROTOCOL, crate::raft::PROTOCOL],
        ..network::Config::default()
    }
}

pub fn blob_config(config: &Config) -> BlobConfig {
    BlobConfig {
        quota_bytes: config.blob.quota.bytes(),
        free_floor_bytes: config.blob.free_floor.bytes(),
        upload_lease: config.blob.upload_lease.get(),
        silent_keep: config.blob.silent_keep.get(),
        warm: config.blob.warm.get(),
        partial_keep: config.blob.partial_keep.get(),
        ..BlobConfig::default()
    }
}

pub fn executor_config(config: &Config, dir: &DataDir) -> Result<ExecutorConfig, StartError> {
    let exec = match config.exec.allow.is_empty() {
        true => None,
        false => {
            let path = std::env::var("PATH").unwrap_or_default();
            let allowed = Allowed::resolve(&config.exec.allow, &path)?;
            let mut exec = ExecConfig::new(allowed);
            exec.limits.memory_bytes = Some(config.exec.memory.bytes());
            exec.writable = config.exec.writable.iter().map(|path| directory(path)).collect::<Result<_, _>>()?;
            // Who holds these is this node, and knows what others submitted.
            let secrets = ["key", "api-token", "log", "raft", "store.redb"].map(|name| dir.file(name));
            exec.hidden = secrets.into_iter().filter(|path| path.exists()).collect();
            Some(exec)
        }
    };
    let wasm = config.wasm.enabled.then(|| wasm_config(config));
    let workers = config.workers.enabled.then(|| workers_config(config));
    let has = Capabilities::default();
    Ok(ExecutorConfig { slots: config.exec.slots as usize, directory: dir.file("tasks"), exec, wasm, workers, has })
}

fn workers_config(config: &Config) -> WorkersConfig {
    let section = &config.workers;
    WorkersConfig {
        most: section.max as usize,
        lease: section.lease.get(),
        untaken: section.untaken.get(),
        ..WorkersConfig::default()
    }
}

fn wasm_config(config: &Config) -> WasmConfig {
    let section = &config.wasm;
    let default = WasmConfig::default();
    let limits = Limits {
        memory_bytes: Some(section.memory.bytes()),
        cpu_seconds: section.cpu_time.map(|time| time.get().as_secs()),
        ..default.limits
    };
    WasmConfig {
        limits,
        module_bytes: section.module.bytes(),
        compilation: Compilation::new(section.compiler_memory.bytes(), section.compiler_time.get().as_secs()),
        cache_bytes: section.cache.bytes(),
        ..default
    }
}

/// One that is there: a guard that misses it could start no command.
fn directory(path: &Path) -> Result<PathBuf, StartError> {
    let found = std::fs::canonicalize(path).and_then(|found| match found.is_dir() {
        true => Ok(found),
        false => Err(std::io::ErrorKind::NotADirectory.into()),
    });
    found.map_err(|error| StartError::Writable { path: path.to_owned(), error })
}

pub fn register_log(state: &LogState, registry: &mut Registry) {
    registry.register("mesh_log_syncs", "Syncs of the log, each of which made a batch durable", state.syncs.clone());
    registry.register("mesh_log_records", "Records appended to the log", state.records.clone());
}

/// The configuration as `config show` prints it: with the file that each allowed command is.
pub fn entries(loaded: &Loaded) -> Vec<Entry> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut entries = loaded.entries();
    for entry in entries.iter_mut().filter(|entry| entry.key == "exec.allow") {
        for name in &loaded.config.exec.allow {
            let resolved = match Allowed::resolve(std::slice::from_ref(name), &path) {
                Ok(allowed) => {
                    allowed.commands().map(|(name, file)| (name.to_owned(), file.display().to_string())).collect()
                }
                Err(error) => vec![(name.clone(), error.to_string())],
            };
            entry.resolved.extend(resolved);
        }
    }
    entries
}

/// The same for the API.
pub fn shown(loaded: &Loaded) -> serde_json::Value {
    serde_json::to_value(entries(loaded)).unwrap_or_default()
}

/// Where the verbs that ask this node find it.
pub fn write_api_address(dir: &DataDir, address: SocketAddr) -> Result<(), StartError> {
    let path = dir.file(API_ADDRESS);
    std::fs::write(&path, format!("http://{address}\n")).map_err(|error| StartError::File { path, error })
}

/// How often things that are not urgent are done.
pub const NOW_AND_THEN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileSource, Sources, load};

    /// All but where the code of its clock lies.
    fn of_raft(config: &mesh_raft::Config) -> String {
        fn none() -> Wall {
            Wall::default()
        }
        format!("{:?}", mesh_raft::Config { clock: none, ..config.clone() })
    }

    /// Each part's values are as in its own defaults, and as the file says where it says something.
    #[test]
    fn times_reach_the_parts_that_they_are_for() {
        let default = Config::default();
        let own = [
            format!("{:?}", mesh_membership::Config::default()),
            format!("{:?}", BlobConfig::default()),
            format!("{:?}", WasmConfig::default()),
            format!("{:?}", WorkersConfig::default()),
            of_raft(&mesh_raft::Config::new(clock::wall)),
            format!("{:?}", mesh_tasks::Config { slots: default.exec.slots, ..mesh_tasks::Config::default() }),
        ];
        let made = [
            format!("{:?}", membership_config(&default)),
            format!("{:?}", blob_config(&default)),
            format!("{:?}", wasm_config(&default)),
            format!("{:?}", workers_config(&default)),
            of_raft(&raft_config(&default)),
            format!("{:?}", tasks_config(&default)),
        ];
        assert_eq!(made, own);

        let text = "[membership]\nheartbeat = \"1s\"\ntimeout = \"4s\"\n\
                    [raft]\nheartbeat = \"1s\"\nelection_min = \"2s\"\nelection_max = \"3s\"\nsnapshot_bytes = \"1GiB\"\n\
                    snapshot_entries = 5000\nkept_log = \"0B\"\ninstall_timeout = \"10m\"\n\
                    [tasks]\nplace_timeout = \"500ms\"\nrepair_delay = \"2m\"\npoison_limit = 7\n\
                    [blob]\nsilent_keep = \"2d\"\nwarm = \"0s\"\npartial_keep = \"5m\"\n\
                    [wasm]\ncompiler_memory = \"200MiB\"\ncompiler_time = \"7s\"";
        let file = Some(FileSource { path: "meshd.toml".into(), text: text.into() });
        let config = load(&Sources { file, ..Sources::default() }).unwrap().config;
        let (members, tasks, blobs) = (membership_config(&config), tasks_config(&config), blob_config(&config));
        let seconds = Duration::from_secs;
        assert_eq!((members.heartbeat, members.timeout), (seconds(1), seconds(4)));
        let lan = Some(FileSource { path: "meshd.toml".into(), text: "membership.profile = \"lan\"".into() });
        let lan = membership_config(&load(&Sources { file: lan, ..Sources::default() }).unwrap().config);
        assert_eq!((lan.heartbeat, lan.timeout), (Duration::from_millis(200), Duration::from_millis(700)));
        let raft = raft_config(&config);
        assert_eq!((raft.heartbeat, raft.election), (seconds(1), (seconds(2), seconds(3))));
        assert_eq!((raft.snapshot_after, raft.kept_bytes, raft.install), ((1 << 30, 5_000), 0, seconds(600)));
        assert_eq!((tasks.place_timeout, tasks.repair_delay), (Duration::from_millis(500), seconds(120)));
        assert_eq!(tasks.poison_limit, 7);
        assert_eq!(wasm_config(&config).compilation, Compilation::new(200 << 20, 7));
        assert_eq!((blobs.silent_keep, blobs.warm, blobs.partial_keep), (seconds(172_800), seconds(0), seconds(300)));
    }
}
