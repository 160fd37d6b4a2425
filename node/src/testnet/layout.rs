//! What a testnet puts on disk before its first node starts.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_proto::address::Addresses;
use mesh_proto::genesis::NetworkName;
use mesh_proto::role::Role;

use super::state::{NodeState, State};
use super::{Options, TestnetError, ports};
use crate::identity::{self, ApiToken, DataDir, Identity, InviteTerms, default_data_dir};

/// The file with the token of all APIs.
pub(super) const TOKEN: &str = "api-token";
/// Others that a node dials first: enough that it finds the mesh when some of them are down.
const BOOTSTRAP: usize = 4;

/// Where a testnet is unless `--dir` says otherwise: beside the data directory of an ordinary node.
pub fn default_dir() -> PathBuf {
    default_data_dir(&|name| std::env::var_os(name)).with_file_name("meshd-testnet")
}

/// Makes `count` nodes that are members of one new network.
pub(super) fn make(dir: &Path, count: usize, options: &Options) -> Result<State, TestnetError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(TestnetError::io("make", dir))?;
    let ports = ports::free(2 * count)?;
    let now = crate::api::now();
    let mut nodes = Vec::with_capacity(count);
    let mut first: Option<(Identity, ApiToken, String)> = None;
    for (index, ports) in ports.chunks_exact(2).enumerate() {
        let data_dir = dir.join(format!("node-{index}"));
        let data = DataDir::lock(&data_dir)?;
        let node = match &first {
            None => {
                let identity = identity::init_on(&data, network_name()?, options.engine, false, now)?;
                let token = ApiToken::load_or_create(&data)?;
                write_token(&dir.join(TOKEN), &token)?;
                let node = identity.key.node_id();
                first = Some((identity, token, address(ports[0], &node.to_string())));
                node
            }
            Some((inviter, token, address)) => {
                let bootstrap = Addresses::new(vec![address.clone()])
                    .map_err(|error| TestnetError::State { path: dir.into(), error: error.to_string() })?;
                let terms = InviteTerms { role: Role::Full, valid_for: Duration::from_secs(3600), bootstrap };
                let invitation = identity::invite(inviter, None, terms, now)?.to_text().to_string();
                let identity = identity::join(&data, &invitation, None, now)?;
                write_token(&data.file(TOKEN), token)?;
                identity.key.node_id()
            }
        };
        let log = dir.join(format!("node-{index}.log"));
        nodes.push(NodeState {
            node: node.to_string(),
            data_dir,
            log,
            port: ports[0],
            api_port: ports[1],
            process: None,
        });
    }
    for index in 0..count {
        let path = nodes[index].data_dir.join("meshd.toml");
        std::fs::write(&path, config(&nodes, index, options)).map_err(TestnetError::io("write", &path))?;
    }
    Ok(State { binary: options.binary.clone(), nodes })
}

fn network_name() -> Result<NetworkName, TestnetError> {
    "testnet".parse().map_err(|error| TestnetError::State { path: "testnet".into(), error: format!("{error}") })
}

fn address(port: u16, node: &str) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}/p2p/{node}")
}

fn write_token(path: &Path, token: &ApiToken) -> Result<(), TestnetError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(TestnetError::io("make", path))?;
    file.write_all(format!("{}\n", token.as_str()).as_bytes()).map_err(TestnetError::io("write", path))
}

fn config(nodes: &[NodeState], index: usize, options: &Options) -> String {
    let node = &nodes[index];
    let others = nodes.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, node)| node);
    let bootstrap: Vec<String> = others.take(BOOTSTRAP).map(|node| address(node.port, &node.node)).collect();
    let mut text = format!(
        "[network]\nlisten = [\"/ip4/127.0.0.1/tcp/{}\"]\nbootstrap = {bootstrap:?}\nmdns = false\n\n[api]\nlisten = \"127.0.0.1:{}\"\n\n[exec]\nallow = {:?}\nin_place = {}\n",
        node.port, node.api_port, options.allow, options.in_place
    );
    if let Some(slots) = options.slots.get(index).or(options.slots.last()) {
        text += &format!("slots = {slots}\n");
    }
    if let Some(filter) = &options.log {
        text += &format!("\n[tracing]\nfilter = {filter:?}\n");
    }
    text + "\n" + &options.more
}

/// The token as a client shows it.
pub(super) fn read_token(dir: &Path) -> Result<String, TestnetError> {
    match ApiToken::load(dir)? {
        Some(token) => Ok(token.as_str().to_owned()),
        None => Err(TestnetError::io("read", &dir.join(TOKEN))(std::io::ErrorKind::NotFound.into())),
    }
}
