//! Some items of a job on their way through the brain.

use super::{
    output::{Gone, Line, Output},
    submissions::{Submission, cancelled},
    tally::Tally,
};
use crate::api::{
    Api, Problem,
    brain::{Answers, BrainGone},
    count::{CountInfo, counted},
    result::{NodeTexts, ResultLine},
    submission::Made,
    tasks::show::view,
};
use mesh_coordinator::{Answer, Command, Refusal};
use mesh_proto::{
    id::TaskId,
    task::{Octets, Register, Spec},
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// What the batches of one stream share.
#[derive(Clone)]
pub struct Stream {
    pub api: Api,
    pub tally: Arc<Tally>,
    /// Wait for the ends of what is submitted.
    pub follow: bool,
    /// Say what was placed, line by line.
    pub placed: bool,
    /// Of the job that is submitted; none where it is only followed.
    pub submission: Option<Arc<Submission>>,
    /// An item of it is for several executors.
    pub several: Arc<AtomicBool>,
}

/// An item that has not come to its last answer.
#[derive(Clone, Debug)]
pub struct Item {
    pub index: u64,
    pub task: TaskId,
    /// None of one that is only followed.
    pub spec: Option<Octets>,
    /// When to give up offering or looking for it.
    pub until: Instant,
}

impl Item {
    pub fn submitted(index: u64, made: Made, until: Instant) -> Self {
        Self { index, task: made.task, spec: Some(made.spec), until }
    }

    pub fn followed(index: u64, task: TaskId, until: Instant) -> Self {
        Self { index, task, spec: None, until }
    }
}

/// How long to wait before looking again for an item that nobody knew: another client may be submitting it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Carries out a batch: its items are all submitted or all followed. Holds one permit of the window for each item and
/// gives it back with the item's last line.
pub fn start(stream: Stream, items: Vec<Item>, permits: OwnedSemaphorePermit, output: Output, delay: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        // When nobody reads any more there is nothing left to do: dropping the answers tells the brain.
        if let Err(Gone) = carry(&stream, items, permits, output).await {
            tracing::debug!("the reader of a job's stream has gone");
        }
    });
}

async fn carry(
    stream: &Stream,
    items: Vec<Item>,
    permits: OwnedSemaphorePermit,
    mut output: Output,
) -> Result<(), Gone> {
    let mut open = Open::new(stream, items, permits);
    if stream.submission.as_ref().is_some_and(|submission| submission.is_stopped()) {
        return open.refuse_rest(cancelled(), &mut output).await;
    }
    let mut answers = match open.ask().await {
        Ok(answers) => answers,
        Err(gone) => return open.refuse_rest(gone.into(), &mut output).await,
    };
    loop {
        let batch = tokio::select! {
            batch = answers.next() => batch,
            () = output.gone() => return Err(Gone),
            () = stream.api.closing.cancelled() => None,
        };
        let Some(batch) = batch else { break };
        for answer in batch {
            open.answer(answer, &mut output).await?;
        }
        output.flush().await?;
        open.retry(&output);
    }
    match answers.finished() {
        true => Ok(()),
        false => open.refuse_rest(BrainGone.into(), &mut output).await,
    }
}

struct Open<'a> {
    stream: &'a Stream,
    items: Vec<Option<Item>>,
    by_task: HashMap<TaskId, usize>,
    permits: OwnedSemaphorePermit,
    /// To be offered or looked for again, after a while, with their places in the window.
    again: Vec<Item>,
    again_permits: Option<OwnedSemaphorePermit>,
    delay: Duration,
    nodes: NodeTexts,
    /// What one of the items asked for has been looked up.
    looked: bool,
}

impl<'a> Open<'a> {
    fn new(stream: &'a Stream, items: Vec<Item>, permits: OwnedSemaphorePermit) -> Self {
        let by_task = items.iter().enumerate().map(|(at, item)| (item.task, at)).collect();
        let items = items.into_iter().map(Some).collect();
        Self {
            stream,
            items,
            by_task,
            permits,
            again: Vec::new(),
            again_permits: None,
            delay: Duration::ZERO,
            nodes: NodeTexts::default(),
            looked: false,
        }
    }

    async fn ask(&self) -> Result<Answers, BrainGone> {
        let items = || self.items.iter().flatten();
        let specs: Vec<Octets> = items().filter_map(|item| item.spec.clone()).collect();
        let command = match specs.is_empty() {
            true => Command::Follow { tasks: items().map(|item| item.task).collect() },
            false => Command::Submit { specs, follow: self.stream.follow },
        };
        self.stream.api.ports.brain.ask(command).await
    }

