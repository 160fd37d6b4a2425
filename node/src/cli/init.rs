//! `meshd init`.

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
    pub(super) fn of(identity: &identity::Identity, dir: &DataDir) -> Self {
        Self {
            node: identity.key.node_id().to_string(),
            network: identity.genesis.network_id().to_string(),
            name: identity.genesis.name.to_string(),
            role: identity.credential.role().as_str(),
            data_dir: dir.path().display().to_string(),
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
        let dir = DataDir::lock(&config.node.data_dir)?;
        let identity = identity::init_on(&dir, self.name.clone(), self.engine.into(), self.open, now())?;
        Ok(output.put(&Membership::of(&identity, &dir), Membership::text)?)
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
        let json = serde_json::to_value(Membership::of(&identity, &dir)).unwrap();
        assert_eq!(json["node"], identity.key.node_id().to_string());
        assert_eq!(json["network"], identity.genesis.network_id().to_string());
    }
}
