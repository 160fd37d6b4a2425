use crate::{
    Command, ControlMessage, RequestId,
    agreement::{PortInput, Verdict},
};
use mesh_membership::Member;
use mesh_proto::{
    aggregate::AggregateId,
    id::{Digest, NodeId, StoreId, TaskId},
    pbft::Sequence,
    task::{Frame, Outcome},
};
use std::{sync::Arc, time::Duration};

/// Everything that can happen to a brain.
#[derive(Clone, Debug)]
pub enum Input {
    /// The log and the store have been read: resend what must be.
    Restarted,
    /// The monotonic clock jumped by this much: the process was frozen. Nothing it believed of others holds.
    Paused { gap: Duration },
    /// An admitted member can be talked to. The store is the one that it named in its admission.
    Up { node: NodeId, store: StoreId },
    /// Its last connection is gone; what was in flight may be lost.
    Down { node: NodeId },
    /// The queue to it is full: what was sent since was not sent.
    Full { node: NodeId },
    /// The queue to it has room again.
    Writable { node: NodeId },
    /// This node's own entry changed: it knows more of its addresses, leaves, or was asked to ([`Effect::Speak`]).
    ///
    /// [`Effect::Speak`]: crate::Effect::Speak
    Me(Member),
    /// A verified statement about a member, from its admission or from an operator.
    Member(Member),
    /// A verified statement about a member that gossip brought, and takes further by itself.
    Announced(Member),
    /// A decoded and checked frame of `/mesh/task/1`.
    Task { from: NodeId, frame: Frame },
    /// A decoded message of `/mesh/control/1`. Entries in it were verified.
    Control { from: NodeId, message: ControlMessage },
    /// A verified message of `/mesh/consensus/1`.
    Consensus(Box<mesh_pbft::Verified>),
    /// Signatures inside commands were checked ([`Judge`], [`judge`]): what is known before a command is executed is not
    /// checked on the brain's thread. It may come late or not at all.
    ///
    /// [`Judge`]: crate::agreement::Judge
    /// [`judge`]: crate::agreement::judge
    Judged(Vec<Verdict>),
    /// The digest of a state that was to be summed up: [`Effect::SumUp`].
    ///
    /// [`Effect::SumUp`]: crate::Effect::SumUp
    SummedUp { sequence: Sequence, root: Digest },
    /// What the engine says that makes the order, where one in the body does.
    Port(PortInput),
    /// What a user asks, by the API. Answers name the request.
    Command { request: RequestId, command: Command },
    /// An execution of this node ended; its outputs are durable where the outcome says.
    Executed { task: TaskId, attempt: u32, outcome: Arc<Outcome> },
    /// This node's value of the name that was asked for by [`Effect::Measure`]; none where it has none.
    ///
    /// [`Effect::Measure`]: crate::Effect::Measure
    Measured { id: AggregateId, values: Option<Vec<f64>> },
    /// Whether there is room for new work on the disk. Below the reserve new work gets `busy`.
    Disk { room: bool },
    /// How much of this machine's memory is free, in parts per million.
    Memory { free_ppm: u32 },
}
