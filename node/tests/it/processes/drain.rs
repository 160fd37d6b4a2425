//! A node that gives all it has to the others, and one that leaves.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

async fn ask(mesh: &Mesh, node: usize, here: &Path, words: &[&str]) -> (i32, String, String) {
    run(meshd(mesh, &[node], here, words)).await
}

async fn told(mesh: &Mesh, node: usize, here: &Path, words: &[&str]) -> Value {
    let words: Vec<&str> = ["--output", "json"].into_iter().chain(words.iter().copied()).collect();
    let (code, stdout, stderr) = ask(mesh, node, here, &words).await;
    assert_eq!(code, 0, "{words:?}: {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|_| Value::Array(lines(&stdout)))
}

/// Nodes that hold a task, by their own word, the drained one's copies of before not among them.
async fn holders(mesh: &Mesh, from: usize, here: &Path, task: &str) -> Vec<String> {
    let info = told(mesh, from, here, &["task", "show", task]).await;
    let holders = info["holders"].as_array().unwrap_or_else(|| panic!("{info:#}"));
    holders.iter().map(|holder| holder.as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_drained_node_has_nothing_that_others_wait_for() {
    let mut mesh = Mesh::up_with(4, |options| options.allow.push("sh".into())).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let drained = mesh.net.nodes()[3].node.clone();
    // One runs there until it is let go, more wait there, and some have ended.
    let gate = at.join("gate").display().to_string();
    let waits = format!("until [ -e {gate} ]; do sleep 0.05; done; echo over");
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let words = ["submit", "--detach", "--strategy", "local", "--exec", "--", "sh", "-c", &waits];
        waiting.push(told(&mesh, 3, at, &words).await["task"].as_str().unwrap().to_owned());
    }
    let mut ended = Vec::new();
    for n in 0..20 {
        let task = told(&mesh, n % 4, at, &["submit", "--detach", "--echo", &n.to_string()]).await;
        ended.push(task["task"].as_str().unwrap().to_owned());
    }
    until("some run there", || async { mesh.net.status(3).await.is_ok_and(|now| now.running > 0) }).await;

    let mut drain = meshd(&mesh, &[3], at, &["drain"]);
    let drain = drain.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the others know", || async {
        let members = told(&mesh, 0, at, &["member", "list"]).await;
        let state = members.as_array().unwrap().iter().find(|member| member["node"] == *drained).cloned();
        state.is_some_and(|member| member["state"] == "draining")
    })
    .await;
    until("what waited is gone", || async { mesh.net.status(3).await.is_ok_and(|now| now.queued == 0) }).await;
    assert!(mesh.net.status(3).await.unwrap().running > 0, "what runs is waited for");
    // It serves its users as before, and runs nothing of theirs.
    let info = told(&mesh, 3, at, &["submit", "--strategy", "local", "--exec", "--", "sh", "-c", "echo new"]).await;
    assert_ne!(info["node"], *drained, "{info:#}");
    std::fs::write(&gate, "").unwrap();
    let output = tokio::task::spawn_blocking(move || drain.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("drained"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for task in waiting.iter().chain(&ended) {
        let holders = holders(&mesh, 0, at, task).await;
        assert!(!holders.contains(&drained) && holders.len() == 3, "{task}: {holders:?}");
    }

    // Its end costs nobody anything; started again it still drains, until it is told not to.
    let killed = mesh.net.kill(3);
    mesh.check(killed);
    for task in &waiting {
        let (code, stdout, stderr) = ask(&mesh, 1, at, &["task", "result", "--wait", task]).await;
        assert_eq!((code, stdout.as_str()), (0, "over\n"), "{stderr}");
    }
    let started = mesh.net.start(3);
    mesh.check(started);
    until("its API answers", || async { mesh.net.status(3).await.is_ok() }).await;
    let back = told(&mesh, 3, at, &["drain"]).await;
    assert_eq!((&back["draining"], &back["drained"]), (&true.into(), &true.into()), "{back:#}");
    let (code, text, _) =
        ask(&mesh, 3, at, &["submit", "--strategy", "local", "--exec", "--", "sh", "-c", "echo $PPID"]).await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(mesh.net.status(3).await.unwrap().counters["executed"], 0, "it was elsewhere");
    let (code, stdout, stderr) = ask(&mesh, 3, at, &["undrain"]).await;
    assert_eq!((code, stdout.as_str()), (0, "it takes work again\n"), "{stderr}");
    let info = told(&mesh, 3, at, &["submit", "--strategy", "local", "--exec", "--", "sh", "-c", "echo new"]).await;
    assert_eq!(info["node"], *drained, "{info:#}");
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn what_still_runs_at_the_deadline_runs_elsewhere_and_who_leaves_is_gone() {
    let mesh = Mesh::up_with(4, |options| options.allow.push("sh".into())).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let (code, _, stderr) = ask(&mesh, 0, at, &["drain", "--leave"]).await;
    assert!(code != 0 && stderr.contains("committee remove"), "the first is the committee: {code} {stderr}");
    let (code, _, stderr) = ask(&mesh, 0, at, &["undrain"]).await;
    assert_eq!(code, 0, "{stderr}");
    let leaver = mesh.net.nodes()[3].node.clone();
    // There it runs for ever.
    let script = "[ $MESH_ATTEMPT = 1 ] && sleep 1000; echo done";
    let words = ["submit", "--detach", "--strategy", "local", "--exec", "--", "sh", "-c", script];
    let task = told(&mesh, 3, at, &words).await["task"].as_str().unwrap().to_owned();
    until("it runs", || async { mesh.net.status(3).await.is_ok_and(|now| now.running > 0) }).await;
    let (code, stdout, stderr) = ask(&mesh, 3, at, &["drain", "--deadline", "100ms", "--leave"]).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    until("it is gone", || async {
        told(&mesh, 1, at, &["member", "list"])
            .await
            .as_array()
            .unwrap()
            .iter()
            .any(|member| member["node"] == *leaver && member["state"] == "left")
    })
    .await;
    let (code, stdout, stderr) = ask(&mesh, 1, at, &["task", "result", "--wait", &task]).await;
    assert_eq!((code, stdout.as_str()), (0, "done\n"), "{stderr}");
    let (code, _, _) = ask(&mesh, 3, at, &["status"]).await;
    assert_eq!(code, 69, "its process has ended");
}
