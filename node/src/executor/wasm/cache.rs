//! Compiled programs, each made once for all that wait for it.

use super::compiler::{Compilers, Uncompiled};
use super::engine::{Compiled, Engines};
use super::metrics::WasmMetrics;
use crate::executor::outcome::Failure;
use mesh_proto::id::BlobId;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout_at;

/// A program's hash, and whether its results are to be compared.
pub type Key = (BlobId, bool);

type Made = Result<Arc<Compiled>, Failure>;

/// How far a program is that somebody makes.
enum Stage {
    Waiting,
    /// From here on it has its own time, and ends.
    Begun,
    Made(Made),
}

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
    Making(watch::Receiver<Stage>),
    /// A program that is none stays as well: a job of ten thousand is told so without ten thousand tries.
    Made {
        made: Made,
        bytes: u64,
        used: u64,
        /// It is tried again from then on.
        until: Option<Instant>,
    },
}

/// How long a program is not compiled again that was in vain: a machine that was too slow for it may have more time by then.
const IN_VAIN_FOR: Duration = Duration::from_secs(300);
/// Of an entry, for what is counted: keys, names, a failure.
const ENTRY_BYTES: u64 = 4 << 10;

enum Turn {
    Made(Made),
    Wait(watch::Receiver<Stage>),
    Make(watch::Sender<Stage>, watch::Receiver<Stage>),
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

    /// The program of this key, which is in the file. A compilation has its own patience, from its start; as long is its turn
    /// waited for, and then the task is given back: another node may have the program ready, and this one, which is busy with
    /// those of others, is not to blame. May be dropped at any point.
    pub async fn get(&self, key: Key, file: &Path) -> Made {
        let patience = self.0.compilers.patience();
        let until = tokio::time::Instant::now() + patience;
        loop {
            let mut stage = match self.0.turn(key) {
                Turn::Made(made) => return made,
                Turn::Wait(stage) => stage,
                Turn::Make(sender, stage) => {
                    let unmade = Unmade { cache: self, key };
                    let permit = timeout_at(until, Arc::clone(&self.0.turns).acquire_owned()).await;
                    let permit = permit.map_err(|_| no_turn(patience))?.map_err(|error| prepare(&error))?;
                    sender.send_replace(Stage::Begun);
                    self.0.compile_beside(key, file.to_owned(), sender, permit).map_err(|error| prepare(&error))?;
                    std::mem::forget(unmade);
                    stage
                }
            };
            let begun = timeout_at(until, stage.wait_for(Stage::has_begun)).await.map_err(|_| no_turn(patience))?;
            // An error: whoever was to make it was cancelled, or waited for too long, before it began.
            if begun.is_err() {
                continue;
            }
            drop(begun);
            if let Ok(stage) = stage.wait_for(Stage::is_made).await
                && let Stage::Made(made) = &*stage
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
        held.let_go_of_what_is_over(key);
        match held.programs.get_mut(&key) {
            Some(Entry::Made { made, used, .. }) => {
                *used = held.turn;
                self.metrics.cache_hits.inc();
                Turn::Made(made.clone())
            }
            Some(Entry::Making(made)) => Turn::Wait(made.clone()),
            None => {
                let (sender, made) = watch::channel(Stage::Waiting);
                held.programs.insert(key, Entry::Making(made.clone()));
                Turn::Make(sender, made)
            }
        }
    }

    fn compile_beside(
        self: &Arc<Self>,
        key: Key,
        file: PathBuf,
        sender: watch::Sender<Stage>,
        permit: OwnedSemaphorePermit,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("wasm-compiler".into()).spawn(move || {
            // What panics over a program must not take the slots of those that wait with it.
            let made = std::panic::catch_unwind(AssertUnwindSafe(|| shared.make(key, &file)));
            let made = made.unwrap_or_else(|_| {
                tracing::error!(program = %key.0, "what loads compiled programs panicked over one");
                Err(Failure::NotAProgram { why: "what is compiled of it cannot be loaded".into() }.into())
            });
            sender.send_replace(Stage::Made(shared.keep(key, made)));
            drop(permit);
        })?;
        Ok(())
    }

    fn make(&self, (id, is_deterministic): Key, file: &Path) -> Result<Arc<Compiled>, Uncompiled> {
        let begun = Instant::now();
        let code = self.compilers.compile(id, is_deterministic, file);
        // What is made and cannot be loaded was made in vain.
        let program =
            code.and_then(|code| self.engines.load(&code, is_deterministic).map_err(Uncompiled::in_vain)).map(Arc::new);
        self.metrics.compilations.inc();
        self.metrics.compile_time.observe(begun.elapsed().as_secs_f64());
        program
    }

    /// What lasts, and for a while what was in vain. What cost nothing, and only this disk or this moment is to blame for, is tried
    /// again.
    fn keep(&self, key: Key, made: Result<Arc<Compiled>, Uncompiled>) -> Made {
        let held = &mut *self.held();
        let (bytes, until) = match &made {
            Ok(compiled) => (compiled.size() + ENTRY_BYTES, None),
            Err(uncompiled) if uncompiled.lasts() => (ENTRY_BYTES, None),
            Err(Uncompiled { was_in_vain: true, .. }) => (ENTRY_BYTES, Some(Instant::now() + IN_VAIN_FOR)),
            Err(Uncompiled { was_in_vain: false, failure }) => {
                held.programs.remove(&key);
                return Err(failure.clone());
            }
        };
        let made = made.map_err(|uncompiled| uncompiled.failure);
        held.bytes += bytes;
        held.programs.insert(key, Entry::Made { made: made.clone(), bytes, used: held.turn, until });
        held.shrink(self.cache_bytes);
        self.metrics.cached.set(held.programs.values().filter(|entry| entry.is_program()).count() as i64);
        self.metrics.cached_bytes.set(i64::try_from(held.bytes).unwrap_or(i64::MAX));
        made
    }

    /// Nothing that can panic happens under the lock.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn let_go_of_what_is_over(&mut self, key: Key) {
        if let Some(Entry::Made { bytes, until: Some(until), .. }) = self.programs.get(&key)
            && *until <= Instant::now()
        {
            self.bytes = self.bytes.saturating_sub(*bytes);
            self.programs.remove(&key);
        }
    }

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

impl Stage {
    fn has_begun(&self) -> bool {
        !matches!(self, Self::Waiting)
    }

