//! What nodes have and tasks require: declared, told, waited for, and kept to.

use super::verbs::{lines, meshd, run};
use super::{Mesh, PATIENCE};
use serde_json::Value;
use std::io::Write as _;
use std::time::{Duration, Instant};

async fn show(mesh: &Mesh, at: &std::path::Path, task: &str) -> Value {
    let (code, stdout, stderr) = run(meshd(mesh, &[0], at, &["--output", "json", "task", "show", task])).await;
    assert_eq!(code, 0, "{stderr}");
    lines(&stdout).remove(0)
}

#[tokio::test]
async fn what_asks_for_a_gpu_waits_for_one_and_runs_nowhere_else() {
    let mut mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let words = ["submit", "--detach", "--require", "gpu>=1,tool:sha256sum", "--echo", "hello"];
    let (code, task, stderr) = run(meshd(&mesh, &[0], at, &words)).await;
    assert_eq!(code, 0, "{stderr}");
    let task = task.trim();
    let begun = Instant::now();
    let info = loop {
        let info = show(&mesh, at, task).await;
        if info["lack"].is_object() {
            break info;
        }
        assert!(begun.elapsed() < PATIENCE, "{info:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&info["state"], &info["attempt"]), (&"waiting".into(), &Value::Null), "{info:#}");
    assert_eq!((&info["lack"]["members"], &info["lack"]["out_of_reach"]), (&3.into(), &0.into()), "{info:#}");
    assert_eq!(info["lack"]["lacked"], serde_json::json!([{ "requirement": "gpu>=1", "members": 3 }]), "{info:#}");
    assert_eq!(info["spec"]["require"], "gpu>=1,tool:sha256sum", "{info:#}");

    // One is put in.
    let killed = mesh.net.kill(2);
    mesh.check(killed);
    let config = mesh.net.nodes()[2].data_dir.join("meshd.toml");
    let mut config = std::fs::OpenOptions::new().append(true).open(config).unwrap();
    config.write_all(b"\n[capabilities]\ndeclare = [\"gpu=1\", \"tool:sha256sum=9.1\"]\n").unwrap();
    let back = mesh.net.start(2);
    mesh.check(back);
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], at, &["task", "result", "--wait", task])).await;
    assert_eq!((code, stdout.as_str()), (0, "hello"), "{stderr}");
    let node = mesh.net.nodes()[2].node.clone();
    assert_eq!(show(&mesh, at, task).await["result"]["node"], node.as_str());

    let inputs: Vec<String> = (0..40).map(|n| format!("input-{n}")).collect();
    for input in &inputs {
        std::fs::write(at.join(input), input).unwrap();
    }
    let map = [
        "--output",
        "json",
        "map",
        "--require",
        "gpu>=1,tool:sha256sum>=9,zone=eu?",
        "--exec",
        "--",
        "sha256sum",
        "{}",
        ":::",
    ];
    let words: Vec<&str> = map.into_iter().chain(inputs.iter().map(String::as_str)).collect();
    let (code, stdout, stderr) = run(meshd(&mesh, &[1], at, &words)).await;
    assert_eq!(code, 0, "{stderr}");
    let job = lines(&stdout).last().unwrap()["job"].as_str().unwrap().to_owned();
    let (code, stdout, stderr) =
        run(meshd(&mesh, &[1], at, &["--output", "json", "task", "list", "--job", &job])).await;
    assert_eq!(code, 0, "{stderr}");
    let rows = lines(&stdout);
    let items: Vec<&Value> =
        rows.iter().filter(|row| row["program"].as_str().is_some_and(|p| p.starts_with("sha256sum"))).collect();
    assert_eq!(items.len(), inputs.len(), "{rows:?}");
    assert!(items.iter().all(|row| row["node"] == node.as_str()), "{rows:?}");

    // What its commands say of themselves at the start.
    let other = mesh.net.nodes()[1].node.clone();
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], at, &["member", "show", &other])).await;
    assert_eq!(code, 0, "{stderr}");
    let versions = stdout.split_whitespace().filter(|word| word.starts_with("tool:sha256sum=")).count();
    assert_eq!(versions, 1, "{stdout}");

    let (code, stdout, stderr) = run(meshd(&mesh, &[0], at, &["member", "show", &node[node.len() - 8..]])).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("gpu=1") && stdout.contains("tool:sha256sum=9.1") && stdout.contains("arch="), "{stdout}");
    let (code, _, stderr) = run(meshd(&mesh, &[0], at, &["submit", "--require", "mem>=2", "--echo", "x"])).await;
    assert!(code == 2 && stderr.contains("`2` is not an amount of bytes (`2GiB`)"), "{code}: {stderr}");
}
