//! From a granted attempt to its outcome: inputs are brought here, the executors run it, outputs are made durable where
//! the outcome says, and the brain is told.

mod assured;
mod award;
pub mod find;
mod inputs;
mod outcome;
mod outputs;
mod replicas;
mod results;
mod running;
mod seals;

pub use award::Awards;
pub use replicas::{AssureError, Replicas, nearest_first};
pub use seals::Seals;

use award::AwardError;
use running::{Loss, RunningSet};

use crate::{
    api::brain::Brain,
    blob::BlobStore,
    brain::Inbox,
    executor::{ExecutorEvent, Executors, Failure, Outcome as Ran, Run, RunError, Status as RanStatus},
};
use mesh_coordinator::Input;
use mesh_proto::{
    id::TaskId,
    task::{Birth, FailureKind, Octets, Outcome, Payload, Program, Spec, Status},
};
use mesh_tasks::{capability, poll::named};
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::mpsc};

/// A cancelled execution frees its slot a moment after the brain gave the slot to another: how long that one waits.
const SLOT_WAIT: Duration = Duration::from_secs(30);
const SLOT_POLL: Duration = Duration::from_millis(20);

/// The executions of this node. Cheap to clone.
#[derive(Clone)]
pub struct Work(Arc<Shared>);

struct Shared {
    executors: Executors,
    blobs: BlobStore,
    replicas: Replicas,
    awards: Awards,
    seals: Seals,
    brain: Arc<dyn Brain>,
    inbox: Inbox,
    runtime: Handle,
    /// Commands may read and write outside their own directory by `Payload::Path`.
    in_place: bool,
    running: RunningSet,
}

impl Work {
    /// `events` is the receiving end of what `executors` was started with. Must be called on the runtime that is to carry it.
    #[expect(clippy::too_many_arguments, reason = "each is another part of the node")]
    pub fn new(
        executors: Executors,
        events: mpsc::Receiver<ExecutorEvent>,
        blobs: BlobStore,
        replicas: Replicas,
        awards: Awards,
        seals: Seals,
        brain: Arc<dyn Brain>,
        inbox: Inbox,
        in_place: bool,
    ) -> Self {
        let (running, runtime) = (RunningSet::default(), Handle::current());
        let work = Self(Arc::new(Shared {
            executors,
            blobs,
            replicas,
            awards,
            seals,
            brain,
            inbox,
            runtime,
            in_place,
            running,
        }));
        work.0.runtime.spawn(work.clone().collect(events));
        work
    }

    pub fn executors(&self) -> &Executors {
        &self.0.executors
    }

    /// Starts an attempt. Never waits; the end comes as `Input::Executed`.
    pub fn execute(&self, birth: &Arc<Birth>, attempt: u32) {
        let task = birth.task;
        let spec = match Spec::decode(&birth.spec) {
            Ok(spec) => spec,
            Err(error) => {
                return self.ended(task, attempt, Outcome::failed(FailureKind::CannotStart, error.to_string()));
            }
        };
        // A worker may have gone between the brain's word and this, and with it what it brought.
        if let Some(lacked) = self.lacks_for(&spec) {
            let why = format!("this node does not have {lacked} any more");
            return self.ended(task, attempt, Outcome::failed(FailureKind::GivenBack, why));
        }
        self.0.seals.expect((task, attempt), &spec);
        match &spec.program {
            _ if spec.unique || results::are_taken(&spec) => self.prepare(task, attempt, spec),
            // Both come by the hundred a turn: nothing is spawned or looked up for them.
            Program::Manifest { .. } => self.ended(task, attempt, success(Payload::empty())),
            Program::Echo if matches!(spec.input, Payload::Inline(_)) => self.ended(task, attempt, success(spec.input)),
            _ if spec.blobs().next().is_none() => match inputs::run_of(task, attempt, &spec, &[], self.0.in_place) {
                Ok(run) => self.start(run),
                Err(outcome) => self.ended(task, attempt, *outcome),
            },
            _ => self.prepare(task, attempt, spec),
        }
    }

