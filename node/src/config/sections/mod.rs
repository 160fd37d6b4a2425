//! The sections that make up a configuration, one file each.

mod api;
mod auction;
mod blob;
mod capabilities;
mod committee;
mod exec;
mod log;
mod membership;
mod network;
mod node;
mod raft;
mod tasks;
mod tracing;
mod wasm;
mod workers;

pub use api::Api;
pub use auction::Auction;
pub use blob::Blob;
pub use capabilities::{Capabilities, Versions};
pub use committee::Committee;
pub use exec::Exec;
pub use log::Log;
pub use membership::{Membership, Profile};
pub use network::Network;
pub use node::Node;
pub use raft::Raft;
pub use tasks::Tasks;
pub use tracing::{LogFormat, Tracing};
pub use wasm::Wasm;
pub use workers::Workers;

use super::Report;

/// One part's share of the configuration.
pub trait Section {
    /// Reports what the types let through and the part cannot work with. Reads no file and asks no network: `config
    /// check` must answer the same on any machine.
    fn check(&self, report: &mut Report<'_>);
}