    fn is_made(&self) -> bool {
        matches!(self, Self::Made(_))
    }
}

impl Uncompiled {
    /// As long as the program and the limits are what they are.
    fn lasts(&self) -> bool {
        matches!(
            self.failure,
            Failure::NotAProgram { .. }
                | Failure::ProgramTooLarge { .. }
                | Failure::CompilerMemory { .. }
                | Failure::CompilerTime { .. }
                | Failure::CodeTooLarge { .. }
        )
    }
}

impl Entry {
    fn is_program(&self) -> bool {
        matches!(self, Self::Made { made: Ok(_), .. })
    }
}

fn no_turn(patience: Duration) -> Failure {
    let why = format!("other programs are compiled here: after {} s it is not this one's turn", patience.as_secs());
    Failure::GivenBack { why }
}

fn prepare(error: impl ToString) -> Failure {
    Failure::Prepare { what: "program".into(), error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::wasm::compiler::Sizes;
    use crate::executor::wasm::config::{Compilation, Compiler};
    use crate::executor::wasm::tests::compiler::of_this_binary;
    use tempfile::TempDir;

    const PROGRAM: &str = r#"(module (func (export "_start")))"#;

    /// A cache that compiles one at a time, and waits for so long.
    fn waits(patience: Duration) -> Cache {
        with(of_this_binary(), patience)
    }

    fn with(compiler: Compiler, patience: Duration) -> Cache {
        let compilation = Compilation { patience, ..Compilation::new(8 << 30, 600) };
        let compilers = Compilers::new(compiler, compilation, Sizes { module_bytes: 1 << 20, code_bytes: 1 << 20 });
        Cache::new(Arc::new(Engines::new().unwrap()), compilers, WasmMetrics::default(), 1 << 20, 1)
    }

    fn program() -> (TempDir, PathBuf, Key) {
        let directory = tempfile::tempdir().unwrap();
        let (file, bytes) = (directory.path().join("program"), wat::parse_str(PROGRAM).unwrap());
        std::fs::write(&file, &bytes).unwrap();
        (directory, file, (BlobId::from_bytes(*blake3::hash(&bytes).as_bytes()), false))
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_turn_gives_back_and_the_next_who_has_one_compiles() {
        let (_directory, file, key) = program();
        let cache = waits(Duration::from_millis(200));
        let others = Arc::clone(&cache.0.turns).acquire_owned().await.unwrap();
        // One is to make it, and one waits for that one.
        for got in <[Made; 2]>::from(tokio::join!(cache.get(key, &file), cache.get(key, &file))) {
            let failure = got.err().expect("nobody could compile");
            assert!(matches!(failure, Failure::GivenBack { .. }), "{failure:?}");
        }
        assert!(cache.0.held().programs.is_empty(), "it is nobody's to make");
        assert_eq!(cache.0.metrics.compilations.get(), 0);
        drop(others);
        // A turn is had at once, and is not counted from there: a slow machine may be too late, but gives nothing back.
        let got = cache.get(key, &file).await;
        assert!(!matches!(got, Err(Failure::GivenBack { .. })));
        assert_eq!(cache.0.metrics.compilations.get(), 1);
    }

    /// What these say to a socket is nothing.
    fn shell(line: &str) -> Compiler {
        Compiler { program: "/bin/sh".into(), arguments: ["-c", line].map(Into::into).into() }
    }

    #[tokio::test]
    async fn what_was_compiled_in_vain_is_not_compiled_again_at_once_but_later() {
        let (_directory, file, key) = program();
        for (compiler, patience, why) in [
            // The time that a compiler has is over, with nothing said of the program.
            (shell("exec sleep 600"), Duration::from_millis(200), "not compiled after"),
            // The system takes it, for want of memory.
            (shell("kill -KILL $$"), Duration::from_secs(90), "without an answer"),
        ] {
            let cache = with(compiler, patience);
            let [first, second] = [cache.get(key, &file).await, cache.get(key, &file).await].map(Result::err);
            let is_told = matches!(&first, Some(Failure::Prepare { error, .. }) if error.contains(why));
            assert!(is_told, "{first:?}, not: {why}");
            assert_eq!((second, cache.0.metrics.compilations.get()), (first, 1));
            let bytes = cache.0.held().bytes;
            for entry in cache.0.held().programs.values_mut() {
                let Entry::Made { until, .. } = entry else { panic!("nobody makes it now") };
                *until = until.and_then(|until| until.checked_sub(IN_VAIN_FOR));
            }
            assert!(cache.get(key, &file).await.is_err());
            assert_eq!((cache.0.held().bytes, cache.0.metrics.compilations.get()), (bytes, 2), "{why}");
        }
    }

    #[tokio::test]
    async fn what_cost_nothing_is_tried_again_at_once() {
        let (_directory, file, key) = program();
        let cache = with(shell("exit 3"), Duration::from_secs(90));
        for tries in 1..=2 {
            assert!(cache.get(key, &file).await.is_err());
            assert_eq!((cache.0.held().bytes, cache.0.metrics.compilations.get()), (0, tries));
        }
    }
}
