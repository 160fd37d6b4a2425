//! `meshd invite`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use mesh_proto::address::Addresses;
use mesh_proto::role::Role;
use serde::Serialize;

use super::Failure;
use super::durable::{partial_of, put_in_place};
use super::output::Output;
use super::settings::{Global, now};
use crate::config::Span;
use crate::identity::{self, Identity, InviteTerms, Roll};

#[derive(Debug, Args)]
pub(super) struct Invite {
    /// The most that whoever joins may be: full, worker, relay or client.
    #[arg(long, default_value = "worker")]
    role: Role,
    /// How long the token can be used.
    #[arg(long, default_value = "24h", value_name = "TIME")]
    expires: Span,
    /// Where the newcomer finds this node, like /ip4/192.0.2.1/tcp/7440; may be repeated. Default: network.external.
    #[arg(long, value_name = "MULTIADDR")]
    address: Vec<Multiaddr>,
    /// Write the token into this file, which only its owner can read, in place of one of before, and do not print it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The token, or where it is. Whoever has it can join.
#[derive(Debug, Serialize)]
struct Printed {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    role: &'static str,
    expires_in_ms: u64,
    bootstrap: Vec<String>,
}

impl Invite {
    pub(super) fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let config = global.load(Vec::new())?.config;
        let now = now();
        let identity = Identity::load(&config.node.data_dir, now)?;
        let given = if self.address.is_empty() { &config.network.external } else { &self.address };
        let bootstrap: Vec<_> = given.iter().map(|address| with_peer(address, &identity).to_string()).collect();
        if bootstrap.is_empty() {
            eprintln!(
                "meshd: the token names no address, so it serves only where mDNS reaches this node; elsewhere, give --address"
            );
        }
        let terms = InviteTerms {
            role: self.role,
            valid_for: self.expires.get(),
            bootstrap: Addresses::new(bootstrap.clone()).map_err(|error| Failure::Usage(error.to_string()))?,
        };
        let roll = Roll::load(&config.node.data_dir)?;
        let token = identity::invite(&identity, roll.as_ref(), terms, now)?.to_text();
        let (token, file) = match &self.out {
            None => (Some(token.to_string()), None),
            Some(path) => {
                write(path, &token).map_err(Failure::file("write", path))?;
                (None, Some(path.display().to_string()))
            }
        };
        let expires_in_ms = u64::try_from(self.expires.get().as_millis()).unwrap_or(u64::MAX);
        let printed = Printed { token, file, role: self.role.as_str(), expires_in_ms, bootstrap };
        Ok(output
            .put(&printed, |printed| printed.token.clone().or_else(|| printed.file.clone()).unwrap_or_default())?)
    }
}

/// Whole or not at all: who waits for the file reads no half of it.
fn write(path: &Path, token: &str) -> std::io::Result<()> {
    let partial = partial_of(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    let written = writeln!(file, "{token}").and_then(|()| put_in_place(&file, &partial, path));
    // What was not put in its place is a token that nobody looks after.
    if written.is_err() {
        std::fs::remove_file(&partial).unwrap_or_default();
    }
    written
}

/// The address with whom to expect there, so that nobody else is taken for this node.
fn with_peer(address: &Multiaddr, identity: &Identity) -> Multiaddr {
    if address.iter().any(|part| matches!(part, Protocol::P2p(_))) {
        return address.clone();
    }
    address.clone().with(Protocol::P2p(identity.key.node_id().to_peer_id()))
}
