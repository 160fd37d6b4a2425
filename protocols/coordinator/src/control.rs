use crate::{ListFilter, StoryLine, TaskSummary};
use mesh_membership::{Mark, Member};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::Held,
};
use serde::{Deserialize, Serialize};

/// A message of `/mesh/control/1`: liveness, the member table, and questions on behalf of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlMessage {
    #[serde(rename = "h")]
    Heartbeat(Heartbeat),
    /// A digest of each part of the sender's member table: the first word of a comparison.
    #[serde(rename = "d")]
    Digests(Vec<u64>),
    /// What the sender has in the parts that differ: it is to be told what it lacks.
    #[serde(rename = "k")]
    Marks(Marks),
    /// Entries that the receiver lacks.
    #[serde(rename = "m")]
    Members(Vec<Member>),
    /// That was all that the receiver lacks; and whether the sender has had anybody's table itself.
    #[serde(rename = "t")]
    Told { introduced: bool },
    #[serde(rename = "q")]
    Query { id: u64, query: Query },
    #[serde(rename = "a")]
    Reply { id: u64, reply: QueryReply },
}

impl ControlMessage {
    /// It says nothing that this node must not forget: a slow disk does not keep it back.
    pub fn rests_on_nothing(&self) -> bool {
        match self {
            Self::Heartbeat(_) => true,
            // Tables hold this node's own word, and that must not be forgotten once it was heard.
            Self::Digests(_)
            | Self::Marks(_)
            | Self::Members(_)
            | Self::Told { .. }
            | Self::Query { .. }
            | Self::Reply { .. } => false,
        }
    }
}

/// Marks of all entries that the sender has in some parts of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    #[serde(rename = "p")]
    pub parts: Vec<u8>,
    #[serde(rename = "k")]
    pub marks: Vec<Mark>,
    /// No more follow in this comparison.
    #[serde(rename = "l")]
    pub last: bool,
    /// To marks of the receiver's, and not to be answered by marks.
    #[serde(rename = "a")]
    pub answer: bool,
}

/// Sent to every connected member at the heartbeat interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    #[serde(rename = "s")]
    pub slots: u32,
    #[serde(rename = "r")]
    pub running: u32,
    #[serde(rename = "q")]
    pub queued: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    #[serde(rename = "t")]
    Task(TaskId),
    #[serde(rename = "l")]
    List(ListFilter),
    #[serde(rename = "p")]
    Prefix(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryReply {
    #[serde(rename = "t")]
    Task {
        held: Option<Held>,
        /// This node drives it, and these holders have not yet confirmed its last write.
        driving: Option<Vec<NodeId>>,
        running: bool,
        story: Vec<StoryLine>,
    },
    #[serde(rename = "l")]
    List(Vec<TaskSummary>),
    #[serde(rename = "p")]
    Prefix(Vec<TaskId>),
}
