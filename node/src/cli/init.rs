//! `meshd init`.

use std::path::Path;

use clap::{Args, ValueEnum};
use mesh_proto::genesis::{Engine, NetworkName};
use serde::Serialize;

use super::Failure;
use super::output::Output;
use super::settings::{Global, now};
use crate::identity::{self, DataDir};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// What people call the network: 1 to 64 of a-z 0-9 - _ .
    #[arg(long, default_value = "mesh")]
    name: NetworkName,
    /// How the committee agrees, for as long as the network is there: `pbft` with f of 3f + 1 members that may lie, or
    /// `raft` with f of 2f + 1 that may be down, for machines that trust each other.
    #[arg(long, value_enum, default_value_t = Ordering::Pbft)]
    engine: Ordering,
    /// Let anybody join without an invitation.
    #[arg(long)]
    open: bool,
    /// Where this node is a member of such a network already, say so and change nothing, even while it runs.
    #[arg(long)]
    if_needed: bool,
}

/// An engine, as it is named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Ordering {
    Pbft,
    Raft,
}

impl From<Ordering> for Engine {
    fn from(ordering: Ordering) -> Self {
        match ordering {
            Ordering::Pbft => Self::Pbft,
            Ordering::Raft => Self::Raft,
        }
    }
}

/// What was made, or joined. Ids as text: their own form is bytes, for the wire.
#[derive(Debug, Serialize)]
pub(super) struct Membership {
    pub(super) node: String,
    pub(super) network: String,
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) data_dir: String,
}

impl Membership {
    pub(super) fn of(identity: &identity::Identity, dir: &Path) -> Self {
        Self {
            node: identity.key.node_id().to_string(),
            network: identity.genesis.network_id().to_string(),
            name: identity.genesis.name.to_string(),
            role: identity.credential.role().as_str(),
            data_dir: dir.display().to_string(),
        }
    }

    pub(super) fn text(&self) -> String {
        format!(
            "node     {}\nnetwork  {} ({})\nrole     {}\nin       {}",
            self.node, self.name, self.network, self.role, self.data_dir
        )
    }
}

impl Init {
    pub(super) fn run(&self, global: &Global, output: Output) -> Result<(), Failure> {
        let config = global.load(Vec::new())?.config;
        let path = &config.node.data_dir;
        let identity = match self.if_needed && self.is_done(path)? {
            true => identity::Identity::load(path, now())?,
            false => {
                let dir = DataDir::lock(path)?;
                identity::init_on(&dir, self.name.clone(), self.engine.into(), self.open, now())?
            }
        };
        Ok(output.put(&Membership::of(&identity, path), Membership::text)?)
    }

    /// Whether the node of `dir` is in a network as it is asked for. Of any other `init` says what it is.
    fn is_done(&self, dir: &Path) -> Result<bool, Failure> {
        let genesis = identity::genesis(dir)?;
        Ok(genesis.is_some_and(|genesis| {
            genesis.name == self.name && genesis.engine == self.engine.into() && genesis.open == self.open
        }))
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::time::Wall;

    use super::*;

    #[test]
    fn ids_are_text_in_json() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        let identity = identity::init(&dir, "lab".parse().unwrap(), false, Wall(1_700_000_000_000)).unwrap();
        let json = serde_json::to_value(Membership::of(&identity, dir.path())).unwrap();
        assert_eq!(json["node"], identity.key.node_id().to_string());
        assert_eq!(json["network"], identity.genesis.network_id().to_string());
    }
}
