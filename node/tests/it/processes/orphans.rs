//! A command dies with its node, kill -9 included, is begun again elsewhere, and hears when it is cancelled.

use super::{Mesh, until};
use meshd::api::submission::{Command, ProgramSpec, TaskRequest, Terms};
use meshd::api::tasks::submit::Submitted;
use meshd::api::view::TaskInfo;
use meshd::client::Ask;
use meshd::testnet::Process;

#[tokio::test]
async fn a_command_dies_with_its_node() {
    let mut mesh = Mesh::up(3).await;
    // No other process has this argument.
    let seconds = format!("{}.{:09}", 3000 + rand::random::<u16>() % 1000, rand::random::<u32>() % 1_000_000_000);
    let command = Command { argv: vec!["sleep".into(), seconds.clone()], ..Command::default() };
    let request = TaskRequest {
        program: ProgramSpec::Exec(command),
        terms: Terms::default(),
        stdin: None,
        stdin_b64: None,
        stdin_blob: None,
        stdin_path: None,
        files: Vec::new(),
    };
    let submitted: Submitted =
        mesh.net.gateways(&[0]).unwrap().client().ask(&Ask::post("/v1/tasks").json(&request)).await.unwrap();
    until("the command runs", || async { !sleepers(&seconds).is_empty() }).await;
    let first = sleepers(&seconds);

    let show = Ask::get(format!("/v1/tasks/{}", submitted.task));
    let info: TaskInfo = mesh.net.gateways(&[0]).unwrap().client().ask(&show).await.unwrap();
    let node = info.attempt.and_then(|attempt| mesh.net.number_of(&attempt.node)).expect("it runs somewhere");
    let killed = mesh.net.kill(node);
    mesh.check(killed);
    until("the command has died with its node", || async { !first.iter().any(Process::is_alive) }).await;

    until("it is begun again on another node", || async { !sleepers(&seconds).is_empty() }).await;
    let other = (node + 1) % 3;
    let gateways = mesh.net.gateways(&[other]).unwrap();
    let cancel = Ask::post(format!("/v1/tasks/{}/cancel", submitted.task));
    gateways.client().send(&cancel).await.unwrap();
    until("the cancelled command has ended", || async { sleepers(&seconds).is_empty() }).await;
    until("the task ends as cancelled", || async {
        gateways.client().ask::<TaskInfo>(&show).await.is_ok_and(|info| info.state == "cancelled")
    })
    .await;
}

/// The commands that sleep for so long.
fn sleepers(seconds: &str) -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let sleeps = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            let line = String::from_utf8_lossy(&line);
            let words: Vec<&str> = line.split('\0').collect();
            words.first().is_some_and(|first| first.ends_with("sleep")) && words.contains(&seconds)
        })
    };
    pids.filter(sleeps).filter_map(Process::of).collect()
}
