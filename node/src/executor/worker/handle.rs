use super::{
    Brought, Job, Opened, Progress, Registration, Taken, WorkerError, WorkerId, WorkerMetrics, WorkerView,
    WorkersConfig,
    attached::Held,
    ending::{End, Ending},
    output::{Output, Upload},
    registry::Registry,
    shared::{Shared, micros, watch_time},
};
use crate::executor::logs::Stream;
use crate::executor::outcome::{Failure, Outcome, Status};
use crate::executor::pool::{Desk, Executor};
use crate::executor::run::{Program, Run};
use bytes::Bytes;
use futures::StreamExt as _;
use mesh_proto::capability::Capabilities;
use mesh_proto::id::TaskId;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedMutexGuard, watch},
};

/// The programs that are attached to this node. Cheap to clone.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

impl Workers {
    /// `base` is what this node has without any. On the runtime that carries the executors, unless there is no `config`: then
    /// nobody is let in.
    pub(in crate::executor) fn start(
        config: Option<WorkersConfig>,
        base: Capabilities,
        directory: PathBuf,
        desk: Arc<Desk>,
        metrics: WorkerMetrics,
    ) -> Self {
        let runtime = config.as_ref().map(|_| Handle::current());
        let (changed, has) = (Arc::new(Notify::new()), watch::Sender::new(Arc::new(base.clone())));
        let registry = Mutex::new(Registry::new(config.unwrap_or_default(), base, Instant::now()));
        let shared = Shared { runtime, registry, offered: Notify::new(), changed, has, desk, directory, metrics };
        let workers = Self(Arc::new(shared));
        if let Some(runtime) = &workers.0.runtime {
            runtime.spawn(watch_time(Arc::downgrade(&workers.0), Arc::clone(&workers.0.changed)));
        }
        workers
    }

