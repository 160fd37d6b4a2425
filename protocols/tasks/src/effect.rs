use crate::Fact;
use mesh_proto::{
    id::{LogPosition, TaskId},
    task::{Birth, Register},
    time::{Now, Wall},
};
use rand::Rng;
use std::sync::Arc;

/// What the task layer asks of its surroundings, in order. What it says to other nodes waits for
/// [`crate::Tasks::take_items`], so that one frame carries all of a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Persist(Fact),
    /// Not before `after` is on disk.
    Execute {
        birth: Arc<Birth>,
        attempt: u32,
        after: LogPosition,
    },
    Cancel {
        task: TaskId,
        attempt: u32,
    },
    Answer(Answer),
}

/// Who waits for an answer: a request, and which of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiter {
    pub request: u64,
    pub index: u32,
}

impl Waiter {
    /// The request of this node's own polls, which no user has.
    pub(crate) const POLLS: u64 = u64::MAX;
}

/// What a gateway tells a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Placed { to: Waiter, task: TaskId, copies: u32, degraded: bool, existing: bool },
    Refused { to: Waiter, task: Option<TaskId>, why: Refusal },
    Ended { to: Waiter, task: TaskId, register: Arc<Register> },
    Missing { to: Waiter, task: TaskId },
    CancelAsked { to: Waiter, task: TaskId },
}

impl Answer {
    pub fn to(&self) -> Waiter {
        match self {
            Self::Placed { to, .. }
            | Self::Refused { to, .. }
            | Self::Ended { to, .. }
            | Self::Missing { to, .. }
            | Self::CancelAsked { to, .. } => *to,
        }
    }
}

/// Why a submission was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the same key was used for another task")]
    Conflict,
    #[error("the key was drawn at {born}, before what the mesh remembers ({floor})")]
    TooOld { born: Wall, floor: Wall },
    #[error("{reached} of the {needed} nodes that must hold it answered; try again in {retry_ms} ms")]
    Unavailable { reached: u32, needed: u32, retry_ms: u32 },
    #[error("no room; try again in {retry_ms} ms")]
    Busy { retry_ms: u32 },
    #[error("not a task: {0}")]
    Malformed(String),
}

/// What every call is lent: the time, the coordinator's one generator, and where effects go.
pub struct Context<'a> {
    pub now: Now,
    pub rng: &'a mut dyn Rng,
    pub effects: &'a mut Vec<Effect>,
    /// Of the last fact so far; [`Effect::Persist`] moves it on.
    pub position: LogPosition,
}
