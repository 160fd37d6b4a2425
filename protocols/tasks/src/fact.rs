use mesh_proto::{
    id::TaskId,
    task::{Ballot, Birth, Outcome, Register, Version},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the task layer keeps on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A record is held here, as of its birth or of the first write that reached this holder.
    #[serde(rename = "b")]
    Held {
        #[serde(rename = "i")]
        birth: Arc<Birth>,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "v")]
        version: Version,
        #[serde(rename = "r")]
        register: Arc<Register>,
    },
    /// The register of a held record was written.
    #[serde(rename = "w")]
    Written {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        #[serde(rename = "v")]
        version: Version,
        #[serde(rename = "r")]
        register: Arc<Register>,
    },
    /// Nothing below this ballot will be accepted, whether the record is held or not.
    #[serde(rename = "p")]
    Promised {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "b")]
        ballot: Ballot,
        /// When, so that a promise for a record that never came ends with the retention.
        #[serde(rename = "w")]
        at: Wall,
    },
    /// The record and the promise are gone: out of retention, given up by its gateway, or held elsewhere now.
    #[serde(rename = "d")]
    Dropped {
        #[serde(rename = "i")]
        tasks: Vec<TaskId>,
    },
    /// The record and the promise are gone: it ended, as others say who held it longer and have forgotten it since. Unlike
    /// what was dropped while it lived, this is remembered: whoever was away for as long must not find a holder here.
    #[serde(rename = "g")]
    Outlived {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "w")]
        at: Wall,
    },
    /// Submissions whose key was drawn before this are refused.
    #[serde(rename = "f")]
    Floor {
        #[serde(rename = "w")]
        floor: Wall,
    },
    /// An execution here ended; kept until its task is settled.
    #[serde(rename = "o")]
    Kept {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
        #[serde(rename = "o")]
        outcome: Arc<Outcome>,
        /// Holders of the record as last known: whom to tell.
        #[serde(rename = "h")]
        holders: Vec<mesh_proto::id::NodeId>,
    },
    /// Its task is settled.
    #[serde(rename = "s")]
    Settled {
        #[serde(rename = "i")]
        task: TaskId,
        #[serde(rename = "a")]
        attempt: u32,
    },
}

impl Fact {
    /// Bytes of an encoded fact, at most: a spec and an outcome with all their files inline, and room.
    pub const LIMIT: usize = 8 * 1024 * 1024;
}