    /// Where nobody is let in.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        let desk = Arc::new(Desk::new(1, tokio::sync::mpsc::channel(1).0));
        Self::start(None, Capabilities::default(), PathBuf::new(), desk, WorkerMetrics::default())
    }

    /// What this node has, with what its workers bring.
    #[must_use]
    pub fn has(&self) -> Arc<Capabilities> {
        self.0.has.borrow().clone()
    }

    /// Each time that it changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Capabilities>> {
        self.0.has.subscribe()
    }

    /// How long a worker may say nothing.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.0.lock().config.lease
    }

    pub fn register(&self, registration: Registration) -> Result<WorkerId, WorkerError> {
        if self.0.runtime.is_none() {
            return Err(WorkerError::Off);
        }
        let id = WorkerId(rand::random());
        let name = registration.name.clone();
        self.0.with(|registry, now| registry.register(now, id, registration))?;
        tracing::info!(worker = name, %id, "a worker is attached");
        Ok(id)
    }

    /// It goes in good order: what it has goes to others, and counts against nobody.
    pub fn detach(&self, id: WorkerId) -> Result<(), WorkerError> {
        let ends = self.0.with(|registry, now| registry.leave(now, id))?;
        tracing::info!(%id, "a worker is detached");
        self.0.settle(ends);
        Ok(())
    }

    /// It is there. `tasks` is all that it has, if it says so. Which of its tasks are not to go on.
    pub fn heartbeat(&self, id: WorkerId, tasks: Option<&[TaskId]>) -> Result<Vec<TaskId>, WorkerError> {
        // Sorted before the lock, which all other workers wait for: there may be tens of thousands.
        let tasks: Option<BTreeSet<TaskId>> = tasks.map(|tasks| tasks.iter().copied().collect());
        let (ends, stopped) = self.0.with(|registry, now| {
            let ends = tasks.as_ref().map(|tasks| registry.has(now, id, tasks)).transpose()?.unwrap_or_default();
            Ok::<_, WorkerError>((ends, registry.heard(now, id)?.stopped().collect()))
        })?;
        self.0.settle(ends);
        Ok(stopped)
    }

    /// The next task for this worker; `None` if there is none within `wait`. For as long as it is asked for it is there.
    pub async fn take(&self, id: WorkerId, wait: Duration) -> Result<Option<Taken>, WorkerError> {
        let until = tokio::time::Instant::now() + wait;
        let _waiting = Waiting::begin(&self.0, id)?;
        loop {
            let mut offered = std::pin::pin!(self.0.offered.notified());
            offered.as_mut().enable();
            let taken = self.0.with(|registry, now| {
                let bound = registry.config.limits;
                registry.take(now, id, |job| Output::new(&self.0.directory, &job.run, bound))
            })?;
            if let Some(job) = taken {
                return Ok(Some(Taken::of(&job)));
            }
            tokio::select! {
                () = offered => {}
                () = tokio::time::sleep_until(until) => return Ok(None),
            }
        }
    }

    /// Adds to what a task writes. Who follows it sees it at once.
    pub async fn logs(
        &self,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
        stream: Stream,
        bytes: Bytes,
    ) -> Result<(), WorkerError> {
        let output = self.output(id, task, attempt)?;
        beside(move || output.write(stream, &bytes, true)).await
    }

    pub fn progress(
        &self,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
        progress: Progress,
    ) -> Result<(), WorkerError> {
        self.0.with(|registry, now| registry.held(now, id, task, attempt).map(|held| held.progress = progress))
    }

    /// One of the files that the task asks for, as it comes.
    pub async fn file<E>(
        &self,
        (id, task, attempt): (WorkerId, TaskId, Option<u32>),
        name: &str,
        mut bytes: impl futures::Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Result<(), E>, WorkerError> {
        let (output, name) = (self.output(id, task, attempt)?, name.to_owned());
        let mut upload = beside(move || Upload::begin(output, &name)).await?;
        while let Some(piece) = bytes.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return Ok(Err(error)),
            };
            upload = beside(move || upload.write(&piece).map(|()| upload)).await?;
            // A worker that sends is there.
            self.0.with(|registry, now| registry.held(now, id, task, attempt).map(drop))?;
        }
        beside(move || upload.place()).await.map(Ok)
    }

    /// An input of a task that a worker has: standard input, or the file of that name.
    pub async fn open(
        &self,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
        name: Option<String>,
    ) -> Result<Opened, WorkerError> {
        let source = self.0.with(|registry, now| {
            let run = &registry.held(now, id, task, attempt)?.job.run;
            match name {
                None => Ok(run.stdin.clone()),
                Some(name) => {
                    let file = run.inputs.iter().find(|(file, _)| *file == name);
                    file.map(|(_, source)| source.clone()).ok_or(WorkerError::NoFile)
                }
            }
        })?;
        beside(move || Opened::of(source)).await
    }

    /// What came of a task. A repeat is harmless, also one that comes while the first is written.
    pub async fn result(
        &self,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
        brought: Brought,
    ) -> Result<(), WorkerError> {
        let (turn, output) = match self.turn(id, task, attempt).await {
            Err(WorkerError::NotHeld) if self.0.lock().is_repeat(id, task, attempt) => return Ok(()),
            // It is not wanted, and has its end by that.
            Err(WorkerError::Stopped(_)) => {
                return self.0.with(|registry, now| registry.let_go(now, id, task, attempt)).map(drop);
            }
            turn => turn?,
        };
        let workers = self.clone();
        // To its end, whether or not the worker waits for it: half of it would be added a second time.
        let ended = tokio::spawn(async move {
            let _until_it_ended = turn;
            let Brought { exit_code, stdout, stderr, cpu_us } = brought;
            let written = beside(move || {
                output.write(Stream::Stdout, &stdout, false)?;
                output.write(Stream::Stderr, &stderr, false)
            });
            match written.await {
                // Its end says so.
                Ok(()) | Err(WorkerError::TooLarge { .. }) => {}
                Err(error) => return Err(error),
            }
            let held = workers.0.with(|registry, now| {
                let held = registry.let_go(now, id, task, attempt)?;
                if let Ok(worker) = registry.heard(now, id) {
                    worker.results += 1;
                }
                Ok::<_, WorkerError>(held)
            })?;
            let wall = held.taken.elapsed();
            workers
                .0
                .finish(held.job, "result", move || held.output.end(Status::Exit(exit_code), cpu_us, micros(wall)));
            Ok(())
        });
        ended.await.map_err(|error| WorkerError::Disk(error.to_string()))?
    }

    /// The worker does not do it: it goes to another.
    pub fn release(
        &self,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
        why: Option<String>,
    ) -> Result<(), WorkerError> {
        let held = self.0.with(|registry, now| registry.let_go(now, id, task, attempt));
        let held = match held {
            Err(WorkerError::NotHeld) if self.0.lock().is_repeat(id, task, attempt) => return Ok(()),
            held => held?,
        };
        let why = why.map_or_else(|| "its worker gave it back".into(), |why| format!("its worker gave it back: {why}"));
        self.0.settle(vec![End::of_held(held, Ending::GivenBack(why))]);
        Ok(())
    }

    /// All that are attached, in no particular order.
    #[must_use]
    pub fn list(&self) -> Vec<WorkerView> {
        let registry = self.0.lock();
        let now = Instant::now();
        registry.workers().map(|(id, worker)| WorkerView::of(*id, worker, now)).collect()
    }

    /// What a task has written, for one request at a time to end it. Who comes meanwhile waits, and then finds it ended; or it
    /// is still there, as it could not be written, and is his to end.
    async fn turn(
        &self,
        id: WorkerId,
        task: TaskId,
        attempt: Option<u32>,
    ) -> Result<(OwnedMutexGuard<()>, Arc<Output>), WorkerError> {
        let turn = |held: &mut Held| Arc::clone(&held.turn);
        let turn = self.0.with(|registry, now| registry.held(now, id, task, attempt).map(turn))?;
        let turn = turn.lock_owned().await;
        let output = self.0.with(|registry, now| {
            let held = registry.held(now, id, task, attempt)?;
            // The worker may have been given it anew, as another attempt.
            let is_same = Arc::ptr_eq(&held.turn, OwnedMutexGuard::mutex(&turn));
            is_same.then(|| Arc::clone(&held.output)).ok_or(WorkerError::NotHeld)
        })?;
        Ok((turn, output))
    }

    fn output(&self, id: WorkerId, task: TaskId, attempt: Option<u32>) -> Result<Arc<Output>, WorkerError> {
        self.0.with(|registry, now| registry.held(now, id, task, attempt).map(|held| Arc::clone(&held.output)))
    }
}

