//! What a command may do to a node, and may not: real processes under the guard of the real binary.
//!
//! Each test runs at every level of containment that this system gives, as what holds here must hold where containers
//! refuse namespaces. No test sleeps for a time that "should do": each waits for a condition.

mod bench;
mod builtins;
mod containment;
mod death;
mod fence;
mod files;
mod limits;
mod mesh;

use mesh::Mesh;
use meshd::executor::{Failure, Level, Outcome, Output, Status};
use std::time::{Duration, Instant};

const LEVELS: [Level; 2] = [Level::Namespace, Level::Subreaper];

/// Long enough for a loaded machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn text(output: &Output) -> String {
    match output {
        Output::Inline(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Output::File { path, .. } => std::fs::read_to_string(path).expect("outputs live as long as the outcome"),
    }
}

#[track_caller]
fn failure(outcome: &Outcome) -> &Failure {
    match &outcome.status {
        Status::Failed(failure) => failure,
        other => panic!("{other:?}, stderr {}", text(&outcome.stderr)),
    }
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes whose arguments contain `mark`, which no other process has: how tests see what was left behind.
fn with_argument(mark: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).split('\0').any(|word| word.contains(mark)))
    })
    .collect()
}
