use crate::{Answer, ControlMessage, Fact, RequestId, agreement::PortEffect};
use mesh_membership::Member;
use mesh_proto::{
    aggregate::AggregateId,
    id::{LogPosition, NodeId, TaskId},
    ledger::Index,
    pbft::Sequence,
    task::{Birth, Frame},
};
use std::sync::Arc;

/// How a member is known to have contradicted itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accused {
    /// This node's replica has both statements; `kind` says of what.
    Caught { kind: &'static str },
    /// The proof was judged in this batch, and is in the ledger.
    Kept { index: Index },
}

/// Everything that a brain can ask of its body.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Append to the log. The n-th since the log began is at position n.
    Persist(Fact),
    /// Not before `after` is on disk; [`LogPosition::START`] for what rests on nothing.
    Send {
        to: NodeId,
        message: Message,
        after: LogPosition,
    },
    Answer {
        request: RequestId,
        answers: Vec<Answer>,
        after: LogPosition,
    },
    /// Run it; report by `Input::Executed`. The node's slots are the brain's to count.
    Execute {
        birth: Arc<Birth>,
        attempt: u32,
        after: LogPosition,
    },
    /// Stop it; its `Executed`, if one comes, is ignored.
    Cancel {
        task: TaskId,
        attempt: u32,
    },
    /// Say by `Input::Measured` what value of that name this node has.
    Measure {
        id: AggregateId,
        name: String,
    },
    /// Try to connect to a member. `Up` or nothing follows.
    Dial {
        node: NodeId,
        addresses: Vec<String>,
    },
    /// Close what there is: the member left, was forgotten, or went silent.
    Disconnect {
        node: NodeId,
    },
    /// Tell all members, by gossip, of an entry that is new.
    Announce {
        member: Member,
        after: LogPosition,
    },
    /// Find the root of this state, beside all else; report by `Input::SummedUp`.
    SumUp {
        sequence: Sequence,
        state: mesh_ledger::Map,
    },
    /// What the verifiers of consensus messages go by from now on.
    Verify(Arc<mesh_pbft::Snapshot>),
    /// Of the engine that makes the order, where one in the body does.
    Port(PortEffect),
    /// Agreement has stopped on this node, for good; all else goes on.
    Halted(String),
    /// A member of the committee has contradicted itself: for people to hear.
    Accused {
        accused: NodeId,
        how: Accused,
    },
    /// Say something of this node under a higher incarnation than this, by `Input::Me`.
    Speak {
        above: u64,
    },
}

/// What one node says to another.
#[derive(Clone, Debug)]
pub enum Message {
    Task(Frame),
    Control(ControlMessage),
    Consensus(Arc<mesh_proto::pbft::Message>),
}

/// Whether it says nothing that this node must not forget: a slow disk does not keep it back.
pub(crate) fn rests_on_nothing(message: &ControlMessage) -> bool {
    match message {
        ControlMessage::Heartbeat(_) | ControlMessage::Probe(_) | ControlMessage::Aggregate(_) => true,
        // Tables hold this node's own word, and that must not be forgotten once it was heard.
        ControlMessage::Digests(_)
        | ControlMessage::Marks(_)
        | ControlMessage::Members(_)
        | ControlMessage::Told { .. }
        | ControlMessage::Query { .. }
        | ControlMessage::Reply { .. } => false,
    }
}
