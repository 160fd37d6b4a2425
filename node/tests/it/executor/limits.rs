use super::{LEVELS, Mesh, failure, text, wait_until, with_argument};
use meshd::executor::{ExecutorEvent, Failure, Limits, Output, Run, Status, Stream};
use std::time::{Duration, Instant};

#[test]
fn what_cannot_be_run_says_why() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let rm = mesh.exec(&["rm", "-rf", "x"]);
        let refused = failure(&mesh.finish(rm)).to_string();
        assert!(refused.contains("`rm` is not allowed") && refused.contains("allows"), "{refused}");
        let false_ = mesh.exec(&["false"]);
        assert_eq!(mesh.finish(false_).status, Status::Exit(1));
        let killed = mesh.sh("kill -SEGV $$");
        assert_eq!(mesh.finish(killed).status, Status::Signal(11));
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn a_program_that_vanished_or_cannot_be_executed() {
    use std::os::unix::fs::PermissionsExt;
    for level in LEVELS {
        let programs = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = programs.path().join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            path.display().to_string()
        };
        let names =
            [file("gone", b"#!/bin/sh\n"), file("garbage", b"\x7fELFgarbage"), file("orphan", b"#!/no/such/shell\n")];
        let allowed = meshd::executor::Allowed::resolve(&names, "").unwrap();
        std::fs::remove_file(programs.path().join("gone")).unwrap();
        let mut mesh = Mesh::with(level, |config| {
            if let Some(exec) = &mut config.exec {
                exec.allowed = allowed;
            }
        });
        for (name, missing) in [("gone", true), ("garbage", false), ("orphan", true)] {
            let run = mesh.exec(&[name]);
            let outcome = mesh.finish(run);
            match failure(&outcome) {
                Failure::ProgramMissing { program } => assert!(missing && program.ends_with(name), "{outcome:?}"),
                Failure::NotExecutable { .. } => assert!(!missing, "{outcome:?}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_gibibyte_of_output_is_a_failure_and_not_a_full_disk() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let mut run = mesh.sh("head -c 1073741824 /dev/zero");
        run.limits.output_bytes = 8 << 20;
        let outcome = mesh.finish(run);
        assert_eq!(failure(&outcome), &Failure::OutputTooLarge { stream: "stdout".into(), limit: 8 << 20 });
        let Output::File { path, len, truncated: true } = &outcome.stdout else { panic!("{outcome:?}") };
        assert_eq!((*len, std::fs::metadata(path).unwrap().len()), (8 << 20, 8 << 20));
        let mut run = mesh.sh("yes >&2");
        run.limits.output_bytes = 1 << 20;
        let limit = Failure::OutputTooLarge { stream: "stderr".into(), limit: 1 << 20 };
        assert_eq!(failure(&mesh.finish(run)), &limit);
        let mut run = mesh.sh("exec head -c 100000000 /dev/zero > file");
        run.limits.file_bytes = 1 << 20;
        assert_eq!(failure(&mesh.finish(run)), &Failure::FileTooLarge { limit: 1 << 20 });
        drop(outcome);
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn the_operator_s_limits_hold_whatever_the_task_asks_for() {
    let mut mesh = Mesh::with(LEVELS[0], |config| {
        if let Some(exec) = &mut config.exec {
            exec.limits = Limits { output_bytes: 1000, ..exec.limits };
        }
    });
    let mut run = mesh.sh("head -c 100000 /dev/zero");
    run.limits.output_bytes = u64::MAX;
    assert_eq!(failure(&mesh.finish(run)), &Failure::OutputTooLarge { stream: "stdout".into(), limit: 1000 });
}

#[test]
fn exactly_the_limit_is_allowed() {
    let mut mesh = Mesh::new(LEVELS[0]);
    for size in [0, 1, 16 << 10, (16 << 10) + 1, 100_000] {
        let mut run = mesh.sh(&format!("head -c {size} /dev/zero"));
        run.limits.output_bytes = size;
        let outcome = mesh.finish(run);
        assert_eq!((outcome.status, outcome.stdout.len()), (Status::Exit(0), size));
    }
}

#[test]
fn an_endless_loop_ends_at_its_time_limit() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        // Deaf to every signal that can be ignored, and with a busy child.
        let mut run = mesh.sh("trap '' TERM INT HUP; (while :; do :; done) & while :; do :; done");
        run.time_limit = Duration::from_millis(300);
        let start = Instant::now();
        assert_eq!(failure(&mesh.finish(run)), &Failure::TimeLimit { limit_ms: 300 });
        assert!(start.elapsed() >= Duration::from_millis(300));
        let next = mesh.exec(&["true"]);
        assert_eq!(mesh.finish(next).status, Status::Exit(0));
    }
}

#[test]
fn a_fork_bomb_is_ended_and_nothing_of_it_remains() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let mark = format!("bomb-{}", rand::random::<u64>());
        let mut run = mesh.exec(&["sh", "-c", "b() { b | b & }; b; sleep 1000", &mark]);
        // The shell's copies show the same arguments. The time limit is the net below the test.
        run.limits.processes = 64;
        run.time_limit = Duration::from_secs(20);
        let outcome = mesh.finish(run);
        eprintln!("{level}: {:?} after {:?}", outcome.status, outcome.wall);
        let Failure::TooManyProcesses { limit: 64, seen } = failure(&outcome) else { panic!("{outcome:?}") };
        assert!(*seen > 64);
        assert_eq!(with_argument(&mark), Vec::<i32>::new());
        let next = mesh.exec(&["true"]);
        assert_eq!(mesh.finish(next).status, Status::Exit(0));
    }
}

