//! `meshd lock`: its command ends with the lock, whatever becomes of the process that holds it.

use super::verbs::{meshd, run};
use super::{Mesh, until};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Two processes that hear no TERM, one of them in a session of its own and nobody's child but the guard's.
const DEAF: &str = "trap '' TERM; echo $$ > leader; (setsid sh -c \"trap '' TERM; echo \\$\\$ > daemon; sleep 120; sleep 120\" &); \
                    sleep 120; sleep 120";

fn pid(at: &Path, name: &str) -> Option<i32> {
    std::fs::read_to_string(at.join(name)).ok()?.trim().parse().ok()
}

/// A process that is dead and not waited for is none any more.
fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

async fn held(mesh: &Mesh, at: &Path, lease: &str) -> (Child, [i32; 2]) {
    for name in ["leader", "daemon"] {
        std::fs::write(at.join(name), "").unwrap();
    }
    let words = ["lock", "nightly", "--lease", lease, "--", "sh", "-c", DEAF];
    let holding = meshd(mesh, &[1], at, &words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("the lock is held", || async { ["leader", "daemon"].iter().all(|name| pid(at, name).is_some()) }).await;
    (holding, ["leader", "daemon"].map(|name| pid(at, name).unwrap()))
}

#[tokio::test]
#[ignore = "drawn by the commit"]
async fn a_command_is_gone_before_anybody_else_is_let_in() {
    let mesh = Mesh::up(2).await;
    let here = tempfile::tempdir().unwrap();
    let at = here.path();

    // Killed: there is nobody who could renew the lease, or release the lock.
    let (mut holding, processes) = held(&mesh, at, "10s").await;
    assert!(processes.iter().all(|pid| is_alive(*pid)));
    let begun = Instant::now();
    signal(&holding, libc::SIGKILL);
    holding.wait().unwrap();
    until("all of it is gone", || async { !processes.iter().any(|pid| is_alive(*pid)) }).await;
    println!("of a `meshd lock` that was killed nothing was left after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());

    // Stopped for longer than its lease.
    let (mut holding, processes) = held(&mesh, at, "3s").await;
    signal(&holding, libc::SIGSTOP);
    let look = format!("kill -0 {} || kill -0 {} || echo gone", processes[0], processes[1]);
    let (code, stdout, stderr) = run(meshd(&mesh, &[0], at, &["lock", "nightly", "--", "sh", "-c", &look])).await;
    assert_eq!((code, stdout.trim()), (0, "gone"), "{stderr}");
    signal(&holding, libc::SIGCONT);
    let mut said = String::new();
    holding.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let code = holding.wait().unwrap().code();
    assert!(code == Some(137) && said.contains("the lock is lost"), "{code:?} {said}");

    // Its guard is killed: the command dies with it, and what that started is found.
    let (mut holding, processes) = held(&mesh, at, "30s").await;
    let guard = parent(processes[0]);
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::kill(guard, libc::SIGKILL) }, 0);
    assert_eq!(holding.wait().unwrap().code(), Some(137));
    assert!(!processes.iter().any(|pid| is_alive(*pid)));
    // Which gave the lock back.
    let words = ["lock", "nightly", "--wait", "5s", "--", "true"];
    let (code, _, stderr) = run(meshd(&mesh, &[0], at, &words)).await;
    assert_eq!(code, 0, "{stderr}");

    // What a command leaves behind does not outlive it, and its code is passed on.
    let words = ["lock", "nightly", "--", "sh", "-c", "setsid sleep 120 & echo $! > leader; cat; exit 3"];
    let mut piped = meshd(&mesh, &[0], at, &words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(b"through").unwrap();
    let output = piped.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &b"through"[..]));
    assert!(!is_alive(pid(at, "leader").unwrap()));
    let (code, _, stderr) = run(meshd(&mesh, &[0], at, &["lock", "nightly", "--", "/nowhere/at/all"])).await;
    assert!(code == 2 && stderr.contains("cannot run"), "{code} {stderr}");
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A terminal: the side of who types, and that of who reads.
fn terminal() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: two descriptors are written; name, settings and size may be null. Both are new, and nobody's.
    unsafe {
        let null = std::ptr::null_mut();
        assert_eq!(libc::openpty(&raw mut ours, &raw mut theirs, null, std::ptr::null(), std::ptr::null()), 0);
        (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    }
}

#[tokio::test]
async fn a_command_under_a_lock_has_the_terminal_and_answers_ctrl_c_itself() {
    let mesh = Mesh::up(1).await;
    let here = tempfile::tempdir().unwrap();
    let script = "test -t 0 && test -t 1 || exit 4; read -r line; trap 'echo interrupted; exit 9' INT; echo \"had $line\"; \
                  while :; do sleep 0.1; done";
    let mut command: Command = meshd(&mesh, &[0], here.path(), &["lock", "nightly", "--", "sh", "-c", script]);
    let (mut typed, screen) = terminal();
    let side = || Stdio::from(screen.try_clone().unwrap());
    command.stdin(side()).stdout(side()).stderr(side());
    // SAFETY: two system calls, which take no pointers.
    unsafe {
        command.pre_exec(|| match libc::setsid() >= 0 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 {
            true => Ok(()),
            false => Err(std::io::Error::last_os_error()),
        });
    }
    let mut holding = command.spawn().unwrap();
    drop((command, screen));
    typed.write_all(b"hello\n").unwrap();
    let mut shown = typed.try_clone().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        // The other side is closed at the end, which reads as an error.
        while let Ok(read @ 1..) = shown.read(&mut bytes) {
            if tell.send(String::from_utf8_lossy(&bytes[..read]).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut screen = String::new();
    let mut see = async |what: &str| {
        until(what, || {
            screen.extend(told.try_iter());
            let seen = screen.contains(what);
            async move { seen }
        })
        .await;
    };
    see("had hello").await;
    typed.write_all(&[3]).unwrap();
    see("interrupted").await;
    let code = tokio::task::spawn_blocking(move || holding.wait()).await.unwrap().unwrap().code();
    assert_eq!(code, Some(9));
}
