//! A committee that agrees by Raft, by the command line and under kill -9.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use mesh_proto::genesis::Engine;
use meshd::client::{Ask, Client};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

async fn up(nodes: usize) -> Mesh {
    Mesh::up_with(nodes, |options| {
        options.engine = Engine::Raft;
        // The tests seat whom they mean.
        options.more = "[committee]\nstay = \"1h\"\n".into();
    })
    .await
}

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

/// Takes nodes into the committee, of which node 0 is the first.
async fn seat(mesh: &Mesh, here: &Path, nodes: std::ops::RangeInclusive<usize>) {
    for node in nodes {
        let id = mesh.net.nodes()[node].node.clone();
        let begun = Instant::now();
        let changed = told(ask(mesh, &[0], here, &["committee", "add", &id, "--output", "json"]).await);
        assert_eq!(changed[0]["state"], "done", "{changed:?}");
        println!("node {node} was taken in after {:?}", begun.elapsed());
    }
}

async fn status(mesh: &Mesh, node: usize, here: &Path) -> Value {
    told(ask(mesh, &[node], here, &["consensus", "status", "--output", "json"]).await).remove(0)
}

/// Waits until so many members of the committee say that they vote and know a leader, and `node` knows one. Who that is.
async fn leader(mesh: &Mesh, node: usize, here: &Path, active: u64) -> usize {
    until_some("a leader is known", async || {
        let status = status(mesh, node, here).await;
        let leads = status["replica"]["primary"].as_str().and_then(|primary| mesh.net.number_of(primary));
        leads.filter(|_| status["active"].as_u64() == Some(active))
    })
    .await
}

async fn until_some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < super::PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Puts numbered keys through one node, one after the other, until it is told to stop or one is not acknowledged.
struct Puts {
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<Told>,
}

/// What was acknowledged, with its version; how long the slowest of it took; and the write that was not, if one was not.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<String, u64>,
    longest: Duration,
    failed: Option<String>,
}

impl Puts {
    fn begin(mesh: &Mesh, through: usize, name: &str) -> Self {
        let token = std::fs::read_to_string(mesh.net.token_file()).unwrap().trim().to_owned();
        let client = Client::new(vec![mesh.net.nodes()[through].api()], token);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let name = name.to_owned();
        let task = tokio::spawn(async move {
            let mut told = Told::default();
            for number in 0.. {
                if *stopped.borrow() {
                    break;
                }
                let (key, begun) = (format!("{name}-{number:05}"), Instant::now());
                let put = Ask::put(format!("/v1/memory/app/{key}?wait=60s")).bytes(key.clone().into_bytes());
                match client.ask::<Value>(&put).await {
                    Ok(said) => drop(told.acknowledged.insert(key, said["version"].as_u64().unwrap())),
                    Err(error) => {
                        told.failed = Some(format!("{key}: {error}"));
                        break;
                    }
                }
                told.longest = told.longest.max(begun.elapsed());
            }
            told
        });
        Self { stop, task }
    }

    async fn end(self) -> Told {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }

    /// What there is when its node is gone: with the first put that fails. Nobody tells it to stop, which it could see first.
    async fn broken(self) -> Told {
        self.task.await.unwrap()
    }
}

