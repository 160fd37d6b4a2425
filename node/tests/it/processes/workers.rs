//! Programs as workers: the one in `examples`, and ones that the test plays itself, on real nodes.

use super::verbs::{lines, meshd, run};
use super::{Mesh, PATIENCE, until};
use meshd::client::{Ask, Client, ClientError};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/worker.py");

/// A process that is killed with the test.
struct Worker(Child);

impl Worker {
    fn start(mesh: &Mesh, node: usize) -> Self {
        let mut python = Command::new("python3");
        python.arg(PROGRAM).env("API", mesh.net.nodes()[node].api()).env("TOKEN_FILE", mesh.net.token_file());
        let child = python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("python3, for the worker of `examples`"))
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("a worker was not ended: {error}");
        }
    }
}

async fn mesh() -> Mesh {
    Mesh::up_with(3, |options| options.more = "[workers]\nlease = '2s'\n".into()).await
}

async fn ask(mesh: &Mesh, here: &Path, node: usize, words: &[&str]) -> String {
    let (code, stdout, stderr) = run(meshd(mesh, &[node], here, words)).await;
    assert_eq!(code, 0, "{words:?}: {stdout}{stderr}");
    stdout
}

async fn workers(mesh: &Mesh, here: &Path, node: usize) -> Vec<Value> {
    lines(&ask(mesh, here, node, &["--output", "json", "worker", "list"]).await)
}

/// The task that a worker of this node has and has begun, if it has one.
async fn at_work(mesh: &Mesh, here: &Path, node: usize) -> Option<Value> {
    let rows = workers(mesh, here, node).await;
    let begun = |task: &&Value| task["percent"].as_f64().is_some_and(|percent| percent >= 10.0);
    rows.iter().flat_map(|row| row["tasks"].as_array().into_iter().flatten()).find(begun).cloned()
}

