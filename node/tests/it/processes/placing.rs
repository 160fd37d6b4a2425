//! Who runs a task, and why: strategies, auctions, handing over, and what people are told of it.

use super::verbs::{lines, meshd, run};
use super::{Mesh, PATIENCE, job, until};
use meshd::api::submission::ProgramSpec;
use meshd::api::terms::Way;
use meshd::testnet::Tracker;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

async fn ask(mesh: &Mesh, node: usize, here: &Path, words: &[&str]) -> (i32, String, String) {
    run(meshd(mesh, &[node], here, words)).await
}

#[track_caller]
fn told((code, stdout, stderr): (i32, String, String)) -> Vec<Value> {
    assert_eq!(code, 0, "{stdout}{stderr}");
    lines(&stdout)
}

async fn mesh(slots: u32) -> (Mesh, tempfile::TempDir) {
    let mesh = Mesh::up_with(3, |options| options.slots = vec![slots]).await;
    (mesh, tempfile::tempdir().unwrap())
}

#[tokio::test]
async fn an_auctioned_task_goes_to_the_best_bid_and_its_bids_are_shown() {
    let (mut mesh, here) = mesh(2).await;
    let at = here.path();
    let submit = ["--output", "json", "submit", "--strategy", "auction", "--exec", "--", "true"];
    let task = told(ask(&mesh, 0, at, &submit).await)[0]["task"].as_str().unwrap().to_owned();
    let shown = told(ask(&mesh, 1, at, &["--output", "json", "auction", "show", &task[..8]]).await).remove(0);
    let auction = &shown["auctions"][0];
    assert_eq!((&auction["asked"], &auction["bid"]), (&3.into(), &3.into()), "{shown:#}");
    assert_eq!(auction["auctioneer"], mesh.net.nodes()[0].node, "{shown:#}");
    assert!(auction["took_ms"].as_u64().is_some_and(|took| took < 250), "all had answered: {shown:#}");
    let best = &auction["bids"][0];
    assert_eq!((&auction["winner"], &best["idle"]), (&best["node"], &1.0.into()), "{shown:#}");
    // Each says how much of the machine's memory is free: some is not.
    let memory = |bid: &Value| bid["memory"].as_f64().is_some_and(|free| free > 0.0 && free < 1.0);
    assert!(auction["bids"].as_array().unwrap().iter().all(memory), "{shown:#}");
    let info = told(ask(&mesh, 2, at, &["--output", "json", "task", "show", &task]).await).remove(0);
    assert_eq!((&info["result"]["node"], &info["spec"]["strategy"]), (&auction["winner"], &"auction".into()));
    let (code, text, _) = ask(&mesh, 0, at, &["auction", "show", &task]).await;
    assert!(code == 0 && text.contains("3 of 3 bid") && text.contains("capability"), "{text}");

    // One that is frozen does not bid: it is waited for as long as bids are taken, and no longer.
    let frozen = mesh.net.stop(2);
    mesh.check(frozen);
    let submit = ["--output", "json", "submit", "--detach", "--strategy", "auction", "--sleep", "10ms"];
    let begun = Instant::now();
    let task = told(ask(&mesh, 0, at, &submit).await)[0]["task"].as_str().unwrap().to_owned();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let back = mesh.net.cont(2);
    mesh.check(back);
    let shown = told(ask(&mesh, 0, at, &["--output", "json", "auction", "show", &task]).await).remove(0);
    let auction = &shown["auctions"][0];
    assert_eq!((&auction["asked"], &auction["bid"]), (&3.into(), &2.into()), "{shown:#}");
    assert!(auction["took_ms"].as_u64().is_some_and(|took| took >= 250), "{shown:#}");
}

