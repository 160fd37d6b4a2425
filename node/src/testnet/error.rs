use std::io;
use std::path::{Path, PathBuf};

use crate::client::ClientError;
use crate::identity::IdentityError;

/// Why a testnet does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TestnetError {
    #[error("cannot {what} {path}: {error}")]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error("{path} is damaged: {error}")]
    State { path: PathBuf, error: String },
    #[error("there is no testnet in {path}: start one with `meshd testnet up --dir {path}`")]
    None { path: PathBuf },
    #[error(
        "{path} is not empty: if a testnet is in it, `meshd testnet down --dir {path}` ends that; else name another --dir"
    )]
    Exists { path: PathBuf },
    #[error("node {node} is none of 0 to {last}")]
    NoSuchNode { node: usize, last: usize },
    #[error("node {node} does not run: `meshd testnet restart {node}` starts it")]
    NotRunning { node: usize },
    #[error("{count} free ports were not found")]
    Ports { count: usize },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("node {node} ended ({status}); its log ends so:\n{log}")]
    Ended { node: usize, status: String, log: String },
    #[error("waited {seconds} s for node {node}: {why}; its log ends so:\n{log}")]
    TimedOut { node: usize, seconds: u64, why: String, log: String },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("a job made no progress for {seconds} s: {open} of its items are open; the last error: {last}")]
    Stuck { seconds: u64, open: usize, last: String },
}

impl TestnetError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { what, path, error }
    }

    /// Whether the user named what is not there, or what is in the way.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::None { .. } | Self::Exists { .. } | Self::NoSuchNode { .. } | Self::NotRunning { .. })
    }
}