    fn lacks_for(&self, spec: &Spec) -> Option<String> {
        spec.requirements.hard().next()?;
        let has = named(&self.0.seals.node(), &self.0.executors.workers().has());
        capability::rate(&spec.requirements, &has).err().map(ToString::to_string)
    }

    /// Stops an attempt. Its end, if one comes, is for the brain to ignore.
    pub fn cancel(&self, task: TaskId, attempt: u32) {
        self.0.seals.forget((task, attempt));
        self.0.running.cancel((task, attempt), || self.0.executors.cancel(task, attempt));
    }

    /// Has what it takes of other tasks' results, fetches the inputs, and has the task awarded to this node where it is to run once at a time.
    fn prepare(&self, task: TaskId, attempt: u32, spec: Spec) {
        let work = self.clone();
        if !self.0.running.expect((task, attempt)) && spec.unique {
            // Granted again: it would wait for its own award.
            return;
        }
        let handle = self.0.runtime.spawn(async move {
            let spec = match results::lay_in(&*work.0.brain, work.0.seals.network(), spec).await {
                Ok(spec) => spec,
                Err(outcome) => return work.ended(task, attempt, *outcome),
            };
            match inputs::fetch(&work.0.blobs, &work.0.replicas, &spec).await {
                Ok(holds) => {
                    let run = inputs::run_of(task, attempt, &spec, &holds, work.0.in_place);
                    work.0.running.keep((task, attempt), holds);
                    match run {
                        Ok(run) if spec.unique => work.start_awarded(run).await,
                        Ok(run) => work.start_expected(run),
                        Err(outcome) => work.ended(task, attempt, *outcome),
                    }
                }
                Err(error) => {
                    let why = format!("an input cannot be had: {error}");
                    work.ended(task, attempt, Outcome::failed(FailureKind::InputUnavailable, why));
                }
            }
        });
        self.0.running.prepared_by((task, attempt), handle.abort_handle());
    }

    /// Once the committee has awarded it to this node, as which it runs until it ends or the award is lost.
    async fn start_awarded(&self, run: Run) {
        let (task, attempt) = (run.task, run.attempt);
        match self.0.awards.take(task).await {
            Ok(award) => {
                let fence = award.fence();
                self.0.runtime.spawn(self.clone().hold(award, task, attempt));
                self.start_expected(Run { fence, ..run });
            }
            Err(error) => {
                let kind = match &error {
                    AwardError::NotNow(_) => FailureKind::GivenBack,
                    AwardError::Refused(_) | AwardError::Rejected(_) => FailureKind::CannotStart,
                };
                self.ended(task, attempt, Outcome::failed(kind, error.to_string()));
            }
        }
    }

    /// Keeps an award until what came of its execution is durable. Where it is lost before that the execution dies first, and
    /// the driver hears of it then: another attempt may wait for the award already. What has ended by itself until then ran
    /// under the award to its end, and is a result, however long it takes to keep it.
    async fn hold(self, mut award: award::Award, task: TaskId, attempt: u32) {
        let mut over = std::pin::pin!(self.0.running.over((task, attempt)));
        let lost = tokio::select! {
            // What came of it counts, if both come at once.
            biased;
            () = &mut over => None,
            why = award.keep() => Some(why),
        };
        let Some(why) = lost else { return award.release().await };
        match self.0.running.lose((task, attempt), &why, || self.0.executors.cancel(task, attempt)) {
            Loss::Unstarted => self.ended(task, attempt, Outcome::failed(FailureKind::GivenBack, why)),
            Loss::Stopping => {
                tracing::warn!(%task, attempt, why, "a task that is to run once at a time is stopped");
                over.await;
            }
            Loss::Finished => {
                tracing::debug!(%task, attempt, why, "it had ended under its award");
                over.await;
            }
        }
    }

