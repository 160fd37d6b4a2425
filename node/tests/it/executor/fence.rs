//! What a command may write, where the kernel has Landlock and where it has not.

use super::mesh::COMMANDS;
use super::{LEVELS, Mesh, text};
use meshd::executor::{Outcome, Status};
use std::path::Path;

/// Whether this kernel fences: by its own word, not by that of the code under test.
fn kernel_version() -> i64 {
    const SYS_LANDLOCK_CREATE_RULESET: libc::c_long = 444;
    // SAFETY: with the flag 1 the call takes no attributes.
    unsafe { libc::syscall(SYS_LANDLOCK_CREATE_RULESET, std::ptr::null::<u8>(), 0usize, 1usize) }
}

fn fenced(mesh: &mut Mesh, script: &str) -> Outcome {
    let run = mesh.sh(script);
    let outcome = mesh.finish(run);
    let landlock = outcome.containment.unwrap().landlock;
    assert_eq!(landlock.map(i64::from), Some(kernel_version()).filter(|version| *version > 0));
    assert_eq!(mesh.executors.containment(), outcome.containment);
    outcome
}

#[test]
fn a_command_writes_in_its_own_directory_alone() {
    for level in LEVELS {
        let outside = tempfile::tempdir().unwrap();
        let there = outside.path().join("there");
        std::fs::write(&there, "as it was").unwrap();
        let mut mesh = Mesh::new(level);
        let (there, new) = (there.display(), outside.path().join("new"));
        let outcome = fenced(
            &mut mesh,
            &format!(
                "echo a > in; mkdir d; mv in d/in; cat d/in; ln -s d/in l; rm l; echo quiet > /dev/null; echo b > $TMPDIR/t; \
                 cat {there}; ls / > /dev/null; echo c > {there}; rm {there}; mkdir {new}; echo end",
                new = new.display()
            ),
        );
        assert_eq!(outcome.status, Status::Exit(0));
        let has_fence = kernel_version() > 0;
        let (stdout, stderr) = (text(&outcome.stdout), text(&outcome.stderr));
        assert_eq!(stdout, "a\nas it wasend\n", "{stderr}");
        if has_fence {
            assert_eq!(stderr.lines().count(), 3, "{stderr}");
            assert_eq!(std::fs::read_to_string(outside.path().join("there")).unwrap(), "as it was");
        }
        assert_eq!(new.exists(), !has_fence, "{stderr}");
        assert!(mesh.left().is_empty());
    }
}

#[test]
fn other_tasks_directories_are_outside_too() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let other = mesh.directory.path().join("tasks/other-1");
        std::fs::create_dir(&other).unwrap();
        let outcome = fenced(&mut mesh, "echo x > ../other-1/x; echo x > ../y; ls .. > /dev/null");
        assert_eq!(outcome.status, Status::Exit(0));
        if kernel_version() > 0 {
            assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0);
            assert!(!mesh.directory.path().join("tasks/y").exists());
        }
    }
}

#[test]
fn what_the_operator_opens_is_open_and_nothing_above_it() {
    for level in LEVELS {
        let outside = tempfile::tempdir().unwrap();
        let open = outside.path().join("open");
        std::fs::create_dir(&open).unwrap();
        let mut mesh = Mesh::with(level, |config| {
            if let Some(exec) = &mut config.exec {
                exec.writable = vec![open.clone()];
            }
        });
        let outcome = fenced(&mut mesh, &format!("echo a > {0}/open/a; echo b > {0}/b", outside.path().display()));
        assert!(open.join("a").exists(), "{}", text(&outcome.stderr));
        assert_eq!(outside.path().join("b").exists(), kernel_version() <= 0);
    }
}

#[test]
fn without_a_fence_it_is_said_and_everything_is_as_the_user_may() {
    for level in LEVELS {
        let outside = tempfile::tempdir().unwrap();
        let mut mesh = Mesh::with(level, |config| {
            if let Some(exec) = &mut config.exec {
                exec.fenced = false;
            }
        });
        let run = mesh.sh(&format!("echo a > {}/a", outside.path().display()));
        let outcome = mesh.finish(run);
        assert_eq!((&outcome.status, outcome.containment.unwrap().landlock), (&Status::Exit(0), None));
        assert_eq!(outcome.containment.unwrap().level, level);
        assert!(outside.path().join("a").exists());
    }
}

