//! An operator forgets a member. It is out, whatever it says, until it is invited anew.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use std::path::Path;
use std::process::{Command, Stdio};

/// A verb that needs no running node, on a data directory.
fn offline(data_dir: &Path, words: &[&str]) -> Command {
    let mut meshd = Command::new(env!("CARGO_BIN_EXE_meshd"));
    meshd.arg("--data-dir").arg(data_dir).args(words).stdin(Stdio::null());
    meshd
}

#[tokio::test]
async fn who_was_forgotten_comes_back_by_a_later_invitation_and_not_before() {
    let mut mesh = Mesh::up(3).await;
    let here = tempfile::tempdir().unwrap();
    let gone = mesh.net.nodes()[2].clone();
    let maker = mesh.net.nodes()[0].data_dir.clone();
    let invite = ["invite", "--role", "full"];
    let (code, before, stderr) = run(offline(&maker, &invite)).await;
    assert_eq!(code, 0, "{stderr}");

    let (code, _, stderr) = run(meshd(&mesh, &[1], here.path(), &["member", "forget", &gone.node])).await;
    assert_eq!(code, 0, "{stderr}");
    let list = ["member", "list", "--output", "json"];
    let state = async |mesh: &Mesh, asked: usize| {
        let (_, stdout, _) = run(meshd(mesh, &[asked], here.path(), &list)).await;
        lines(&stdout).iter().find(|member| member["node"] == gone.node.as_str()).map(|member| member["state"].clone())
    };
    for node in [0, 1] {
        until("it is forgotten", || async { state(&mesh, node).await == Some("forgotten".into()) }).await;
    }

    // Neither as it is nor by a token of before; and it hears why.
    let told = |mesh: &Mesh| {
        let log = std::fs::read_to_string(&mesh.net.nodes()[2].log).unwrap();
        log.matches("forgotten by an operator").count()
    };
    mesh.net.terminate(2).unwrap();
    for token in [None, Some(before.trim())] {
        if let Some(token) = token {
            let (code, _, stderr) = run(offline(&gone.data_dir, &["join", token])).await;
            assert_eq!(code, 0, "{stderr}");
        }
        let heard = told(&mesh);
        mesh.net.start(2).unwrap();
        until("it is told", || async { told(&mesh) > heard }).await;
        mesh.net.terminate(2).unwrap();
    }
    for node in [0, 1] {
        assert_eq!(state(&mesh, node).await, Some("forgotten".into()));
    }

    let (_, token, _) = run(offline(&maker, &invite)).await;
    let (code, _, stderr) = run(offline(&gone.data_dir, &["join", token.trim()])).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = run(offline(&gone.data_dir, &["join", token.trim()])).await;
    assert!(code != 0 && stderr.contains("not of later"), "{code}: {stderr}");
    mesh.net.start(2).unwrap();
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    for node in [0, 1] {
        until("it is back", || async { state(&mesh, node).await == Some("alive".into()) }).await;
    }
    // Also for who reads it from its disk.
    mesh.net.restart(1).unwrap();
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    assert_eq!(state(&mesh, 1).await, Some("alive".into()));
    let (code, stdout, stderr) = run(meshd(&mesh, &[2], here.path(), &["submit", "--echo", "hi"])).await;
    assert_eq!((code, stdout.trim()), (0, "hi"), "{stderr}");
}
