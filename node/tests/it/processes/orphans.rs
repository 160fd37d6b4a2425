//! A command dies with its node, kill -9 included, is begun again elsewhere, hears when it is cancelled, and is ended where the
//! mesh is lost if that was asked.

use super::{Mesh, until};
use meshd::api::submission::{Command, ProgramSpec, TaskRequest};
use meshd::api::tasks::submit::Submitted;
use meshd::api::terms::{Isolated, Terms, Way};
use meshd::api::view::TaskInfo;
use meshd::client::Ask;
use meshd::testnet::Process;

#[tokio::test]
async fn a_command_dies_with_its_node() {
    let mut mesh = Mesh::up(3).await;
    let seconds = drawn();
    let submitted = submit_sleep(&mesh, &seconds, Terms::default()).await;
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

#[tokio::test]
async fn a_command_is_ended_where_the_mesh_is_lost_if_that_was_asked() {
    let mut mesh = Mesh::up(3).await;
    let (stops, goes_on) = (drawn(), drawn());
    for (seconds, on_isolation) in [(&stops, Isolated::Stop), (&goes_on, Isolated::Continue)] {
        submit_sleep(&mesh, seconds, Terms { strategy: Way::Local, on_isolation, ..Terms::default() }).await;
    }
    until("both run", || async { !sleepers(&stops).is_empty() && !sleepers(&goes_on).is_empty() }).await;
    let killed = mesh.net.kill(1);
    mesh.check(killed);
    until("its node knows that one is gone", || async {
        mesh.net.status(0).await.is_ok_and(|status| status.reachable == 2)
    })
    .await;
    assert!(!sleepers(&stops).is_empty(), "half of the others are there");
    let killed = mesh.net.kill(2);
    mesh.check(killed);
    until("the one that is to stop has ended", || async { sleepers(&stops).is_empty() }).await;
    assert!(!sleepers(&goes_on).is_empty());
    // When the mesh is back it is begun again, by whoever has its turn.
    for node in [1, 2] {
        let back = mesh.net.start(node);
        mesh.check(back);
    }
    until("it is begun again", || async { !sleepers(&stops).is_empty() }).await;
}

/// A time to sleep for that no other process has as an argument.
fn drawn() -> String {
    format!("{}.{:09}", 3000 + rand::random::<u16>() % 1000, rand::random::<u32>() % 1_000_000_000)
}

async fn submit_sleep(mesh: &Mesh, seconds: &str, terms: Terms) -> Submitted {
    let command = Command { argv: vec!["sleep".into(), seconds.into()], ..Command::default() };
    let request = TaskRequest {
        program: ProgramSpec::Exec(command),
        terms,
        stdin: None,
        stdin_b64: None,
        stdin_blob: None,
        stdin_path: None,
        files: Vec::new(),
        stdin_result: None,
        after: Vec::new(),
    };
    mesh.net.gateways(&[0]).unwrap().client().ask(&Ask::post("/v1/tasks").json(&request)).await.unwrap()
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
