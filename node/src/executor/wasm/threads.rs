//! The threads that programs run in: as many as ran at once, and never more than there are slots.

use super::cache::Cache;
use super::compiler::{Compilers, Sizes};
use super::config::WasmConfig;
use super::engine::Engines;
use super::guest::{Guest, Host};
use super::metrics::{EndLabels, WasmMetrics};
use super::ticker::Ticker;
use crate::executor::config::ConfigError;
use crate::executor::outcome::{Failure, Outcome, Status};
use crate::executor::pool::{Desk, Executor};
use crate::executor::run::Run;
use futures::FutureExt as _;
use mesh_proto::id::TaskId;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub struct Wasm(Arc<Shared>);

struct Shared {
    host: Host,
    queue: Mutex<Queue>,
    ready: Condvar,
    running: Mutex<BTreeMap<(TaskId, u32), CancellationToken>>,
}

/// The desk lets no more in than there are slots.
#[derive(Default)]
struct Queue {
    runs: VecDeque<(Run, CancellationToken)>,
    idle: usize,
    is_closed: bool,
}

/// Of a program's calls that block, one is on at a time; one of a program that was ended may still be on its way out.
const BLOCKING_THREADS: usize = 4;
/// Compilers at a time: each may take `wasm.compiler_memory`.
const COMPILERS: usize = 2;
/// What is made of a program may have as much as all that are kept, and this where little is: it is in this process as it comes
/// from its compiler, and once more as it is run.
const LEAST_CODE_BYTES: u64 = 64 << 20;

impl Wasm {
    /// `None` in a build without WebAssembly.
    pub fn start(
        config: WasmConfig,
        directory: PathBuf,
        desk: Arc<Desk>,
        metrics: WasmMetrics,
    ) -> Result<Option<Self>, ConfigError> {
        let unfit = |error: &dyn std::fmt::Display| ConfigError::Wasm(error.to_string());
        let engines = Arc::new(Engines::new().map_err(|error| unfit(&error))?);
        let ticker = Ticker::start(&engines.all()).map_err(|error| unfit(&error))?;
        let WasmConfig { limits, module_bytes, compilation, compiler, cache_bytes } = config;
        let code_bytes = cache_bytes.max(LEAST_CODE_BYTES);
        let compilers = Compilers::new(compiler, compilation, Sizes { module_bytes, code_bytes });
        let cache = Cache::new(engines, compilers, metrics.clone(), cache_bytes, desk.slots().min(COMPILERS));
        let host = Host { directory, limits, cache, ticker, desk, metrics };
        let (queue, running) = Default::default();
        Ok(Some(Self(Arc::new(Shared { host, queue, ready: Condvar::new(), running }))))
    }
}

impl Executor for Wasm {
    fn run(&self, run: Run) -> Option<Outcome> {
        let key = (run.task, run.attempt);
        let token = CancellationToken::new();
        self.0.running().insert(key, token.clone());
        let mut queue = self.0.queue();
        queue.runs.push_back((run, token));
        if queue.runs.len() <= queue.idle {
            self.0.ready.notify_one();
            return None;
        }
        // Under the lock: whoever comes meanwhile would count on a thread that is not there.
        if let Err(error) = begin(&self.0) {
            queue.runs.pop_back();
            self.0.running().remove(&key);
            let failure = Failure::Prepare { what: "thread".into(), error: error.to_string() };
            return Some(Outcome::failed(failure));
        }
        None
    }

    fn cancel(&self, task: TaskId, attempt: u32) -> bool {
        self.0.running().get(&(task, attempt)).inspect(|token| token.cancel()).is_some()
    }
}

impl Drop for Wasm {
    fn drop(&mut self) {
        self.0.queue().is_closed = true;
        self.0.ready.notify_all();
        self.0.running().values().for_each(CancellationToken::cancel);
        self.0.host.cache.close();
        self.0.host.ticker.close();
    }
}

/// One more thread. Its runtime is for its program alone, so that whatever that does holds up nobody else's timers.
fn begin(shared: &Arc<Shared>) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(BLOCKING_THREADS).thread_name("wasm-file").build()?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("wasm".into()).spawn(move || shared.serve(&runtime)).map(drop)
}

impl Shared {
    fn serve(&self, runtime: &Runtime) {
        while let Some((run, token)) = self.next() {
            let key = (run.task, run.attempt);
            runtime.block_on(async {
                let guest = AssertUnwindSafe(Guest::new(&self.host, run, token).outcome()).catch_unwind();
                let outcome = guest.await.unwrap_or_else(|_| {
                    tracing::error!(task = %key.0, "what runs WebAssembly programs panicked");
                    let error = "what runs it panicked".to_owned();
                    Outcome::failed(Failure::Prepare { what: "program".into(), error })
                });
                self.host.metrics.runs.get_or_create(&EndLabels { end: end(&outcome.status) }).inc();
                self.running().remove(&key);
                self.host.desk.finish(key.0, key.1, outcome).await;
            });
        }
    }

    /// Waits for one; `None` once nobody is left to give any.
    fn next(&self) -> Option<(Run, CancellationToken)> {
        let mut queue = self.queue();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(next) = queue.runs.pop_front() {
                return Some(next);
            }
            queue.idle += 1;
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Nothing that can panic happens under the locks.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<(TaskId, u32), CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(status: &Status) -> &'static str {
    match status {
        Status::Exit(_) | Status::Signal(_) => "exit",
        Status::Failed(Failure::Trap { .. }) => "trap",
        Status::Failed(Failure::Cancelled) => "cancelled",
        Status::Failed(
            Failure::NotAProgram { .. }
            | Failure::ProgramTooLarge { .. }
            | Failure::CompilerMemory { .. }
            | Failure::CompilerTime { .. }
            | Failure::CodeTooLarge { .. }
            | Failure::GivenBack { .. }
            | Failure::Prepare { .. },
        ) => "refused",
        Status::Failed(_) => "limit",
    }
}
