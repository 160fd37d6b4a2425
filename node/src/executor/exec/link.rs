//! The keeper of a slot: starts its guard when there is a job, reads its reports, and cleans up after it.

use super::slot::{Job, Slot};
use crate::executor::config::ExecConfig;
use crate::executor::guard::{self, GUARD_ARGUMENT};
use crate::executor::outcome::{Failure, Level, OutDir, Outcome, Output};
use crate::executor::pool::Desk;
use crate::executor::protocol::{FromGuard, Kept, Report, take};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// What the keepers have in common.
pub struct Shared {
    guard: PathBuf,
    /// The level to ask for, lowered for all when the system refused it once; and whether a guard reached it.
    level: Mutex<(Level, bool)>,
}

impl Shared {
    pub fn new(config: &ExecConfig) -> Self {
        Self { guard: config.guard.clone(), level: Mutex::new((config.level, false)) }
    }

    pub fn reached(&self) -> Option<Level> {
        let (level, reached) = *self.level.lock().unwrap_or_else(PoisonError::into_inner);
        reached.then_some(level)
    }

    fn wanted(&self) -> Level {
        self.level.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn note(&self, level: Level, reached: bool) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = (level, reached);
    }
}

/// A guard that said it is ready.
struct Guard {
    stream: UnixStream,
    buffer: Vec<u8>,
    level: Level,
    pid: i32,
    starter: Child,
}

/// From `exec` to `Ready`: milliseconds, unless the machine is in great need.
const READY_WITHIN: Duration = Duration::from_secs(30);

pub async fn keep(slot: Arc<Slot>, shared: Arc<Shared>, desk: Arc<Desk>, free: impl Fn()) {
    loop {
        if slot.job().is_none() {
            slot.wake.notified().await;
            continue;
        }
        let failure = match start(&shared).await {
            Ok(guard) => serve(&slot, guard, &desk, &free).await,
            Err(error) => Failure::GuardUnavailable { error: error.to_string() },
        };
        slot.disconnect();
        if let Some(job) = slot.take_job() {
            remove(&job).await;
            free();
            desk.finish(job.task, job.attempt, Outcome::failed(failure)).await;
        }
    }
}

/// Starts a guard at the best level that this system gives.
async fn start(shared: &Shared) -> io::Result<Guard> {
    loop {
        let level = shared.wanted();
        match tokio::time::timeout(READY_WITHIN, start_at(&shared.guard, level)).await? {
            Ok(guard) => {
                shared.note(level, true);
                return Ok(guard);
            }
            Err(Refused::Level(error)) => match level.next_best() {
                Some(next) => {
                    tracing::info!(%level, %next, %error, "commands are held together less surely on this system");
                    shared.note(next, false);
                }
                None => return Err(io::Error::other(error)),
            },
            Err(Refused::Io(error)) => return Err(error),
        }
    }
}

enum Refused {
    /// The guard runs, but not at this level.
    Level(String),
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn start_at(program: &Path, level: Level) -> Result<Guard, Refused> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let program = program.to_path_buf();
    // Starting a large program blocks for some milliseconds.
    let starter =
        tokio::task::spawn_blocking(move || spawn(&program, level, theirs)).await.map_err(io::Error::from)??;
    let mut guard =
        Guard { stream: UnixStream::from_std(ours)?, buffer: Vec::new(), level, pid: starter.id() as i32, starter };
    match guard.read().await {
        Ok(FromGuard::Ready { pid, .. }) => {
            guard.pid = pid;
            Ok(guard)
        }
        Ok(FromGuard::Unsupported { error }) => {
            guard.reap().await;
            Err(Refused::Level(error))
        }
        Ok(FromGuard::Running | FromGuard::Report(_)) => Err(io::Error::from(io::ErrorKind::InvalidData).into()),
        Err(error) => {
            guard.reap().await;
            Err(error.into())
        }
    }
}

/// The guard's standard input is its socket. Its environment is empty: tasks can read it, and ours may hold secrets.
fn spawn(program: &Path, level: Level, socket: StdStream) -> io::Result<Child> {
    Command::new(program)
        .args([GUARD_ARGUMENT, level.as_str()])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
}

