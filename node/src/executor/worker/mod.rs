//! Programs that attach themselves to this node and take tasks of their kinds, over HTTP.
//!
//! ```text
//!  run ──► offered ──take──► held by a worker ──result──────────────► desk
//!             │                  │  ▲ heartbeat, logs, progress, files
//!             │                  ├─ released, or its worker detached ► desk: given back
//!             │                  ├─ never spoken of for a lease ─────► desk: given back (the answer to `take` was lost)
//!             │                  ├─ cancelled, or its time is over ──► desk, and its worker is told
//!             │                  └─ its worker's lease is over ──────► desk: lost
//!             └─ nobody takes it, or nobody is there any more ───────► desk: given back
//! ```
//!
//! A worker is a process that the node did not start and cannot end: so it is not waited for. What it had is over for the
//! mesh when the node says so, and what it says of it later is refused.
//!
//! Invariants, each with its test in `tests`:
//! 1. Each execution ends once, and its slot is free then.
//! 2. A worker has no more tasks than it said that it takes, those that it should have stopped with included.
//! 3. What this node tells the mesh that it has is what it has without workers, and what those bring that are attached.
//! 4. Who was not heard of for a lease has nothing any more.
//! 5. What workers and their tasks can make us keep is bounded.

mod attached;
mod config;
mod ending;
mod error;
mod handle;
mod metrics;
mod output;
mod registry;
mod shared;
#[cfg(test)]
mod tests;
mod view;

pub use attached::{Progress, Registration, WorkerId};
pub use config::WorkersConfig;
pub use error::WorkerError;
pub use handle::Workers;
pub use metrics::WorkerMetrics;
pub use view::{HeldView, Opened, Taken, WorkerView};

use crate::executor::run::Run;
use bytes::Bytes;
use mesh_proto::capability::WorkerKind;
use std::fmt;

/// A task for a worker.
pub(super) struct Job {
    pub run: Run,
    pub kind: WorkerKind,
    pub argv: Vec<String>,
}

/// Why a task that a worker has is not to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Cancelled,
    TimeLimit,
}

/// What a worker says came of a task, besides what it has sent before.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    pub exit_code: i32,
    pub stdout: Bytes,
    pub stderr: Bytes,
    pub cpu_us: u64,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "it was cancelled",
            Self::TimeLimit => "its time limit has passed",
        })
    }
}
