//! A member is revoked by a motion of the ledger. It is out everywhere: at nodes that have no ledger, at one that was away
//! meanwhile, and at one that starts again when nobody is there to ask.

use super::verbs::{lines, meshd, run};
use super::{Mesh, until};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A verb that needs no running node, on a data directory.
fn offline(data_dir: &Path, words: &[&str]) -> Command {
    let mut meshd = Command::new(env!("CARGO_BIN_EXE_meshd"));
    meshd.arg("--data-dir").arg(data_dir).args(words).stdin(Stdio::null());
    meshd
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn who_is_revoked_is_let_in_nowhere_until_it_is_invited_anew() {
    let mut mesh = Mesh::up(4).await;
    let here = tempfile::tempdir().unwrap();
    // Node 0 made the network, and is its committee. Node 2 is away.
    let gone = mesh.net.nodes()[3].clone();
    let killed = mesh.net.kill(2);
    mesh.check(killed);
    let state = async |mesh: &Mesh, asked: usize| {
        let list = ["member", "list", "--output", "json"];
        let (_, stdout, _) = run(meshd(mesh, &[asked], here.path(), &list)).await;
        lines(&stdout).iter().find(|member| member["node"] == gone.node.as_str()).map(|member| member["state"].clone())
    };
    let is_connected = async |mesh: &Mesh, asked: usize| {
        let (code, stdout, stderr) = run(meshd(mesh, &[asked], here.path(), &["peer", "list"])).await;
        assert_eq!(code, 0, "{stderr}");
        stdout.contains(&gone.node)
    };
    let revoke = async |mesh: &Mesh, asked: usize, words: &[&str]| {
        run(meshd(mesh, &[asked], here.path(), &[&["member", "revoke"], words].concat())).await
    };
    let own = mesh.net.nodes()[0].node.clone();
    let (code, _, stderr) = revoke(&mesh, 0, &[&own]).await;
    assert!(code != 0 && stderr.contains("--force"), "{code} {stderr}");
    let (code, _, stderr) = revoke(&mesh, 1, &[&gone.node]).await;
    assert!(code != 0 && stderr.contains("may not"), "not of the committee: {code} {stderr}");
    let (code, stdout, stderr) = revoke(&mesh, 0, &[&gone.node]).await;
    assert!(code == 0 && stdout.contains("is revoked"), "{code} {stdout}{stderr}");
    let begun = Instant::now();
    for node in [0, 1] {
        until("it is revoked, and out", || async {
            state(&mesh, node).await == Some("revoked".into()) && !is_connected(&mesh, node).await
        })
        .await;
    }
    let took = begun.elapsed();
    println!("all that were there had it out after {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let back = mesh.net.start(2);
    mesh.check(back);
    until("the one that was away knows", || async { state(&mesh, 2).await == Some("revoked".into()) }).await;

    // Without anybody to ask: from its disk.
    for node in [0, 1, 2] {
        let killed = mesh.net.kill(node);
        mesh.check(killed);
    }
    let terminated = mesh.net.terminate(3);
    mesh.check(terminated);
    let told = || std::fs::read_to_string(&gone.log).unwrap().matches("revoked by the network").count();
    let heard = told();
    for node in [2, 3] {
        let started = mesh.net.start(node);
        mesh.check(started);
    }
    until("it hears why from the one that is there", || async { told() > heard }).await;
    assert_eq!(state(&mesh, 2).await, Some("revoked".into()));
    assert!(!is_connected(&mesh, 2).await);

    // A later invitation lets it in again, also one by a key that the ledger has come to name.
    let terminated = mesh.net.terminate(3);
    mesh.check(terminated);
    for node in [0, 1] {
        let started = mesh.net.start(node);
        mesh.check(started);
        let answers = mesh.net.wait_answers(node).await;
        mesh.check(answers);
    }
    let inviter = mesh.net.nodes()[1].clone();
    let invite = ["invite", "--role", "full"];
    assert_ne!(run(offline(&inviter.data_dir, &invite)).await.0, 0, "nobody has named it");
    let name = async |mesh: &Mesh, verb: &str| {
        let (code, _, stderr) = run(meshd(mesh, &[0], here.path(), &["inviter", verb, &inviter.node])).await;
        assert_eq!(code, 0, "{stderr}");
    };
    name(&mesh, "add").await;
    until("it knows that it may", || async { run(offline(&inviter.data_dir, &invite)).await.0 == 0 }).await;
    let (code, token, stderr) = run(offline(&inviter.data_dir, &invite)).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = run(offline(&gone.data_dir, &["join", token.trim()])).await;
    assert_eq!(code, 0, "{stderr}");
    let started = mesh.net.start(3);
    mesh.check(started);
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    for node in [0, 1, 2] {
        until("it is back", || async { state(&mesh, node).await == Some("alive".into()) }).await;
    }

    // What that key lets in when it is named no more is nobody; whom the ledger let in by then stays.
    until("the ledger has let it in", || async {
        let probe = ["propose", "--title", "who", "--body", "{\"a\":1}", "--electorate", "all"];
        let (_, id, _) = run(meshd(&mesh, &[0], here.path(), &probe)).await;
        let show = ["proposal", "show", id.trim(), "--output", "json"];
        let (_, shown, _) = run(meshd(&mesh, &[0], here.path(), &show)).await;
        shown.contains("\"electors\":4")
    })
    .await;
    name(&mesh, "remove").await;
    until("it knows that it may no more", || async { run(offline(&inviter.data_dir, &invite)).await.0 != 0 }).await;
    let restarted = mesh.net.restart(3);
    mesh.check(restarted);
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    let other = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(offline(other.path(), &["join", token.trim()])).await;
    assert_eq!(code, 0, "{stderr}");
    let log = other.path().join("log-of-it");
    let mut stranger = offline(other.path(), &["run", "--listen", "/ip4/127.0.0.1/tcp/0", "--mdns", "false"]);
    let bootstrap = format!("/ip4/127.0.0.1/tcp/{}", mesh.net.nodes()[0].port);
    stranger.args(["--api-listen", "127.0.0.1:0", "--bootstrap", &bootstrap]);
    stranger
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(std::fs::File::options().append(true).open(&log).unwrap());
    let mut stranger = stranger.spawn().unwrap();
    until("it hears why", || async {
        std::fs::read_to_string(&log).unwrap().contains("whoever invited this node may not invite")
    })
    .await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
