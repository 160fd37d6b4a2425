//! What a newcomer types first, to its end: the demo, the testnet that it leaves, and a bench.

use super::verbs::{lines, run};
use super::{TURN, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Without a data directory or a node of its own.
fn meshd(tmp: &Path, words: &[&str]) -> Command {
    let mut meshd = Command::new(env!("CARGO_BIN_EXE_meshd"));
    meshd.args(words).env("TMPDIR", tmp).stdin(Stdio::null());
    meshd
}

async fn ok(tmp: &Path, words: &[&str]) -> Vec<Value> {
    let (code, stdout, stderr) = run(meshd(tmp, words)).await;
    assert_eq!(code, 0, "{words:?}: {stdout}{stderr}");
    lines(&stdout)
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_demo_does_the_main_job_and_leaves_a_testnet_to_play_with() {
    let _turn = TURN.lock().await;
    let tmp = tempfile::tempdir().unwrap();
    let demo = ["demo", "--nodes", "4", "--files", "60", "--keep", "--output", "json"];
    let report = ok(tmp.path(), &demo).await.remove(0);
    assert_eq!((&report["tasks"], &report["wrong"]), (&60.into(), &Value::Array(Vec::new())), "{report}");
    let shares = report["nodes"].as_array().unwrap();
    let ran: u64 = shares.iter().map(|share| share["ran"].as_u64().unwrap()).sum();
    assert_eq!((shares.len(), ran), (4, 60), "{report}");
    let victim = report["killed"]["node"].as_u64().expect("one was killed").to_string();
    assert!(report["killed"]["ended"].as_u64().unwrap() >= 24, "{report}");
    let dir = report["kept"].as_str().expect("where it is").to_owned();

    let states = async || -> Vec<String> {
        let rows = ok(tmp.path(), &["testnet", "status", "--dir", &dir, "--output", "json"]).await;
        rows.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
    };
    let are = async |what: &str, state: &str| {
        until(what, || async { states().await[victim.parse::<usize>().unwrap()] == state }).await;
    };
    are("the victim is still down", "down").await;
    for (verb, state) in [("restart", "ready"), ("stop", "silent"), ("cont", "ready"), ("kill", "down")] {
        ok(tmp.path(), &["testnet", verb, &victim, "--dir", &dir]).await;
        are(verb, state).await;
    }
    ok(tmp.path(), &["testnet", "down", "--dir", &dir]).await;
    assert!(!Path::new(&dir).exists(), "its files are left");
    let (code, _, stderr) = run(meshd(tmp.path(), &["testnet", "status", "--dir", &dir])).await;
    assert!(code != 0 && stderr.contains("testnet up"), "{code}: {stderr}");
}

#[tokio::test]
async fn a_bench_counts_every_task_though_all_nodes_are_killed_on_the_way() {
    let _turn = TURN.lock().await;
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().display().to_string();
    let bench = ["bench", "tasks", "--nodes", "3", "--count", "600", "--kill-all-at", "0.5", "--output", "json"];
    let figures = ok(tmp.path(), &[&bench[..], &["--dir", &dir]].concat()).await.remove(0);
    let keys: BTreeSet<&str> = figures.as_object().unwrap().keys().map(String::as_str).collect();
    for key in [
        "bench",
        "nodes",
        "replicas",
        "durable",
        "payload_bytes",
        "count",
        "throughput_per_s",
        "p50_ms",
        "p90_ms",
        "p99_ms",
        "cpu_us_per_op",
        "fsync_per_op",
        "rss_mib_per_node",
        "settings",
    ] {
        assert!(keys.contains(key), "no {key}: {figures}");
    }
    assert_eq!((&figures["count"], &figures["lost"], &figures["duplicates"]), (&600.into(), &0.into(), &0.into()));
    assert!(figures["longest_gap_ms"].as_f64().unwrap() > 0.0 && figures["throughput_per_s"].as_f64().unwrap() > 0.0);
    assert!(std::fs::read_dir(tmp.path()).unwrap().next().is_none(), "something is left");
}
