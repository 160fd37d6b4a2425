use super::{Mesh, failure, text};
use bytes::Bytes;
use meshd::executor::{ExecutorEvent, Failure, Level, Output, Program, RunError, Source, Status};
use std::time::{Duration, Instant};

fn mesh() -> Mesh {
    Mesh::with(Level::Namespace, |config| config.exec = None)
}

#[test]
fn echo_and_sha256_end_inside_the_call() {
    let mut mesh = mesh();
    let mut echo = mesh.run_of(Program::Echo);
    echo.stdin = Source::Inline(Bytes::from_static(b"abc"));
    let mut hash = echo.clone();
    hash.program = Program::Sha256;
    let outcome = mesh.executors.run(echo).unwrap().expect("at once");
    assert_eq!((outcome.status, outcome.stdout), (Status::Exit(0), Output::Inline("abc".into())));
    let outcome = mesh.executors.run(hash).unwrap().expect("at once");
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    assert_eq!(text(&outcome.stdout), expected);
}

#[test]
fn large_inputs_go_through_files() {
    let mut mesh = mesh();
    let input = mesh.directory.path().join("input");
    let content = vec![7; 3 << 20];
    std::fs::write(&input, &content).unwrap();
    let mut echo = mesh.run_of(Program::Echo);
    echo.stdin = Source::File(input.clone());
    let mut hash = mesh.run_of(Program::Sha256);
    hash.stdin = Source::File(input.clone());
    let outcome = mesh.finish(echo);
    let Output::File { path, len, truncated: false } = &outcome.stdout else { panic!("{outcome:?}") };
    assert_eq!((*len, std::fs::read(path).unwrap() == content), (3 << 20, true));
    assert_ne!(path, &input, "a copy: dropping the outcome removes it");
    drop(outcome);
    assert_eq!(mesh.left(), Vec::<std::path::PathBuf>::new());
    assert_eq!(mesh.finish(hash).stdout.len(), 65);
    assert!(input.exists());
}

/// A thread that waits for a writer in `open` is lost to the runtime.
#[test]
fn a_pipe_as_input_fails_at_once() {
    let mut mesh = mesh();
    let pipe = mesh.directory.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for program in [Program::Echo, Program::Sha256] {
        let mut run = mesh.run_of(program);
        run.stdin = Source::File(pipe.clone());
        let outcome = mesh.finish(run);
        let Failure::Prepare { what, error } = failure(&outcome) else { panic!("{outcome:?}") };
        assert_eq!((what.as_str(), error.as_str()), ("input", "not a regular file"));
    }
}

#[test]
fn sleep_takes_a_slot_and_can_be_cancelled() {
    let mut mesh = mesh();
    let sleep = Program::Sleep(Duration::from_secs(3600));
    let (first, second, third) =
        (mesh.run_of(sleep.clone()), mesh.run_of(sleep), mesh.run_of(Program::Sleep(Duration::ZERO)));
    let (one, two) = (first.task, second.task);
    assert!(mesh.executors.run(first.clone()).unwrap().is_none());
    assert_eq!(mesh.executors.run(first).unwrap_err(), RunError::Duplicate { task: one, attempt: 1 });
    assert!(mesh.executors.run(second).unwrap().is_none());
    assert_eq!(mesh.executors.run(third.clone()).unwrap_err(), RunError::Busy { slots: 2 });
    assert!(mesh.executors.cancel(one, 1));
    assert_eq!(failure(&mesh.end_of(one, 1)), &Failure::Cancelled);
    assert!(!mesh.executors.cancel(one, 1));
    // The slot is free as soon as the end is told.
    assert_eq!(mesh.finish(third).status, Status::Exit(0));
    assert!(mesh.executors.cancel(two, 1));
    assert!(matches!(mesh.event(), ExecutorEvent::Finished { .. }));
}

#[test]
fn sleep_ends_at_its_time_limit() {
    let mut mesh = mesh();
    let mut sleep = mesh.run_of(Program::Sleep(Duration::from_secs(3600)));
    sleep.time_limit = Duration::from_millis(30);
    assert_eq!(failure(&mesh.finish(sleep)), &Failure::TimeLimit { limit_ms: 30 });
}

#[test]
fn without_commands_the_refusal_says_so() {
    let mut mesh = mesh();
    let run = mesh.exec(&["true"]);
    let outcome = mesh.executors.run(run).unwrap().expect("at once");
    assert!(failure(&outcome).to_string().contains("commands are off"), "{outcome:?}");
}

/// Nearly free: a node that does 10,000 echoes a second must not notice this part. Printed rather than asserted
/// closely, as the machine may be loaded.
#[test]
fn an_echo_costs_microseconds() {
    let mut mesh = mesh();
    let mut echo = mesh.run_of(Program::Echo);
    echo.stdin = Source::Inline(vec![1; 100].into());
    let start = Instant::now();
    for _ in 0..100_000 {
        assert!(mesh.executors.run(echo.clone()).unwrap().is_some());
    }
    let each = start.elapsed() / 100_000;
    eprintln!("echo of 100 bytes: {each:?}");
    assert!(each < Duration::from_micros(50), "{each:?}");
}