/// All that is given to one node is not left to it.
#[tokio::test]
async fn what_is_given_to_one_of_three_is_run_by_all() {
    let (mesh, _here) = mesh(2).await;
    let count = 90;
    let mut given = job("uneven", ProgramSpec::Sleep { ms: 100 }, count);
    given.header.terms.strategy = Way::Local;
    given.items.iter_mut().for_each(|item| item.stdin = None);
    let begun = Instant::now();
    let (mut gateways, mut tracker) = (mesh.net.gateways(&[0]).unwrap(), Tracker::new(count));
    let carried = given.carry(&mut gateways, &mut tracker, &mut |_| Ok(())).await;
    mesh.check(carried);
    let took = begun.elapsed();
    assert_eq!((tracker.open(), tracker.contradictions.len()), (0, 0));
    let mut ran: BTreeMap<String, usize> = BTreeMap::new();
    for told in tracker.told().iter().flatten() {
        *ran.entry(told.result.node.clone().unwrap_or_default()).or_default() += 1;
    }
    println!("{count} tasks of 100 ms on three nodes of two slots took {took:?}: {ran:?}");
    assert_eq!(ran.len(), 3, "{ran:?}");
    assert!(ran.values().all(|tasks| *tasks >= count / 6), "each ran at least half of its share: {ran:?}");
    assert!(took < Duration::from_millis(100 * 90 / 2), "one alone takes as long: {took:?}");
}

#[tokio::test]
async fn what_waits_or_failed_is_explained_and_run_again() {
    let (mesh, here) = mesh(2).await;
    let at = here.path();
    let explain =
        async |task: &str| told(ask(&mesh, 1, at, &["--output", "json", "task", "explain", task]).await).remove(0);
    let submit = ["submit", "--detach", "--require", "gpu>=1", "--exec", "--", "sha256sum"];
    let (code, waiting, stderr) = ask(&mesh, 0, at, &submit).await;
    assert_eq!(code, 0, "{stderr}");
    let begun = Instant::now();
    let info = loop {
        let info = explain(waiting.trim()).await;
        if info["why"].as_str().is_some_and(|why| why.contains("gpu>=1 (lacked by 3)")) {
            break info;
        }
        assert!(begun.elapsed() < PATIENCE, "{info:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(info["candidates"].as_array().map(Vec::len), Some(3), "{info:#}");
    assert!(info["candidates"].as_array().unwrap().iter().all(|one| one["against"][0] == "lacks gpu>=1"), "{info:#}");
    let (code, text, _) = ask(&mesh, 0, at, &["task", "explain", waiting.trim()]).await;
    assert!(code == 0 && text.contains("lacks gpu>=1") && text.contains("candidates"), "{text}");

    // One that fails is a dead letter of its own doing; it is run again as another, once.
    let (_, failed, _) = ask(&mesh, 0, at, &["submit", "--detach", "--exec", "--", "false"]).await;
    let failed = failed.trim().to_owned();
    assert_ne!(ask(&mesh, 0, at, &["task", "result", "--wait", &failed]).await.0, 0);
    let info = explain(&failed).await;
    assert!(info["why"].as_str().is_some_and(|why| why.contains("failed") && why.contains("exit code 1")), "{info:#}");
    assert!(!info["decisions"].as_array().unwrap().is_empty(), "{info:#}");
    let retried = told(ask(&mesh, 1, at, &["--output", "json", "task", "retry", &failed]).await).remove(0);
    let again = told(ask(&mesh, 2, at, &["--output", "json", "task", "retry", &failed]).await).remove(0);
    assert_eq!(
        (&retried["task"], &retried["existing"], &again["existing"]),
        (&again["task"], &false.into(), &true.into())
    );
    assert_ne!(retried["task"], failed.as_str());
    assert_eq!(ask(&mesh, 0, at, &["task", "result", "--wait", retried["task"].as_str().unwrap()]).await.0, 1);
    let (code, _, stderr) = ask(&mesh, 0, at, &["task", "retry", waiting.trim()]).await;
    assert!(code != 0 && stderr.contains("has not ended"), "{code}: {stderr}");
    let done = told(ask(&mesh, 0, at, &["--output", "json", "submit", "--echo", "x"]).await).remove(0);
    let (code, _, stderr) = ask(&mesh, 0, at, &["task", "retry", done["task"].as_str().unwrap()]).await;
    assert!(code != 0 && stderr.contains("is done"), "{code}: {stderr}");
    until("cancelled", || async {
        ask(&mesh, 0, at, &["task", "cancel", waiting.trim()]).await;
        explain(waiting.trim()).await["state"] == "cancelled"
    })
    .await;
}
