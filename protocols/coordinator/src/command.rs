use mesh_gossip::Asked;
use mesh_proto::{
    agreement::Operation,
    control::ListFilter,
    id::{BlobId, NodeId, TaskId},
    ledger,
    task::Octets,
};
use std::collections::BTreeSet;

/// Names what a user asked, so that the answers find their way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a user can ask of a node.
#[derive(Clone, Debug)]
pub enum Command {
    /// Take these tasks, each an encoded `Spec`. One `Placed` or `Refused` an item; with `follow` one `Ended` as well.
    /// The request stays open until every item has its last answer, then `Finished`. At most 1,024 items.
    Submit { specs: Vec<Octets>, follow: bool },
    /// Say how these end: one `Ended` or `Missing` each, then `Finished`.
    Follow { tasks: Vec<TaskId> },
    /// The user of that request is gone: no more answers to it. The tasks go on.
    Leave { request: RequestId },
    /// End these: one `CancelAsked` or `Missing` each, once the wish has reached a holder, then `Finished`.
    Cancel { tasks: Vec<TaskId> },
    /// Everything known of a task, across nodes: `Task` with what could be had within a second.
    Show { task: TaskId },
    /// Tasks held anywhere in reach, newest first: `Tasks`.
    List { filter: ListFilter },
    /// The ids that begin with these digits (of tasks): `Matches`.
    Resolve { prefix: String },
    /// Which of these blobs a record or result held here names this node for: `Referenced`.
    Referenced { blobs: Vec<BlobId> },
    /// The blobs that records and results held here name, behind `after` in the order of ids, with the nodes that they
    /// name: `Named` with at most `limit`, and 1,024.
    Named { after: Option<BlobId>, limit: usize },
    /// Have these ordered by the committee: one `Ordered` or `Refused` an item, then `Finished`. At most 1,024 items.
    Order { operations: Vec<Operation> },
    /// What the ledger says here, else at a member of the committee in reach: `Looked`, which may be old.
    Look { query: ledger::Query },
    /// What the committee certified last, if that is no earlier batch than this, with the decision on a proposal, from
    /// here or from a member of the committee in reach: `Certified`.
    /// Not from these, who have shown what does not prove itself.
    Certified { behind: ledger::Index, proposal: Option<ledger::ProposalId>, but: BTreeSet<NodeId> },
    /// How agreement stands, with what the committee's members in reach say of themselves: `Agreement`.
    Agreement,
    /// That node is to follow the committee, so that it can become a member: `Follows` with where it stands.
    Recruit { node: NodeId },
    /// What runs here is ended and run elsewhere, if this node drains: `Status`.
    StopRunning,
    /// A function of a value of all members: `Aggregate`, or `Refused`.
    Aggregate { asked: Asked },
    /// `Status`, from this node alone.
    Status,
    /// `Members`, from this node alone.
    Members,
}
