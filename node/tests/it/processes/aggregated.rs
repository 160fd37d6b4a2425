//! Functions of a value of every node, over real nodes: by the verbs, before and after one of them is killed.

use super::deployed::scrape;
use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use serde_json::Value;
use std::path::Path;

const NODES: usize = 4;

async fn ask(mesh: &Mesh, node: usize, at: &Path, words: &[&str]) -> (i32, Value, String) {
    let words: Vec<&str> = ["--output", "json", "aggregate"].into_iter().chain(words.iter().copied()).collect();
    let (code, stdout, stderr) = run(meshd(mesh, &[node], at, &words)).await;
    (code, lines(&stdout).pop().unwrap_or(Value::Null), stderr)
}

/// The answer, which covers so many.
async fn answer(mesh: &Mesh, node: usize, at: &Path, words: &[&str], covers: usize) -> Value {
    let (code, answer, stderr) = ask(mesh, node, at, words).await;
    assert_eq!(code, 0, "{words:?}: {stderr}");
    assert_eq!((&answer["covers"], &answer["settled"]), (&covers.into(), &true.into()), "{words:?}: {answer}");
    answer
}

#[track_caller]
fn check_near(answer: &Value, found: &Value, truth: f64) {
    let (found, error) = (found.as_f64().expect("a number"), answer["error"].as_f64().expect("an error"));
    assert!((found - truth).abs() <= error.max(truth.abs() * 0.002), "{found} for {truth}: {answer}");
}

#[tokio::test]
async fn all_nodes_are_in_the_answer_and_one_that_was_killed_is_not() {
    let mut mesh = Mesh::up(NODES).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    for node in 0..NODES {
        let (code, _, stderr) = ask(&mesh, node, at, &["set", "loss", &format!("{}", (node + 1) * 10)]).await;
        assert_eq!(code, 0, "{stderr}");
        let array = format!("[{node}, {}, -1.5]", node * node);
        let (code, _, stderr) = ask(&mesh, node, at, &["set", "weights", &array]).await;
        assert_eq!(code, 0, "{stderr}");
    }

    // A value of users, of each kind, through different nodes.
    for (node, words, truth) in [
        (0, &["sum", "loss"][..], 100.0),
        (1, &["mean", "loss"], 25.0),
        (2, &["min", "loss"], 10.0),
        (3, &["max", "loss"], 40.0),
        (0, &["count", "loss"], 4.0),
        (1, &["quantile", "loss", "--at", "0.5"], 20.0),
    ] {
        let answer = answer(&mesh, node, at, words, NODES).await;
        check_near(&answer, &answer["value"], truth);
        assert_eq!((&answer["reached"], &answer["members"]), (&NODES.into(), &NODES.into()), "{answer}");
    }
    let histogram = answer(&mesh, 0, at, &["histogram", "loss", "--buckets", "2"], NODES).await;
    let counts: Vec<u64> =
        histogram["histogram"].as_array().unwrap().iter().map(|one| one["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 2], "{histogram}");
    let vector = answer(&mesh, 2, at, &["mean", "weights", "--vector"], NODES).await;
    for (found, truth) in vector["values"].as_array().unwrap().iter().zip([1.5, 3.5, -1.5]) {
        check_near(&vector, found, truth);
    }

    // A metric, and one with labels.
    let slots = answer(&mesh, 0, at, &["sum", "mesh_tasks_slots"], NODES).await;
    let each = answer(&mesh, 0, at, &["max", "mesh_tasks_slots"], NODES).await["value"].as_f64().unwrap();
    check_near(&slots, &slots["value"], each * 4.0);
    let members = answer(&mesh, 3, at, &["mean", "mesh_members"], NODES).await;
    check_near(&members, &members["value"], 4.0);
    let asked = answer(&mesh, 0, at, &["min", "mesh_aggregations_asked"], NODES).await;
    assert!(asked["value"].as_f64().unwrap() >= 1.0, "each was asked before: {asked}");

    // What nobody has, and what nobody can have.
    let (code, _, stderr) = ask(&mesh, 0, at, &["mean", "nothing"]).await;
    assert!(code == 2 && stderr.contains("none of the 4 nodes in reach"), "{code}: {stderr}");
    let (code, _, stderr) = ask(&mesh, 0, at, &["set", "mesh_members", "7"]).await;
    assert!(code == 2 && stderr.contains("mesh_"), "{code}: {stderr}");
    let (code, _, stderr) = ask(&mesh, 0, at, &["quantile", "loss", "--at", "2"]).await;
    assert!(code == 2 && stderr.contains("from 0 to 1"), "{code}: {stderr}");

    // One dies, while it is asked.
    let words = ["--output", "json", "aggregate", "sum", "loss", "--tolerance", "1e-9"];
    let asked = tokio::spawn(run(meshd(&mesh, &[0], at, &words)));
    until("an aggregation under way at the node that is to die", async || {
        scrape(&mesh.net.nodes()[3].data_dir).await.lines().any(|line| line == "mesh_aggregations_open 1")
    })
    .await;
    let killed = mesh.net.kill(3);
    mesh.check(killed);
    let (code, stdout, stderr) = asked.await.unwrap();
    assert_eq!(code, 0, "{stderr}");
    let meanwhile = lines(&stdout).remove(0);
    assert_eq!((&meanwhile["covers"], &meanwhile["members"]), (&3.into(), &4.into()), "{meanwhile}");
    check_near(&meanwhile, &meanwhile["value"], 60.0);

    // And again after that.
    for (words, truth) in [(["sum", "loss"], 60.0), (["max", "loss"], 30.0), (["count", "loss"], 3.0)] {
        let answer = answer(&mesh, 1, at, &words, NODES - 1).await;
        check_near(&answer, &answer["value"], truth);
    }

    // It is back, and what users gave it was in its memory alone.
    let (started, whole) = (mesh.net.start(3), mesh.net.wait_whole().await);
    mesh.check(started);
    mesh.check(whole);
    let answer = answer(&mesh, 0, at, &["mean", "loss"], NODES - 1).await;
    assert_eq!(answer["reached"], NODES, "{answer}");
    check_near(&answer, &answer["value"], 20.0);
    let (code, rows, _) = ask(&mesh, 3, at, &["list"]).await;
    assert_eq!((code, rows), (0, Value::Null));
    let (code, _, stderr) = ask(&mesh, 0, at, &["unset", "loss"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(ask(&mesh, 0, at, &["unset", "loss"]).await.0, 2);
    let (code, _, stderr) = ask(&mesh, 0, at, &["max", "loss", "--value", "70"]).await;
    assert_eq!(code, 0, "{stderr}");
}
