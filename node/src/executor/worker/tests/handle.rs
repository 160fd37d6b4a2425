//! Executions from their slot to their end, with workers that are threads of the test.

use super::*;
use crate::executor::{
    ExecutorConfig, ExecutorEvent, Executors, Failure, Output, Stream, WorkersConfig,
    outcome::{Outcome, Status},
    worker::{Brought, Opened, Progress, Stop, WorkerError},
};
use bytes::Bytes;
use std::{convert::Infallible, time::Instant};
use tempfile::TempDir;
use tokio::sync::mpsc;

struct Node {
    executors: Executors,
    events: mpsc::Receiver<ExecutorEvent>,
    directory: TempDir,
}

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

impl Node {
    fn new(change: impl FnOnce(&mut WorkersConfig)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut workers = WorkersConfig::default();
        workers.limits.free_bytes = 0;
        change(&mut workers);
        let (sender, events) = mpsc::channel(64);
        let tasks = directory.path().join("tasks");
        let config = ExecutorConfig { slots: 2, workers: Some(workers), ..ExecutorConfig::new(tasks) };
        Self { executors: Executors::start(config, sender).unwrap(), events, directory }
    }

    async fn ended(&mut self) -> Outcome {
        match tokio::time::timeout(LONG, self.events.recv()).await.unwrap().unwrap() {
            ExecutorEvent::Finished { outcome, .. } => outcome,
            started @ ExecutorEvent::Started { .. } => panic!("{started:?}"),
        }
    }

