//! Who has what, by a clock that stands still between two lines.

use super::*;
use crate::executor::worker::{
    Stop, WorkerError, WorkersConfig,
    ending::{End, Ending},
    output::Output,
    registry::Registry,
};
use std::{collections::BTreeSet, path::Path, time::Instant};

struct Node {
    registry: Registry,
    now: Instant,
}

impl Node {
    /// That has `zone=eu` by itself; at most three workers, with a lease of a second.
    fn new() -> Self {
        let config = WorkersConfig {
            most: 3,
            lease: Duration::from_secs(1),
            untaken: Duration::from_secs(5),
            ..WorkersConfig::default()
        };
        let now = Instant::now();
        Self { registry: Registry::new(config, Capabilities::parse(["zone=eu"]).unwrap(), now), now }
    }

    fn with(workers: &[(u8, &[&str], u32)]) -> Self {
        let mut node = Self::new();
        for (number, kinds, concurrency) in workers {
            node.register(*number, registration(kinds, *concurrency)).unwrap();
        }
        node
    }

    fn register(&mut self, number: u8, registration: Registration) -> Result<(), WorkerError> {
        self.registry.register(self.now, id(number), registration)
    }

    fn offer(&mut self, number: u8, kind: &str) -> bool {
        self.registry.offer(self.now, job(number, kind))
    }

    /// Which task the worker is given.
    fn take(&mut self, worker: u8) -> Option<TaskId> {
        let limits = Limits::default();
        let output = |job: &Job| Output::new(Path::new("/nowhere"), &job.run, limits);
        self.registry.take(self.now, id(worker), output).unwrap().map(|job| job.run.task)
    }

    fn pass(&mut self, time: Duration) -> Vec<(TaskId, Ending)> {
        self.now += time;
        told(self.registry.sweep(self.now))
    }

    fn pass_ms(&mut self, ms: u64) -> Vec<(TaskId, Ending)> {
        self.pass(Duration::from_millis(ms))
    }

    /// For so long, with a word of this worker of all that it has, three times in each lease.
    fn pass_with(&mut self, worker: u8, time: Duration) -> Vec<(TaskId, Ending)> {
        let mut ends = Vec::new();
        let all = self.registry.workers().filter(|(one, _)| **one == id(worker));
        let all: BTreeSet<TaskId> = all.flat_map(|(_, worker)| worker.held.keys().copied()).collect();
        for _ in 0..time.as_millis() / 333 {
            assert_eq!(told(self.registry.has(self.now, id(worker), &all).unwrap()), []);
            ends.extend(self.pass_ms(333));
        }
        ends
    }

    fn has(&self) -> String {
        self.registry.merged(self.now).unwrap().to_string()
    }
}

fn told(ends: Vec<End>) -> Vec<(TaskId, Ending)> {
    ends.into_iter().map(|end| (end.job.run.task, end.ending)).collect()
}

fn lost(number: u8) -> (TaskId, Ending) {
    (task(number), Ending::Lost("worker w was not heard of for 1000 ms".into()))
}

#[test]
fn tasks_are_taken_in_their_order_by_whom_they_are_for_and_no_more_than_it_takes() {
    let mut node = Node::with(&[(1, &["a"], 2), (2, &["a", "b"], 1)]);
    for (number, kind) in [(1, "b"), (2, "a"), (3, "a"), (4, "a")] {
        assert!(node.offer(number, kind));
    }
    assert!(!node.offer(5, "c"), "there is nobody for it");
    assert_eq!([node.take(1), node.take(1), node.take(1)], [Some(task(2)), Some(task(3)), None]);
    assert_eq!([node.take(2), node.take(2)], [Some(task(1)), None]);
    // Each place is free when its task is done, however it is.
    node.registry.let_go(node.now, id(1), task(3), Some(1)).unwrap();
    assert_eq!([node.take(1), node.take(1)], [Some(task(4)), None]);
}

