//! Programs in executors of their own. Hostile ones are written down as text.

mod bounds;
pub mod compiler;
mod figures;
mod programs;
mod sandbox;

use super::WasmConfig;
use crate::executor::{
    ExecutorConfig, ExecutorEvent, Executors, Failure, Limits, Outcome, Output, Program, Run, RunError, Source, Status,
};
use mesh_proto::id::{BlobId, TaskId};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Long enough for a loaded machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(90);
const SLOTS: usize = 2;

struct Bench {
    executors: Executors,
    events: mpsc::Receiver<ExecutorEvent>,
    runtime: Runtime,
    directory: TempDir,
    next: u32,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut WasmConfig)) -> Self {
        Self::with_slots(SLOTS, change)
    }

    fn with_slots(slots: usize, change: impl FnOnce(&mut WasmConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut wasm = WasmConfig::default();
        wasm.limits.memory_bytes = Some(64 << 20);
        wasm.limits.free_bytes = 0;
        wasm.compiler = compiler::of_this_binary();
        change(&mut wasm);
        let tasks = directory.path().join("tasks");
        let config = ExecutorConfig { slots, wasm: Some(wasm), ..ExecutorConfig::new(tasks) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, events) = mpsc::channel(64);
        let executors = {
            let _inside = runtime.enter();
            Executors::start(config, sender).unwrap()
        };
        Self { executors, events, runtime, directory, next: 0 }
    }

    /// An attempt at a task that nobody had before.
    fn run_of(&mut self, module: &[u8]) -> Run {
        self.next += 1;
        let id = BlobId::from_bytes(*blake3::hash(module).as_bytes());
        let file = self.directory.path().join(id.to_string());
        std::fs::write(&file, module).unwrap();
        let (argv, env) = (vec!["program".to_owned()], Vec::new());
        Run {
            task: TaskId::from_bytes(*blake3::hash(&self.next.to_le_bytes()).as_bytes()),
            attempt: 1,
            fence: 7,
            program: Program::Wasm { id, module: file, argv, env, fixed: None },
            stdin: Source::Null,
            inputs: Vec::new(),
            outputs: Vec::new(),
            time_limit: PATIENCE,
            limits: Limits { free_bytes: 0, ..Limits::default() },
        }
    }

    fn text(&mut self, module: &str) -> Run {
        self.run_of(&wat::parse_str(module).expect("a module"))
    }

    fn begin(&mut self, run: Run) -> (TaskId, u32) {
        let key = (run.task, run.attempt);
        assert!(self.executors.run(run).unwrap().is_none(), "it has not ended yet");
        key
    }

    fn finish(&mut self, run: Run) -> Outcome {
        let key = self.begin(run);
        self.end_of(key)
    }

    /// Runs it and looks that it failed, left nothing behind, and that the next one runs.
    fn failure_of(&mut self, run: Run) -> Failure {
        let outcome = self.finish(run);
        let Status::Failed(failure) = outcome.status.clone() else { panic!("{outcome:?}") };
        drop(outcome);
        self.is_unharmed();
        failure
    }

    #[track_caller]
    fn is_unharmed(&mut self) {
        assert_eq!((self.left(), self.executors.running()), (Vec::new(), 0));
        let after = self.text(r#"(module (func (export "_start")))"#);
        assert_eq!(self.finish(after).status, Status::Exit(0));
    }

    fn end_of(&mut self, key: (TaskId, u32)) -> Outcome {
        loop {
            match self.event() {
                ExecutorEvent::Started { .. } => {}
                ExecutorEvent::Finished { task, attempt, outcome } => {
                    assert_eq!((task, attempt), key);
                    return outcome;
                }
            }
        }
    }

    /// Until it is announced.
    fn started(&mut self, run: Run) -> (TaskId, u32) {
        let key = self.begin(run);
        let event = self.event();
        assert!(matches!(event, ExecutorEvent::Started { task, .. } if task == key.0), "{event:?}");
        key
    }

    fn event(&mut self) -> ExecutorEvent {
        let next = async { tokio::time::timeout(PATIENCE, self.events.recv()).await };
        self.runtime.block_on(next).expect("an event in time").expect("executors are up")
    }

    /// What is left in the directory of tasks.
    fn left(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path().join("tasks")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn example(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/wasm")).join(name)).unwrap()
}

fn arguments(run: &mut Run, words: &[&str]) {
    let Program::Wasm { argv, .. } = &mut run.program else { unreachable!("a program") };
    argv.extend(words.iter().map(ToString::to_string));
}

fn text(output: &Output) -> String {
    let bytes = match output {
        Output::Inline(bytes) => bytes.to_vec(),
        Output::File { path, .. } => std::fs::read(path).unwrap(),
    };
    String::from_utf8(bytes).unwrap()
}

/// What the modules here have of WASI, and a way to end with a code.
fn of_wasi(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_symlink" (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 2)
            {body})"#
    )
}

#[test]
fn a_node_without_them_refuses_and_another_may_run_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new();
    let run = bench.text(r#"(module (func (export "_start")))"#);
    let (sender, _events) = mpsc::channel(4);
    let _inside = bench.runtime.enter();
    let without = Executors::start(ExecutorConfig::new(directory.path().join("tasks")), sender).unwrap();
    let refused = without.run(run).unwrap().unwrap().status;
    assert!(matches!(refused, Status::Failed(Failure::NotAllowed { .. })), "{refused:?}");
}

#[test]
fn no_more_run_at_a_time_than_there_are_slots() {
    let mut bench = Bench::new();
    let endless = r#"(module (func (export "_start") (loop br 0)))"#;
    let runs: Vec<Run> = (0..=SLOTS).map(|_| bench.text(endless)).collect();
    let [first, second, third] = <[Run; 3]>::try_from(runs).expect("three");
    let (first, second) = (bench.begin(first), bench.begin(second));
    assert_eq!(bench.executors.run(third).unwrap_err(), RunError::Busy { slots: SLOTS });
    for key in [first, second] {
        assert!(bench.executors.cancel(key.0, key.1));
    }
    for _ in 0..2 {
        loop {
            if let ExecutorEvent::Finished { outcome, .. } = bench.event() {
                assert_eq!(outcome.status, Status::Failed(Failure::Cancelled));
                break;
            }
        }
    }
    assert!(!bench.executors.cancel(first.0, first.1), "it is over");
    bench.is_unharmed();
}
