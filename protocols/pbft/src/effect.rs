use crate::{Alarm, Fact};
use mesh_proto::{
    id::{Digest, NodeId},
    pbft::{EpochConfig, Evidence, Message, Request, Sequence, Summary, View},
    task::Octets,
    time::Wall,
};
use std::sync::Arc;

/// What a replica asks of its caller, in this order. A [`Effect::Send`] leaves, and a [`Effect::Release`] is done, only when
/// every [`Effect::Persist`] before it is durable; so must be whatever the application lets others see of an execution.
/// The rest may begin at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Persist(Fact),
    /// One encoding serves all recipients.
    Send {
        to: Recipient,
        message: Arc<Message>,
    },
    /// To be executed after all before it; answered by `Input::Executed`.
    Execute(Execution),
    /// The state behind this number is to be readable under it until released, after a crash as well; answered by
    /// `Input::Checkpointed`. Execution goes on meanwhile, up to the next checkpoint: the state is that of before all
    /// [`Effect::Execute`] behind this.
    TakeCheckpoint {
        sequence: Sequence,
    },
    /// Somebody asks for a piece of the state at a checkpoint; answered by `Input::Piece`, or not at all.
    ReadPiece {
        to: NodeId,
        sequence: Sequence,
        index: u32,
    },
    /// A piece of the state at a checkpoint, proved; to be laid aside.
    StorePiece {
        sequence: Sequence,
        index: u32,
        bytes: Octets,
    },
    /// All pieces have come: they are to become the state, durably and beside the one there is; answered by
    /// `Input::Installed`.
    Install {
        summary: Arc<Summary>,
    },
    /// States, and pieces laid aside, below this number are not needed any more, but for `except`. Not before the facts
    /// ahead of it are durable: until then a crash leads back to them.
    Release {
        below: Sequence,
        except: Vec<Sequence>,
    },
    /// For whoever watches.
    Event(Event),
    /// The replica has stopped: nothing that it could do next is sure to be right.
    Halt(Alarm),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// All other members of the epoch.
    Members,
    Node(NodeId),
}

/// A batch in its place. `requests` are those of it that were not executed before; one outcome is due for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub sequence: Sequence,
    /// Agreed time: later than that of every execution before. Section 4.6.
    pub time: Wall,
    pub requests: Vec<Body>,
}

/// A request with its digest, made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub digest: Digest,
    pub request: Arc<Request>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    LeftFor(View),
    Entered(View),
    StableAt(Sequence),
    /// A new committee is in force.
    EpochBegan(Arc<EpochConfig>),
    CaughtUp(Sequence),
    Caught(Arc<Evidence>),
}