/// Doubles what it holds until somebody minds.
const SWELL: &str = "x=0123456789abcdef; while :; do x=$x$x; done";

#[test]
fn memory_is_bounded_for_all_processes_of_a_command_together() {
    const LIMIT: u64 = 64 << 20;
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        // Alone, and in three that each stay below: 3 MiB are doubled to 24 and 48, which two of them hold a while.
        let together =
            "hold() { x=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 1000; : $x; }; hold & hold & hold & wait";
        for script in [SWELL, together] {
            let mut run = mesh.sh(script);
            run.limits.memory_bytes = Some(LIMIT);
            let outcome = mesh.finish(run);
            let Failure::MemoryLimit { limit: LIMIT, seen } = failure(&outcome) else { panic!("{outcome:?}") };
            assert!(*seen > LIMIT);
        }
        // What is shared counts once: forty copies of a shell that holds 16 MiB stay below.
        let mut run = mesh.sh(
            "x=$(head -c 16000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 40 ]; do (sleep 0.5; :) & i=$((i+1)); done; wait; echo ${#x}",
        );
        run.limits.memory_bytes = Some(2 * LIMIT);
        let outcome = mesh.finish(run);
        assert_eq!((&outcome.status, text(&outcome.stdout).as_str()), (&Status::Exit(0), "16000000\n"));
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn who_fills_the_disk_is_ended_and_who_writes_little_goes_on() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let free = rustix::fs::statvfs(mesh.directory.path()).unwrap();
        let free = free.f_bavail * free.f_frsize;
        // So that the disk counts as nearly full, and the share of one command is much more than a file of this test.
        let limit = free + free / 2;
        let little = mesh.sh("echo a > a; sleep 0.3; cat a");
        let outcome = mesh.finish(Run { limits: Limits { free_bytes: limit, ..little.limits }, ..little });
        assert_eq!(outcome.status, Status::Exit(0), "{}", text(&outcome.stderr));
        // With hardly anything left nobody goes on.
        let limit = free.saturating_mul(64);
        let any = mesh.sh("sleep 1000");
        let outcome = mesh.finish(Run { limits: Limits { free_bytes: limit, ..any.limits }, ..any });
        assert_eq!(failure(&outcome), &Failure::DiskFull { limit });
    }
}

#[test]
fn many_processes_one_after_the_other_are_fine() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let mut run = mesh.sh("i=0; while [ $i -lt 300 ]; do true | true; i=$((i+1)); done; echo $i");
        run.limits.processes = 16;
        let outcome = mesh.finish(run);
        assert_eq!((&outcome.status, text(&outcome.stdout).as_str()), (&Status::Exit(0), "300\n"));
        assert!(outcome.cpu > Duration::ZERO && outcome.max_rss_bytes > 0);
    }
}

#[test]
fn output_can_be_followed_while_it_is_made() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let run = mesh.sh("echo one; echo two; while [ ! -e go ]; do sleep 0.01; done; echo three");
        let (task, work) = (run.task, mesh.directory.path().join(format!("tasks/{}-1", run.task)));
        assert!(mesh.executors.run(run).unwrap().is_none());
        assert!(matches!(mesh.event(), ExecutorEvent::Started { attempt: 1, .. }));
        let mut seen = Vec::new();
        wait_until("two lines", || {
            let chunk = mesh.executors.logs(task, 1, Stream::Stdout, seen.len() as u64, 5).unwrap();
            assert!(chunk.running && chunk.bytes.len() <= 5);
            seen.extend(chunk.bytes);
            seen == b"one\ntwo\n"
        });
        std::fs::write(work.join("go"), "").unwrap();
        let outcome = mesh.end_of(task, 1);
        assert_eq!(text(&outcome.stdout), "one\ntwo\nthree\n");
        assert!(!mesh.executors.logs(task, 1, Stream::Stdout, 0, 5).unwrap().running);
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn a_cancelled_task_may_tidy_up_and_then_ends() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let polite = mesh.sh("trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.01; done");
        let deaf = mesh.sh("trap '' TERM; echo up; while :; do sleep 0.01; done");
        for (run, last) in [(polite, "up\nbye\n"), (deaf, "up\n")] {
            let task = run.task;
            assert!(mesh.executors.run(run).unwrap().is_none());
            wait_until("it is up", || !mesh.executors.logs(task, 1, Stream::Stdout, 0, 9).unwrap().bytes.is_empty());
            assert!(mesh.executors.cancel(task, 1));
            let outcome = mesh.end_of(task, 1);
            assert_eq!((failure(&outcome), text(&outcome.stdout).as_str()), (&Failure::Cancelled, last));
        }
        // Before the guard has even started.
        let mut fresh = Mesh::new(level);
        let run = fresh.exec(&["sleep", "1000"]);
        let task = run.task;
        assert!(fresh.executors.run(run).unwrap().is_none());
        assert!(fresh.executors.cancel(task, 1));
        assert_eq!(failure(&fresh.end_of(task, 1)), &Failure::Cancelled);
    }
}
