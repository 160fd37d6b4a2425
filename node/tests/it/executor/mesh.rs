//! Executors in a directory of their own, and orders for them.

use super::PATIENCE;
use mesh_proto::id::TaskId;
use meshd::executor::{
    Allowed, ExecConfig, ExecutorConfig, ExecutorEvent, Executors, Level, Limits, Outcome, Program, Run, Source,
};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

pub struct Mesh {
    pub executors: Executors,
    pub events: mpsc::Receiver<ExecutorEvent>,
    pub directory: TempDir,
    next: u8,
    pub runtime: Runtime,
}

pub const COMMANDS: [&str; 8] = ["true", "false", "cat", "sh", "sleep", "env", "yes", "printf"];

impl Mesh {
    pub fn new(level: Level) -> Self {
        Self::with(level, |_| {})
    }

    pub fn with(level: Level, change: impl FnOnce(&mut ExecutorConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = config(directory.path().join("tasks"), level, change);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (sender, events) = mpsc::channel(64);
        let executors = {
            let _inside = runtime.enter();
            Executors::start(config, sender).unwrap()
        };
        Self { executors, events, directory, next: 0, runtime }
    }

    /// A task that nobody had before.
    pub fn run_of(&mut self, program: Program) -> Run {
        self.next += 1;
        run(self.next, program)
    }

    pub fn exec(&mut self, argv: &[&str]) -> Run {
        self.run_of(command(argv))
    }

    pub fn sh(&mut self, script: &str) -> Run {
        self.exec(&["sh", "-c", script])
    }

    /// Runs to the end.
    pub fn finish(&mut self, run: Run) -> Outcome {
        let (task, attempt) = (run.task, run.attempt);
        match self.executors.run(run).unwrap() {
            Some(outcome) => outcome,
            None => self.end_of(task, attempt),
        }
    }

    /// The end of what runs.
    pub fn end_of(&mut self, task: TaskId, attempt: u32) -> Outcome {
        loop {
            match self.event() {
                ExecutorEvent::Started { .. } => {}
                ExecutorEvent::Finished { task: ended, attempt: at, outcome } => {
                    assert_eq!((ended, at), (task, attempt));
                    return outcome;
                }
            }
        }
    }

    pub fn event(&mut self) -> ExecutorEvent {
        let next = async { tokio::time::timeout(PATIENCE, self.events.recv()).await };
        self.runtime.block_on(next).expect("an event in time").expect("executors are up")
    }

    /// What is left in the directory of tasks.
    pub fn left(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path().join("tasks")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

pub fn config(directory: PathBuf, level: Level, change: impl FnOnce(&mut ExecutorConfig)) -> ExecutorConfig {
    let names: Vec<String> = COMMANDS.iter().map(ToString::to_string).collect();
    let path = "/usr/local/bin:/usr/bin:/bin";
    let mut exec = ExecConfig::new(Allowed::resolve(&names, path).unwrap());
    exec.guard = env!("CARGO_BIN_EXE_meshd").into();
    exec.level = level;
    exec.path = path.into();
    exec.grace = Duration::from_millis(300);
    let mut config = ExecutorConfig { slots: 2, exec: Some(exec), ..ExecutorConfig::new(directory) };
    change(&mut config);
    config
}

pub fn run(number: u8, program: Program) -> Run {
    Run {
        task: TaskId::from_bytes([number; 32]),
        attempt: 1,
        fence: 7,
        program,
        stdin: Source::Null,
        inputs: Vec::new(),
        outputs: Vec::new(),
        time_limit: PATIENCE,
        limits: Limits { free_bytes: 0, ..Limits::default() },
    }
}

pub fn command(argv: &[&str]) -> Program {
    Program::Exec { argv: argv.iter().map(ToString::to_string).collect(), env: Vec::new() }
}
