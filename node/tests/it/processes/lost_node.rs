//! What a user sees of a node that is stopped, or goes away and comes back, while something is waited for.

use super::verbs::{meshd, run};
use super::{Mesh, until};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_stopped_node_keeps_no_verb_waiting() {
    let mut mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let stopped = mesh.net.stop(0);
    mesh.check(stopped);
    let begun = Instant::now();
    let (code, _, stderr) = run(meshd(&mesh, &[0], here.path(), &["task", "list"])).await;
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("is it stopped") && stderr.contains("--api"), "{stderr}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    // The next is asked where there is one.
    let (code, _, stderr) = run(meshd(&mesh, &[0, 1], here.path(), &["map", "--echo", "--", ":::", "/dev/null"])).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = run(meshd(&mesh, &[0, 1], here.path(), &["submit", "--echo", "x"])).await;
    assert_eq!((code, stdout.as_str()), (0, "x"), "{stderr}");
    let goes_on = mesh.net.cont(0);
    mesh.check(goes_on);
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn waiting_goes_on_when_the_node_is_back() {
    let mut mesh = Mesh::up_with(3, |options| options.allow.push("sh".into())).await;
    let here = tempfile::tempdir().unwrap();
    for name in ["4", "5", "6", "7"] {
        std::fs::write(here.path().join(name), name).unwrap();
    }
    let script = "i=0; while [ $i -lt 120 ]; do echo line $i; i=$((i+1)); sleep 0.1; done";
    let words = ["submit", "--exec", "--detach", "--", "sh", "-c", script];
    let (code, task, stderr) = run(meshd(&mesh, &[1], here.path(), &words)).await;
    assert_eq!(code, 0, "{stderr}");
    let task = task.trim();
    // Not the one that runs it: what happens to its command then is for other tests.
    let executor = runs(&mesh, task).await;
    let gateway = (executor + 1) % 3;

    // They run until all are waited for, and the node that is asked is back.
    let gate = here.path().join("gate").display().to_string();
    let until_gate = |then: &str| format!("until [ -e {gate} ]; do sleep 0.1; done; {then}");
    let start = |words: &[&str]| {
        let mut meshd = meshd(&mesh, &[gateway], here.path(), words);
        meshd.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let waiting = [
        start(&["submit", "--exec", "--", "sh", "-c", &until_gate("")]),
        start(&[
            "map",
            "--exec",
            "--in-place",
            "--",
            "sh",
            "-c",
            &until_gate("basename $0"),
            ":::",
            "4",
            "5",
            "6",
            "7",
        ]),
        start(&["task", "logs", "-f", task]),
        start(&["task", "result", "--wait", task]),
    ];
    until("all are waited for", || async { mesh.net.status(gateway).await.is_ok_and(|now| now.following >= 6) }).await;
    let killed = mesh.net.kill(gateway);
    mesh.check(killed);
    let restarted = mesh.net.start(gateway);
    mesh.check(restarted);
    std::fs::write(&gate, "").unwrap();

    let mut said = Vec::new();
    for child in waiting {
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{:?}: {stderr}", output.status);
        said.push(String::from_utf8(output.stdout).unwrap());
    }
    let wanted: String = (0..120).map(|line| format!("line {line}\n")).collect();
    assert_eq!(said[1].lines().count(), 4, "{}", said[1]);
    assert_eq!(said[2], wanted, "each line once, and in order");
    assert_eq!(said[3], wanted);
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_job_whose_inputs_are_on_their_way_goes_on_through_the_next_node() {
    let mut mesh = Mesh::up(4).await;
    let here = tempfile::tempdir().unwrap();
    // Too large to travel in the request itself, and enough that most are still to be sent when the node is lost.
    const FILES: usize = 400;
    let names: Vec<String> = (0..FILES).map(|at| format!("file-{at:03}")).collect();
    for name in &names {
        std::fs::write(here.path().join(name), format!("{name}\n").repeat(3_000)).unwrap();
    }
    for (round, kill) in [true, false].into_iter().enumerate() {
        let out = format!("out-{round}");
        let mut words = vec!["map", "--exec", "--out-dir", &out, "--", "head", "-n", "1", "{}", ":::"];
        words.extend(names.iter().map(String::as_str));
        let mut map = meshd(&mesh, &[0, 1], here.path(), &words);
        let child = map.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("some are taken", || async { mesh.net.status(0).await.is_ok_and(|status| status.following >= 1) }).await;
        let lost = if kill { mesh.net.kill(0) } else { mesh.net.stop(0) };
        mesh.check(lost);
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "killed: {kill}: {:?}: {stderr}", output.status);
        for name in &names {
            let stdout = std::fs::read_to_string(here.path().join(&out).join(name).join("stdout")).unwrap();
            assert_eq!(stdout, format!("{name}\n"));
        }
        let back = if kill { mesh.net.start(0) } else { mesh.net.cont(0) };
        mesh.check(back);
        let whole = mesh.net.wait_whole().await;
        mesh.check(whole);
    }
}

/// The node that runs a task, once one does.
pub async fn runs(mesh: &Mesh, task: &str) -> usize {
    use meshd::api::view::TaskInfo;
    let show = meshd::client::Ask::get(format!("/v1/tasks/{task}"));
    let gateways = mesh.net.gateways(&[1]).unwrap();
    let info: TaskInfo = gateways.client().ask(&show).await.unwrap();
    info.attempt.and_then(|attempt| mesh.net.number_of(&attempt.node)).expect("it runs somewhere")
}

#[tokio::test]
async fn one_trace_id_is_in_the_logs_of_all_who_had_to_do_with_a_task() {
    let mesh = Mesh::up_with(3, |options| options.log = Some("info,meshd::trail=debug".into())).await;
    let here = tempfile::tempdir().unwrap();
    let words = ["submit", "--exec", "--output", "json", "--", "sha256sum", "/dev/null"];
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], here.path(), &words)).await;
    assert_eq!(code, 0, "{stderr}");
    let result: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let task = result["task"].as_str().unwrap();
    let (_, shown, _) = run(meshd(&mesh, &[1], here.path(), &["task", "show", task, "--output", "json"])).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let trace = shown["spec"]["trace"].as_str().unwrap();
    let logs = || mesh.net.nodes().iter().map(|node| std::fs::read_to_string(&node.log).unwrap());
    let of_trace = |log: &str| log.lines().filter(|line| line.contains(trace)).map(str::to_owned).collect::<Vec<_>>();
    until("all have written", || async { logs().all(|log| of_trace(&log).join("\n").contains("written here: ended")) })
        .await;
    let logs: Vec<Vec<String>> = logs().map(|log| of_trace(&log)).collect();
    for node in &logs {
        assert!(node.iter().any(|line| line.contains("held here")), "{logs:?}");
        // A log that is a file has no colours in it.
        assert!(node.iter().all(|line| !line.contains('\u{1b}')), "{node:?}");
    }
    let executor = mesh.net.number_of(result["node"].as_str().unwrap()).unwrap();
    for (node, what) in
        [(0, "submitted here"), (0, "acknowledged"), (0, "is told to its user"), (executor, "begins here")]
    {
        assert!(logs[node].iter().any(|line| line.contains(what)), "{what}: {:?}", logs[node]);
    }
}
