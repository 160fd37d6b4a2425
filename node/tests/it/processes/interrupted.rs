//! Ctrl-C on what starts nodes of its own: neither they nor what they wrote is left behind.

use super::verbs::{end_with, interrupt};
use super::{TURN, until};
use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

#[tokio::test]
async fn a_demo_that_is_left_takes_its_nodes_along() {
    let _turn = TURN.lock().await;
    let tmp = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_meshd"));
    demo.args(["demo", "--keep", "--nodes", "3", "--files", "300"]).env("TMPDIR", tmp.path());
    let mut demo = demo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(demo.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("nodes are up") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    assert!(nodes_below(tmp.path()) >= 3);
    let (code, _) = interrupt(demo).await;
    assert_eq!(code, 130);
    nothing_is_left(tmp.path()).await;
}

#[tokio::test]
async fn a_bench_that_is_left_takes_its_nodes_along() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        bench_that_gets(signal, code).await;
    }
}

async fn bench_that_gets(signal: Signal, expected: i32) {
    let _turn = TURN.lock().await;
    let tmp = tempfile::tempdir().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_meshd"));
    bench.args(["bench", "tasks", "--nodes", "2", "--count", "1000000", "--dir"]).arg(tmp.path());
    let bench = bench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("its nodes run", || async { nodes_below(tmp.path()) >= 2 }).await;
    let (code, stderr) = end_with(signal, bench).await;
    assert_eq!(code, expected, "{stderr}");
    nothing_is_left(tmp.path()).await;
}

async fn nothing_is_left(dir: &Path) {
    until("the nodes have ended", || async { nodes_below(dir) == 0 }).await;
    let left: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Processes that have a path below `dir` among their arguments, and run nodes.
fn nodes_below(dir: &Path) -> usize {
    let dir = dir.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            let line = String::from_utf8_lossy(line);
            let words: Vec<&str> = line.split('\0').collect();
            words.contains(&"run") && words.iter().any(|word| word.starts_with(dir))
        })
        .count()
}
