//! Tasks that start after others: a diamond, results as inputs, drivers that die, failures that are passed on, and flows.

use super::verbs::{lines, meshd, run};
use super::{Mesh, PATIENCE, until};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// The id of a task that is submitted through node 0, and not waited for.
async fn submit(mesh: &Mesh, at: &Path, words: &[&str]) -> String {
    let words: Vec<&str> = ["submit", "--detach"].iter().chain(words).copied().collect();
    let (code, task, stderr) = run(meshd(mesh, &[0], at, &words)).await;
    assert_eq!(code, 0, "{words:?}: {stderr}");
    task.trim().to_owned()
}

async fn json(mesh: &Mesh, node: usize, at: &Path, words: &[&str]) -> Value {
    let words: Vec<&str> = ["--output", "json"].iter().chain(words).copied().collect();
    let (_, stdout, stderr) = run(meshd(mesh, &[node], at, &words)).await;
    lines(&stdout).pop().unwrap_or_else(|| panic!("{words:?}: {stderr}"))
}

async fn result(mesh: &Mesh, at: &Path, task: &str) -> (i32, String, String) {
    run(meshd(mesh, &[0], at, &["task", "result", "--wait", task])).await
}

/// What its driver knows, once it drives.
async fn shown_as_awaiting(mesh: &Mesh, at: &Path, task: &str) -> Value {
    let begun = Instant::now();
    loop {
        let info = json(mesh, 0, at, &["task", "show", task]).await;
        if info["awaits"].as_array().is_some_and(|awaits| !awaits.is_empty()) {
            return info;
        }
        assert!(begun.elapsed() < PATIENCE, "{info:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_diamond_starts_part_by_part_and_outlives_its_drivers() {
    let mut mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    std::fs::write(at.join("words"), "b\na\nb\n").unwrap();

    let top =
        submit(&mesh, at, &["--exec", "--file", "words", "--out", "sorted", "--", "sort", "-o", "sorted", "words"])
            .await;
    let sorted = format!("{top}/sorted");
    let left = submit(&mesh, at, &["--exec", "--stdin-from", &sorted, "--", "sha256sum"]).await;
    let right = submit(&mesh, at, &["--exec", "--file-from", &format!("in={sorted}"), "--", "cat", "in"]).await;
    let slow = submit(&mesh, at, &["--sleep", "20s"]).await;
    let files = [format!("l={left}"), format!("r={}", &right[..12])];
    let [l, r] = &files;
    let words = ["--exec", "--after", &slow, "--file-from", l, "--file-from", r, "--", "cat", "r", "l"];
    let bottom = submit(&mesh, at, &words).await;

    let info = shown_as_awaiting(&mesh, at, &bottom).await;
    assert_eq!(info["state"], "waiting", "{info:#}");
    assert_eq!(info["spec"]["after"].as_array().map(Vec::len), Some(3), "{info:#}");
    until("the others end", async || {
        let info = json(&mesh, 0, at, &["task", "show", &bottom]).await;
        info["awaits"] == serde_json::json!([slow])
    })
    .await;
    let explained = json(&mesh, 0, at, &["task", "explain", &bottom]).await;
    let why = explained["why"].as_str().unwrap();
    assert!(why.starts_with(&format!("it is to start after task {slow} (it is running on ")), "{explained:#}");

    // Whoever drives it dies while it waits; the node that is asked goes on if it is another.
    let driver = info["driver"].as_str().unwrap().to_owned();
    let dies = mesh.net.nodes().iter().position(|node| node.node == driver).unwrap();
    let killed = mesh.net.kill(dies);
    mesh.check(killed);
    let others: Vec<usize> = (0..3).filter(|node| *node != dies).collect();
    let (code, stdout, stderr) = run(meshd(&mesh, &others, at, &["task", "result", "--wait", &bottom])).await;
    let hash = super::hash_line("a\nb\nb\n");
    assert_eq!((code, stdout), (0, format!("a\nb\nb\n{hash}")), "{stderr}");
    let back = mesh.net.start(dies);
    mesh.check(back);
}

#[tokio::test]
async fn what_does_not_end_well_is_passed_on_and_what_is_not_there_is_refused() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();

    let fails = submit(&mesh, at, &["--exec", "--", "false"]).await;
    let next = submit(&mesh, at, &["--after", &fails, "--echo", "x"]).await;
    let last = submit(&mesh, at, &["--after", &next, "--echo", "x"]).await;
    for task in [&next, &last] {
        let (code, _, stderr) = result(&mesh, at, task).await;
        assert!(
            code == 1 && stderr.contains(&format!("dependency: task {fails} failed: exit code 1")),
            "{code}: {stderr}"
        );
    }
    let info = json(&mesh, 1, at, &["task", "show", &last]).await;
    assert_eq!((&info["state"], &info["attempt"]), (&"cancelled".into(), &Value::Null), "{info:#}");
    let (code, _, stderr) = run(meshd(&mesh, &[1], at, &["task", "retry", &last])).await;
    assert!(code == 2 && stderr.contains("never started"), "{code}: {stderr}");

    // One that waits is cancelled like any other, and that is passed on too.
    let slow = submit(&mesh, at, &["--sleep", "5m"]).await;
    let waits = submit(&mesh, at, &["--after", &slow, "--echo", "x"]).await;
    let behind = submit(&mesh, at, &["--after", &waits[..10], "--echo", "x"]).await;
    shown_as_awaiting(&mesh, at, &behind).await;
    let (code, _, stderr) = run(meshd(&mesh, &[2], at, &["task", "cancel", &waits])).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = result(&mesh, at, &behind).await;
    assert!(code == 1 && stderr.contains(&format!("task {waits} was cancelled")), "{code}: {stderr}");

    // A file that was not kept is nowhere.
    let keeps = submit(&mesh, at, &["--echo", "x"]).await;
    let takes = submit(&mesh, at, &["--exec", "--stdin-from", &format!("{keeps}/gone"), "--", "cat"]).await;
    let (code, _, stderr) = result(&mesh, at, &takes).await;
    assert!(code == 1 && stderr.contains("has kept no file `gone`"), "{code}: {stderr}");

    let nobody = "ab".repeat(32);
    for words in
        [vec!["submit", "--after", &nobody, "--echo", "x"], vec!["submit", "--after", "ffffffff", "--echo", "x"]]
    {
        let (code, _, stderr) = run(meshd(&mesh, &[0], at, &words)).await;
        assert!(code == 2 && stderr.contains("no node in reach knows"), "{code}: {stderr}");
    }
    std::fs::write(at.join("a"), "a").unwrap();
    let (code, stdout, stderr) =
        run(meshd(&mesh, &[0], at, &["map", "--after", &keeps, "--sha256", "--", ":::", "a"])).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
}

const FLOW: &str = r#"
name = "words"

[task.sort]
exec = ["sort", "-o", "sorted", "words"]
files = { words = "data/words" }
out = ["sorted"]

[task.count]
exec = ["wc", "-l"]
stdin = { task = "sort", file = "sorted" }

[task.hash]
sha256 = { task = "sort", file = "sorted" }

[task.report]
exec = ["cat", "title", "lines", "hash"]
files = { title = { text = "words\n" }, lines = { task = "count" }, hash = { task = "hash" } }
"#;

#[tokio::test]
async fn a_flow_is_one_job() {
    let mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    std::fs::create_dir(at.join("data")).unwrap();
    std::fs::write(at.join("data/words"), "b\na\nb\n").unwrap();
    std::fs::write(at.join("flow.toml"), FLOW).unwrap();

    let flow = ["flow", "flow.toml", "--idempotency-key", "k", "--out-dir", "out"];
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], at, &flow)).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    let report = std::fs::read_to_string(at.join("out/report/stdout")).unwrap();
    assert!(report.starts_with("words\n") && report.contains('3'), "{report}");
    assert_eq!(std::fs::read_to_string(at.join("out/sort/sorted")).unwrap(), "a\nb\nb\n");
    // Again, through another node: the same job, of which only what nobody takes is printed.
    let (code, stdout, stderr) = run(meshd(&mesh, &[1], at, &["flow", "flow.toml", "--idempotency-key", "k"])).await;
    assert_eq!((code, &stdout), (0, &report), "{stderr}");

    // What cannot run since another failed is counted as such.
    let failing = FLOW.replace("\"wc\", \"-l\"", "\"false\"");
    std::fs::write(at.join("failing.toml"), failing).unwrap();
    let (code, stdout, stderr) = run(meshd(&mesh, &[2], at, &["--output", "json", "flow", "failing.toml"])).await;
    let summary = lines(&stdout).pop().unwrap();
    assert_eq!((code, &summary["done"], &summary["failed"]), (1, &2.into(), &2.into()), "{summary:#} {stderr}");
    let job = summary["job"].as_str().unwrap();
    let info = json(&mesh, 0, at, &["job", "show", job]).await;
    let states = serde_json::json!({ "cancelled": 1, "done": 2, "failed": 1 });
    assert_eq!((&info["states"], &info["name"]), (&states, &"words".into()), "{info:#}");

    // And cancelled as one, with all that waits.
    let slow =
        r#"{"task": {"a": {"sleep": "5m"}, "b": {"echo": "x", "after": ["a"]}, "c": {"echo": "x", "after": ["b"]}}}"#;
    std::fs::write(at.join("slow.json"), slow).unwrap();
    let (code, job, stderr) = run(meshd(&mesh, &[0], at, &["flow", "--detach", "slow.json"])).await;
    assert_eq!(code, 0, "{stderr}");
    let job = job.trim();
    let (code, _, stderr) = run(meshd(&mesh, &[1], at, &["job", "cancel", job])).await;
    assert_eq!(code, 0, "{stderr}");
    until("all of it is cancelled", async || {
        json(&mesh, 2, at, &["job", "show", job]).await["states"] == serde_json::json!({ "cancelled": 3 })
    })
    .await;

    std::fs::write(at.join("circle.json"), slow.replace(r#""sleep": "5m""#, r#""echo": "x", "after": ["c"]"#)).unwrap();
    let (code, _, stderr) = run(meshd(&mesh, &[0], at, &["flow", "circle.json"])).await;
    assert!(code == 2 && stderr.contains("in a circle"), "{code}: {stderr}");
}

#[tokio::test]
async fn the_example_flow_runs() {
    let mesh = Mesh::up(1).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flow/report.toml");
    let here = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &["flow", file.to_str().unwrap()])).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("lines"), "{stdout}");
}
