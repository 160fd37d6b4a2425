//! One attached program, as the node knows it.

use super::{Job, Stop, output::Output};
use mesh_proto::{
    capability::{Capabilities, WorkerKind},
    id::TaskId,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Drawn by the node, so that nobody guesses another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId(pub [u8; 16]);

/// What a program says of itself when it comes.
#[derive(Clone, Debug)]
pub struct Registration {
    /// For people.
    pub name: String,
    /// Whose tasks it takes; workers of one kind are alike.
    pub kinds: Vec<WorkerKind>,
    /// What the node has as long as it is there.
    pub capabilities: Capabilities,
    /// Tasks that it has at once.
    pub concurrency: u32,
}

/// How far a task is, in its worker's words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// In parts per million.
    pub done_ppm: Option<u32>,
    pub text: Option<String>,
}

pub(super) struct Worker {
    pub registration: Registration,
    pub heard: Instant,
    /// Requests of it that wait for a task: as long as there is one it is there.
    pub waiting: usize,
    pub held: BTreeMap<TaskId, Held>,
    /// What it brought to an end lately: a repeat of that is no mistake.
    pub ended: VecDeque<(TaskId, u32)>,
    pub taken: u64,
    pub results: u64,
}

/// A task that a worker has.
pub(super) struct Held {
    pub job: Arc<Job>,
    pub output: Arc<Output>,
    pub taken: Instant,
    /// It has said something of it since, so it has heard that it was given it.
    pub is_known: bool,
    pub progress: Progress,
    /// Why it is not to go on, and since when: its place is free when the worker says that it has let go of it.
    pub stopped: Option<(Stop, Instant)>,
    /// Held by who writes its end.
    pub turn: Arc<Mutex<()>>,
}

/// What was brought to an end lately that is remembered of one worker.
const REMEMBERED: usize = 16;

impl Worker {
    pub fn new(registration: Registration, now: Instant) -> Self {
        let (held, ended) = Default::default();
        Self { registration, heard: now, waiting: 0, held, ended, taken: 0, results: 0 }
    }

    pub fn is_of(&self, kind: &WorkerKind) -> bool {
        self.registration.kinds.contains(kind)
    }

    pub fn has_place(&self) -> bool {
        self.held.len() < self.registration.concurrency as usize
    }

    /// Tasks that it can have, but for those that it goes on with although it should not.
    pub fn places(&self, now: Instant, patience: Duration) -> u32 {
        let is_stuck = |held: &&Held| held.stopped.is_some_and(|(_, since)| since + patience <= now);
        let stuck = self.held.values().filter(is_stuck).count();
        self.registration.concurrency.saturating_sub(u32::try_from(stuck).unwrap_or(u32::MAX))
    }

    /// When it is gone, unless it says something.
    pub fn expires(&self, lease: Duration) -> Option<Instant> {
        (self.waiting == 0).then_some(self.heard + lease)
    }

    /// What it was given and said no word of for a lease, with when that was over. Only by a word of something else, or by
    /// asking for more, does it show that it is there and knows of none: who says nothing at all is gone with what it has, and
    /// what it has may be why.
    pub fn unheard_of(&self, lease: Duration) -> impl Iterator<Item = (TaskId, Instant)> {
        let is_there = move |at: Instant| self.waiting > 0 || self.heard >= at;
        let unknown = self.held.iter().filter(|(_, held)| !held.is_known && held.stopped.is_none());
        unknown.map(move |(task, held)| (*task, held.taken + lease)).filter(move |(_, at)| is_there(*at))
    }

    pub fn stopped(&self) -> impl Iterator<Item = TaskId> {
        self.held.iter().filter(|(_, held)| held.stopped.is_some()).map(|(task, _)| *task)
    }

    pub fn let_go(&mut self, task: TaskId) -> Option<Held> {
        let held = self.held.remove(&task)?;
        self.ended.push_back((task, held.job.run.attempt));
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
        Some(held)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl FromStr for WorkerId {
    type Err = super::WorkerError;

    /// What is no id is nobody's.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(super::WorkerError::Unknown)
    }
}
