use crate::{PartitionView, Side, agreement::AgreementView};
use mesh_membership::{Counters, Found, Standpoint};
use mesh_proto::{
    agreement::{Ran, Standing},
    capability::Capabilities,
    control::{Lack, StoryLine, TaskSummary},
    id::{BlobId, NodeId, StoreId, TaskId},
    label::Label,
    ledger,
    outlook::Outlook,
    task::{Ballot, BlobRef, Octets, Register, Version},
    time::Wall,
};
use std::{collections::BTreeSet, sync::Arc};

/// What a node answers to a user. `index` counts the items of a `Submit`.
#[derive(Clone, Debug)]
pub enum Answer {
    /// On the disks of `copies` holders; `existing` if it had been submitted before; `degraded` if fewer than wanted.
    Placed {
        index: u32,
        task: TaskId,
        copies: u32,
        degraded: bool,
        existing: bool,
    },
    Refused {
        index: u32,
        task: Option<TaskId>,
        why: Refusal,
    },
    /// Terminal, and a majority of its holders has it so.
    Ended {
        task: TaskId,
        register: Arc<Register>,
    },
    /// Nobody in reach that could know it knows it.
    Missing {
        task: TaskId,
    },
    CancelAsked {
        task: TaskId,
    },
    Task(Box<TaskView>),
    Tasks(TaskList),
    Matches(Vec<TaskId>),
    Referenced(BTreeSet<BlobId>),
    Named(Vec<BlobRef>),
    /// It ran in this batch, or in an earlier one if the user had asked for it before.
    Ordered {
        index: u32,
        at: ledger::Index,
        ran: Ran,
    },
    /// Nothing where nobody in reach has a ledger.
    Looked(Option<Box<ledger::Answer>>),
    /// Nothing where nobody in reach holds it, or while this node knows too few epochs.
    Certified(Option<(NodeId, Box<ledger::Bundle>)>),
    Agreement(Box<AgreementView>),
    /// Nothing from a node that does not answer.
    Recruited(Option<Standing>),
    /// With how many members there are by this node's table.
    Aggregate {
        answer: Box<mesh_gossip::Answer>,
        members: u64,
    },
    Status(Box<StatusView>),
    Members(Vec<MemberView>),
    /// The last answer to a request.
    Finished,
}

/// Why a submission, or any other wish of a user, was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the same key was used for another task")]
    Conflict,
    #[error("the key was drawn at {born}, before what the mesh remembers ({floor})")]
    TooOld { born: Wall, floor: Wall },
    #[error("{reached} of the {needed} nodes that must hold it answered; try again in {retry_ms} ms")]
    Unavailable { reached: u32, needed: u32, retry_ms: u32 },
    #[error("this node has not heard yet who else is in the mesh; ask another, or try again in {retry_ms} ms")]
    Unintroduced { retry_ms: u32 },
    #[error("read-only: {side}; retry after it heals")]
    ReadOnly { side: Side, retry_ms: u32 },
    #[error("no room; try again in {retry_ms} ms")]
    Busy { retry_ms: u32 },
    #[error("this network has no agreement")]
    NoAgreement,
    #[error("the clock of this node is ahead of the mesh's agreed time by more than it allows: set it")]
    ClockAhead,
    #[error(
        "it was sent more than once, and what the mesh knows of commands does not go back so far any more: it may have been \
         done"
    )]
    Forgotten,
    #[error("not a task: {0}")]
    Malformed(String),
    #[error("not an aggregation: {0}")]
    NoAggregation(&'static str),
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskList {
    /// In the order of their ids.
    pub rows: Vec<TaskSummary>,
    /// More may follow behind this id.
    pub next: Option<TaskId>,
    /// Nodes that hold tasks and did not answer in time, or could not be asked: what they alone know is not in here.
    pub silent: Vec<NodeId>,
}

/// One task as the nodes that hold it tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    pub task: TaskId,
    pub spec: Octets,
    pub gateway: NodeId,
    pub placed: Wall,
    pub ballot: Ballot,
    pub version: Version,
    pub register: Arc<Register>,
    /// A majority of the holders is known to have this on disk.
    pub in_force: bool,
    /// Queued or running at its executor, as far as is known.
    pub running: bool,
    /// Why its driver grants it to nobody.
    pub lack: Option<Lack>,
    /// What its driver knows of whom it may grant it to.
    pub outlook: Option<Outlook>,
    /// What it is to start after and has not ended, as its driver knows.
    pub awaits: Vec<TaskId>,
    /// Holders whose word is being waited for.
    pub waiting_for: Vec<NodeId>,
    /// In order of time, each with the node that it happened on.
    pub story: Vec<StoryLine>,
    /// Nodes that were asked and did not answer in time.
    pub silent: Vec<NodeId>,
}

/// Of a node that drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainView {
    /// Records that name it as a holder, as of the last look through all of them; `None` before the first.
    pub to_move: Option<u64>,
    /// Copies of a record. With fewer others that take them they stay.
    pub copies: u32,
    /// Tasks whose replicas are asked for here: they are begun anew elsewhere if this node stops.
    pub polls: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusView {
    pub node: NodeId,
    pub store: StoreId,
    /// It knows who else is in the mesh, and takes work.
    pub introduced: bool,
    /// Of known members that may hold tasks, how many can be talked to now, itself included.
    pub members: u32,
    pub reachable: u32,
    /// Records on this disk, and how many of them are not ended.
    pub held: u64,
    pub held_live: u64,
    /// Tasks that this node drives, waits for on behalf of users, queues and runs.
    pub driving: u64,
    /// Tasks that nobody drives, and whose turn to be taken over here is yet to come.
    pub orphaned: u64,
    pub following: u64,
    pub queued: u64,
    /// Of what is queued, as much as others could begin at once, by what they say.
    pub hoarded: u64,
    pub running: u64,
    pub slots: u32,
    /// Results that are kept until their drivers have settled them.
    pub outbox: u64,
    pub disk_has_room: bool,
    pub partition: PartitionView,
    pub drain: Option<DrainView>,
    /// It holds and runs tasks by its role.
    pub keeps_tasks: bool,
    /// Who was suspected, and what came of it.
    pub liveness: Counters,
    pub aggregations: mesh_gossip::Counters,
    /// Without what others say of themselves; none in a network without agreement.
    pub agreement: Option<AgreementView>,
    /// How many motions are in force in the ledgers of this node and of those that are connected, as each of them says:
    /// rested on by nobody, but a reason to ask the committee.
    pub serials: Vec<(NodeId, u64)>,
    /// Counters since the start, by name.
    pub counters: Vec<(String, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    pub node: NodeId,
    pub store: StoreId,
    pub role: String,
    /// When it was invited: it was no member before.
    pub dated: Wall,
    /// `self alive silent left forgotten`
    pub state: String,
    pub addresses: Vec<String>,
    /// What people call it, and where its machine stands.
    pub name: Option<Label>,
    pub zone: Option<Label>,
    /// What it says that it has.
    pub capabilities: Capabilities,
    /// Queued and running tasks, as it last said.
    pub load: Option<(u32, u32, u32)>,
    /// Milliseconds since it was last heard.
    pub heard_ms: Option<u64>,
    /// How it is thought of here, if it is silent.
    pub standpoint: Option<Standpoint>,
    /// What was found of it, in the order of time.
    pub history: Vec<Found>,
}