#[test]
fn who_says_nothing_for_a_lease_is_gone_and_its_tasks_are_lost() {
    let mut node = Node::with(&[(1, &["a"], 1), (2, &["b"], 1)]);
    for (number, kind) in [(1, "a"), (2, "b"), (3, "a")] {
        node.offer(number, kind);
    }
    assert_eq!((node.take(1), node.take(2)), (Some(task(1)), Some(task(2))));
    assert_eq!(node.pass_ms(999), []);
    node.registry.heard(node.now, id(2)).unwrap();
    assert_eq!(node.registry.deadline(), Some(node.now + Duration::from_millis(1)));
    // What nobody is left for goes back with it.
    assert_eq!(node.pass_ms(1), [lost(1), (task(3), Ending::NoWorker)]);
    assert_eq!(node.has(), "worker.b=1,zone=eu");
    // It comes too late with whatever it comes.
    let is_gone = |result: Result<(), WorkerError>| assert!(matches!(result, Err(WorkerError::Gone(_))), "{result:?}");
    is_gone(node.registry.heard(node.now, id(1)).map(drop));
    is_gone(node.registry.let_go(node.now, id(1), task(1), None).map(drop));
    assert_eq!(node.registry.heard(node.now, id(9)).map(drop), Err(WorkerError::Unknown));
    // As long as it waits for a task it is there, and it has said that it has one.
    node.registry.held(node.now, id(2), task(2), None).map(drop).unwrap();
    node.registry.heard(node.now, id(2)).unwrap().waiting += 1;
    assert_eq!(node.pass(Duration::from_secs(8)), []);
    node.registry.heard(node.now, id(2)).unwrap().waiting -= 1;
    assert_eq!(node.pass_ms(1_000), [lost(2)]);
    assert_eq!((node.has().as_str(), node.registry.deadline()), ("zone=eu", None));
}

#[test]
fn a_task_has_its_time_and_is_told_once() {
    let mut node = Node::with(&[(1, &["a"], 1)]);
    node.offer(1, "a");
    node.take(1);
    assert_eq!(node.pass_with(1, Duration::from_millis(9_990)), []);
    assert_eq!(node.pass_with(1, Duration::from_millis(333)), [(task(1), Ending::TimeLimit)]);
    let stopped = WorkerError::Stopped(Stop::TimeLimit);
    assert_eq!(node.registry.held(node.now, id(1), task(1), None).map(drop), Err(stopped.clone()));
    assert_eq!(node.registry.heard(node.now, id(1)).unwrap().stopped().collect::<Vec<_>>(), [task(1)]);
    // It goes on: its place is taken, and after a while nobody is told of that place.
    node.offer(2, "a");
    assert_eq!((node.take(1), node.has().as_str()), (None, "worker.a=1,zone=eu"));
    assert_eq!(node.pass_with(1, Duration::from_millis(1_400)), [(task(2), Ending::NoWorker)]);
    assert_eq!(node.has(), "zone=eu");
    // What it has to say of it is not wanted, and frees its place.
    assert_eq!(node.registry.let_go(node.now, id(1), task(1), None).map(drop), Err(stopped));
    node.offer(3, "a");
    assert_eq!((node.take(1), node.has().as_str()), (Some(task(3)), "worker.a=1,zone=eu"));
    assert_eq!(node.pass_ms(1_000), [lost(3)], "and not the one that ended");
}

#[test]
fn what_nobody_takes_goes_back() {
    let mut node = Node::with(&[(1, &["a"], 1)]);
    node.offer(1, "a");
    assert_eq!(node.take(1), Some(task(1)));
    node.offer(2, "a");
    assert_eq!(node.pass_with(1, Duration::from_millis(4_995)), []);
    assert_eq!(node.pass_ms(5), [(task(2), Ending::NotTaken)]);
}

#[test]
fn what_is_cancelled_ends_at_once_and_its_worker_is_told() {
    let mut node = Node::with(&[(1, &["a"], 1)]);
    node.offer(1, "a");
    node.offer(2, "a");
    node.take(1);
    for number in [1, 2] {
        assert!(node.registry.cancel(node.now, task(number), 2).is_none(), "of another attempt");
        let end = node.registry.cancel(node.now, task(number), 1).expect("it is here");
        assert_eq!(told(vec![end]), [(task(number), Ending::Cancelled)]);
        assert!(node.registry.cancel(node.now, task(number), 1).is_none());
    }
    let held = node.registry.held(node.now, id(1), task(1), Some(1)).map(drop);
    assert_eq!(held, Err(WorkerError::Stopped(Stop::Cancelled)));
    // A later attempt is not given to who should have stopped with this one.
    let next = Job { run: Run { attempt: 2, ..run(1, "a") }, kind: "a".parse().unwrap(), argv: Vec::new() };
    node.registry.offer(node.now, next.into());
    assert!(node.registry.has(node.now, id(1), &BTreeSet::new()).unwrap().is_empty());
    assert_eq!(node.take(1), Some(task(1)));
    assert_eq!(node.registry.held(node.now, id(1), task(1), Some(1)).map(drop), Err(WorkerError::NotHeld));
    node.registry.held(node.now, id(1), task(1), Some(2)).map(drop).unwrap();
}

