//! What becomes of tasks when meshd is killed or stopped. A stand-in for meshd is this test binary, run again with one
//! ignored test that owns executors until it is killed.

use super::mesh::{Mesh, config, run};
use super::{LEVELS, wait_until, with_argument};
use meshd::executor::{ExecutorConfig, ExecutorEvent, Executors, Failure, Level, Program, Status};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const STAND_IN: &str = "executor::death::stand_in";
const LEASE: Duration = Duration::from_secs(2);

fn shorten(config: &mut ExecutorConfig) {
    if let Some(exec) = &mut config.exec {
        exec.lease = LEASE;
    }
}

/// Not a test of its own: the process that the others kill.
#[test]
#[ignore = "started by other tests"]
fn stand_in() {
    let Ok(directory) = std::env::var("STAND_IN_DIRECTORY") else { return };
    let mark = std::env::var("STAND_IN_MARK").unwrap();
    let level = if std::env::var("STAND_IN_LEVEL").unwrap() == "pid-namespace" { LEVELS[0] } else { LEVELS[1] };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut events) = tokio::sync::mpsc::channel(8);
        let config = config(Path::new(&directory).join("tasks"), level, shorten);
        let executors = Executors::start(config, sender).unwrap();
        let script = format!(
            "setsid sh -c 'setsid sh -c \"sleep 1000; : {mark}\" & ' >/dev/null 2>&1 </dev/null; sleep 1000; : {mark}"
        );
        let argv = ["sh", "-c", &script].map(String::from).to_vec();
        assert!(executors.run(run(1, Program::Exec { argv, env: Vec::new() })).unwrap().is_none());
        while let Some(event) = events.recv().await {
            if let ExecutorEvent::Finished { outcome, .. } = event {
                std::fs::write(Path::new(&directory).join("status"), format!("{:?}", outcome.status)).unwrap();
            }
        }
    });
}

/// Ends with its test, also when that fails.
struct StandIn(Child);

impl StandIn {
    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(directory: &Path, mark: &str, level: Level) -> StandIn {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", STAND_IN, "--ignored", "--nocapture"])
        .env("STAND_IN_DIRECTORY", directory)
        .env("STAND_IN_MARK", mark)
        .env("STAND_IN_LEVEL", level.as_str())
        .spawn();
    let child = StandIn(child.unwrap());
    wait_until("command and daemon are up", || with_argument(mark).len() >= 2);
    child
}

#[test]
fn a_task_dies_with_meshd() {
    for level in LEVELS {
        let directory = tempfile::tempdir().unwrap();
        let mark = format!("death-{:016x}", rand::random::<u64>());
        let meshd = start(directory.path(), &mark, level);
        drop(meshd);
        wait_until("the tree is gone", || with_argument(&mark).is_empty());
        // The guard removes the task's directory on its way.
        if level == Level::Subreaper {
            wait_until("the directory is gone", || {
                std::fs::read_dir(directory.path().join("tasks")).unwrap().count() == 0
            });
        }
    }
}

#[test]
fn a_task_dies_when_meshd_is_stopped_for_longer_than_the_lease() {
    for level in LEVELS {
        let directory = tempfile::tempdir().unwrap();
        let mark = format!("stopped-{:016x}", rand::random::<u64>());
        let meshd = start(directory.path(), &mark, level);
        // Renewed, it lives for several leases.
        std::thread::sleep(LEASE * 3);
        assert!(with_argument(&mark).len() >= 2);
        meshd.send(Signal::STOP);
        wait_until("the tree is gone", || with_argument(&mark).is_empty());
        meshd.send(Signal::CONT);
        let status = directory.path().join("status");
        wait_until("the failure is told", || std::fs::read_to_string(&status).is_ok_and(|text| !text.is_empty()));
        let expected = Status::Failed(Failure::LeaseLost { lease_ms: LEASE.as_millis() as u64 });
        assert_eq!(std::fs::read_to_string(&status).unwrap(), format!("{expected:?}"));
    }
}

#[test]
fn dropping_the_executors_ends_their_tasks() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let mark = format!("dropped-{:016x}", rand::random::<u64>());
        let run = mesh.sh(&format!("sleep 1000; : {mark}"));
        assert!(mesh.executors.run(run).unwrap().is_none());
        wait_until("it is up", || !with_argument(&mark).is_empty());
        let Mesh { executors, runtime, .. } = mesh;
        drop(executors);
        wait_until("the tree is gone", || with_argument(&mark).is_empty());
        drop(runtime);
    }
}