/// Which of these nodes' workers has begun with something.
async fn whose(mesh: &Mesh, here: &Path, nodes: &[usize]) -> usize {
    let begun = Instant::now();
    loop {
        for node in nodes {
            if at_work(mesh, here, *node).await.is_some() {
                return *node;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "no worker has begun");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn result(mesh: &Mesh, here: &Path, task: &str) -> Value {
    lines(&ask(mesh, here, 0, &["--output", "json", "task", "result", "--wait", task]).await).remove(0)
}

/// All nodes know that this one has a worker of that kind.
async fn is_told(mesh: &Mesh, here: &Path, node: usize, has: &str) {
    let member = mesh.net.nodes()[node].node.clone();
    for from in 0..mesh.net.nodes().len() {
        until("the mesh knows of a worker", || async {
            ask(mesh, here, from, &["member", "show", &member]).await.split_whitespace().any(|word| word == has)
        })
        .await;
    }
}

#[tokio::test]
async fn tasks_wait_for_workers_and_spread_over_those_there_are() {
    let mesh = mesh().await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    std::fs::write(at.join("in"), "three small words").unwrap();
    let submit = ["submit", "--detach", "--worker", "words", "--stdin", "in"];
    let task = ask(&mesh, at, 0, &submit).await.trim().to_owned();
    until("it is said what it waits for", || async {
        ask(&mesh, at, 2, &["task", "explain", &task]).await.contains("worker.words")
    })
    .await;
    let (one, other) = (mesh.net.nodes()[1].node.clone(), mesh.net.nodes()[2].node.clone());

    let _first = Worker::start(&mesh, 1);
    let told = result(&mesh, at, &task).await;
    assert_eq!((&told["stdout"], &told["node"]), (&json!("3\n"), &json!(one)), "{told}");
    assert!(told["stderr"].as_str().unwrap().contains("counts 17 bytes"), "{told}");

    let _second = Worker::start(&mesh, 2);
    is_told(&mesh, at, 1, "worker.words=1").await;
    is_told(&mesh, at, 2, "worker.words=1").await;
    let names: Vec<String> = (0..20).map(|n| format!("{n}.txt")).collect();
    for (count, name) in names.iter().enumerate() {
        // Some in the record, some as blobs.
        std::fs::write(at.join(name), "word ".repeat(count * count * 20)).unwrap();
    }
    let map = ["--output", "json", "map", "--worker", "words", "--out-dir", "out", "--", "0.5", ":::"];
    let words: Vec<&str> = map.into_iter().chain(names.iter().map(String::as_str)).collect();
    let job = lines(&ask(&mesh, at, 0, &words).await).pop().unwrap()["job"].as_str().unwrap().to_owned();
    for (count, name) in names.iter().enumerate() {
        let counted = std::fs::read_to_string(at.join("out").join(name).join("stdout")).unwrap();
        assert_eq!(counted, format!("{}\n", count * count * 20), "{name}");
    }
    let rows = lines(&ask(&mesh, at, 0, &["--output", "json", "task", "list", "--job", &job]).await);
    let by = |node: &str| rows.iter().filter(|row| row["node"] == node && row["program"] != "").count();
    println!("{} by one and {} by the other", by(&one), by(&other));
    assert!(by(&one) >= 4 && by(&other) >= 4, "{rows:?}");
    let table = ask(&mesh, at, 1, &["worker", "ls"]).await;
    assert!(table.contains("words-") && table.contains("0 of 1"), "{table}");

    for (words, code, said) in [
        ("submit --worker Words --stdin in", 2, "small letters"),
        ("submit --worker words --unique --stdin in", 2, "cannot be promised"),
        ("submit --worker words --env A=B", 2, "--env"),
    ] {
        let (is, stdout, stderr) = run(meshd(&mesh, &[0], at, &words.split(' ').collect::<Vec<_>>())).await;
        assert!(is == code && stderr.contains(said), "{words}: {is} {stdout}{stderr}");
    }
}

#[tokio::test]
async fn what_a_worker_had_that_dies_is_run_by_another() {
    let mesh = mesh().await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    std::fs::write(at.join("in"), "a b c d").unwrap();
    let mut started = [1, 2].map(|node| (node, Worker::start(&mesh, node)));
    is_told(&mesh, at, 1, "worker.words=1").await;
    is_told(&mesh, at, 2, "worker.words=1").await;
    let submit = ["submit", "--detach", "--worker", "words", "--stdin", "in", "--", "5"];
    let task = ask(&mesh, at, 0, &submit).await.trim().to_owned();
    let who = whose(&mesh, at, &[1, 2]).await;
    started.sort_by_key(|(node, _)| *node != who);
    let [(_, dies), (lives, survivor)] = &mut started;
    // What it writes is seen while it writes.
    let (code, stdout, logs) = run(meshd(&mesh, &[0], at, &["task", "logs", &task])).await;
    assert!(code == 0 && logs.contains(&format!("process {} counts", dies.id())), "{stdout}{logs}");
    dies.kill();
    let killed = Instant::now();
    let told = result(&mesh, at, &task).await;
    println!("{:?} after its worker was killed the other had done it", killed.elapsed());
    assert_eq!(told["stdout"], "4\n");
    assert_eq!(told["node"], mesh.net.nodes()[*lives].node.as_str(), "{told}");
    assert_eq!((&told["failed_attempts"], &told["attempt"]), (&json!(1), &json!(2)), "{told}");
    assert!(told["stderr"].as_str().unwrap().contains(&format!("process {} counts", survivor.id())), "{told}");
    assert_eq!(workers(&mesh, at, who).await, Vec::<Value>::new());
    let story = ask(&mesh, at, 0, &["task", "show", &task]).await;
    assert!(story.contains("was not heard of for 2000 ms"), "{story}");
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_worker_hears_that_its_task_is_cancelled_and_takes_the_next() {
    let mesh = mesh().await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    std::fs::write(at.join("in"), "a b").unwrap();
    let _worker = Worker::start(&mesh, 1);
    let submit = ["submit", "--detach", "--worker", "words", "--stdin", "in", "--", "600"];
    let task = ask(&mesh, at, 0, &submit).await.trim().to_owned();
    until("it has begun", || async { workers(&mesh, at, 1).await.iter().any(|row| row["taken"] == 1) }).await;
    ask(&mesh, at, 2, &["task", "cancel", &task]).await;
    let (code, _, _) = run(meshd(&mesh, &[0], at, &["task", "result", "--wait", &task])).await;
    assert_eq!(code, 1);
    until("it is said that it should stop", || async {
        let rows = workers(&mesh, at, 1).await;
        let stopped =
            |row: &Value| row["tasks"].as_array().is_some_and(|all| all.iter().all(|t| t["cancelled"] == true));
        !rows.is_empty() && rows.iter().all(stopped)
    })
    .await;
    // The time limit is held by the node, whatever the worker does: it sleeps for a minute between two looks.
    let submit = ["submit", "--worker", "words", "--time-limit", "500ms", "--stdin", "in", "--", "3"];
    let _other = Worker::start(&mesh, 2);
    let (code, _, stderr) = run(meshd(&mesh, &[0], at, &submit)).await;
    assert!(code == 1 && stderr.contains("time limit of 500 ms"), "{stderr}");
    // It has let go of that, and goes on.
    let submit = ["submit", "--worker", "words", "--stdin", "in"];
    assert_eq!(ask(&mesh, at, 0, &submit).await, "2\n");
}

/// A worker that the test plays.
struct Hand {
    client: Client,
    id: String,
}

impl Hand {
    async fn attach(mesh: &Mesh, node: usize) -> Self {
        let client = Client::new(vec![mesh.net.nodes()[node].api()], mesh.net.token().unwrap());
        let said = json!({ "name": "hand", "kinds": ["hand"], "capabilities": ["model=llama"] });
        let attached: Value = client.ask(&Ask::post("/v1/workers").json(&said)).await.unwrap();
        let id = attached["worker"].as_str().unwrap().to_owned();
        Self { client, id }
    }

    fn path(&self, path: &str) -> String {
        format!("/v1/workers/{}/{path}", self.id)
    }

    /// Waits for one; until then it is there.
    async fn take(&self) -> Value {
        let begun = Instant::now();
        loop {
            let order = self.client.ask_bytes(&Ask::post(self.path("take?wait=10s"))).await.unwrap();
            if !order.is_empty() {
                return serde_json::from_slice(&order).unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "nothing to do");
        }
    }

    async fn say(&self, ask: &Ask) -> Result<(), String> {
        match self.client.send(ask).await {
            Ok(_) => Ok(()),
            Err(ClientError::Refused(problem)) => {
                Err(serde_json::to_value(problem.code).unwrap().as_str().unwrap().into())
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn who_is_silent_is_gone_and_files_come_and_go() {
    let mesh = mesh().await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let large: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(at.join("in"), &large).unwrap();
    std::fs::write(at.join("small"), "small").unwrap();
    let silent = Hand::attach(&mesh, 1).await;
    is_told(&mesh, at, 1, "worker.hand=1").await;
    let submit = ["submit", "--detach", "--worker", "hand", "--require", "model=llama", "--stdin", "in"];
    let more = ["--file", "data/small=small", "--out", "out/back", "--", "a", "b c"];
    let words: Vec<&str> = submit.into_iter().chain(more).collect();
    let task = ask(&mesh, at, 0, &words).await.trim().to_owned();
    let order = silent.take().await;
    assert_eq!((&order["task"], &order["argv"]), (&json!(task), &json!(["a", "b c"])), "{order}");
    let of_task = |hand: &Hand, what: &str| hand.path(&format!("tasks/{task}/{what}"));

    // It says nothing more, and what it had goes to another.
    let other = Hand::attach(&mesh, 2).await;
    let order = other.take().await;
    assert_eq!((&order["task"], order["attempt"].as_u64() > Some(1)), (&json!(task), true), "{order}");
    let late = silent.say(&Ask::post(of_task(&silent, "result")).json(&json!({ "stdout": "late" }))).await;
    assert_eq!(late, Err("gone".into()));
    assert_eq!(silent.say(&Ask::post(silent.path("heartbeat"))).await, Err("gone".into()));
    let nobody = Ask::post(format!("/v1/workers/{}/take", "0".repeat(32)));
    assert_eq!(silent.say(&nobody).await, Err("not_found".into()));

    // Given back it comes again, as there is nobody else; then done.
    other.say(&Ask::post(of_task(&other, "release")).json(&json!({ "why": "not now" }))).await.unwrap();
    let again = other.take().await;
    assert!(again["attempt"].as_u64() > order["attempt"].as_u64(), "{again}");
    let input = other.client.ask_bytes(&Ask::get(again["stdin"]["url"].as_str().unwrap())).await.unwrap();
    assert!(input == large, "{} bytes", input.len());
    assert_eq!(again["files"], json!([{ "name": "data/small", "text": "small" }]));
    other.say(&Ask::put(of_task(&other, "files/out%2Fback")).bytes(large.clone())).await.unwrap();
    other.say(&Ask::post(of_task(&other, "logs?stream=stdout")).bytes(vec![b'x'; 100_000])).await.unwrap();
    other.say(&Ask::post(of_task(&other, "result")).json(&json!({ "stdout": "end\n" }))).await.unwrap();
    let (code, stdout, stderr) =
        run(meshd(&mesh, &[0], at, &["task", "result", "--wait", "--out-dir", "got", &task])).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.len() == 100_004 && stdout.ends_with("xend\n"), "{} bytes", stdout.len());
    assert!(std::fs::read(at.join("got/out/back")).unwrap() == large);
    other.client.send(&Ask::delete(format!("/v1/workers/{}", other.id))).await.map(drop).unwrap();
    is_told(&mesh, at, 2, "os=linux").await;
    let member = mesh.net.nodes()[2].node.clone();
    until("the mesh knows that it is gone", || async {
        let shown = ask(&mesh, at, 0, &["member", "show", &member]).await;
        !shown.contains("worker.hand") && !shown.contains("model=")
    })
    .await;
}
