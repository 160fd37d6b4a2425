use super::{LEVELS, Mesh, failure, text};
use bytes::Bytes;
use meshd::executor::{Failure, Output, Program, Source, Status};
use std::os::unix::fs::PermissionsExt;

#[test]
fn standard_input_from_bytes_a_file_or_nothing() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let input = mesh.directory.path().join("input");
        let content: String = (0..40_000).map(|n| format!("{n}\n")).collect();
        std::fs::write(&input, &content).unwrap();
        for (source, expected) in [
            (Source::Null, String::new()),
            (Source::Inline(Bytes::from_static(b"some bytes")), "some bytes".to_string()),
            (Source::Inline(content.clone().into_bytes()[..200_000].to_vec().into()), content[..200_000].to_string()),
            (Source::File(input), content),
        ] {
            let mut cat = mesh.exec(&["cat"]);
            cat.stdin = source;
            let outcome = mesh.finish(cat);
            assert_eq!(outcome.status, Status::Exit(0));
            assert_eq!(outcome.containment.map(|held| held.level), Some(level));
            assert!(text(&outcome.stdout) == expected, "{} bytes", outcome.stdout.len());
            assert_eq!(matches!(outcome.stdout, Output::Inline(_)), expected.len() <= 16 << 10);
        }
        assert!(mesh.left().is_empty());
    }
}

/// Whoever waits for a writer in `open` hears of no limit and no cancellation, and has the slot for ever.
#[test]
fn a_pipe_as_standard_input_fails_and_its_slot_goes_on() {
    for level in LEVELS {
        let mut mesh = Mesh::with(level, |config| config.slots = 1);
        let pipe = mesh.directory.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let mut cat = mesh.exec(&["cat"]);
        cat.stdin = Source::File(pipe);
        let outcome = mesh.finish(cat);
        let Failure::Prepare { what, error } = failure(&outcome) else { panic!("{outcome:?}") };
        assert_eq!((what.as_str(), error.as_str()), ("standard input", "not a regular file"));
        let next = mesh.exec(&["true"]);
        assert_eq!(mesh.finish(next).status, Status::Exit(0));
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn the_environment_is_clean() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let run = mesh.run_of(Program::Exec { argv: vec!["env".into()], env: vec![("EXTRA".into(), "x=y".into())] });
        let (task, home) = (run.task, mesh.directory.path().canonicalize().unwrap());
        let outcome = mesh.finish(run);
        let home = format!("{}/tasks/{task}-1", home.display());
        let mut lines: Vec<String> = text(&outcome.stdout).lines().map(str::to_string).collect();
        lines.retain(|line| !line.starts_with("MESH_GUARD="));
        lines.sort();
        let expected = [
            "EXTRA=x=y".to_string(),
            format!("HOME={home}"),
            "LANG=C.UTF-8".to_string(),
            "MESH_ATTEMPT=1".to_string(),
            "MESH_FENCE=7".to_string(),
            format!("MESH_TASK={task}"),
            "PATH=/usr/local/bin:/usr/bin:/bin".to_string(),
            format!("TMPDIR={home}"),
        ];
        assert_eq!(lines, expected);
        let preload = mesh
            .run_of(Program::Exec { argv: vec!["true".into()], env: vec![("LD_PRELOAD".into(), "./evil.so".into())] });
        assert!(matches!(failure(&mesh.finish(preload)), Failure::BadVariable { .. }));
    }
}

