//! What agreement wants done by the coordinator around it.

use super::{Fact, PortEffect};
use crate::{Accused, Refusal, RequestId};
use mesh_ledger::Map;
use mesh_pbft::Snapshot;
use mesh_proto::{
    agreement::{Question, Ran},
    id::NodeId,
    ledger::Index,
    pbft::{Message, Sequence},
};
use std::sync::Arc;

/// What agreement asks of the coordinator, in this order.
pub enum Asked {
    Persist(Fact),
    Send {
        to: NodeId,
        message: Arc<Message>,
    },
    /// A question to a member, with the id under which the answer comes back.
    Ask {
        to: NodeId,
        question: Question,
    },
    Answer {
        request: RequestId,
        index: u32,
        at: Index,
        ran: Ran,
    },
    /// Not ordered, or nobody can say whether it was.
    Refuse {
        request: RequestId,
        index: u32,
        why: Refusal,
    },
    SumUp {
        sequence: Sequence,
        state: Map,
    },
    Verify(Arc<Snapshot>),
    Halted(String),
    Accused(NodeId, Accused),
    Port(PortEffect),
}
