use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Process, TestnetError};

/// The file from which another shell knows a testnet.
pub(super) const STATE: &str = "testnet.json";

/// What another process must know of a testnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// The program that the nodes run.
    pub(super) binary: PathBuf,
    pub(super) nodes: Vec<NodeState>,
}

/// A node of a testnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeState {
    /// Its peer id.
    pub node: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// What it says.
    pub log: PathBuf,
    /// Where peers reach it, on 127.0.0.1.
    pub port: u16,
    /// Where its API is, on 127.0.0.1.
    pub api_port: u16,
    /// The process that was started last; it may have ended.
    pub process: Option<Process>,
}

impl NodeState {
    /// Its API, such as `http://127.0.0.1:12345`.
    pub fn api(&self) -> String {
        format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, self.api_port)))
    }

    /// Whether its process is there.
    pub fn is_running(&self) -> bool {
        self.process.is_some_and(|process| process.is_alive())
    }
}

impl State {
    pub(super) fn read(dir: &Path) -> Result<Self, TestnetError> {
        let path = dir.join(STATE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(TestnetError::None { path: dir.into() }),
            Err(error) => return Err(TestnetError::io("read", &path)(error)),
        };
        serde_json::from_slice(&text).map_err(|error| TestnetError::State { path, error: error.to_string() })
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), TestnetError> {
        let (path, new) = (dir.join(STATE), dir.join(".testnet.json.new"));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| TestnetError::State { path: path.clone(), error: error.to_string() })?;
        std::fs::write(&new, text).map_err(TestnetError::io("write", &new))?;
        std::fs::rename(&new, &path).map_err(TestnetError::io("write", &path))
    }
}
