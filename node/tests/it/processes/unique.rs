//! `submit --unique`: one execution at a time, whatever becomes of the node that has it.

use super::verbs::{meshd, run};
use super::{Mesh, PATIENCE};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The fences of the shells that run now with this mark in their script, and of what they have forked and is a shell still.
fn running(mark: &str) -> BTreeSet<u64> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let fence = |pid: i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        let is_shell = words.starts_with("sh\0-c\0") && words.contains(mark);
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok().filter(|_| is_shell)?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        environment.split('\0').find_map(|variable| variable.strip_prefix("MESH_FENCE=")?.parse().ok())
    };
    pids.filter_map(fence).collect()
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_task_that_is_to_run_once_at_a_time_waits_until_the_one_of_a_frozen_node_is_over() {
    let mut mesh = Mesh::up_with(4, |options| options.allow.push("sh".into())).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    let mark = format!("once-{:016x}", rand::random::<u64>());
    let gate = at.join("gate");
    let script = format!("until [ -e {} ]; do sleep 0.1; done; echo $MESH_FENCE; : {mark}", gate.display());
    let words = ["submit", "--unique", "--exec", "--detach", "--", "sh", "-c", &script];
    let (code, task, stderr) = run(meshd(&mesh, &[0], at, &words)).await;
    assert_eq!(code, 0, "{stderr}");
    let task = task.trim();

    // All that ever ran, in order; never two at once.
    let mut fences: Vec<u64> = Vec::new();
    let look = async |fences: &mut Vec<u64>, count: usize| {
        let begun = Instant::now();
        while fences.len() < count {
            assert!(begun.elapsed() < PATIENCE, "only {fences:?} ran");
            let now = running(&mark);
            assert!(now.len() <= 1, "at once: {now:?} after {fences:?}");
            fences.extend(now.first().filter(|fence| fences.last() != Some(*fence)));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    look(&mut fences, 1).await;
    let executor = super::lost_node::runs(&mesh, task).await;
    // Node 0 made the network and is its committee: frozen, nothing would be agreed on. Killed, it takes its command along.
    let is_committee = executor == 0;
    let gone = if is_committee { mesh.net.kill(0) } else { mesh.net.stop(executor) };
    mesh.check(gone);
    if is_committee {
        let back = mesh.net.start(0);
        mesh.check(back);
    }
    look(&mut fences, 2).await;
    if !is_committee {
        let goes_on = mesh.net.cont(executor);
        mesh.check(goes_on);
    }
    let whole = mesh.net.wait_whole().await;
    mesh.check(whole);
    std::fs::write(&gate, "").unwrap();
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], at, &["task", "result", "--wait", task])).await;
    assert_eq!(code, 0, "{stderr}");
    println!("it ran under {fences:?}, on node {executor} first");
    assert!(fences.is_sorted(), "{fences:?}");
    assert_eq!(stdout.trim(), fences[1].to_string());
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn what_waits_for_an_award_without_a_quorum_holds_no_slot_and_is_not_given_up() {
    let mut mesh = Mesh::up_with(4, |options| options.slots = vec![1]).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();
    // Node 0 made the network and is its committee.
    let killed = mesh.net.kill(0);
    mesh.check(killed);
    let mut tasks = Vec::new();
    let busy = async |mesh: &Mesh| {
        let mut busy = 0;
        for node in 1..4 {
            busy += mesh.net.status(node).await.map_or(0, |status| status.running);
        }
        busy
    };
    let begun = Instant::now();
    while busy(&mesh).await < 3 {
        assert!(begun.elapsed() < PATIENCE, "{} tasks, and a slot is free", tasks.len());
        let words = ["submit", "--unique", "--exec", "--detach", "--", "true"];
        let (code, task, stderr) = run(meshd(&mesh, &[1], at, &words)).await;
        assert_eq!(code, 0, "{stderr}");
        tasks.push(task.trim().to_owned());
    }
    let begun = Instant::now();
    let (code, _, stderr) =
        run(meshd(&mesh, &[1], at, &["submit", "--exec", "--priority", "critical", "--deadline", "80s", "--", "true"]))
            .await;
    assert_eq!(code, 0, "after {:?}: {stderr}", begun.elapsed());
    println!("{} tasks waited for awards; another one ran after {:?}", tasks.len(), begun.elapsed());

    let back = mesh.net.start(0);
    mesh.check(back);
    for task in &tasks {
        let (code, _, stderr) = run(meshd(&mesh, &[1], at, &["task", "result", "--wait", task])).await;
        assert_eq!(code, 0, "{task}: {stderr}");
    }
}
