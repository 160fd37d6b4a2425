//! Configuration: defaults, then the file, then the environment, then flags.
//!
//! Each value remembers which of the four gave it ([`Origin`]), so that `config show` can say so and an error can name
//! the line to mend. Each part of the node owns a section: a struct with serde and [`Default`], and [`Section::check`]
//! for what types cannot say. To add one, write the struct, add a field to [`Config`] and a line to
//! `Config::sections`, and a row for each key to `docs/configuration.md` (a test compares them).

mod environment;
mod keys;
mod layers;
mod nearest;
mod problem;
pub mod sections;
mod show;
mod units;

use serde::{Deserialize, Serialize};

pub use environment::read_environment;
pub use keys::leaf_keys;
pub use layers::{FileSource, Given, Loaded, Origin, Override, Sources, load};
pub use problem::{ConfigError, Problem, Report};
pub use sections::{Section, Versions};
pub use show::Entry;
pub use units::{Size, Span, UnitError};

/// Everything that can be set, by section. The key of a value is `section.field`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The node itself: its name, its place, its directory.
    pub node: sections::Node,
    /// Peers: where to listen, whom to dial, how many to hold.
    pub network: sections::Network,
    /// The HTTP API and the metrics endpoint.
    pub api: sections::Api,
    /// The segment log.
    pub log: sections::Log,
    /// How members notice that one of them is gone.
    pub membership: sections::Membership,
    /// How the committee grows and mends itself.
    pub committee: sections::Committee,
    /// How Raft runs, where that is the engine.
    pub raft: sections::Raft,
    /// Task records and their copies.
    pub tasks: sections::Tasks,
    /// Who runs a task, where that is auctioned.
    pub auction: sections::Auction,
    /// Host commands.
    pub exec: sections::Exec,
    /// WebAssembly programs.
    pub wasm: sections::Wasm,
    /// Programs that attach themselves.
    pub workers: sections::Workers,
    /// What tasks may ask for.
    pub capabilities: sections::Capabilities,
    /// The local blob store.
    pub blob: sections::Blob,
    /// What the node writes about itself.
    pub tracing: sections::Tracing,
}

impl Config {
    /// Every section by its name, for the checks. A test holds this list complete.
    fn sections(&self) -> Vec<(&'static str, &dyn Section)> {
        vec![
            ("node", &self.node),
            ("network", &self.network),
            ("api", &self.api),
            ("log", &self.log),
            ("membership", &self.membership),
            ("committee", &self.committee),
            ("raft", &self.raft),
            ("tasks", &self.tasks),
            ("auction", &self.auction),
            ("exec", &self.exec),
            ("wasm", &self.wasm),
            ("workers", &self.workers),
            ("capabilities", &self.capabilities),
            ("blob", &self.blob),
            ("tracing", &self.tracing),
        ]
    }

    /// Runs the checks of every section.
    fn check(&self, problems: &mut Vec<(String, String)>) {
        for (name, section) in self.sections() {
            section.check(&mut Report::new(name, problems));
        }
    }
}

#[cfg(test)]
mod tests;
