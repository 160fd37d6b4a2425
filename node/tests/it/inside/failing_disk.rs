//! A disk that fails ends the process, with exit code 70 and a line that says why: an append, a sync, a write of the
//! store. That is no test's own process, so the one that is found by its name starts this binary again.

use super::{
    Inside,
    seam::{Between, Seam},
};
use crate::processes::{TURN, until};
use meshd::{
    api::{submission::ProgramSpec, tasks::submit::Submitted},
    client::{Ask, Client},
};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    io,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

const INSIDE: &str = "inside::failing_disk::inside";

/// Checklist item 20: what may not be on the disk is not spoken of any more.
#[tokio::test]
async fn a_disk_that_fails_ends_the_process_and_says_why() {
    let _turn = TURN.lock().await;
    for (fault, what, why) in [
        ("append", "the log cannot be written", "No space left"),
        ("sync", "the log cannot be written", "Input/output error"),
        ("store", "the store cannot be written", "File too large"),
    ] {
        let itself = std::env::current_exe().unwrap();
        let mut inside = Command::new("sh");
        // With the signal ignored, a file that may not grow is an error of the write, as on a full disk.
        inside.args(["-c", "trap '' XFSZ; exec env \"$@\"", "sh"]).arg(format!("{INSIDE}={fault}")).arg(itself);
        inside.args(["--exact", INSIDE, "--ignored", "--nocapture"]);
        let output = tokio::task::spawn_blocking(move || inside.output()).await.unwrap().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(70), "{fault}: {output:?}");
        let line = stderr.lines().find(|line| line.starts_with("meshd: ")).unwrap_or_else(|| panic!("{output:?}"));
        assert!(line.contains(what) && line.contains(why), "{fault}: {line}");
    }
}

#[derive(Default)]
struct Failing {
    append: AtomicBool,
    sync: AtomicBool,
    /// Bytes that are said to be free, at most.
    free: AtomicU64,
}

impl Between for Failing {
    fn write(&self) -> io::Result<()> {
        fail(&self.append, rustix::io::Errno::NOSPC)
    }

    fn sync(&self) -> io::Result<()> {
        fail(&self.sync, rustix::io::Errno::IO)
    }

    fn free(&self, bytes: u64) -> u64 {
        bytes.min(self.free.load(Ordering::Relaxed))
    }
}

fn fail(whether: &AtomicBool, why: rustix::io::Errno) -> io::Result<()> {
    if whether.load(Ordering::Relaxed) { Err(why.into()) } else { Ok(()) }
}

/// Not a test of its own: what the other does in a process that is to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by another test, in a process of its own"]
async fn inside() {
    let Ok(fault) = std::env::var(INSIDE) else { return };
    let disk = Arc::new(Failing { free: u64::MAX.into(), ..Failing::default() });
    let node = Inside::maker(|inner| Seam { inner, between: disk.clone() }).await;
    match fault.as_str() {
        "append" => disk.append.store(true, Ordering::Relaxed),
        "sync" => disk.sync.store(true, Ordering::Relaxed),
        _ => store_is_due(&node.client, &disk).await,
    }
    // Nothing is said any more that is not on the disk.
    let told = submit(&node.client, "last").await;
    until(&format!("the process ends, which said {told:?}"), || async { false }).await;
}

/// The store has more to take in than a file may hold, and is to do it now: the disk is short of room for new work.
async fn store_is_due(client: &Arc<Client>, disk: &Failing) {
    // Each is more than 28 KB in the log and in the store, with its input and its output.
    let text = "meshd ".repeat(2_300);
    let mut placed = tokio::task::JoinSet::new();
    for at in 0..800 {
        let (client, text) = (client.clone(), format!("{at:06} {text}"));
        placed.spawn(async move { submit(&client, &text).await.unwrap() });
    }
    placed.join_all().await;
    // More than a segment of the log.
    let largest = Some(17 << 20);
    setrlimit(Resource::Fsize, Rlimit { current: largest, maximum: largest }).unwrap();
    disk.free.store(70 << 20, Ordering::Relaxed);
}

async fn submit(client: &Client, text: &str) -> Result<Submitted, meshd::client::ClientError> {
    let request = serde_json::json!({ "program": ProgramSpec::Echo, "stdin": text });
    client.ask(&Ask::post("/v1/tasks?wait=60s").json(&request)).await
}