#[test]
fn what_was_lost_on_its_way_to_a_worker_goes_to_another() {
    let mut node = Node::with(&[(1, &["a"], 2)]);
    node.registry.config.lease = Duration::from_secs(10);
    node.offer(1, "a");
    node.offer(2, "a");
    node.take(1);
    node.take(1);
    // It may be on its way still.
    assert_eq!(told(node.registry.has(node.now, id(1), &BTreeSet::from([task(1)])).unwrap()), []);
    assert_eq!(node.pass_ms(5_400), []);
    let unheard = (task(2), Ending::GivenBack("its worker does not know of it".into()));
    assert_eq!(told(node.registry.has(node.now, id(1), &BTreeSet::from([task(1)])).unwrap()), [unheard]);
    node.registry.held(node.now, id(1), task(1), None).map(drop).unwrap();
}

/// A worker that is there, and whose words name no task.
#[test]
fn what_a_worker_never_speaks_of_goes_to_another_and_what_it_spoke_of_once_does_not() {
    let mut node = Node::with(&[(1, &["a"], 3)]);
    for number in 1..=3 {
        node.offer(number, "a");
        node.take(1);
    }
    let limit = node.now + Duration::from_secs(1);
    assert_eq!(node.pass_ms(999), []);
    node.registry.held(node.now, id(1), task(1), Some(1)).map(drop).unwrap();
    assert_eq!(told(node.registry.has(node.now, id(1), &BTreeSet::from([task(1), task(2)])).unwrap()), []);
    // It may be gone, and what it has with it.
    assert_eq!((node.pass_ms(1), node.registry.deadline() > Some(node.now)), (Vec::new(), true));
    assert_eq!(node.pass_ms(500), []);
    node.registry.heard(node.now, id(1)).unwrap();
    assert_eq!(node.registry.deadline(), Some(limit));
    let unheard_of = (task(3), Ending::GivenBack("its worker said nothing of it for 1000 ms".into()));
    assert_eq!(node.pass_ms(0), [unheard_of]);
    for _ in 0..8 {
        node.registry.heard(node.now, id(1)).unwrap();
        assert_eq!(node.pass_ms(999), [], "it has said that it has these");
    }
    // If it has it after all, it is told that it is somebody else's, and no result is taken for one that is known.
    assert_eq!(node.registry.held(node.now, id(1), task(3), Some(1)).map(drop), Err(WorkerError::NotHeld));
    assert!(!node.registry.is_repeat(id(1), task(3), Some(1)));
    node.offer(4, "a");
    assert_eq!(node.take(1), Some(task(4)), "its place is free");
}

/// As a task does that kills its worker at once. The end of the request by which it was given is a word still.
#[test]
fn what_a_worker_had_that_never_spoke_again_is_lost_with_it() {
    let mut node = Node::with(&[(1, &["a"], 2)]);
    node.registry.heard(node.now, id(1)).unwrap().waiting += 1;
    node.offer(1, "a");
    node.take(1);
    assert_eq!(node.pass_ms(1), []);
    node.registry.heard(node.now, id(1)).unwrap().waiting -= 1;
    assert_eq!(node.pass_ms(999), []);
    assert_eq!(node.pass_ms(1), [lost(1)]);
}

/// Who asks for more is there.
#[test]
fn what_a_worker_never_heard_of_goes_to_another_while_it_asks_for_more() {
    let mut node = Node::with(&[(1, &["a"], 2)]);
    node.offer(1, "a");
    node.take(1);
    node.registry.heard(node.now, id(1)).unwrap().waiting += 1;
    assert_eq!(node.registry.deadline(), Some(node.now + Duration::from_secs(1)));
    let unheard_of = (task(1), Ending::GivenBack("its worker said nothing of it for 1000 ms".into()));
    assert_eq!((node.pass_ms(999), node.pass_ms(1)), (Vec::new(), vec![unheard_of]));
}

