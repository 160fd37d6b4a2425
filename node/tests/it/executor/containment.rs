use super::{LEVELS, Mesh, failure, text, wait_until, with_argument};
use meshd::executor::{ExecutorEvent, Failure, Level, Status};

/// A name that no other process on the machine has among its arguments.
fn mark(what: &str) -> String {
    format!("{what}-{:016x}", rand::random::<u64>())
}

/// Forks twice with a session of its own each, as a daemon does, and holds no pipe.
fn daemon(mark: &str) -> String {
    format!("setsid sh -c 'setsid sh -c \"sleep 1000; : {mark}\" & ' >/dev/null 2>&1 </dev/null")
}

#[test]
fn an_orphan_with_a_session_of_its_own_does_not_outlive_the_task() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let mark = mark("orphan");
        let run = mesh
            .sh(&format!("{}; while ! pgrep -f 'sleep 1000; : {mark}' >/dev/null; do :; done; echo up", daemon(&mark)));
        let outcome = mesh.finish(run);
        assert_eq!((&outcome.status, text(&outcome.stdout).as_str()), (&Status::Exit(0), "up\n"));
        assert_eq!(with_argument(&mark), Vec::<i32>::new(), "gone before the result is told");
    }
}

#[test]
fn a_child_that_keeps_the_pipe_does_not_hold_the_result_back() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let run = mesh.sh("echo early; (sleep 1000; echo late) & exit 4");
        let outcome = mesh.finish(run);
        assert_eq!((&outcome.status, text(&outcome.stdout).as_str()), (&Status::Exit(4), "early\n"));
    }
}

#[test]
fn a_killed_guard_is_a_failure_takes_its_task_along_and_is_replaced() {
    for level in LEVELS {
        let mut mesh = Mesh::with(level, |config| config.slots = 1);
        let mark = mark("lost");
        let run = mesh.sh(&format!("{}; sleep 1000; : {mark}", daemon(&mark)));
        let task = run.task;
        assert!(mesh.executors.run(run).unwrap().is_none());
        assert!(matches!(mesh.event(), ExecutorEvent::Started { .. }));
        wait_until("command and daemon are up", || with_argument(&mark).len() >= 2);
        let guard = guard_of(with_argument(&mark)[0]);
        kill(guard);
        let outcome = mesh.end_of(task, 1);
        assert_eq!(failure(&outcome), &Failure::GuardLost);
        assert_eq!(with_argument(&mark), Vec::<i32>::new());
        assert!(mesh.left().is_empty());
        let next = mesh.exec(&["true"]);
        assert_eq!(mesh.finish(next).status, Status::Exit(0));
    }
}

#[test]
fn a_task_that_attacks_its_guard() {
    // In a namespace it cannot: the guard is the first process.
    let mut mesh = Mesh::new(Level::Namespace);
    let run = mesh.sh("kill -9 $PPID; kill -STOP $PPID; echo $PPID");
    let outcome = mesh.finish(run);
    assert_eq!((&outcome.status, text(&outcome.stdout).as_str()), (&Status::Exit(0), "1\n"));
    // Else it can where nothing fences it, and fails by it.
    let mut mesh = Mesh::with(Level::Subreaper, |config| {
        if let Some(exec) = &mut config.exec {
            exec.fenced = false;
        }
    });
    let mark = mark("attack");
    let run = mesh.sh(&format!("{}; kill -9 $PPID; sleep 1000", daemon(&mark)));
    assert_eq!(failure(&mesh.finish(run)), &Failure::GuardLost);
    wait_until("the daemon is gone", || with_argument(&mark).is_empty());
}

#[test]
fn a_guard_that_cannot_be_started_is_a_failure() {
    let mut mesh = Mesh::with(Level::Namespace, |config| {
        if let Some(exec) = &mut config.exec {
            exec.guard = "/no/such/meshd".into();
        }
    });
    let run = mesh.exec(&["true"]);
    assert!(matches!(failure(&mesh.finish(run)), Failure::GuardUnavailable { .. }));
}

/// The guard above a process: the ancestor whose arguments say so.
pub fn guard_of(pid: i32) -> i32 {
    let mut pid = pid;
    loop {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        if line.split(|byte| *byte == 0).any(|word| word == b"__guard") {
            return pid;
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        pid = stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(pid > 1, "no guard above");
    }
}

pub fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
