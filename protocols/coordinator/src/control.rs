use crate::{ListFilter, StoryLine, TaskSummary};
use mesh_membership::Member;
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
    #[serde(rename = "m")]
    Members(Vec<Member>),
    #[serde(rename = "q")]
    Query { id: u64, query: Query },
    #[serde(rename = "a")]
    Reply { id: u64, reply: QueryReply },
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
