//! What happened here, for people: a bounded memory, never logged, never relied on.

use mesh_proto::id::NodeId;
use mesh_proto::{id::TaskId, task::Ballot, time::Wall};
use std::{collections::VecDeque, fmt};

/// One thing that happened on this node to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Submitted,
    Placed { copies: u32 },
    Held { gateway: NodeId },
    Queued { attempt: u32 },
    Started { attempt: u32 },
    Finished { attempt: u32 },
    Granted { attempt: u32, executor: NodeId },
    AttemptFailed { attempt: u32, why: String },
    Prepared { ballot: Ballot },
    Promised { ballot: Ballot },
    TookOver { ballot: Ballot },
    SteppedDown { to: Ballot },
    Replaced { lost: NodeId, by: NodeId },
    CancelAsked,
    Ended { how: &'static str },
    Delivered,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submitted => f.write_str("submitted here"),
            Self::Placed { copies } => write!(f, "placed on {copies} holders, acknowledged"),
            Self::Held { gateway } => write!(f, "record held, from gateway {gateway}"),
            Self::Queued { attempt } => write!(f, "attempt {attempt} queued"),
            Self::Started { attempt } => write!(f, "attempt {attempt} started"),
            Self::Finished { attempt } => write!(f, "attempt {attempt} finished"),
            Self::Granted { attempt, executor } => write!(f, "attempt {attempt} granted to {executor}"),
            Self::AttemptFailed { attempt, why } => write!(f, "attempt {attempt} failed: {why}"),
            Self::Prepared { ballot } => write!(f, "asks for promises of ballot {ballot}"),
            Self::Promised { ballot } => write!(f, "promised ballot {ballot}"),
            Self::TookOver { ballot } => write!(f, "took over with ballot {ballot}"),
            Self::SteppedDown { to } => write!(f, "stepped down for ballot {to}"),
            Self::Replaced { lost, by } => write!(f, "copy on {lost} replaced by one on {by}"),
            Self::CancelAsked => f.write_str("cancellation asked for"),
            Self::Ended { how } => write!(f, "{how}, on a majority of the holders"),
            Self::Delivered => f.write_str("result delivered to its client"),
        }
    }
}

/// The latest events, oldest first.
#[derive(Debug)]
pub struct Story {
    lines: VecDeque<(Wall, TaskId, Event)>,
    max: usize,
}

impl Story {
    pub fn new(max: usize) -> Self {
        Self { lines: VecDeque::new(), max }
    }

    pub fn tell(&mut self, at: Wall, task: TaskId, event: Event) {
        if self.lines.len() >= self.max {
            self.lines.pop_front();
        }
        self.lines.push_back((at, task, event));
    }

    /// Of one task, in order.
    pub fn of(&self, task: &TaskId) -> impl Iterator<Item = (Wall, &Event)> {
        self.lines.iter().filter(move |(_, of, _)| of == task).map(|(at, _, event)| (*at, event))
    }
}