    async fn answer(&mut self, answer: Answer, output: &mut Output) -> Result<(), Gone> {
        match answer {
            Answer::Placed { index, task, copies, degraded, existing } => {
                let Some(item) = self.items.get(index as usize).and_then(Option::as_ref) else { return Ok(()) };
                self.stream.tally.placed(existing);
                if self.stream.placed {
                    let line = Line::Placed { index: item.index, task: task.to_string(), copies, degraded, existing };
                    output.line(&line).await?;
                }
                if !self.stream.follow {
                    self.close(index as usize);
                }
            }
            Answer::Refused { index, why, .. } => {
                let at = index as usize;
                let Some(item) = self.items.get(at).and_then(Option::as_ref) else { return Ok(()) };
                match wait_of(&why) {
                    Some(wait) if Instant::now() + wait < item.until => self.later(at, wait),
                    _ => {
                        let Some(item) = self.close(at) else { return Ok(()) };
                        self.refuse(&item, (&why).into(), output).await?;
                    }
                }
            }
            Answer::Ended { task, register } => {
                // First: behind what closes the last item comes the end of the stream.
                let given = self.by_task.get(&task).and_then(|at| self.items[*at].as_ref()?.spec.clone());
                let count = self.count(&task, given, &register).await;
                let Some(item) = self.by_task.get(&task).copied().and_then(|at| self.close(at)) else { return Ok(()) };
                let Some(ending) = register.ending() else { return Ok(()) };
                self.stream.tally.ended(ending.how);
                self.stream.api.meters.results.inc();
                if let Some(line) = ResultLine::new(&task, &register, &mut self.nodes) {
                    output.line(&line.of_item(item.index).counted(count)).await?;
                }
            }
            Answer::Missing { task } => {
                let Some(at) = self.by_task.get(&task).copied() else { return Ok(()) };
                let Some(item) = self.items[at].as_ref() else { return Ok(()) };
                if Instant::now() + LOOK_AGAIN < item.until {
                    self.later(at, LOOK_AGAIN);
                } else {
                    let line = Line::Missing { index: item.index, task: task.to_string() };
                    self.close(at);
                    self.stream.tally.missing();
                    output.line(&line).await?;
                }
            }
            Answer::CancelAsked { .. }
            | Answer::Task(_)
            | Answer::Tasks(_)
            | Answer::Matches(_)
            | Answer::Status(_)
            | Answer::Members(_)
            | Answer::Referenced(_)
            | Answer::Named(_)
            | Answer::Ordered { .. }
            | Answer::Looked(_)
            | Answer::Certified(_)
            | Answer::Agreement(_)
            | Answer::Recruited(_)
            | Answer::Aggregate { .. }
            | Answer::Finished => {}
        }
        Ok(())
    }

    /// Of items that are only followed it is not known here what was asked for, and all members would have to be asked of each. So
    /// one of every batch is looked up, and each that has no count as soon as one of the job is seen to be for several.
    async fn count(&mut self, task: &TaskId, given: Option<Octets>, register: &Register) -> Option<CountInfo> {
        let Stream { api, several, .. } = self.stream;
        let outcome = register.ending().and_then(|ending| ending.outcome.as_ref());
        let is_counted = outcome.is_some_and(|outcome| outcome.count.is_some());
        several.fetch_or(is_counted, Ordering::Relaxed);
        if given.is_some() || several.load(Ordering::Relaxed) {
            return counted(api, task, given.as_ref(), register).await;
        }
        if self.looked {
            return None;
        }
        // Where nobody says so in time the next one is looked up.
        let spec = view(api, *task).await.ok()?.spec;
        self.looked = true;
        several.fetch_or(Spec::decode(&spec).is_ok_and(|spec| spec.redundancy > 1), Ordering::Relaxed);
        counted(api, task, Some(&spec), register).await
    }

    /// Takes an item out, and frees its place in the window.
    fn close(&mut self, at: usize) -> Option<Item> {
        let item = self.items.get_mut(at)?.take()?;
        drop(self.permits.split(1));
        Some(item)
    }

    /// Takes an item out to be tried again; its place stays taken.
    fn later(&mut self, at: usize, wait: Duration) {
        let Some(item) = self.items.get_mut(at).and_then(Option::take) else { return };
        match (&mut self.again_permits, self.permits.split(1)) {
            (Some(permits), Some(permit)) => permits.merge(permit),
            (permits @ None, permit) => *permits = permit,
            (Some(_), None) => {}
        }
        self.delay = self.delay.max(wait);
        self.again.push(item);
    }

    /// Hands on what is to be tried again; the rest of the batch does not wait for it.
    fn retry(&mut self, output: &Output) {
        if let Some(permits) = self.again_permits.take() {
            let items = std::mem::take(&mut self.again);
            start(self.stream.clone(), items, permits, output.clone(), std::mem::take(&mut self.delay));
        }
    }

    async fn refuse(&self, item: &Item, problem: Problem, output: &mut Output) -> Result<(), Gone> {
        self.stream.tally.refused();
        let Problem { code, detail, retry_ms, .. } = problem;
        output.line(&Line::Refused { index: item.index, code, detail, retry_ms }).await
    }

    async fn refuse_rest(&mut self, problem: Problem, output: &mut Output) -> Result<(), Gone> {
        for at in 0..self.items.len() {
            if let Some(item) = self.close(at) {
                self.refuse(&item, problem.clone(), output).await?;
            }
        }
        output.flush().await
    }
}

fn wait_of(why: &Refusal) -> Option<Duration> {
    match why {
        Refusal::Unavailable { retry_ms, .. } | Refusal::Unintroduced { retry_ms } | Refusal::Busy { retry_ms } => {
            Some(Duration::from_millis(u64::from(*retry_ms).max(10)))
        }
        // Nobody knows for how long: at once, as all that is new.
        Refusal::ReadOnly { .. } => None,
        Refusal::Conflict | Refusal::TooOld { .. } | Refusal::Malformed(_) => None,
        // Of the committee, which no task needs.
        Refusal::NoAgreement | Refusal::ClockAhead | Refusal::Forgotten | Refusal::NoAggregation(_) => None,
    }
}