/// All of the shared memory, as a reader through this node has it: of each key the value and the version.
async fn memory(mesh: &Mesh, node: usize, stale: bool) -> BTreeMap<String, (String, u64)> {
    let token = std::fs::read_to_string(mesh.net.token_file()).unwrap().trim().to_owned();
    let client = Client::new(vec![mesh.net.nodes()[node].api()], token);
    let (mut all, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = format!("/v1/memory/app?limit=1000&wait=60s&stale={stale}{after}");
        let page: Value = client.ask(&Ask::get(page)).await.unwrap_or_else(|error| panic!("{error}"));
        for item in page["items"].as_array().unwrap() {
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            all.insert(text("key"), (text("value"), item["version"].as_u64().unwrap()));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

/// All that was acknowledged is there, as the one write that was acknowledged: a second one had raised its version.
#[track_caller]
fn check(told: &BTreeMap<String, u64>, memory: &BTreeMap<String, (String, u64)>) {
    for (key, version) in told {
        assert_eq!(memory.get(key), Some(&(key.clone(), *version)), "of {}", told.len());
    }
}

#[tokio::test]
async fn one_alone_serves_all_verbs_at_once_and_after_kill_9() {
    let mut mesh = up(2).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    // Node 0 made the network, and is its committee; node 1 asks it.
    let put = ["memory", "put", "--namespace", "app", "jobs/1", "one", "--output", "json"];
    let version = told(ask(&mesh, &[1], at, &put).await)[0]["version"].to_string();
    let get = ["memory", "get", "--namespace", "app", "jobs/1"];
    assert_eq!(ask(&mesh, &[0], at, &get).await.1, "one");
    let cas = ["memory", "cas", "--namespace", "app", "jobs/1", "--expect", &version, "two"];
    assert_eq!(ask(&mesh, &[1], at, &cas).await.0, 0);
    assert_eq!(ask(&mesh, &[1], at, &cas).await.0, 1, "another version is there");
    let list = ["memory", "search", "--namespace", "app", "t*o", "--output", "json"];
    assert_eq!(told(ask(&mesh, &[1], at, &list).await)[0]["value"], "two");
    assert_eq!(ask(&mesh, &[1], at, &["memory", "delete", "--namespace", "app", "jobs/1"]).await.0, 0);
    assert_eq!(ask(&mesh, &[0], at, &get).await.0, 2);

    until("the ledger knows both", || async {
        let probe = ["propose", "--title", "who", "--body", r#"{"a":1}"#, "--electorate", "all"];
        let (_, id, _) = ask(&mesh, &[1], at, &probe).await;
        let shown = ask(&mesh, &[1], at, &["proposal", "show", id.trim(), "--output", "json"]).await;
        told(shown)[0]["electors"] == 2
    })
    .await;
    let propose = ["propose", "--title", "upgrade", "--body", r#"{"to":"0.2"}"#, "--electorate", "all"];
    let (code, id, stderr) = ask(&mesh, &[1], at, &propose).await;
    assert_eq!(code, 0, "{stderr}");
    for (node, said) in [(0, "open"), (1, "accepted")] {
        let (code, stdout, stderr) = ask(&mesh, &[node], at, &["vote", &id[..8], "approve"]).await;
        assert!(code == 0 && stdout.contains(said), "{node}: {stdout}{stderr}");
    }
    let locked = ["lock", "nightly", "--", "sh", "-c", "echo $MESH_FENCE; exit 3"];
    let (code, fence, stderr) = ask(&mesh, &[1], at, &locked).await;
    assert!(code == 3 && fence.trim().parse::<u64>().is_ok(), "{code} {fence}{stderr}");
    // Leases end by agreed time alone, which goes on although nobody asks for anything.
    let held = ["propose", "--title", "short", "--body", r#"{"b":1}"#, "--electorate", "all", "--deadline", "1s"];
    let (_, short, _) = ask(&mesh, &[1], at, &held).await;
    until("the round is over by time", || async {
        let shown = ["proposal", "show", short.trim(), "--stale", "--output", "json"];
        told(ask(&mesh, &[0], at, &shown).await)[0]["state"] != "open"
    })
    .await;
    let unique = ["submit", "--unique", "--echo", "once"];
    assert_eq!(ask(&mesh, &[1], at, &unique).await.1.trim(), "once");

    let said = told(ask(&mesh, &[0], at, &["status", "--output", "json"]).await);
    let verify = ["ledger", "verify", "--network", said[0]["network"].as_str().unwrap()];
    let (code, stdout, stderr) = ask(&mesh, &[1], at, &verify).await;
    assert!(code != 0 && stderr.contains("trust each other"), "{code} {stdout}{stderr}");
    let standing = status(&mesh, 0, at).await;
    assert_eq!((&standing["engine"], &standing["quorum"]), (&"raft".into(), &1.into()), "{standing}");
    assert!(standing["warnings"][0].as_str().is_some_and(|warning| warning.contains("until there are 3")));

    let killed = mesh.net.kill(0);
    mesh.check(killed);
    let (started, whole) = (mesh.net.start(0), mesh.net.wait_answers(0).await);
    mesh.check(started);
    mesh.check(whole);
    let shown = told(ask(&mesh, &[1], at, &["proposal", "show", &id[..8], "--output", "json"]).await);
    assert_eq!(shown[0]["state"], "accepted", "{shown:?}");
}

#[tokio::test]
async fn a_leader_killed_in_a_stream_of_puts_loses_nothing_and_is_replaced() {
    let mut mesh = up(4).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    seat(&mesh, at, 1..=2).await;
    let leads = leader(&mesh, 0, at, 3).await;
    let follower = (0..3).find(|node| *node != leads).unwrap();
    // Through a node that is of the committee, and through one that is not.
    let streams = [Puts::begin(&mesh, follower, "inside"), Puts::begin(&mesh, 3, "outside")];
    until("puts are under way", || async { memory(&mesh, 3, true).await.len() > 100 }).await;
    let killed = mesh.net.kill(leads);
    mesh.check(killed);
    let count = memory(&mesh, follower, true).await.len();
    until("it goes on without it", || async { memory(&mesh, follower, true).await.len() > count + 100 }).await;
    let mut acknowledged = BTreeMap::new();
    for stream in streams {
        let told = stream.end().await;
        assert_eq!(told.failed, None);
        println!("{} puts, the slowest took {:?}", told.acknowledged.len(), told.longest);
        assert!(told.longest < Duration::from_secs(10), "{:?}", told.longest);
        acknowledged.extend(told.acknowledged);
    }
    check(&acknowledged, &memory(&mesh, 3, false).await);
    // Who was killed comes to the same.
    let (started, whole) = (mesh.net.start(leads), mesh.net.wait_answers(leads).await);
    mesh.check(started);
    mesh.check(whole);
    let all = memory(&mesh, 3, false).await;
    until("it has caught up", || async { memory(&mesh, leads, true).await == all }).await;
}

#[tokio::test]
async fn all_three_killed_at_once_go_on_with_all_that_was_acknowledged() {
    let mut mesh = up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    seat(&mesh, at, 1..=2).await;
    let mut acknowledged = BTreeMap::new();
    for round in 0..2 {
        let puts: Vec<Puts> = (0..3).map(|node| Puts::begin(&mesh, node, &format!("{round}-{node}"))).collect();
        let least = acknowledged.len() + 150;
        until("puts are under way", || async { memory(&mesh, 0, true).await.len() > least }).await;
        let killed = mesh.net.kill_all();
        mesh.check(killed);
        for stream in puts {
            let told = stream.broken().await;
            assert!(told.failed.is_some(), "its node is gone");
            acknowledged.extend(told.acknowledged);
        }
        for node in 0..3 {
            let started = mesh.net.start(node);
            mesh.check(started);
        }
        let whole = mesh.net.wait_whole().await;
        mesh.check(whole);
        println!("{} puts were acknowledged", acknowledged.len());
        check(&acknowledged, &memory(&mesh, round % 3, false).await);
    }
    let all = memory(&mesh, 0, false).await;
    for node in 1..3 {
        until("all have the same", || async { memory(&mesh, node, true).await == all }).await;
    }
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn without_a_quorum_it_is_said_and_members_come_and_go() {
    let mut mesh = up(4).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    seat(&mesh, at, 1..=2).await;
    let put = async |mesh: &Mesh, key: &str, wait: &str| {
        ask(mesh, &[3], at, &["memory", "put", "--namespace", "app", key, "v", "--wait", wait]).await
    };
    assert_eq!(put(&mesh, "before", "30s").await.0, 0);
    leader(&mesh, 0, at, 3).await;
    for node in [1, 2] {
        let killed = mesh.net.kill(node);
        mesh.check(killed);
    }
    let (code, _, stderr) = put(&mesh, "never", "3s").await;
    assert!(code == 75 && stderr.contains("Idempotency-Key"), "{code} {stderr}");
    for node in [0, 3] {
        let said = status(&mesh, node, at).await;
        assert_eq!((&said["quorum"], &said["faults_tolerated"]), (&2.into(), &1.into()), "{said}");
        assert_eq!(said["members"].as_array().map(Vec::len), Some(3), "{said}");
        assert!(said["active"].as_u64().is_some_and(|active| active < 2), "{said}");
        assert_eq!(said["faults_tolerated_now"], 0, "{said}");
    }
    let stale = ["memory", "get", "--namespace", "app", "before", "--stale"];
    assert_eq!(ask(&mesh, &[3], at, &stale).await.1, "v");
    let (started, whole) = (mesh.net.start(1), mesh.net.wait_answers(1).await);
    mesh.check(started);
    mesh.check(whole);
    assert_eq!(put(&mesh, "again", "60s").await.0, 0);

    // Who is gone for good is replaced: the new one first.
    seat(&mesh, at, 3..=3).await;
    let gone = mesh.net.nodes()[2].node.clone();
    told(ask(&mesh, &[3], at, &["committee", "remove", &gone, "--output", "json"]).await);
    leader(&mesh, 3, at, 3).await;
    // It hears of it when it is back, and stays out; so it does at the next start.
    for _ in 0..2 {
        let (started, whole) = (mesh.net.start(2), mesh.net.wait_answers(2).await);
        mesh.check(started);
        mesh.check(whole);
        let noted = mesh.net.nodes()[2].data_dir.join("raft/resigned");
        until("it has left", || async { noted.exists() && status(&mesh, 2, at).await.get("replica").is_none() }).await;
        assert_eq!(ask(&mesh, &[2], at, &["memory", "get", "--namespace", "app", "again"]).await.1, "v");
        let killed = mesh.net.kill(2);
        mesh.check(killed);
    }
    // One of the three may go, and that is the one that made the network.
    let killed = mesh.net.kill(0);
    mesh.check(killed);
    assert_eq!(put(&mesh, "without the first", "60s").await.0, 0);
    // Back in its place, on the disk that it had.
    let (started, whole) = (mesh.net.start(2), mesh.net.wait_answers(2).await);
    mesh.check(started);
    mesh.check(whole);
    let changed = ask(&mesh, &[1], at, &["committee", "add", &gone, "--output", "json"]).await;
    assert_eq!(told(changed)[0]["state"], "done");
    until("it has caught up", || async { memory(&mesh, 2, true).await.contains_key("without the first") }).await;
}

#[tokio::test]
async fn a_committee_grows_to_three_by_itself() {
    let soon = |options: &mut meshd::testnet::Options| {
        options.engine = Engine::Raft;
        options.more = "[committee]\nstay = \"1s\"\ngone_after = \"3s\"\n".into();
    };
    let mesh = Mesh::up_with(4, soon).await;
    let here = tempfile::tempdir().unwrap();
    until("three are of the committee", || async {
        status(&mesh, 0, here.path()).await["members"].as_array().map(Vec::len) == Some(3)
    })
    .await;
    leader(&mesh, 0, here.path(), 3).await;
}

/// A leader that is started again executes its log anew, and takes nobody out of the committee by what that said long ago.
#[tokio::test]
async fn the_committee_is_whole_however_often_its_leader_is_started_again() {
    let mut mesh = up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    seat(&mesh, at, 1..=2).await;
    for round in 0..4 {
        let puts = Puts::begin(&mesh, 2, &format!("round-{round}"));
        let least = memory(&mesh, 2, true).await.len() + 60;
        until("puts are under way", || async { memory(&mesh, 2, true).await.len() > least }).await;
        let leads = leader(&mesh, 2, at, 3).await;
        let told = puts.end().await;
        assert_eq!(told.failed, None);
        // The one that made the network as well, which began as all of the committee.
        for node in BTreeSet::from([leads, 0]) {
            let killed = mesh.net.kill(node);
            mesh.check(killed);
            let (started, whole) = (mesh.net.start(node), mesh.net.wait_answers(node).await);
            mesh.check(started);
            mesh.check(whole);
        }
        leader(&mesh, 2, at, 3).await;
    }
    for node in 0..3 {
        assert!(!mesh.net.nodes()[node].data_dir.join("raft/resigned").exists(), "node {node} was taken out");
    }
}
