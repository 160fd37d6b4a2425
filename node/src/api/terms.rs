//! The terms of a task as users write them in JSON: everything but what it runs on what.

use mesh_proto::task::{OnIsolation, Priority, Strategy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How urgent a task is. Default medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Low => Self::Low,
            Urgency::Medium => Self::Medium,
            Urgency::High => Self::High,
            Urgency::Critical => Self::Critical,
        }
    }
}

/// How the node that runs a task is chosen, among those that have what it requires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The nearest of its holders with a free slot; others take over what waits.
    #[default]
    Auto,
    /// The nearest of its holders, whatever it has to do.
    Dht,
    /// Whoever bids best.
    Auction,
    /// The node that it is given to.
    Local,
}

impl Way {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Way> for Strategy {
    fn from(way: Way) -> Self {
        match way {
            Way::Auto => Self::Auto,
            Way::Dht => Self::Dht,
            Way::Auction => Self::Auction,
            Way::Local => Self::Local,
        }
    }
}

/// What becomes of an attempt whose node loses the mesh: believes more than half of the other members to be gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Isolated {
    /// It goes on; its result is taken when the mesh is back, if it is the first.
    #[default]
    Continue,
    /// It is stopped, as the others have it run elsewhere by then or soon will.
    Stop,
}

impl Isolated {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Isolated> for OnIsolation {
    fn from(isolated: Isolated) -> Self {
        match isolated {
            Isolated::Continue => Self::Continue,
            Isolated::Stop => Self::Stop,
        }
    }
}

/// What a task and the items of a job have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    #[serde(default)]
    pub priority: Urgency,
    /// Longest run of one attempt, in milliseconds. Default 3,600,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_ms: Option<u64>,
    /// RFC 3339; a task not ended by then ends as `deadline_passed`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// How often a program that exits with another code than 0 is run again. Default 0.
    #[serde(default)]
    pub retries: u8,
    /// Its assignment is agreed on by the committee: at most one execution at a time, also across partitions, with a fencing
    /// number of the committee in `MESH_FENCE`. Without a quorum it does not start. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// What the node that runs it must have: `gpu>=1,arch=x86_64,tool:ffmpeg>=6,mem>=2GiB,zone=eu`. The signs are `>=`, `<=`,
    /// `>`, `<`, `=` and `!=`; a name alone is to be there; a trailing `?` marks what is only preferred. Where no node in
    /// reach has it all the task waits for one. Default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// By how many different nodes it is run, 1 to 15: drawn by lot from those that are able, each signs what came of it, and
    /// the result is what most of them say. A program that does not do the same everywhere has none. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redundancy: Option<u8>,
    /// How that node is chosen. Default `auto`.
    #[serde(default, skip_serializing_if = "Way::is_default")]
    pub strategy: Way,
    /// What becomes of it where the node that runs it loses the mesh. Default `continue`.
    #[serde(default, skip_serializing_if = "Isolated::is_default")]
    pub on_isolation: Isolated,
    /// RFC 3339, when the key was drawn; a retry must give the same. Default now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// W3C trace id, 32 hexadecimal digits. Default derived from the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}