#[test]
fn a_command_gets_three_descriptors_and_its_own_directory() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let run = mesh.sh("ls /proc/self/fd | tr '\\n' ' '; pwd; test $$ = $(cd /proc/self && cd .. && echo $$)");
        let outcome = mesh.finish(run);
        let text = text(&outcome.stdout);
        // 3 is `ls`'s own, on the directory it lists.
        assert!(text.starts_with("0 1 2 3 /"), "{text}");
        assert!(text.trim_end().ends_with("-1"), "{text}");
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn inputs_are_copies_and_cannot_change_their_source() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let source = mesh.directory.path().join("blob");
        std::fs::write(&source, "precious").unwrap();
        std::fs::set_permissions(&source, PermissionsExt::from_mode(0o400)).unwrap();
        let mut run = mesh.sh("cat deep/er/in; echo spoiled > deep/er/in; cat deep/er/in; rm deep/er/in");
        run.inputs = vec![("deep/er/in".into(), Source::File(source.clone()))];
        let outcome = mesh.finish(run);
        assert_eq!(text(&outcome.stdout), "preciousspoiled\n");
        assert_eq!(std::fs::read_to_string(&source).unwrap(), "precious");
        for bad in ["../out", "/tmp/out", "a/../../b", ""] {
            let mut run = mesh.exec(&["true"]);
            run.inputs = vec![(bad.into(), Source::File(source.clone()))];
            assert_eq!(failure(&mesh.finish(run)), &Failure::BadPath { path: bad.into() });
        }
        let mut run = mesh.exec(&["true"]);
        run.inputs = vec![("in".into(), Source::File("/no/such/blob".into()))];
        assert!(matches!(failure(&mesh.finish(run)), Failure::Prepare { .. }));
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn named_outputs_come_back_and_live_as_long_as_the_outcome() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let mut run = mesh
            .sh("mkdir d; echo small > d/small; chmod 0 d/small; head -c 100000 /dev/zero > large; ln -s large link; \
             echo not asked for > other");
        run.outputs = ["d/small", "large", "link"].map(String::from).to_vec();
        let outcome = mesh.finish(run);
        assert_eq!(outcome.status, Status::Exit(0));
        let [(_, small), (_, large), (_, link)] = &outcome.files[..] else { panic!("{outcome:?}") };
        assert_eq!(small, &Output::Inline("small\n".into()));
        assert_eq!((large.len(), link.len()), (100_000, 100_000));
        assert_eq!(text(large).len(), 100_000);
        assert_eq!(mesh.left().len(), 1);
        drop(outcome);
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn outputs_do_not_lead_out_of_the_directory() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let secret = mesh.directory.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let secret = secret.display();
        for script in [
            format!("ln -s {secret} out"),
            "ln -s /proc/self/environ out".to_string(),
            "ln -s ../../secret out".to_string(),
            "mkfifo out".to_string(),
            "mkdir out".to_string(),
            "ln -s /dev/zero out".to_string(),
            "ln -s out out".to_string(),
        ] {
            let mut run = mesh.sh(&script);
            run.outputs = vec!["out".into()];
            let outcome = mesh.finish(run);
            assert!(matches!(failure(&outcome), Failure::OutputRefused { .. }), "{script}: {outcome:?}");
        }
        let mut run = mesh.sh(&format!("ln -s {}/.. up", mesh.directory.path().display()));
        run.outputs = vec!["up/etc/passwd".into()];
        let refused = mesh.finish(run);
        assert!(matches!(failure(&refused), Failure::OutputRefused { .. } | Failure::OutputMissing { .. }));
        let mut run = mesh.exec(&["true"]);
        run.outputs = vec!["../secret".into()];
        assert!(matches!(failure(&mesh.finish(run)), Failure::BadPath { .. }));
        let mut run = mesh.exec(&["true"]);
        run.outputs = vec!["never-made".into()];
        assert_eq!(failure(&mesh.finish(run)), &Failure::OutputMissing { path: "never-made".into() });
        // A command that failed keeps its own code, and what it made.
        let mut run = mesh.sh("echo a > a; exit 3");
        run.outputs = vec!["a".into(), "b".into()];
        let outcome = mesh.finish(run);
        assert_eq!((outcome.status, outcome.files.len()), (Status::Exit(3), 1));
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn whatever_a_task_leaves_in_its_directory_is_removed() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        // Deeper than a recursive removal has descriptors or stack for, closed, and with names like those it moves to.
        let run = mesh.sh("mkdir .removed-0 .removed-1 x; echo a > x/a; chmod 0 x; i=0; \
             while [ $i -lt 1500 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done; echo deep > end; chmod 0 .");
        let outcome = mesh.finish(run);
        assert_eq!(outcome.status, Status::Exit(0), "{}", text(&outcome.stderr));
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn the_remains_of_a_former_life_are_removed_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = directory.path().join("tasks");
    std::fs::create_dir_all(tasks.join("abc-1/deep/er")).unwrap();
    std::fs::write(tasks.join("abc-1/deep/file"), "old").unwrap();
    std::fs::write(tasks.join("stray"), "old").unwrap();
    let mesh = Mesh::with(LEVELS[0], |config| config.directory = tasks.clone());
    assert_eq!(std::fs::read_dir(&tasks).unwrap().count(), 0);
    drop(mesh);
}
