//! One task by several nodes, some of which compute wrongly.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What it says depends on the node, whose directory it is run in.
const ANSWER: &str = r#"#!/bin/sh
case "$PWD" in
    *node-1/*|*node-3/*) echo 41 ;;
    *) echo 42 ;;
esac
"#;

/// Writes sixteen random bytes, the date, and its environment.
const CHANCE: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environment (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $random (i32.const 4072) (i32.const 16)))
        (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 4088)))
        (drop (call $sizes (i32.const 0) (i32.const 12)))
        (drop (call $environment (i32.const 1024) (i32.const 4096)))
        (i32.store (i32.const 8) (i32.const 4072))
        (i32.store (i32.const 12) (i32.add (i32.load (i32.const 12)) (i32.const 24)))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

async fn ask(mesh: &Mesh, node: usize, here: &Path, words: &[&str]) -> (i32, String, String) {
    run(meshd(mesh, &[node], here, words)).await
}

#[tokio::test]
async fn two_nodes_of_five_that_compute_wrongly_are_outvoted() {
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let answer = at.join("answer");
    std::fs::write(&answer, ANSWER).unwrap();
    std::fs::set_permissions(&answer, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = answer.to_str().unwrap().to_owned();
    let mesh = Mesh::up_with(5, |options| options.allow = vec![command.clone(), "pwd".into(), "false".into()]).await;
    let dirs: Vec<_> = mesh.net.nodes().iter().map(|node| node.data_dir.clone()).collect();
    assert!(dirs[1].ends_with("node-1") && dirs[3].ends_with("node-3"), "{dirs:?}");
    let liars = [mesh.net.nodes()[1].node.clone(), mesh.net.nodes()[3].node.clone()];

    for gateway in [0, 1] {
        let words = ["--output", "json", "submit", "--redundancy", "5", "--exec", "--", &command];
        let (code, stdout, stderr) = ask(&mesh, gateway, at, &words).await;
        assert_eq!(code, 0, "{stdout}{stderr}");
        let result = lines(&stdout).remove(0);
        assert_eq!(result["stdout"], "42\n", "{result:#}");
        let count = &result["count"];
        assert_eq!((&count["asked"], &count["verified"]), (&5.into(), &true.into()), "{result:#}");
        assert!(count["agree"].as_u64().is_some_and(|agree| agree == 3), "{result:#}");
        // Who said something else is on record; nobody else is.
        for said in count["said"].as_array().unwrap() {
            let is_liar = liars.iter().any(|liar| said["node"] == liar.as_str());
            assert_eq!(said["agrees"], Value::Bool(!is_liar), "{result:#}");
        }
        let task = result["task"].as_str().unwrap();
        let (code, text, _) = ask(&mesh, 2, at, &["task", "show", task]).await;
        assert!(code == 0 && text.contains("3 of 5 asked agree, verified"), "{text}");
    }

    // What differs everywhere has no majority, and what fails everywhere fails.
    let words = ["--output", "json", "submit", "--redundancy", "3", "--exec", "--", "pwd"];
    let (code, stdout, _) = ask(&mesh, 0, at, &words).await;
    let result = lines(&stdout).remove(0);
    assert_eq!((&result["state"], &result["failure"]["kind"]), (&"failed".into(), &"no_majority".into()), "{result:#}");
    assert_ne!(code, 0);
    assert_eq!(result["count"]["said"].as_array().map(Vec::len), Some(5), "all were asked: {result:#}");
    let (code, _, _) = ask(&mesh, 0, at, &["submit", "--redundancy", "2", "--exec", "--", "false"]).await;
    assert_eq!(code, 1);

    // Items of a job, each by three: whoever lies, and whoever polls.
    let inputs: Vec<String> = (0..12).map(|n| format!("input-{n}")).collect();
    let map = ["--output", "json", "map", "--redundancy", "5", "--exec"];
    let words: Vec<&str> =
        map.into_iter().chain(["--", &command, ":::"]).chain(inputs.iter().map(String::as_str)).collect();
    for input in &inputs {
        std::fs::write(at.join(input), input).unwrap();
    }
    let (code, stdout, stderr) = ask(&mesh, 4, at, &words).await;
    assert_eq!(code, 0, "{stdout}{stderr}");

    // Nothing is left over.
    until("rest", || async {
        let (_, stdout, _) = ask(&mesh, 0, at, &["--output", "json", "task", "list", "--state", "running"]).await;
        let (_, waiting, _) = ask(&mesh, 0, at, &["--output", "json", "task", "list", "--state", "waiting"]).await;
        lines(&stdout).is_empty() && lines(&waiting).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_program_that_looks_at_chance_time_and_its_task_does_the_same_everywhere() {
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    std::fs::write(at.join("chance.wasm"), wat::parse_str(CHANCE).unwrap()).unwrap();
    let mesh = Mesh::up(3).await;
    let words = ["--output", "json", "submit", "--redundancy", "3", "--wasm", "chance.wasm"];
    let (code, stdout, stderr) = ask(&mesh, 0, at, &words).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    let result = lines(&stdout).remove(0);
    let count = &result["count"];
    assert_eq!((&count["asked"], &count["verified"]), (&3.into(), &true.into()), "{result:#}");
    assert!(count["said"].as_array().unwrap().iter().all(|said| said["agrees"] == true), "{result:#}");
    let told = match (result["stdout"].as_str(), result["stdout_b64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, b64) => data_encoding::BASE64.decode(b64.unwrap().as_bytes()).unwrap(),
    };
    let task = format!("MESH_TASK={}", result["task"].as_str().unwrap());
    assert!(told.windows(task.len()).any(|part| part == task.as_bytes()), "{result:#}");
}
