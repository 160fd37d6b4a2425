//! The handle to all executors of a node.

use super::builtin::Builtins;
use super::config::{ConfigError, ExecutorConfig};
use super::exec::Exec;
use super::guard;
use super::logs::{self, LogChunk, Stream};
use super::outcome::{Containment, Failure, Outcome};
use super::run::{Program, Run};
use super::wasm::{self, Wasm, WasmMetrics};
use super::worker::{WorkerMetrics, Workers};
use mesh_proto::id::TaskId;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// One way to execute. What ends later ends through the desk.
pub trait Executor: Send + Sync {
    /// Starts, without blocking. `Some`: it has ended already, or could not start.
    fn run(&self, run: Run) -> Option<Outcome>;
    /// Ends an execution early; it still reports, as [`Failure::Cancelled`] unless it was faster. False: not running
    /// here.
    fn cancel(&self, task: TaskId, attempt: u32) -> bool;
}

/// What happens to executions that [`Executors::run`] did not end at once.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all events are of the large one")]
pub enum ExecutorEvent {
    /// A command has been running for 50 ms. Those that end sooner are not announced, which saves a third of the
    /// messages where it matters.
    Started { task: TaskId, attempt: u32 },
    /// It has ended, its slot is free, and nothing of it runs. Exactly one for each accepted run.
    Finished { task: TaskId, attempt: u32, outcome: Outcome },
}

/// The caller's fault; nothing was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("all {slots} slots are taken")]
    Busy { slots: usize },
    #[error("attempt {attempt} at task {task} is running already")]
    Duplicate { task: TaskId, attempt: u32 },
}

/// All executors of a node. Cheap to clone; when the last clone is dropped, what runs is killed and reported to nobody.
#[derive(Clone)]
pub struct Executors {
    inner: Arc<Inner>,
}

struct Inner {
    desk: Arc<Desk>,
    builtins: Builtins,
    exec: Option<Exec>,
    wasm: Option<Wasm>,
    wasm_metrics: WasmMetrics,
    workers: Workers,
    worker_metrics: WorkerMetrics,
    directory: PathBuf,
}

impl Executors {
    /// Empties the directory of tasks and gets ready; guards start with the first command. Must be called in a tokio
    /// runtime with time and I/O, which then carries the executors' work. `events` bounds what waits for the caller: a
    /// full channel holds slots back, not memory.
    pub fn start(config: ExecutorConfig, events: mpsc::Sender<ExecutorEvent>) -> Result<Self, ConfigError> {
        config.check()?;
        let directory = empty(&config.directory)
            .map_err(|error| ConfigError::Directory { path: config.directory.clone(), error })?;
        let desk = Arc::new(Desk::new(config.slots, events));
        let builtins = Builtins::new(Arc::clone(&desk), directory.clone());
        let exec = config.exec.map(|exec| Exec::start(exec, directory.clone(), Arc::clone(&desk)));
        let wasm_metrics = WasmMetrics::default();
        let wasm = match config.wasm {
            Some(wasm) => Wasm::start(wasm, directory.clone(), Arc::clone(&desk), wasm_metrics.clone())?,
            None => None,
        };
        let worker_metrics = WorkerMetrics::default();
        let (base, home, metrics) = (config.has, directory.clone(), worker_metrics.clone());
        let workers = Workers::start(config.workers, base, home, Arc::clone(&desk), metrics);
        let inner = Inner { desk, builtins, exec, wasm, wasm_metrics, workers, worker_metrics, directory };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Starts an execution without blocking; from any thread. `Some`: it has ended already (small builtins, refusals),
    /// no slot was taken and no event follows. `None`: [`ExecutorEvent::Finished`] follows.
    pub fn run(&self, run: Run) -> Result<Option<Outcome>, RunError> {
        if let Some(outcome) = Builtins::at_once(&run) {
            return Ok(Some(outcome));
        }
        if let Err(failure) = run.check() {
            return Ok(Some(Outcome::failed(failure)));
        }
        let (task, attempt) = (run.task, run.attempt);
        let executor: &dyn Executor = match (&run.program, &self.inner.exec, &self.inner.wasm) {
            (Program::Echo | Program::Sleep(_) | Program::Sha256, ..) => &self.inner.builtins,
            (Program::Exec { .. }, Some(exec), _) => exec,
            (Program::Wasm { .. }, _, Some(wasm)) => wasm,
            (Program::Worker { .. }, ..) => &self.inner.workers,
            (Program::Wasm { argv, .. }, _, None) => {
                let name = argv.first().cloned().unwrap_or_default();
                let hint = match wasm::BUILT_IN {
                    true => "WebAssembly is off on this node; its operator may set `wasm.enabled = true`",
                    false => "this node was built without WebAssembly",
                };
                return Ok(Some(Outcome::failed(Failure::NotAllowed { name, hint: hint.into() })));
            }
            (Program::Exec { argv, .. }, None, _) => {
                let name = argv.first().cloned().unwrap_or_default();
                let hint = "commands are off on this node; its operator may allow them by name".into();
                return Ok(Some(Outcome::failed(Failure::NotAllowed { name, hint })));
            }
        };
        self.inner.desk.admit(task, attempt)?;
        let ended = executor.run(run);
        if ended.is_some() {
            self.inner.desk.release(task, attempt);
        }
        Ok(ended)
    }

    /// Ends an execution early: `SIGTERM` to all its processes, after the grace `SIGKILL`; what has no processes at once.
    /// Its end is reported as any other. False: nothing of that name runs here.
    pub fn cancel(&self, task: TaskId, attempt: u32) -> bool {
        self.inner.builtins.cancel(task, attempt)
            || self.inner.exec.as_ref().is_some_and(|exec| exec.cancel(task, attempt))
            || self.inner.wasm.as_ref().is_some_and(|wasm| wasm.cancel(task, attempt))
            || self.inner.workers.cancel(task, attempt)
    }

    /// Output of a running command from `offset` on, at most `max` bytes (at most 1 MiB). Follows the command by 100 ms
    /// or less once it ran for 50 ms. Reads a file: not for the brain's thread.
    pub fn logs(
        &self,
        task: TaskId,
        attempt: u32,
        stream: Stream,
        offset: u64,
        max: usize,
    ) -> std::io::Result<LogChunk> {
        let running = self.inner.desk.is_running(task, attempt);
        logs::read(&self.inner.directory, task, attempt, stream, offset, max, running)
    }

    /// Executions that hold a slot.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.desk.running().len()
    }