#[test]
fn who_goes_in_good_order_gives_back_what_it_has() {
    let mut node = Node::with(&[(1, &["a"], 1), (2, &["a"], 1)]);
    node.offer(1, "a");
    node.offer(2, "a");
    node.take(1);
    let given_back = (task(1), Ending::GivenBack("worker w was detached".into()));
    assert_eq!(told(node.registry.leave(node.now, id(1)).unwrap()), [given_back]);
    assert!(matches!(node.registry.leave(node.now, id(1)), Err(WorkerError::Gone(_))));
    assert_eq!(node.take(2), Some(task(2)), "there is one left");
}

#[test]
fn a_repeat_is_known_and_another_attempt_is_none() {
    let mut node = Node::with(&[(1, &["a"], 1)]);
    node.offer(1, "a");
    node.take(1);
    node.registry.let_go(node.now, id(1), task(1), None).unwrap();
    let repeats = |attempt| node.registry.is_repeat(id(1), task(1), attempt);
    assert_eq!([repeats(Some(1)), repeats(Some(2)), repeats(None)], [true, false, false]);
}

#[test]
fn a_node_has_what_its_workers_bring_and_they_do_not_contradict_each_other() {
    let mut node = Node::new();
    node.register(1, bringing(&["model=llama", "zone=eu"], "a")).unwrap();
    assert_eq!(node.has(), "model=llama,worker.a=1,zone=eu");
    for (refused, why) in [
        (bringing(&["zone=us"], "b"), "zone is eu on this node, and not us"),
        (bringing(&["model=other"], "b"), "model is llama on this node"),
        (bringing(&["model"], "b"), "and not there"),
        (
            bringing(&["model=llama"], "a"),
            "workers of kind a that are attached here have something else: model=llama,zone=eu",
        ),
        (bringing(&["tool:sort"], "b"), "tool:sort is not for a worker to say"),
        (bringing(&["worker.x=1"], "b"), "worker.x is not for a worker to say"),
    ] {
        let error = node.register(2, refused).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    node.register(2, bringing(&["model=llama"], "b")).unwrap();
    node.register(3, bringing(&["zone=eu", "model=llama"], "a")).unwrap();
    assert_eq!(node.has(), "model=llama,worker.a=2,worker.b=1,zone=eu");
    node.registry.leave(node.now, id(1)).unwrap();
    node.registry.leave(node.now, id(3)).unwrap();
    assert_eq!(node.has(), "model=llama,worker.b=1,zone=eu");
}

#[test]
fn there_is_a_bound_of_all_that_a_worker_can_make_us_keep() {
    let mut node = Node::new();
    let named = |name: &str| Registration { name: name.into(), ..registration(&["a"], 1) };
    let many: Vec<String> = (0..17).map(|n| format!("k{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let bring: Vec<String> = (0..33).map(|n| format!("c{n}")).collect();
    let bring: Vec<&str> = bring.iter().map(String::as_str).collect();
    for refused in [
        named(""),
        named(&"n".repeat(65)),
        named("a\nb"),
        registration(&[], 1),
        registration(&many, 1),
        registration(&["a", "a"], 1),
        registration(&["a"], 0),
        registration(&["a"], 1_025),
        bringing(&bring, "a"),
    ] {
        let error = node.register(1, refused.clone()).unwrap_err();
        assert!(matches!(error, WorkerError::Malformed(_)), "{refused:?}: {error}");
    }
    for number in 1..=3 {
        node.register(number, registration(&many[..16], 1_024)).unwrap();
    }
    assert_eq!(node.register(4, registration(&["a"], 1)), Err(WorkerError::TooMany { most: 3 }));
    // What does not fit into what a node may say is refused, and leaves nothing behind.
    let mut full = Node::new();
    let long = |letter: &str| -> Vec<String> {
        (0..32).map(|n| format!("{}{n:02}={}", letter.repeat(60), "v".repeat(60))).collect()
    };
    let (a, b) = (long("a"), long("b"));
    let brought = |texts: &[String], kind| bringing(&texts.iter().map(String::as_str).collect::<Vec<_>>(), kind);
    full.register(1, brought(&a, "a")).unwrap();
    let before = full.has();
    assert!(matches!(full.register(2, brought(&b, "b")), Err(WorkerError::TooMuch(_))));
    assert_eq!(full.has(), before);
}
