//! The surface of `linux.rs` for systems without its means: a command is held together by its process group alone,
//! which [`Level::ProcessGroup`] says. Good enough to develop on; what calls `setsid` escapes.

use crate::executor::outcome::Level;
use crate::executor::run::Limits;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

pub struct Guard {
    pub level: Level,
    pub outer_pid: i32,
    /// Readable when a child has ended: a signal handler would need more `unsafe` than this system's share is worth,
    /// so a byte is written by nobody and the poll's time-out is what wakes.
    children: OwnedFd,
    _quiet: UnixStream,
}

pub enum Entered {
    Guard(Guard),
    /// Not on this system.
    #[allow(dead_code, reason = "made on Linux only")]
    Parent,
}

/// Descriptors from outside are closed on exec by convention here; there is no `close_range`.
pub fn close_inherited() {}

pub fn enter(level: Level, _: &[PathBuf]) -> io::Result<Entered> {
    if level != Level::ProcessGroup {
        return Err(io::Error::other("not on this system"));
    }
    let (children, quiet) = UnixStream::pair()?;
    let outer_pid = std::process::id() as i32;
    Ok(Entered::Guard(Guard { level, outer_pid, children: children.into(), _quiet: quiet }))
}

/// There are no subreapers here: what leaves the command's process group escapes.
pub fn hold() -> io::Result<OwnedFd> {
    let (children, quiet) = UnixStream::pair()?;
    // As in [`enter`]: nothing is ever written, and the end of the process closes it.
    std::mem::forget(quiet);
    Ok(children.into())
}

/// Whether this process's group is the one that a terminal at its standard input speaks to.
pub fn is_in_foreground() -> bool {
    // SAFETY: takes no pointers; without a terminal it is no group's number.
    let spoken_to = unsafe { libc::tcgetpgrp(0) };
    spoken_to == rustix::process::getpgrp().as_raw_nonzero().get()
}

/// A descriptor that who started this process left open for it.
pub fn adopt(descriptor: std::os::fd::RawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes no pointers.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, and nobody in this process owns it: it has just been started, and knows of 0, 1 and 2 besides.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Starts a command in a process group of its own. Its pid.
pub fn spawn_held(mut command: std::process::Command) -> io::Result<i32> {
    Ok(command.process_group(0).spawn()?.id() as i32)
}

pub fn clear(_: &OwnedFd) {}

pub struct Command<'a> {
    pub program: &'a Path,
    pub argv: &'a [String],
    pub env: &'a [String],
    pub directory: &'a Path,
    pub stdin: BorrowedFd<'a>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
    pub limits: &'a Limits,
}

#[derive(Debug)]
pub enum SpawnError {
    Fork(io::Error),
    #[allow(dead_code, reason = "made on Linux only")]
    Setup(io::Error),
    Exec(io::Error),
}

impl Guard {
    /// Landlock is Linux's.
    pub fn put_up_fence(&mut self, _: &[PathBuf]) -> io::Result<Option<u32>> {
        Ok(None)
    }

    pub fn spawn(&mut self, command: &Command<'_>) -> Result<i32, SpawnError> {
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(Stdio::from).map_err(SpawnError::Fork);
        let (name, arguments) =
            command.argv.split_first().ok_or(SpawnError::Fork(io::ErrorKind::InvalidInput.into()))?;
        let child = std::process::Command::new(command.program)
            .arg0(name)
            .args(arguments)
            .env_clear()
            .envs(command.env.iter().filter_map(|variable| variable.split_once('=')))
            .current_dir(command.directory)
            .stdin(copy(command.stdin)?)
            .stdout(copy(command.stdout)?)
            .stderr(copy(command.stderr)?)
            .process_group(0)
            .spawn()
            .map_err(SpawnError::Exec)?;
        let pid = child.id() as i32;
        // The limits of a process can be set from inside only; the guard's own serve for what it starts.
        set_limits(command.limits).map_err(SpawnError::Fork)?;
        Ok(pid)
    }

    pub fn children(&self) -> BorrowedFd<'_> {
        self.children.as_fd()
    }

    pub fn clear(&self) {}

    pub fn last_pid(&self) -> Option<u32> {
        None
    }
}

/// Core files and open files: what the guard itself does not need either.
fn set_limits(limits: &Limits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let files = Some(limits.open_files);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: files, maximum: None })?)
}

pub struct Ended {
    pub pid: i32,
    pub status: ExitStatus,
    pub cpu: Duration,
    pub max_rss_bytes: u64,
}

pub enum Waited {
    Ended(Ended),
    Alive,
    NoneLeft,
}

pub fn wait_any() -> Waited {
    match rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Waited::Ended(Ended {
            pid: pid.as_raw_nonzero().get(),
            status: ExitStatus::from_raw(status.as_raw()),
            cpu: Duration::ZERO,
            max_rss_bytes: 0,
        }),
        Ok(None) => Waited::Alive,
        Err(_) => Waited::NoneLeft,
    }
}

pub fn kill(pid: i32, signal: i32) {
    // SAFETY: takes no pointers.
    unsafe { libc::kill(pid, signal) };
}

/// Of `/proc`, which is not here.
pub fn page_bytes() -> u64 {
    4096
}

/// Does not count the time the machine slept; the lease is the weaker for it.
pub fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec.max(0) as u32)
}

pub fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    use std::io::{Seek, Write};
    let path = std::env::temp_dir().join(format!("meshd-stdin-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = std::io::pipe()?;
    let read = OwnedFd::from(read);
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
    Ok((read, write.into()))
}