impl Executor for Workers {
    fn run(&self, run: Run) -> Option<Outcome> {
        let Program::Worker { kind, argv } = &run.program else { return Some(Outcome::failed(Failure::BadArguments)) };
        if self.0.runtime.is_none() {
            let (name, hint) = (kind.to_string(), WorkerError::Off.to_string());
            return Some(Outcome::failed(Failure::NotAllowed { name, hint }));
        }
        let job = Arc::new(Job { kind: kind.clone(), argv: argv.clone(), run });
        let is_attended = self.0.with(|registry, now| registry.offer(now, Arc::clone(&job)));
        match is_attended {
            true => {
                self.0.offered.notify_waiters();
                None
            }
            false => Some(Outcome::failed(Failure::NoWorker { kind: job.kind.to_string() })),
        }
    }

    fn cancel(&self, task: TaskId, attempt: u32) -> bool {
        let end = self.0.with(|registry, now| registry.cancel(now, task, attempt));
        let is_here = end.is_some();
        self.0.settle(end.into_iter().collect());
        is_here
    }
}

/// A request for a task, for as long as it lasts.
struct Waiting<'a> {
    shared: &'a Shared,
    id: WorkerId,
}

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared, id: WorkerId) -> Result<Self, WorkerError> {
        shared.with(|registry, now| registry.heard(now, id).map(|worker| worker.waiting += 1))?;
        Ok(Self { shared, id })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.shared.with(|registry, now| {
            registry.heard(now, self.id).map(|worker| worker.waiting = worker.waiting.saturating_sub(1))
        });
        if let Err(error) = left {
            tracing::debug!(id = %self.id, %error, "a worker went while it waited for a task");
        }
    }
}

/// On a thread that may block.
async fn beside<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, WorkerError> + Send + 'static,
) -> Result<R, WorkerError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| WorkerError::Disk(error.to_string()))?
}