#[test]
fn nothing_outside_can_be_signalled_where_the_kernel_sees_to_it() {
    let first_with_signals = 6;
    if kernel_version() < first_with_signals {
        println!("SKIPPED: this kernel's Landlock is version {}", kernel_version());
        return;
    }
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    // In a namespace there is nobody outside to name.
    let mut mesh = Mesh::new(LEVELS[1]);
    let outcome = fenced(
        &mut mesh,
        &format!(
            "kill -9 {} && echo killed; kill -9 $PPID && echo guard; sleep 1000 & kill -9 $! && echo own",
            stranger.id()
        ),
    );
    assert_eq!(text(&outcome.stdout), "own\n");
    assert!(stranger.try_wait().unwrap().is_none(), "it lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn what_is_common_still_runs() {
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        assert!(COMMANDS.contains(&"sh") && Path::new("/proc/self").exists());
        for script in [
            "cat < /proc/self/status > /dev/null",
            "echo x > /dev/stdout; echo y > /dev/stderr",
            "mkfifo p; (echo x > p &) ; cat p",
            "echo x | sort | uniq | wc -l",
            "exec 3<> f; echo x >&3; head -c 4 /dev/urandom > r",
            "sort --buffer-size=1M /etc/passwd > sorted; mktemp",
        ] {
            let outcome = fenced(&mut mesh, script);
            assert_eq!(outcome.status, Status::Exit(0), "{script}: {}", text(&outcome.stderr));
        }
    }
}

/// A field of `/proc/*/status` that holds a mask.
fn mask(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).expect("hexadecimal")
}

#[test]
fn root_s_commands_have_the_rights_of_a_container_s_and_make_no_devices() {
    // Docker's default, without `CAP_MKNOD`.
    const GIVEN: u64 = 0xa804_25fb & !(1 << 27);
    const SETPCAP: u64 = 1 << 8;
    let own = mask(&std::fs::read_to_string("/proc/self/status").unwrap(), "CapEff");
    let is_root = rustix::process::geteuid().is_root();
    for level in LEVELS {
        let mut mesh = Mesh::new(level);
        let outcome = fenced(
            &mut mesh,
            "cat /proc/self/status; mknod c c 1 3 2>/dev/null && echo device; \
             mknod b b 1 0 2>/dev/null && echo device; mkfifo p && test -p p && echo pipe",
        );
        let stdout = text(&outcome.stdout);
        for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(mask(&stdout, field) & !GIVEN, 0, "{level}: {field}");
        }
        if is_root && own & SETPCAP != 0 {
            assert_eq!(mask(&stdout, "CapBnd") & !GIVEN, 0, "{level}");
            assert_eq!(mask(&stdout, "CapEff") & own & GIVEN, own & GIVEN, "{level}: what programs of root's need");
        }
        assert!(!stdout.contains("device\n") && stdout.ends_with("pipe\n"), "{level}: {stdout}");
    }
}

#[test]
fn the_node_s_own_secrets_are_empty_for_commands_in_a_namespace() {
    for level in LEVELS {
        let secrets = tempfile::tempdir().unwrap();
        let (file, directory) = (secrets.path().join("key"), secrets.path().join("log"));
        std::fs::write(&file, "secret\n").unwrap();
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("a"), "secret\n").unwrap();
        let mut mesh = Mesh::with(level, |config| {
            if let Some(exec) = &mut config.exec {
                exec.hidden = vec![file.clone(), directory.clone()];
            }
        });
        // Nor can it look behind what hides them.
        let (key, log) = (file.display(), directory.display());
        let outcome =
            fenced(&mut mesh, &format!("umount {key} {log} 2>/dev/null; cat {key}; ls {log}; echo x > {key}"));
        let expected = if level == LEVELS[0] { "" } else { "secret\na\n" };
        assert_eq!(text(&outcome.stdout), expected, "{}", text(&outcome.stderr));
        if level == LEVELS[0] || kernel_version() > 0 {
            assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret\n");
        }
    }
}