/// Until the guard is gone. The failure is for the job it had then.
async fn serve(slot: &Slot, mut guard: Guard, desk: &Desk, free: &impl Fn()) -> Failure {
    match guard.stream_copy() {
        Ok(socket) => slot.connect(socket),
        Err(error) => return Failure::GuardUnavailable { error: error.to_string() },
    }
    loop {
        match guard.next(slot).await {
            Ok(FromGuard::Report(report)) => {
                if let Some(job) = slot.take_job() {
                    let outcome = outcome(*report, &job, guard.level);
                    free();
                    desk.finish(job.task, job.attempt, outcome).await;
                }
            }
            Ok(FromGuard::Running) => {
                if let Some(job) = slot.job() {
                    desk.started(job.task, job.attempt).await;
                }
            }
            Ok(FromGuard::Ready { .. } | FromGuard::Unsupported { .. }) | Err(_) => break,
        }
    }
    slot.disconnect();
    tracing::warn!(pid = guard.pid, "a guard ended; the next command gets a new one");
    let level = guard.level;
    // When a namespace's first process can be waited for, all others in it are gone.
    guard.reap().await;
    if level == Level::Subreaper {
        let mark = slot.mark().to_string();
        match tokio::task::spawn_blocking(move || guard::kill_marked(&mark)).await {
            Ok(0) => {}
            Ok(killed) => tracing::warn!(killed, "processes that a killed guard left behind"),
            Err(error) => tracing::error!(%error, "looking for processes that a guard left behind"),
        }
    }
    Failure::GuardLost
}

impl Guard {
    /// The next message, while writing what waits.
    async fn next(&mut self, slot: &Slot) -> io::Result<FromGuard> {
        loop {
            if let Some(message) = take(&mut self.buffer).map_err(io::Error::other)? {
                return Ok(message);
            }
            // Through the runtime's socket, so that it learns when this one is full and waits for room.
            let blocked = slot.has_outgoing()
                && self.stream.try_io(Interest::WRITABLE, || slot.flush()).is_err_and(|error| is_blocking(&error));
            let interest = if blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            tokio::select! {
                ready = self.stream.ready(interest) => {
                    if ready?.is_readable() {
                        match self.stream.try_read_buf(&mut self.buffer) {
                            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                            Ok(_) => {}
                            Err(error) if is_blocking(&error) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                () = slot.wake.notified() => {}
            }
        }
    }

    async fn read(&mut self) -> io::Result<FromGuard> {
        loop {
            if let Some(message) = take(&mut self.buffer).map_err(io::Error::other)? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// For writing in the caller's thread.
    fn stream_copy(&self) -> io::Result<StdStream> {
        use std::os::fd::AsFd;
        Ok(StdStream::from(self.stream.as_fd().try_clone_to_owned()?))
    }

    /// Closes the socket and waits for the processes.
    async fn reap(self) {
        let Self { stream, pid, mut starter, .. } = self;
        drop(stream);
        let waited = tokio::task::spawn_blocking(move || {
            let own = starter.id() as i32 == pid;
            let waited = starter.wait().map(drop);
            match rustix::process::Pid::from_raw(pid) {
                Some(pid) if !own => waited.and(
                    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
                        .map(drop)
                        .map_err(Into::into),
                ),
                _ => waited,
            }
        });
        match waited.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, pid, "waiting for a guard"),
            Err(error) => tracing::warn!(%error, pid, "waiting for a guard"),
        }
    }
}

fn is_blocking(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn outcome(report: Report, job: &Job, level: Level) -> Outcome {
    let mut in_files = false;
    let mut output = |kept: Kept| match kept {
        Kept::Inline(bytes) => Output::Inline(bytes.into()),
        Kept::File { name, len, truncated } => {
            in_files = true;
            Output::File { path: job.out.join(name), len, truncated }
        }
    };
    let (stdout, stderr) = (output(report.stdout), output(report.stderr));
    let files = report.files.into_iter().map(|(name, kept)| (name, output(kept))).collect();
    Outcome {
        status: report.status,
        stdout,
        stderr,
        files,
        cpu: Duration::from_micros(report.cpu_us),
        wall: Duration::from_micros(report.wall_us),
        max_rss_bytes: report.max_rss_bytes,
        level: Some(level),
        directory: in_files.then(|| Arc::new(OutDir::new(job.out.clone()))),
    }
}

/// What a guard that is gone could not remove.
async fn remove(job: &Job) {
    let job = job.clone();
    let removed = tokio::task::spawn_blocking(move || guard::remove(&job.work).and_then(|()| guard::remove(&job.out)));
    match removed.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the directory of a task whose guard was lost"),
        Err(error) => tracing::warn!(%error, "the directory of a task whose guard was lost"),
    }
}
