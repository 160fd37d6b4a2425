//! What the committee decides, by the command line, through nodes that are not in it.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A verb through these nodes.
async fn ask(mesh: &Mesh, order: &[usize], here: &Path, words: &[&str]) -> (i32, String, String) {
    run(meshd(mesh, order, here, words)).await
}

/// A verb that must do what it says, as JSON.
#[track_caller]
fn told((code, stdout, stderr): (i32, String, String)) -> Vec<Value> {
    assert_eq!(code, 0, "{stdout}{stderr}");
    lines(&stdout)
}

#[tokio::test]
async fn memory_votes_and_locks_are_had_through_any_node() {
    let mut mesh = Mesh::up(5).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();

    // Node 0 made the network, and is its committee.
    let put = ["memory", "put", "--namespace", "app", "jobs/1", "one\n", "--output", "json"];
    let version = told(ask(&mesh, &[4], at, &put).await)[0]["version"].to_string();
    let get = ["memory", "get", "--namespace", "app", "jobs/1"];
    assert_eq!(ask(&mesh, &[3], at, &get).await, (0, "one\n".into(), String::new()));
    let cas = |expect: String, value: &str| {
        ["memory", "cas", "--namespace", "app", "jobs/1", "--expect", &expect, value].map(str::to_owned)
    };
    let swap = async |expect: &str, value: &str| {
        let words = cas(expect.to_owned(), value);
        ask(&mesh, &[2], at, &words.each_ref().map(String::as_str)).await
    };
    assert_eq!(swap("absent", "two").await.0, 1);
    assert_eq!(swap(&version, "two").await.0, 0);
    let (code, _, stderr) = swap(&version, "three").await;
    assert!(code == 1 && stderr.contains("version"), "{stderr}");
    let list = ["memory", "search", "--namespace", "app", "t*o", "--output", "json"];
    assert_eq!(told(ask(&mesh, &[1], at, &list).await)[0]["value"], "two");
    // Behind at most for a moment.
    let stale = [&get[..], &["--stale"]].concat();
    assert_eq!(ask(&mesh, &[4], at, &stale).await.0, 0);
    assert_eq!(ask(&mesh, &[4], at, &["memory", "get", "--namespace", "app", "nothing"]).await.0, 2);

    // Of all nodes, once the ledger knows them.
    until("the ledger knows all five", || async {
        let probe = ["propose", "--title", "who", "--body", r#"{"a":1}"#, "--electorate", "all"];
        let (_, id, _) = ask(&mesh, &[4], at, &probe).await;
        let shown = ask(&mesh, &[4], at, &["proposal", "show", id.trim(), "--output", "json"]).await;
        told(shown)[0]["electors"] == 5
    })
    .await;
    let propose = ["propose", "--title", "upgrade", "--body", r#"{"to":"0.2"}"#, "--electorate", "all"];
    let (code, id, stderr) = ask(&mesh, &[3], at, &propose).await;
    assert_eq!(code, 0, "{stderr}");
    let id = &id[..8];
    for (node, said) in [(0, "open"), (1, "open"), (2, "open"), (3, "accepted")] {
        let (code, stdout, stderr) = ask(&mesh, &[node], at, &["vote", id, "approve"]).await;
        let voter = &mesh.net.nodes()[node].node;
        assert!(code == 0 && stdout.contains(said) && stdout.contains(voter), "{node}: {stdout}{stderr}");
    }
    assert_eq!(ask(&mesh, &[4], at, &["vote", id, "reject"]).await.0, 1, "it is decided");
    let shown = told(ask(&mesh, &[1], at, &["proposal", "show", id, "--output", "json"]).await);
    assert_eq!((&shown[0]["state"], &shown[0]["approve"]), (&"accepted".into(), &4.into()), "{shown:?}");
    assert_eq!(ask(&mesh, &[4], at, &["proposal", "watch", id]).await.0, 0);

    locks(&mut mesh, at).await;
}

/// Ends the mesh's committee.
async fn locks(mesh: &mut Mesh, at: &Path) {
    let (code, stdout, stderr) =
        ask(mesh, &[4], at, &["lock", "nightly", "--", "sh", "-c", "echo $MESH_FENCE; exit 3"]).await;
    assert_eq!(code, 3, "{stderr}");
    let first: u64 = stdout.trim().parse().unwrap();

    // A shell that takes its time to end, and does not hear the first word.
    let script = "trap '' TERM; echo $MESH_FENCE > fence; sleep 120 & wait; sleep 120";
    let words = ["lock", "nightly", "--lease", "5s", "--", "sh", "-c", script];
    let holding = meshd(mesh, &[4], at, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let fence = || std::fs::read_to_string(at.join("fence")).ok().and_then(|fence| fence.trim().parse::<u64>().ok());
    until("the lock is held", || async { fence().is_some() }).await;
    assert!(fence().unwrap() > first);
    let begun = Instant::now();
    let (code, _, stderr) = ask(mesh, &[3], at, &["lock", "nightly", "--wait", "8s", "--", "true"]).await;
    assert!(code == 75 && begun.elapsed() >= Duration::from_secs(8), "renewed meanwhile: {code} {stderr}");

    // Without a committee nothing is renewed, and the command does not outlive its lease.
    let killed = mesh.net.kill(0);
    mesh.check(killed);
    let begun = Instant::now();
    let output = tokio::task::spawn_blocking(move || holding.wait_with_output()).await.unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(137) && stderr.contains("the lock is lost"), "{:?} {stderr}", output.status);
    // 5 s of lease, 2 s of grace, and what it takes to give the lock up.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_committee_of_four_goes_on_without_one_and_says_that_it_cannot_without_two() {
    let mut mesh = Mesh::up(5).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let faults = async |mesh: &Mesh, node: usize| {
        let figures = figures(mesh, node).await;
        (figures["mesh_consensus_faults_tolerated"], figures["mesh_consensus_faults_tolerated_now"])
    };
    assert_eq!(faults(&mesh, 0).await, (0.0, 0.0));
    for node in 1..=3 {
        let id = mesh.net.nodes()[node].node.clone();
        let changed = told(ask(&mesh, &[0], at, &["committee", "add", &id, "--output", "json"]).await);
        assert_eq!(changed[0]["state"], "done", "{changed:?}");
        println!("a committee of {}: {}", node + 1, changed[0]["committee"]["epoch"]);
    }
    let committee = told(ask(&mesh, &[4], at, &["committee", "list", "--output", "json"]).await);
    assert_eq!(committee[0]["members"].as_array().map(Vec::len), Some(4), "{committee:?}");
    // None of the four alone, but for the maker.
    let last = mesh.net.nodes()[4].node.clone();
    let (code, stdout, stderr) = ask(&mesh, &[1], at, &["committee", "add", &last]).await;
    assert!(code == 0 && stdout.contains("1 of the 2"), "{stdout}{stderr}");
    assert_eq!(ask(&mesh, &[4], at, &["committee", "remove", &last[last.len() - 8..]]).await.0, 0, "it is so already");

    let put = async |mesh: &Mesh, key: &str, wait: &str| {
        ask(mesh, &[4], at, &["memory", "put", "--namespace", "app", key, "v", "--wait", wait]).await
    };
    assert_eq!(put(&mesh, "before", "30s").await.0, 0);
    let primary = primary(&mesh, at).await;
    until("the primary is named outside of the committee", || async {
        let status = told(ask(&mesh, &[4], at, &["consensus", "status", "--output", "json"]).await);
        status[0]["primary"] == *mesh.net.nodes()[primary].node.as_str()
    })
    .await;
    let left: Vec<usize> = (0..4).filter(|node| *node != primary).collect();
    // Inside of the committee and outside.
    for node in [left[0], 4] {
        until("one may fail", || async { faults(&mesh, node).await == (1.0, 1.0) }).await;
    }
    let before = figures(&mesh, left[0]).await;
    let killed = mesh.net.kill(primary);
    mesh.check(killed);
    let begun = Instant::now();
    let (code, _, stderr) = put(&mesh, "after", "60s").await;
    assert_eq!(code, 0, "{stderr}");
    println!("the primary died: the next write took {:?}", begun.elapsed());
    for node in [left[0], 4] {
        until("none more may fail", || async { faults(&mesh, node).await == (1.0, 0.0) }).await;
    }
    moved(&mesh, &before, left[0]).await;
    // Of three that are expected each decision has two votes, as one is dead.
    let then = figures(&mesh, left[0]).await;
    for key in ["a", "b", "c"] {
        assert_eq!(put(&mesh, key, "30s").await.0, 0);
    }
    let since = |now: &BTreeMap<String, f64>, event| event_of(now, event) - event_of(&then, event);
    until("votes are counted", || async { since(&figures(&mesh, left[0]).await, "votes_expected") > 0.0 }).await;
    let now = figures(&mesh, left[0]).await;
    assert!(since(&now, "votes") < since(&now, "votes_expected"), "{then:?} {now:?}");

    let killed = mesh.net.kill(left[2]);
    mesh.check(killed);
    let (code, _, stderr) = put(&mesh, "never", "3s").await;
    assert!(code == 75 && stderr.contains("Idempotency-Key"), "{code} {stderr}");
    let status = told(ask(&mesh, &[4], at, &["consensus", "status", "--output", "json"]).await);
    assert_eq!((&status[0]["quorum"], status[0]["members"].as_array().map(Vec::len)), (&3.into(), Some(4)));
    assert!(status[0]["active"].as_u64().is_some_and(|active| active < 3), "{status:?}");
    assert_eq!((&status[0]["faults_tolerated"], &status[0]["faults_tolerated_now"]), (&1.into(), &0.into()));
    let stale = ["memory", "get", "--namespace", "app", "after", "--stale"];
    // Node 4 follows, and is behind for a moment.
    until("the own ledger has it", || async { ask(&mesh, &[4], at, &stale).await == (0, "v".into(), String::new()) })
        .await;

    // With one back it goes on where it was.
    let (started, whole) = (mesh.net.start(left[2]), mesh.net.wait_answers(left[2]).await);
    mesh.check(started);
    mesh.check(whole);
    let (code, _, stderr) = put(&mesh, "again", "60s").await;
    assert_eq!(code, 0, "{stderr}");
}

/// Of the committee, who leads it as node 0 sees it.
async fn primary(mesh: &Mesh, at: &Path) -> usize {
    let status = told(ask(mesh, &[0], at, &["consensus", "status", "--output", "json"]).await);
    let primary = status[0]["replica"]["primary"].as_str().expect("node 0 is a member").to_owned();
    let place = mesh.net.nodes().iter().position(|node| node.node == primary);
    place.expect("a node of the mesh")
}

async fn figures(mesh: &Mesh, node: usize) -> BTreeMap<String, f64> {
    let gateways = mesh.check(mesh.net.gateways(&[node]));
    gateways.metrics(0).await.expect("metrics")
}

fn event_of(figures: &BTreeMap<String, f64>, event: &str) -> f64 {
    figures.get(&format!("mesh_consensus_events_total{{event=\"{event}\"}}")).copied().unwrap_or_default()
}

/// A change of view, and the votes of it, are on the metrics of a member that is left; half a second old at most.
async fn moved(mesh: &Mesh, before: &BTreeMap<String, f64>, node: usize) {
    until("a view change and its votes are counted", || async {
        let now = figures(mesh, node).await;
        ["entered_views", "votes"].into_iter().all(|event| event_of(&now, event) > event_of(before, event))
    })
    .await;
    // The gateway that asked has its decisions in the histogram.
    let asked = figures(mesh, 4).await;
    assert!(asked["mesh_consensus_decision_latency_seconds_count"] >= 2.0, "{asked:?}");
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_committee_grows_by_itself_and_replaces_who_is_gone() {
    let soon = |options: &mut meshd::testnet::Options| {
        options.more = "[committee]\nstay = \"2s\"\ngone_after = \"3s\"\n".into();
    };
    let mut mesh = Mesh::up_with(5, soon).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let ids: Vec<String> = mesh.net.nodes().iter().map(|node| node.node.clone()).collect();
    let members = async |mesh: &Mesh| -> Vec<usize> {
        let listed = told(ask(mesh, &[0], at, &["committee", "list", "--output", "json"]).await);
        let seats = listed[0]["members"].as_array().expect("members").clone();
        let at = |seat: &Value| ids.iter().position(|id| seat["node"] == *id.as_str()).expect("a node of the mesh");
        seats.iter().map(at).collect()
    };
    // The one that made the network, and three of four.
    until("four are of the committee", || async { members(&mesh).await.len() == 4 }).await;
    let four = members(&mesh).await;
    let (outside, gone) = ((1..5).find(|node| !four.contains(node)).unwrap(), *four.iter().max().unwrap());
    println!("the committee is {four:?}; {gone} dies, {outside} is to take its place");
    let killed = mesh.net.kill(gone);
    mesh.check(killed);
    until("the other one has its place", || async {
        let now = members(&mesh).await;
        now.len() == 4 && now.contains(&outside) && !now.contains(&gone)
    })
    .await;
}
