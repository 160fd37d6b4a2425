use std::io::{self, IsTerminal as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// A command with all that it starts and that does not leave its process group.
pub(super) struct Group {
    leader: Child,
    id: Pid,
}

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);

impl Group {
    pub(super) fn start(words: &[String], fence: u64) -> io::Result<Self> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("MESH_FENCE", fence.to_string()).process_group(0);
        // A group in the background that reads from the terminal is stopped, and would hold the lock so.
        if io::stdin().is_terminal() {
            command.stdin(Stdio::null());
        }
        let leader = tokio::process::Command::from(command).spawn()?;
        let id = leader.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { leader, id: id.ok_or_else(|| io::Error::other("it has no process id"))? })
    }

    /// Waits for its end, as an exit code.
    pub(super) async fn ended(&mut self) -> io::Result<u8> {
        self.leader.wait().await.map(code)
    }

    /// Ends it: asked first, killed when the time is over.
    pub(super) async fn end(&mut self) -> io::Result<u8> {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(GRACE, self.leader.wait()).await;
        // What is left of the group, too, when the leader went.
        self.signal(Signal::KILL);
        match ended {
            Ok(ended) => ended.map(code),
            Err(_) => self.ended().await,
        }
    }

    fn signal(&self, signal: Signal) {
        // One whose processes are all gone needs none.
        if let Err(error) = kill_process_group(self.id, signal) {
            tracing::debug!(%error, "no signal to the command's group");
        }
    }
}

/// The program's own, or 128 and the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_command_has_its_fence_and_its_code_is_passed_on() {
        let mut group = Group::start(&words(&["sh", "-c", "exit $MESH_FENCE"]), 7).unwrap();
        assert_eq!(group.ended().await.unwrap(), 7);
        let mut group = Group::start(&words(&["sh", "-c", "kill -9 $$"]), 7).unwrap();
        assert_eq!(group.ended().await.unwrap(), 137);
        assert!(Group::start(&words(&["/nowhere/at/all"]), 7).is_err());
    }

    #[tokio::test]
    async fn a_command_that_hears_no_term_is_killed_with_its_children() {
        let begun = Instant::now();
        let dir = tempfile::tempdir().unwrap();
        let deaf = dir.path().join("deaf");
        let script = format!("trap '' TERM; : > {}; sleep 60 & wait; sleep 60", deaf.display());
        let mut group = Group::start(&words(&["sh", "-c", &script]), 7).unwrap();
        while !deaf.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(group.end().await.unwrap(), 137);
        assert!(begun.elapsed() >= GRACE);
        let begun = Instant::now();
        // Gone, or dead and not waited for yet by who inherited it.
        let mut gentle = Group::start(&words(&["sleep", "60"]), 7).unwrap();
        assert_eq!(gentle.end().await.unwrap(), 143);
        assert!(begun.elapsed() < GRACE);
    }
}