    /// What is left of tasks on the disk.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path().join("tasks")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn text(output: &Output) -> String {
    match output {
        Output::Inline(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Output::File { path, .. } => std::fs::read_to_string(path).unwrap(),
    }
}

fn brought(stdout: &'static str) -> Brought {
    Brought { stdout: stdout.into(), ..Brought::default() }
}

async fn put(node: &Node, worker: WorkerId, name: &str, pieces: &[&'static [u8]]) -> Result<(), WorkerError> {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece))).collect();
    let pieces = futures::stream::iter(pieces);
    let Ok(()) = node.executors.workers().file((worker, task(1), Some(1)), name, pieces).await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_takes_a_task_writes_and_brings_its_result() {
    let mut node = Node::new(|_| {});
    let workers = node.executors.workers().clone();
    let nobody = node.executors.run(run(1, "a")).unwrap().unwrap();
    assert_eq!(nobody.status, Status::Failed(Failure::NoWorker { kind: "a".into() }));
    assert_eq!(node.executors.running(), 0);

    let worker = workers.register(registration(&["a"], 1)).unwrap();
    let waiting = tokio::spawn({
        let workers = workers.clone();
        async move { workers.take(worker, LONG).await }
    });
    // It waits before there is anything.
    while workers.list()[0].waiting == 0 {
        tokio::task::yield_now().await;
    }
    assert!(node.executors.run(run(1, "a")).unwrap().is_none());
    let taken = waiting.await.unwrap().unwrap().unwrap();
    assert_eq!((taken.task, taken.attempt, taken.kind.as_str()), (task(1), 1, "a"));
    assert_eq!((taken.argv, taken.outputs), (vec!["--fast".to_owned()], vec!["out/b".to_owned()]));
    for (name, expected) in [(None, Some("some words")), (Some("data/a"), Some("a")), (Some("b"), None)] {
        let opened = workers.open(worker, task(1), None, name.map(str::to_owned)).await;
        match (opened, expected) {
            (Ok(Opened::Bytes(bytes)), Some(expected)) => assert_eq!(bytes, expected),
            (Err(WorkerError::NoFile), None) => {}
            (other, _) => panic!("{name:?}: {other:?}"),
        }
    }

    workers.logs(worker, task(1), None, Stream::Stdout, "first\n".into()).await.unwrap();
    workers.logs(worker, task(1), Some(1), Stream::Stderr, "a word\n".into()).await.unwrap();
    // Who follows it sees it at once.
    let read = |stream| node.executors.logs(task(1), 1, stream, 0, 100).unwrap();
    assert_eq!((read(Stream::Stdout).bytes, read(Stream::Stdout).running), (b"first\n".to_vec(), true));
    assert_eq!(read(Stream::Stderr).bytes, b"a word\n");
    let progress = Progress { done_ppm: Some(500_000), text: Some("half".into()) };
    workers.progress(worker, task(1), None, progress.clone()).unwrap();
    assert_eq!(workers.list()[0].tasks[0].progress, progress);
    for attempt in [Some(0), Some(2)] {
        let other = workers.logs(worker, task(1), attempt, Stream::Stdout, "x".into()).await;
        assert_eq!(other, Err(WorkerError::NotHeld));
    }

    assert_eq!(put(&node, worker, "other", &[]).await, Err(WorkerError::Unasked));
    put(&node, worker, "out/b", &[b"old"]).await.unwrap();
    put(&node, worker, "out/b", &[b"some", b" bytes"]).await.unwrap();
    workers.result(worker, task(1), Some(1), brought("last\n")).await.unwrap();
    // A repeat adds nothing.
    workers.result(worker, task(1), Some(1), brought("last\n")).await.unwrap();
    let outcome = node.ended().await;
    assert_eq!(outcome.status, Status::Exit(0));
    assert_eq!((text(&outcome.stdout), text(&outcome.stderr)), ("first\nlast\n".into(), "a word\n".into()));
    let files: Vec<_> = outcome.files.iter().map(|(name, file)| (name.as_str(), text(file))).collect();
    assert_eq!(files, [("out/b", "some bytes".to_owned())]);
    drop(outcome);
    assert_eq!((node.executors.running(), node.left()), (0, Vec::new()));
    let row = &workers.list()[0];
    assert_eq!((row.taken, row.results, row.tasks.len()), (1, 1, 0));
}

/// A worker that hears nothing asks again, and the first of both may be under way still.
#[tokio::test]
async fn a_result_that_is_brought_twice_at_once_is_written_once() {
    let mut node = Node::new(|_| {});
    let workers = node.executors.workers().clone();
    let worker = workers.register(registration(&["a"], 1)).unwrap();
    node.executors.run(Run { outputs: Vec::new(), ..run(1, "a") }).unwrap();
    workers.take(worker, LONG).await.unwrap().unwrap();
    let bring = || workers.result(worker, task(1), Some(1), brought("once\n"));
    assert_eq!(tokio::join!(bring(), bring()), (Ok(()), Ok(())));
    let outcome = node.ended().await;
    assert_eq!((outcome.status.clone(), text(&outcome.stdout)), (Status::Exit(0), "once\n".into()));
    assert_eq!(workers.list()[0].results, 1);
}

#[tokio::test]
async fn large_output_is_in_a_file_and_what_is_more_than_it_may_be_ends_as_that() {
    let mut node = Node::new(|config| config.limits.output_bytes = 100_000);
    let workers = node.executors.workers().clone();
    let worker = workers.register(registration(&["a"], 2)).unwrap();
    for number in [1, 2] {
        node.executors.run(Run { outputs: Vec::new(), ..run(number, "a") }).unwrap();
        workers.take(worker, LONG).await.unwrap().unwrap();
    }
    let piece = || Bytes::from(vec![b'x'; 60_000]);
    workers.logs(worker, task(1), None, Stream::Stdout, piece()).await.unwrap();
    workers.result(worker, task(1), None, brought("y")).await.unwrap();
    let outcome = node.ended().await;
    assert!(matches!(&outcome.stdout, Output::File { len: 60_001, truncated: false, .. }), "{outcome:?}");
    drop(outcome);
    workers.logs(worker, task(2), None, Stream::Stdout, piece()).await.unwrap();
    let more = workers.logs(worker, task(2), None, Stream::Stdout, piece()).await;
    assert_eq!(more, Err(WorkerError::TooLarge { what: "output", limit: 100_000 }));
    workers.result(worker, task(2), None, brought("")).await.unwrap();
    let outcome = node.ended().await;
    assert!(matches!(outcome.status, Status::Failed(Failure::OutputTooLarge { limit: 100_000, .. })), "{outcome:?}");
    drop(outcome);
    assert_eq!(node.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_is_to_come_and_does_not_is_missed() {
    let mut node = Node::new(|config| config.limits.file_bytes = 5);
    let workers = node.executors.workers().clone();
    let worker = workers.register(registration(&["a"], 1)).unwrap();
    node.executors.run(run(1, "a")).unwrap();
    workers.take(worker, LONG).await.unwrap().unwrap();
    let large = put(&node, worker, "out/b", &[b"more", b"than"]).await;
    assert_eq!(large, Err(WorkerError::TooLarge { what: "a file", limit: 5 }));
    workers.result(worker, task(1), None, brought("")).await.unwrap();
    let outcome = node.ended().await;
    assert_eq!(outcome.status, Status::Failed(Failure::OutputMissing { path: "out/b".into() }));
    assert_eq!(node.left(), Vec::<String>::new());
}

#[tokio::test]
async fn who_is_silent_loses_its_task_and_what_it_brings_is_refused() {
    let mut node = Node::new(|config| config.lease = Duration::from_millis(200));
    let workers = node.executors.workers().clone();
    let mut changes = workers.changes();
    let worker = workers.register(registration(&["a"], 1)).unwrap();
    changes.changed().await.unwrap();
    assert_eq!(changes.borrow_and_update().to_string(), "worker.a=1");
    let begun = Instant::now();
    node.executors.run(run(1, "a")).unwrap();
    workers.take(worker, LONG).await.unwrap().unwrap();
    workers.logs(worker, task(1), None, Stream::Stdout, "so far".into()).await.unwrap();
    let outcome = node.ended().await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(matches!(&outcome.status, Status::Failed(Failure::WorkerLost { why }) if why.contains("not heard of")));
    assert_eq!(text(&outcome.stdout), "so far");
    assert_eq!(node.executors.running(), 0);
    changes.changed().await.unwrap();
    assert_eq!(changes.borrow_and_update().to_string(), "");
    for refused in [
        workers.result(worker, task(1), Some(1), brought("late")).await,
        workers.logs(worker, task(1), None, Stream::Stdout, "late".into()).await,
        put(&node, worker, "out/b", &[b"late"]).await,
        workers.heartbeat(worker, None).map(drop),
        workers.take(worker, LONG).await.map(drop),
        workers.detach(worker),
    ] {
        assert!(matches!(refused, Err(WorkerError::Gone(_))), "{refused:?}");
    }
}

/// The answer that named it was lost, and its worker asks for the next.
#[tokio::test]
async fn what_a_worker_never_heard_of_is_given_back() {
    let mut node = Node::new(|config| config.lease = Duration::from_secs(1));
    let workers = node.executors.workers().clone();
    let worker = workers.register(registration(&["a"], 2)).unwrap();
    node.executors.run(run(1, "a")).unwrap();
    workers.take(worker, LONG).await.unwrap().unwrap();
    let waiting = tokio::spawn({
        let workers = workers.clone();
        async move { workers.take(worker, LONG).await }
    });
    let why = "its worker said nothing of it for 1000 ms".to_owned();
    assert_eq!(node.ended().await.status, Status::Failed(Failure::GivenBack { why }));
    assert_eq!((node.executors.running(), workers.list()[0].tasks.len()), (0, 0));
    for late in [
        workers.logs(worker, task(1), None, Stream::Stdout, "late".into()).await,
        workers.progress(worker, task(1), None, Progress::default()),
        workers.result(worker, task(1), Some(1), brought("late")).await,
    ] {
        assert_eq!(late, Err(WorkerError::NotHeld));
    }
    node.executors.run(Run { attempt: 2, outputs: Vec::new(), ..run(1, "a") }).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().map(|taken| taken.attempt), Some(2));
    // Words of the attempt that is over are not taken for words of this one.
    let late = workers.logs(worker, task(1), Some(1), Stream::Stdout, "late".into()).await;
    assert_eq!(late, Err(WorkerError::NotHeld));
    workers.result(worker, task(1), Some(2), brought("in time")).await.unwrap();
    let outcome = node.ended().await;
    assert_eq!((outcome.status.clone(), text(&outcome.stdout)), (Status::Exit(0), "in time".into()));
}

#[tokio::test]
async fn what_is_cancelled_or_given_back_ends_as_that() {
    let mut node = Node::new(|_| {});
    let workers = node.executors.workers().clone();
    let worker = workers.register(registration(&["a"], 3)).unwrap();
    for number in [1, 2] {
        node.executors.run(run(number, "a")).unwrap();
        workers.take(worker, LONG).await.unwrap().unwrap();
    }
    assert!(!node.executors.cancel(task(1), 2));
    assert!(node.executors.cancel(task(1), 1));
    assert_eq!(node.ended().await.status, Status::Failed(Failure::Cancelled));
    assert_eq!(workers.heartbeat(worker, None).unwrap(), [task(1)]);
    let stopped = Err(WorkerError::Stopped(Stop::Cancelled));
    assert_eq!(workers.progress(worker, task(1), None, Progress::default()), stopped);
    assert_eq!(workers.result(worker, task(1), None, brought("x")).await, stopped);
    assert_eq!(workers.heartbeat(worker, None).unwrap(), []);

    workers.release(worker, task(2), None, Some("too large".into())).unwrap();
    let why = "its worker gave it back: too large".to_owned();
    assert_eq!(node.ended().await.status, Status::Failed(Failure::GivenBack { why }));
    node.executors.run(run(3, "a")).unwrap();
    workers.take(worker, LONG).await.unwrap().unwrap();
    workers.detach(worker).unwrap();
    let why = "worker w was detached".to_owned();
    assert_eq!(node.ended().await.status, Status::Failed(Failure::GivenBack { why }));
    assert_eq!(node.executors.running(), 0);
}

#[tokio::test]
async fn the_time_limit_is_the_nodes() {
    let mut node = Node::new(|_| {});
    let workers = node.executors.workers().clone();
    let worker = workers.register(registration(&["a"], 1)).unwrap();
    node.executors.run(Run { time_limit: Duration::from_millis(50), ..run(1, "a") }).unwrap();
    workers.take(worker, LONG).await.unwrap().unwrap();
    assert_eq!(node.ended().await.status, Status::Failed(Failure::TimeLimit { limit_ms: 50 }));
    let late = workers.result(worker, task(1), Some(1), brought("late")).await;
    assert_eq!(late, Err(WorkerError::Stopped(Stop::TimeLimit)));
}

#[tokio::test]
async fn where_they_are_off_nobody_is_let_in() {
    let (sender, _events) = mpsc::channel(1);
    let directory = tempfile::tempdir().unwrap();
    let executors = Executors::start(ExecutorConfig::new(directory.path().join("tasks")), sender).unwrap();
    assert_eq!(executors.workers().register(registration(&["a"], 1)), Err(WorkerError::Off));
    let refused = executors.run(run(1, "a")).unwrap().unwrap();
    assert!(matches!(refused.status, Status::Failed(Failure::NotAllowed { .. })), "{refused:?}");
}
