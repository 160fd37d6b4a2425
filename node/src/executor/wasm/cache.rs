//! Compiled programs, each made once for all that wait for it.

use super::compiler::Compilers;
use super::engine::{Compiled, Engines};
use super::metrics::WasmMetrics;
use crate::executor::outcome::Failure;
use mesh_proto::id::BlobId;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// A program's hash, and whether its results are to be compared.
pub type Key = (BlobId, bool);

type Made = Result<Arc<Compiled>, Failure>;

#[derive(Clone)]
pub struct Cache(Arc<Shared>);

struct Shared {
    engines: Arc<Engines>,
    compilers: Compilers,
    metrics: WasmMetrics,
    cache_bytes: u64,
    /// Compilations at a time. One that nobody waits for any more goes on within its limits, as more of its kind may come.
    turns: Arc<Semaphore>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    programs: BTreeMap<Key, Entry>,
    bytes: u64,
    /// Grows with each use.
    turn: u64,
}

enum Entry {
    Making(watch::Receiver<Option<Made>>),
    /// A program that is none stays as well: a job of ten thousand is told so without ten thousand tries.
    Made {
        made: Made,
        bytes: u64,
        used: u64,
    },
}

/// Of an entry, for what is counted: keys, names, a failure.
const ENTRY_BYTES: u64 = 4 << 10;

enum Turn {
    Made(Made),
    Wait(watch::Receiver<Option<Made>>),
    Make(watch::Sender<Option<Made>>, watch::Receiver<Option<Made>>),
}

impl Cache {
    pub fn new(
        engines: Arc<Engines>,
        compilers: Compilers,
        metrics: WasmMetrics,
        cache_bytes: u64,
        at_once: usize,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(at_once));
        Self(Arc::new(Shared { engines, compilers, metrics, cache_bytes, turns, held: Mutex::default() }))
    }

    /// Ends what is being compiled; nothing more is.
    pub fn close(&self) {
        self.0.compilers.close();
    }

    /// The program of this key, which is in the file. May be dropped at any point.
    pub async fn get(&self, key: Key, file: &Path) -> Made {
        loop {
            let mut made = match self.0.turn(key) {
                Turn::Made(made) => return made,
                Turn::Wait(made) => made,
                Turn::Make(sender, made) => {
                    let unmade = Unmade { cache: self, key };
                    let permit = Arc::clone(&self.0.turns).acquire_owned().await;
                    let permit = permit.map_err(|error| prepare(&error))?;
                    self.0.compile_beside(key, file.to_owned(), sender, permit).map_err(|error| prepare(&error))?;
                    std::mem::forget(unmade);
                    made
                }
            };
            // An error: whoever was to make it was cancelled before it began.
            if let Ok(made) = made.wait_for(Option::is_some).await
                && let Some(made) = &*made
            {
                return made.clone();
            }
        }
    }

    /// Takes back that somebody makes it.
    fn give_up(&self, key: Key) {
        let mut held = self.0.held();
        if matches!(held.programs.get(&key), Some(Entry::Making(_))) {
            held.programs.remove(&key);
        }
    }
}

/// Of who was to make a program and waits for its turn.
struct Unmade<'a> {
    cache: &'a Cache,
    key: Key,
}

impl Drop for Unmade<'_> {
    fn drop(&mut self) {
        self.cache.give_up(self.key);
    }
}

impl Shared {
    fn turn(&self, key: Key) -> Turn {
        let held = &mut *self.held();
        held.turn += 1;
        match held.programs.get_mut(&key) {
            Some(Entry::Made { made, used, .. }) => {
                *used = held.turn;
                self.metrics.cache_hits.inc();
                Turn::Made(made.clone())
            }
            Some(Entry::Making(made)) => Turn::Wait(made.clone()),
            None => {
                let (sender, made) = watch::channel(None);
                held.programs.insert(key, Entry::Making(made.clone()));
                Turn::Make(sender, made)
            }
        }
    }

    fn compile_beside(
        self: &Arc<Self>,
        key: Key,
        file: PathBuf,
        sender: watch::Sender<Option<Made>>,
        permit: OwnedSemaphorePermit,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("wasm-compiler".into()).spawn(move || {
            // What panics over a program must not take the slots of those that wait with it.
            let made = std::panic::catch_unwind(AssertUnwindSafe(|| shared.make(key, &file)));
            let made = made.unwrap_or_else(|_| {
                tracing::error!(program = %key.0, "what loads compiled programs panicked over one");
                Err(Failure::NotAProgram { why: "what is compiled of it cannot be loaded".into() })
            });
            shared.keep(key, &made);
            sender.send_replace(Some(made));
            drop(permit);
        })?;
        Ok(())
    }

    fn make(&self, (id, is_deterministic): Key, file: &Path) -> Made {
        let begun = Instant::now();
        let code = self.compilers.compile(id, is_deterministic, file);
        let program = code.and_then(|code| self.engines.load(&code, is_deterministic));
        self.metrics.compilations.inc();
        self.metrics.compile_time.observe(begun.elapsed().as_secs_f64());
        program.map(Arc::new)
    }

    /// What lasts. What only this disk or this moment is to blame for is tried again.
    fn keep(&self, key: Key, made: &Made) {
        let held = &mut *self.held();
        let bytes = match made {
            Ok(compiled) => compiled.size() + ENTRY_BYTES,
            Err(
                Failure::NotAProgram { .. }
                | Failure::ProgramTooLarge { .. }
                | Failure::CompilerMemory { .. }
                | Failure::CompilerTime { .. },
            ) => ENTRY_BYTES,
            Err(_) => {
                held.programs.remove(&key);
                return;
            }
        };
        held.bytes += bytes;
        held.programs.insert(key, Entry::Made { made: made.clone(), bytes, used: held.turn });
        held.shrink(self.cache_bytes);
        self.metrics.cached.set(held.programs.values().filter(|entry| entry.is_program()).count() as i64);
        self.metrics.cached_bytes.set(i64::try_from(held.bytes).unwrap_or(i64::MAX));
    }

    /// Nothing that can panic happens under the lock.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Lets go of what was not used for longest. What runs has it still, until its end.
    fn shrink(&mut self, limit: u64) {
        while self.bytes > limit {
            let used = |entry: &Entry| match entry {
                Entry::Made { used, .. } => Some(*used),
                Entry::Making(_) => None,
            };
            let oldest = self.programs.iter().filter_map(|(key, entry)| Some((used(entry)?, *key))).min();
            let Some((_, key)) = oldest else { return };
            if let Some(Entry::Made { bytes, .. }) = self.programs.remove(&key) {
                self.bytes = self.bytes.saturating_sub(bytes);
            }
        }
    }
}

impl Entry {
    fn is_program(&self) -> bool {
        matches!(self, Self::Made { made: Ok(_), .. })
    }
}

fn prepare(error: impl ToString) -> Failure {
    Failure::Prepare { what: "program".into(), error: error.to_string() }
}
