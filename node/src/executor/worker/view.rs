//! What is told of workers and their tasks.

use super::{
    Job, Progress, Stop, WorkerError, WorkerId,
    attached::{Held, Worker},
};
use crate::executor::input::open_regular;
use crate::executor::run::Source;
use bytes::Bytes;
use mesh_proto::id::TaskId;
use std::fs::File;
use std::time::{Duration, Instant};

/// A task, for the worker that has it now.
#[derive(Debug, Clone)]
pub struct Taken {
    pub task: TaskId,
    pub attempt: u32,
    pub fence: u64,
    pub kind: String,
    pub argv: Vec<String>,
    pub stdin: Source,
    pub files: Vec<(String, Source)>,
    pub outputs: Vec<String>,
    pub time_limit: Duration,
}

/// An input, for the worker that reads it.
#[derive(Debug)]
pub enum Opened {
    Bytes(Bytes),
    File { file: File, len: u64 },
}

/// An attached program, for people.
#[derive(Debug, Clone)]
pub struct WorkerView {
    pub id: WorkerId,
    pub name: String,
    pub kinds: Vec<String>,
    pub capabilities: Vec<String>,
    pub concurrency: u32,
    /// Since it said anything; nothing while it asks for a task.
    pub silent: Duration,
    pub waiting: usize,
    pub tasks: Vec<HeldView>,
    pub taken: u64,
    pub results: u64,
}

/// A task that a worker has.
#[derive(Debug, Clone)]
pub struct HeldView {
    pub task: TaskId,
    pub attempt: u32,
    pub since: Duration,
    pub progress: Progress,
    pub stopped: Option<Stop>,
}

impl Opened {
    /// Blocks.
    pub(super) fn of(source: Source) -> Result<Self, WorkerError> {
        match source {
            Source::Null => Ok(Self::Bytes(Bytes::new())),
            Source::Inline(bytes) => Ok(Self::Bytes(bytes)),
            Source::File(path) => {
                let opened = open_regular(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
                let (len, file) = opened.map_err(|error| WorkerError::Disk(error.to_string()))?;
                Ok(Self::File { file, len })
            }
        }
    }
}

impl Taken {
    pub(super) fn of(job: &Job) -> Self {
        let run = &job.run;
        Self {
            task: run.task,
            attempt: run.attempt,
            fence: run.fence,
            kind: job.kind.to_string(),
            argv: job.argv.clone(),
            stdin: run.stdin.clone(),
            files: run.inputs.clone(),
            outputs: run.outputs.clone(),
            time_limit: run.time_limit,
        }
    }
}

impl WorkerView {
    pub(super) fn of(id: WorkerId, worker: &Worker, now: Instant) -> Self {
        let said = &worker.registration;
        let silent = if worker.waiting > 0 { Duration::ZERO } else { now.saturating_duration_since(worker.heard) };
        Self {
            id,
            name: said.name.clone(),
            kinds: said.kinds.iter().map(ToString::to_string).collect(),
            capabilities: said.capabilities.texts().collect(),
            concurrency: said.concurrency,
            silent,
            waiting: worker.waiting,
            tasks: worker.held.values().map(|held| HeldView::of(held, now)).collect(),
            taken: worker.taken,
            results: worker.results,
        }
    }
}

impl HeldView {
    fn of(held: &Held, now: Instant) -> Self {
        Self {
            task: held.job.run.task,
            attempt: held.job.run.attempt,
            since: now.saturating_duration_since(held.taken),
            progress: held.progress.clone(),
            stopped: held.stopped.map(|(stop, _)| stop),
        }
    }
}
