//! Processes by id and start time.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::{NodeState, TestnetError};

/// A process that is never taken for another one which got its id later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// As the system tells it: clock ticks since its start on Linux, seconds since 1970 elsewhere.
    pub started: u64,
}

impl Process {
    /// The process that has this id now; `None` if none has, or it has ended and nobody has asked how.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: started(pid)? })
    }

    /// Whether it runs, or is stopped.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// Sends a signal; `false` if the process is no more.
    pub(super) fn signal(&self, signal: Signal) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        self.is_alive() && pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }
}

#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<u64> {
    super::usage::Stat::read(pid).filter(|stat| !stat.is_dead()).map(|stat| stat.started)
}

#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<u64> {
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = sysinfo::System::new();
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    system.process(pid).filter(|process| process.status() != sysinfo::ProcessStatus::Zombie).map(|p| p.start_time())
}

/// Starts a node. What is not `detached` dies with the calling thread's process, kill -9 included.
///
/// Linux ties that to the thread that starts the node: it must live as long as the node shall.
pub(super) fn start(binary: &Path, node: &NodeState, detached: bool) -> Result<(Child, Process), TestnetError> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(&node.log)
        .map_err(TestnetError::io("open the log", &node.log))?;
    let mut command = Command::new(binary);
    // Nothing of the caller's environment may configure the nodes: their meshd.toml says it all.
    let inherited =
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("MESHD_")));
    inherited.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.arg("--data-dir").arg(&node.data_dir).arg("run");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    match detached {
        // Out of the shell's group, so that its Ctrl-C is not for them.
        true => {
            command.process_group(0);
        }
        false => die_with_parent(&mut command),
    }
    let mut child = command.spawn().map_err(TestnetError::io("start", binary))?;
    match Process::of(child.id()) {
        Some(process) => Ok((child, process)),
        None => {
            let status = child.wait().map_err(TestnetError::io("wait for", binary))?;
            Err(TestnetError::Ended { node: 0, status: status.to_string(), log: String::new() })
        }
    }
}

#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let bind = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that died before the line above took effect sends no signal any more.
        match rustix::process::getppid() == Some(parent) {
            true => Ok(()),
            false => Err(std::io::ErrorKind::NotConnected.into()),
        }
    };
    // SAFETY: between fork and exec only prctl and getppid are called, neither of which allocates or locks.
    unsafe {
        command.pre_exec(bind);
    }
}

/// Elsewhere nodes end when their testnet is dropped, and outlive a parent that was killed with -9.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_taken_for_another_with_its_id() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        let other = Process { started: process.started + 1, ..process };
        assert!(process.is_alive() && !other.is_alive());
        assert!(!other.signal(Signal::KILL) && process.is_alive());
        assert!(process.signal(Signal::KILL));
        child.wait().unwrap();
        assert!(!process.is_alive() && !process.signal(Signal::KILL));
    }
}
