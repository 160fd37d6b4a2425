use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::executor::kill_marked;
use crate::executor::lock::{self, FromHolder, LOCK_ARGUMENT, ToHolder, Until};
use crate::executor::protocol::{frame, take};

/// A command under the guard that ends it with its lease, whatever becomes of this process.
pub(super) struct Held {
    guard: Child,
    /// What the guard says.
    heard: UnixStream,
    buffer: Vec<u8>,
    line: Line,
    /// In the environment of all that the command starts.
    mark: String,
    /// The last word of the guard.
    said: Option<lock::Ended>,
}

/// What is said to the guard.
pub(super) struct Line(StdStream);

impl Line {
    /// A guard that is gone has ended the command, which is noticed there.
    pub(super) fn tell(&mut self, message: &ToHolder) {
        if let Err(error) = self.0.write_all(&frame(message)) {
            tracing::debug!(%error, "the guard hears nothing");
        }
    }
}

/// How a command came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: u8,
    /// Its lease was over, as the guard saw it.
    pub(super) by_lease: bool,
}

impl Held {
    /// Fails with what is wrong with the command, if that is why.
    pub(super) async fn start(words: &[String], fence: u64, until: Until) -> io::Result<Result<Self, String>> {
        let (ours, theirs) = StdStream::pair()?;
        lock::inherit(&theirs)?;
        let mark = format!("{:032x}", rand::random::<u128>());
        let own = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        let mut command = Command::new(own);
        command.arg(LOCK_ARGUMENT).arg(theirs.as_raw_fd().to_string()).arg("--").args(words);
        command.env("MESH_FENCE", fence.to_string()).env(MARK, &mark);
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let guard = command.spawn()?;
        drop(theirs);
        let line = Line(ours.try_clone()?);
        ours.set_nonblocking(true)?;
        let heard = UnixStream::from_std(ours)?;
        let mut held = Self { guard, heard, buffer: Vec::new(), line, mark: format!("{MARK}={mark}"), said: None };
        held.line.tell(&ToHolder::Until(until));
        match held.next().await {
            Ok(FromHolder::Started) => Ok(Ok(held)),
            Ok(FromHolder::Failed(why)) => Ok(Err(why)),
            Ok(FromHolder::Ended(_)) => Err(io::ErrorKind::InvalidData.into()),
            Err(error) => Err(error),
        }
    }

    /// What is said to the guard, and the rest.
    pub(super) fn split(&mut self) -> (&mut Line, Hearing<'_>) {
        let Self { guard, heard, buffer, line, mark, said } = self;
        (line, Hearing { guard, heard, buffer, mark, said })
    }

    /// Ends it: asked first, killed when the time is over.
    pub(super) async fn end(&mut self) -> Ended {
        self.line.tell(&ToHolder::End);
        self.split().1.ended().await
    }

    async fn next(&mut self) -> io::Result<FromHolder> {
        self.split().1.next().await
    }
}

/// The other direction.
pub(super) struct Hearing<'a> {
    guard: &'a mut Child,
    heard: &'a mut UnixStream,
    buffer: &'a mut Vec<u8>,
    mark: &'a str,
    said: &'a mut Option<lock::Ended>,
}

impl Hearing<'_> {
    /// Until no process of the command is left. Where the guard was killed the command died with it, and what that left
    /// behind is killed here.
    pub(super) async fn ended(&mut self) -> Ended {
        // Who waits may be interrupted, and come again.
        while self.said.is_none() {
            match self.next().await {
                Ok(FromHolder::Ended(ended)) => *self.said = Some(ended),
                Ok(FromHolder::Started | FromHolder::Failed(_)) => {}
                Err(_) => break,
            }
        }
        if let Err(error) = self.guard.wait().await {
            tracing::debug!(%error, "waiting for the guard");
        }
        match *self.said {
            Some(lock::Ended { code, by_lease }) => Ended { code, by_lease },
            None => {
                let mark = self.mark.to_owned();
                match tokio::task::spawn_blocking(move || kill_marked(&mark)).await {
                    Ok(killed) => {
                        eprintln!("meshd: the guard of the command was killed, and {killed} of its processes")
                    }
                    Err(error) => tracing::error!(%error, "looking for what the guard left behind"),
                }
                Ended { code: KILLED, by_lease: false }
            }
        }
    }

    async fn next(&mut self) -> io::Result<FromHolder> {
        loop {
            if let Some(message) = take(self.buffer).map_err(io::Error::other)? {
                return Ok(message);
            }
            if self.heard.read_buf(self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// 128 and KILL.
const KILLED: u8 = 137;

/// As of the guards of tasks.
const MARK: &str = "MESH_GUARD";
