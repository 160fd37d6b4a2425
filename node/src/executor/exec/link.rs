//! The keeper of a slot: starts its guard when there is a job, reads its reports, and cleans up after it.

use super::slot::{Job, Slot};
use crate::executor::config::ExecConfig;
use crate::executor::guard::{self, FENCED, GUARD_ARGUMENT, HIDDEN, UNFENCED, WRITABLE};
use crate::executor::outcome::{Containment, Failure, Level, Outcome};
use crate::executor::pool::Desk;
use crate::executor::protocol::{FromGuard, take};
use crate::executor::run::Limits;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// What the keepers have in common.
pub struct Shared {
    guard: PathBuf,
    fenced: bool,
    /// What is said to each guard of paths.
    paths: Vec<OsString>,
    /// The level to ask for, lowered for all when the system refused it once; and what a guard reached.
    level: Mutex<(Level, Option<Containment>)>,
}

impl Shared {
    pub fn new(config: &ExecConfig) -> Self {
        let level = Mutex::new((config.level, None));
        let writable = config.writable.iter().map(|path| (WRITABLE, path));
        let hidden = config.hidden.iter().map(|path| (HIDDEN, path));
        let paths = writable
            .chain(hidden)
            .map(|(word, path)| {
                let mut argument = OsString::from(word);
                argument.push(path);
                argument
            })
            .collect();
        Self { guard: config.guard.clone(), fenced: config.fenced, paths, level }
    }

    pub fn reached(&self) -> Option<Containment> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn wanted(&self) -> Level {
        self.level.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn note(&self, level: Level, reached: Option<Containment>) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = (level, reached);
    }

    /// A guard to be started at this level.
    fn command(&self, level: Level) -> Command {
        let mut command = Command::new(&self.guard);
        command.args([GUARD_ARGUMENT, level.as_str(), if self.fenced { FENCED } else { UNFENCED }]);
        command.args(&self.paths);
        command
    }
}

/// A guard that said it is ready.
struct Guard {
    stream: UnixStream,
    buffer: Vec<u8>,
    containment: Containment,
    pid: i32,
    starter: Child,
}

/// From `exec` to `Ready`: milliseconds, unless the machine is in great need.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Finds out once, at the start of the node, what holds commands here: by a guard that has nothing to do.
pub async fn probe(shared: Arc<Shared>, limits: Limits) {
    let guard = match start(&shared).await {
        Ok(guard) => guard,
        Err(error) => return tracing::error!(%error, "no guard can be started: commands will fail"),
    };
    let Containment { level, landlock } = guard.containment;
    guard.reap().await;
    let memory = limits.memory_bytes;
    tracing::info!(%level, landlock, memory, "what holds commands");
    if landlock.is_none() && shared.fenced {
        tracing::warn!("this kernel has no Landlock: commands can write whatever this node's user can");
    }
}

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
        match tokio::time::timeout(READY_WITHIN, start_at(shared, level)).await? {
            Ok(guard) => {
                shared.note(level, Some(guard.containment));
                return Ok(guard);
            }
            Err(Refused::Level(error)) => match level.next_best() {
                Some(next) => {
                    tracing::info!(%level, %next, %error, "commands are held together less surely on this system");
                    shared.note(next, None);
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

async fn start_at(shared: &Shared, level: Level) -> Result<Guard, Refused> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let command = shared.command(level);
    // Starting a large program blocks for some milliseconds.
    let starter = tokio::task::spawn_blocking(move || spawn(command, theirs)).await.map_err(io::Error::from)??;
    let mut guard = Guard {
        stream: UnixStream::from_std(ours)?,
        buffer: Vec::new(),
        containment: Containment { level, landlock: None },
        pid: starter.id() as i32,
        starter,
    };
    match guard.read().await {
        Ok(FromGuard::Ready { pid, fence, .. }) => {
            guard.pid = pid;
            guard.containment.landlock = fence;
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
fn spawn(mut command: Command, socket: StdStream) -> io::Result<Child> {
    command.env_clear().stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()
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
                    let outcome = Outcome::reported(*report, &job.out, Some(guard.containment));
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
    let level = guard.containment.level;
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