    #[must_use]
    pub fn slots(&self) -> usize {
        self.inner.desk.slots
    }

    #[must_use]
    pub fn wasm_metrics(&self) -> &WasmMetrics {
        &self.inner.wasm_metrics
    }

    /// The programs that are attached to this node.
    #[must_use]
    pub fn workers(&self) -> &Workers {
        &self.inner.workers
    }

    #[must_use]
    pub fn worker_metrics(&self) -> &WorkerMetrics {
        &self.inner.worker_metrics
    }

    /// What holds commands; `None` where they are off, and for the moment until a guard has found out.
    #[must_use]
    pub fn containment(&self) -> Option<Containment> {
        self.inner.exec.as_ref().and_then(Exec::containment)
    }
}

/// Removes what a former life left, so that nothing of it is taken for new.
fn empty(directory: &std::path::Path) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let directory = std::fs::canonicalize(directory)?;
    for entry in std::fs::read_dir(&directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { guard::remove(&entry.path())? } else { std::fs::remove_file(entry.path())? }
    }
    Ok(directory)
}

/// Who runs, and to whom it is told. Shared by the executors.
pub(super) struct Desk {
    slots: usize,
    running: Mutex<BTreeSet<(TaskId, u32)>>,
    events: mpsc::Sender<ExecutorEvent>,
}

impl Desk {
    pub fn new(slots: usize, events: mpsc::Sender<ExecutorEvent>) -> Self {
        Self { slots, running: Mutex::default(), events }
    }

    pub fn slots(&self) -> usize {
        self.slots
    }

    fn admit(&self, task: TaskId, attempt: u32) -> Result<(), RunError> {
        let mut running = self.running();
        if running.contains(&(task, attempt)) {
            return Err(RunError::Duplicate { task, attempt });
        }
        if running.len() >= self.slots {
            return Err(RunError::Busy { slots: self.slots });
        }
        running.insert((task, attempt));
        Ok(())
    }

    fn release(&self, task: TaskId, attempt: u32) {
        self.running().remove(&(task, attempt));
    }

    fn is_running(&self, task: TaskId, attempt: u32) -> bool {
        self.running().contains(&(task, attempt))
    }

    pub async fn started(&self, task: TaskId, attempt: u32) {
        self.tell(ExecutorEvent::Started { task, attempt }).await;
    }

    /// Frees the slot, then tells: who hears of it may start the next at once.
    pub async fn finish(&self, task: TaskId, attempt: u32, outcome: Outcome) {
        self.release(task, attempt);
        self.tell(ExecutorEvent::Finished { task, attempt, outcome }).await;
    }

    async fn tell(&self, event: ExecutorEvent) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("an execution ended after the node stopped listening");
        }
    }

    /// Nothing that can panic happens under the lock.
    fn running(&self) -> MutexGuard<'_, BTreeSet<(TaskId, u32)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
