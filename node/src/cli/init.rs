//! `meshd init`.

use clap::Args;
use mesh_proto::genesis::NetworkName;
use mesh_proto::id::{NetworkId, NodeId};
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
    /// Let anybody join without an invitation.
    #[arg(long)]
    open: bool,
}

/// What was made, or joined.
#[derive(Debug, Serialize)]
pub(super) struct Membership {
    pub(super) node: NodeId,
    pub(super) network: NetworkId,
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) data_dir: String,
}

impl Membership {
    pub(super) fn of(identity: &identity::Identity, dir: &DataDir) -> Self {
        Self {
            node: identity.key.node_id(),
            network: identity.genesis.network_id(),
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
        let identity = identity::init(&dir, self.name.clone(), self.open, now())?;
        Ok(output.put(&Membership::of(&identity, &dir), Membership::text)?)
    }
}
