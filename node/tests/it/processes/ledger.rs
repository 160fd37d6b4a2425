//! What the committee decided, proved to somebody who asks no node.

use super::Mesh;
use super::verbs::{lines, meshd, run};
use serde_json::Value;
use std::path::Path;

/// A verb through one node, as JSON where it printed any.
async fn ask(mesh: &Mesh, node: usize, here: &Path, words: &[&str]) -> (i32, Vec<Value>, String) {
    let (code, stdout, stderr) = run(meshd(mesh, &[node], here, &[words, &["--output", "json"]].concat())).await;
    (code, lines(&stdout), stderr)
}

#[track_caller]
fn told((code, said, stderr): (i32, Vec<Value>, String)) -> Value {
    assert_eq!(code, 0, "{said:?}{stderr}");
    said.into_iter().next().expect("a line")
}

/// Who made the network decides alone until it has met somebody. On a new disk, with its key and genesis put back, it would
/// decide a second history, which would be proved as the first is.
#[tokio::test]
async fn the_maker_on_another_disk_decides_nothing_alone() {
    let mut mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    let put = |wait: &'static str| ["memory", "put", "--namespace", "app", "key", "value", "--wait", wait];
    told(ask(&mesh, 0, here.path(), &put("60s")).await);
    let restarted = mesh.net.restart(0);
    mesh.check(restarted);
    let answers = mesh.net.wait_answers(0).await;
    mesh.check(answers);
    told(ask(&mesh, 0, here.path(), &put("60s")).await);

    let ended = mesh.net.terminate(0);
    mesh.check(ended);
    let data = mesh.net.nodes()[0].data_dir.clone();
    for name in ["founding", "store.redb"] {
        std::fs::remove_file(data.join(name)).unwrap();
    }
    std::fs::remove_dir_all(data.join("log")).unwrap();
    let started = mesh.net.start(0);
    mesh.check(started);
    let answers = mesh.net.wait_answers(0).await;
    mesh.check(answers);
    let (code, said, stderr) = ask(&mesh, 0, here.path(), &put("2s")).await;
    assert_eq!(code, 75, "{said:?}{stderr}");
}

#[tokio::test]
async fn a_decision_is_proved_with_the_nodes_gone_and_a_forged_byte_is_found() {
    let mut mesh = Mesh::up(4).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let status = told(ask(&mesh, 0, at, &["status"]).await);
    let network = status["network"].as_str().unwrap().to_owned();
    assert!(status["warnings"][0].as_str().is_some_and(|warning| warning.contains("tolerates no fault")), "{status}");

    // A mesh that has just begun proves that it has.
    let verify = ["ledger", "verify", "--network", &network];
    let young = told(ask(&mesh, 3, at, &verify).await);
    assert_eq!((&young["epoch"], young["members"].as_array().map(Vec::len)), (&0.into(), Some(1)), "{young}");

    for node in 1..=3 {
        let id = mesh.net.nodes()[node].node.clone();
        told(ask(&mesh, 0, at, &["committee", "add", &id]).await);
    }
    assert_eq!(told(ask(&mesh, 0, at, &["status"]).await).get("warnings"), None);
    let propose = ["propose", "--title", "upgrade", "--body", r#"{"to":"0.2"}"#, "--deadline", "10m"];
    let (code, id, stderr) = run(meshd(&mesh, &[3], at, &propose)).await;
    assert_eq!(code, 0, "{stderr}");
    let id = id.trim();
    let show = ["proposal", "show", id, "--proof", "proof"];
    let (code, _, stderr) = ask(&mesh, 3, at, &show).await;
    assert!(code == 75 && stderr.contains("proposal watch") && !at.join("proof").exists(), "{code} {stderr}");
    for node in 0..3 {
        told(ask(&mesh, node, at, &["vote", id, "approve"]).await);
    }
    let (code, shown, stderr) = ask(&mesh, 3, at, &show).await;
    assert!(code == 0 && stderr.contains("meshd ledger verify --proof proof"), "{code} {stderr}");
    assert_eq!(shown[0]["state"], "accepted");
    let state = told(ask(&mesh, 2, at, &[&verify[..], &["--save", "state"]].concat()).await);
    assert_eq!((&state["epoch"], state["members"].as_array().map(Vec::len)), (&3.into(), Some(4)), "{state}");

    for node in 0..4 {
        let killed = mesh.net.kill(node);
        mesh.check(killed);
    }
    let by_proof = [&verify[..], &["--proof", "proof"]].concat();
    let proved = told(ask(&mesh, 0, at, &by_proof).await);
    let decision = &proved["decision"];
    assert_eq!((&decision["proposal"], &decision["state"]), (&id.into(), &"accepted".into()), "{proved}");
    assert_eq!(decision["votes"].as_array().map(Vec::len), Some(3), "{proved}");
    let same = told(ask(&mesh, 0, at, &[&verify[..], &["--bundle", "state"]].concat()).await);
    assert_eq!((&same["root"], &same["index"]), (&state["root"], &state["index"]));

    refused(&mesh, at, &network, &by_proof).await;
}

async fn refused(mesh: &Mesh, at: &Path, network: &str, by_proof: &[&str]) {
    let bytes = std::fs::read(at.join("proof")).unwrap();
    for part in [0, 1, 3, 5, 7, 9, 11, 13, 15] {
        let mut forged = bytes.clone();
        let place = part * (bytes.len() - 1) / 15;
        forged[place] ^= 0x01;
        std::fs::write(at.join("forged"), forged).unwrap();
        let words = ["ledger", "verify", "--network", network, "--proof", "forged"];
        let (code, said, stderr) = ask(mesh, 0, at, &words).await;
        assert!(code == 1 && stderr.contains("not verified"), "byte {place}: {code} {stderr}");
        assert_eq!((&said[0]["verified"], said[0]["why"].is_string()), (&false.into(), true), "byte {place}: {said:?}");
    }
    // What is about a state alone proves no decision; what is of another network proves nothing.
    let (code, said, _) = ask(mesh, 0, at, &["ledger", "verify", "--network", network, "--proof", "state"]).await;
    assert_eq!((code, &said[0]["failed"]), (1, &"decision".into()));
    let other = "0".repeat(64);
    let (code, said, _) = ask(mesh, 0, at, &["ledger", "verify", "--network", &other, "--proof", "proof"]).await;
    assert_eq!((code, &said[0]["failed"]), (1, &"genesis".into()));
    // Whose ledger it is has to come from elsewhere.
    let (code, _, stderr) = ask(mesh, 0, at, &["ledger", "verify", "--proof", "proof", "--data-dir", "none"]).await;
    assert!(code == 2 && stderr.contains("--network"), "{code} {stderr}");
    let (code, _, stderr) = ask(mesh, 0, at, &[by_proof, &["--bundle", "state"]].concat()).await;
    assert_eq!(code, 2, "{stderr}");
}
