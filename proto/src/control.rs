//! `/mesh/control/1`: what brains say to each other besides tasks.

use crate::{
    aggregate::Aggregate,
    agreement, bounded,
    capability::Requirement,
    codec::{self, DecodeError},
    domain::Epoch,
    id::{JobId, NodeId, TaskId},
    limits,
    outlook::Outlook,
    probe::Probe,
    table::{Mark, Member},
    task::Held,
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A message of `/mesh/control/1`: liveness, the member table, and questions on behalf of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ControlMessage {
    #[serde(rename = "h")]
    Heartbeat(Heartbeat),
    /// A digest of each part of the sender's member table: the first word of a comparison.
    #[serde(rename = "d")]
    Digests(#[serde(deserialize_with = "bounded::list::<_, _, { limits::TABLE_PARTS }>")] Vec<u64>),
    /// What the sender has in the parts that differ: it is to be told what it lacks.
    #[serde(rename = "k")]
    Marks(Marks),
    /// Entries that the receiver lacks.
    #[serde(rename = "m")]
    Members(#[serde(deserialize_with = "bounded::list::<_, _, { limits::CONTROL_MEMBERS }>")] Vec<Member>),
    /// That was all that the receiver lacks; and whether the sender has had anybody's table itself.
    #[serde(rename = "t")]
    Told { introduced: bool },
    #[serde(rename = "q")]
    Query { id: u64, query: Query },
    #[serde(rename = "a")]
    Reply { id: u64, reply: QueryReply },
    #[serde(rename = "p")]
    Probe(Probe),
    #[serde(rename = "f")]
    Aggregate(Aggregate),
}

impl ControlMessage {
    /// What a peer sends of its own accord.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::CONTROL_BYTES)
    }

    /// What a peer answers: a reply, which may be larger.
    pub fn decode_reply(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, limits::CONTROL_REPLY_BYTES)
    }
}

/// Marks of all entries that the sender has in some parts of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    #[serde(rename = "p", deserialize_with = "bounded::list::<_, _, { limits::TABLE_PARTS }>")]
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
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    #[serde(rename = "s")]
    pub slots: u32,
    #[serde(rename = "r")]
    pub running: u32,
    #[serde(rename = "q")]
    pub queued: u32,
    /// Of the committee that the sender knows.
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// How many motions are in force in the sender's ledger; none from who has no ledger.
    #[serde(rename = "m")]
    pub serial: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Query {
    #[serde(rename = "t")]
    Task(TaskId),
    #[serde(rename = "l")]
    List(ListFilter),
    /// What is held of these, as a list has it, whatever their state is.
    #[serde(rename = "r")]
    Rows(#[serde(deserialize_with = "bounded::list::<_, _, { limits::REPLY_TASKS }>")] Vec<TaskId>),
    #[serde(rename = "p")]
    Prefix(String),
    #[serde(rename = "a")]
    Agreement(agreement::Question),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum QueryReply {
    #[serde(rename = "t")]
    Task {
        held: Option<Held>,
        /// This node drives it, and these holders have not yet confirmed its last write.
        driving: Option<Vec<NodeId>>,
        running: bool,
        story: Vec<StoryLine>,
        /// This node drives it, and knows nobody to grant it to.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        lack: Option<Lack>,
        /// This node drives it, and it has not ended.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
        outlook: Option<Box<Outlook>>,
        /// This node drives it, and it is to start after these, which have not ended.
        #[serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            deserialize_with = "bounded::list::<_, _, { limits::DEPENDENCIES }>"
        )]
        awaits: Vec<TaskId>,
    },
    #[serde(rename = "l")]
    List(#[serde(deserialize_with = "bounded::list::<_, _, { limits::REPLY_TASKS }>")] Vec<TaskSummary>),
    #[serde(rename = "p")]
    Prefix(#[serde(deserialize_with = "bounded::list::<_, _, { limits::REPLY_TASKS }>")] Vec<TaskId>),
    #[serde(rename = "a")]
    Agreement(agreement::Reply),
}

/// Why a task is granted to nobody: what the members that run tasks lack of what it asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lack {
    /// Members that run tasks, by what they are.
    #[serde(rename = "m")]
    pub members: u32,
    /// Those among them that have all that is asked, and are out of reach.
    #[serde(rename = "a")]
    pub away: u32,
    /// What is asked, and how many of the members do not have it: at least one.
    #[serde(rename = "l", deserialize_with = "bounded::list::<_, _, { limits::REQUIREMENTS }>")]
    pub lacked: Vec<(Requirement, u32)>,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { members, away, lacked } = self;
        let lacked: Vec<String> = lacked.iter().map(|(asked, by)| format!("{asked} (lacked by {by})")).collect();
        write!(f, "no node in reach has what it requires; of {members}: {}", lacked.join(", "))?;
        match away {
            0 => Ok(()),
            1 => write!(f, "; 1 that has it all is out of reach"),
            away => write!(f, "; {away} that have it all are out of reach"),
        }
    }
}

/// Which tasks to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListFilter {
    /// Only this job's items.
    pub job: Option<JobId>,
    /// Only manifests: one a job.
    pub jobs_only: bool,
    /// `waiting running done failed cancelled deadline_passed`, or all; `dead` are those of the failed that no node could run.
    pub state: Option<String>,
    /// Only tasks whose current executor is this.
    pub executor: Option<NodeId>,
    /// Only ids above this one, for paging; ids are in order.
    pub after: Option<TaskId>,
    /// At most so many; the node's own bound is 1,000.
    pub limit: u32,
}

/// Something that happened to a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoryLine {
    pub at: Wall,
    pub node: NodeId,
    /// For people, in the field's words: `placed`, `granted attempt 2 to …`, `promised (3, …)`.
    pub what: String,
}

/// A task in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSummary {
    pub task: TaskId,
    /// `waiting running done failed cancelled deadline_passed`
    pub state: String,
    pub program: String,
    pub placed: Wall,
    pub job: Option<(JobId, u64)>,
    /// Of a manifest: how many items.
    pub count: Option<u64>,
    pub executor: Option<NodeId>,
    pub attempts: u32,
}