    /// Unless it was cancelled meanwhile.
    fn start_expected(&self, run: Run) {
        let started = self.0.running.start((run.task, run.attempt), || self.0.executors.run(run.clone()));
        if let Some(started) = started {
            self.started(run, started);
        }
    }

    /// In the thread that cancels as well: nothing comes in between.
    fn start(&self, run: Run) {
        let started = self.0.executors.run(run.clone());
        if matches!(started, Err(RunError::Busy { .. })) {
            self.0.running.expect((run.task, run.attempt));
        }
        self.started(run, started);
    }

    fn started(&self, run: Run, started: Result<Option<Ran>, RunError>) {
        let (task, attempt) = (run.task, run.attempt);
        match started {
            Ok(None) => {}
            Ok(Some(ran)) => self.finish(task, attempt, ran),
            Err(RunError::Busy { .. }) => self.wait_for_slot(run),
            // It is running already, and its end will be told once.
            Err(RunError::Duplicate { .. }) => tracing::debug!(%task, attempt, "granted again while it runs"),
        }
    }

    /// Of what is expected; unless it was cancelled meanwhile.
    fn wait_for_slot(&self, run: Run) {
        let (task, attempt) = (run.task, run.attempt);
        let work = self.clone();
        let waiting = self.0.runtime.spawn(async move {
            let until = tokio::time::Instant::now() + SLOT_WAIT;
            loop {
                tokio::time::sleep(SLOT_POLL).await;
                match work.0.running.start((task, attempt), || work.0.executors.run(run.clone())) {
                    None | Some(Ok(None) | Err(RunError::Duplicate { .. })) => return,
                    Some(Ok(Some(ran))) => return work.finish(task, attempt, ran),
                    Some(Err(RunError::Busy { .. })) if tokio::time::Instant::now() < until => {}
                    Some(Err(RunError::Busy { .. })) => {
                        return work.ended(task, attempt, Outcome::failed(FailureKind::Lost, "no slot became free"));
                    }
                }
            }
        });
        self.0.running.prepared_by((task, attempt), waiting.abort_handle());
    }

    async fn collect(self, mut events: mpsc::Receiver<ExecutorEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                ExecutorEvent::Started { .. } => {}
                ExecutorEvent::Finished { task, attempt, outcome } => self.finish(task, attempt, outcome),
            }
        }
    }

    /// Small outputs go into the record as they are; the rest is made durable first.
    fn finish(&self, task: TaskId, attempt: u32, ran: Ran) {
        if let Some(why) = self.0.running.finished((task, attempt))
            && ran.status == RanStatus::Failed(Failure::Cancelled)
        {
            return self.ended(task, attempt, Outcome::failed(FailureKind::GivenBack, why));
        }
        if let Some(outcome) = outcome::all_inline(&ran) {
            self.ended(task, attempt, outcome);
            return;
        }
        let work = self.clone();
        self.0.runtime.spawn(async move {
            let (blobs, replicas) = (&work.0.blobs, &work.0.replicas);
            let outcome = match outputs::keep(blobs, replicas, &ran).await {
                Ok(outcome) => outcome,
                Err(error) => Outcome::failed(FailureKind::Lost, format!("its outputs cannot be kept: {error}")),
            };
            work.ended(task, attempt, outcome);
        });
    }

    fn ended(&self, task: TaskId, attempt: u32, mut outcome: Outcome) {
        self.0.running.ended((task, attempt));
        self.0.seals.seal((task, attempt), &mut outcome);
        let outcome = Arc::new(outcome);
        if self.0.inbox.answer(Input::Executed { task, attempt, outcome }).is_err() {
            tracing::debug!(%task, attempt, "ended after the brain");
        }
    }
}

fn success(stdout: Payload) -> Outcome {
    Outcome {
        status: Status::Exit(0),
        stdout,
        stderr: Payload::Inline(Octets::default()),
        files: Vec::new(),
        cpu_us: 0,
        wall_us: 0,
        seal: None,
        count: None,
    }
}
