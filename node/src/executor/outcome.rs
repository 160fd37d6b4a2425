//! How an execution ended.

use super::protocol::{Kept, Report};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The end of one execution. Nothing of it runs any more.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub status: Status,
    pub stdout: Output,
    pub stderr: Output,
    /// The named outputs, in the order asked for. When the command did not exit with 0: those that exist.
    pub files: Vec<(String, Output)>,
    /// CPU time of all processes of the task, user and system; of a program inside this process, of its thread.
    pub cpu: Duration,
    /// From the guard's or the thread's reception of the task to its end.
    pub wall: Duration,
    /// Largest resident set of any one process of the task; of a WebAssembly program what it had of memory at most.
    pub max_rss_bytes: u64,
    /// What held the processes; `None` for what has none.
    pub containment: Option<Containment>,
    /// Owns the files that [`Output::File`] names: they are removed when the last clone of the outcome is dropped.
    pub directory: Option<Arc<OutDir>>,
}

impl Outcome {
    /// An end without output.
    #[must_use]
    pub fn failed(failure: Failure) -> Self {
        Self::ended(Status::Failed(failure), Bytes::new())
    }

    /// Of what left its files in `out`.
    pub(super) fn reported(report: Report, out: &Path, containment: Option<Containment>) -> Self {
        let mut in_files = false;
        let mut output = |kept: Kept| match kept {
            Kept::Inline(bytes) => Output::Inline(bytes.into()),
            Kept::File { name, len, truncated } => {
                in_files = true;
                Output::File { path: out.join(name), len, truncated }
            }
        };
        let (stdout, stderr) = (output(report.stdout), output(report.stderr));
        let files = report.files.into_iter().map(|(name, kept)| (name, output(kept))).collect();
        Self {
            status: report.status,
            stdout,
            stderr,
            files,
            cpu: Duration::from_micros(report.cpu_us),
            wall: Duration::from_micros(report.wall_us),
            max_rss_bytes: report.max_rss_bytes,
            containment,
            directory: in_files.then(|| Arc::new(OutDir::new(out.to_path_buf()))),
        }
    }

    pub(super) fn ended(status: Status, stdout: Bytes) -> Self {
        Self {
            status,
            stdout: Output::Inline(stdout),
            stderr: Output::Inline(Bytes::new()),
            files: Vec::new(),
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
            max_rss_bytes: 0,
            containment: None,
            directory: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The command's exit code; a builtin's is 0.
    Exit(i32),
    /// Ended by a signal of its own or of the kernel's (number as on this platform).
    Signal(i32),
    Failed(Failure),
}

/// Bytes that a task made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// At most 16 KiB.
    Inline(Bytes),
    /// Lives as long as [`Outcome::directory`]. `truncated`: more was written than the limit, and only so much kept.
    File { path: PathBuf, len: u64, truncated: bool },
}

impl Output {
    /// Bytes kept.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why an execution counts as failed although the command did not say so. Each text says what to do where something
/// can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Failure {
    #[error("command `{name}` is not allowed here: {hint}")]
    NotAllowed { name: String, hint: String },
    #[error("{program} does not exist, or its interpreter does not")]
    ProgramMissing { program: String },
    #[error("{program} cannot be executed: {error}")]
    NotExecutable { program: String, error: String },
    #[error("ran longer than its time limit of {limit_ms} ms")]
    TimeLimit { limit_ms: u64 },
    #[error("more than {limit} bytes on {stream}")]
    OutputTooLarge { stream: String, limit: u64 },
    #[error("wrote a file of more than {limit} bytes")]
    FileTooLarge { limit: u64 },
    #[error("{bytes} bytes of named outputs, above the limit of {limit}")]
    FilesTooLarge { bytes: u64, limit: u64 },
    #[error("more than {limit} processes and threads at a time ({seen} seen)")]
    TooManyProcesses { limit: u32, seen: u32 },
    #[error("used more than {limit} bytes of memory ({seen} seen)")]
    MemoryLimit { limit: u64, seen: u64 },
    #[error("made directories inside one another deeper than the system has paths for")]
    TreeTooDeep,
    #[error("less than {limit} bytes, or files for so many, left on the disk")]
    DiskFull { limit: u64 },
    #[error("named output `{path}` was not made")]
    OutputMissing { path: String },
    #[error("named output `{path}` refused: {why}")]
    OutputRefused { path: String, why: String },
    #[error("`{path}` is not a plain relative path inside the task's directory")]
    BadPath { path: String },
    #[error("{count} files, above the limit of {limit}")]
    TooManyFiles { count: usize, limit: usize },
    #[error("{bytes} bytes of {what}, above the limit of {limit}")]
    TooLong { what: String, bytes: usize, limit: usize },
    #[error("no arguments, or a NUL byte in one")]
    BadArguments,
    #[error("environment variable `{name}` may not be set by a task")]
    BadVariable { name: String },
    #[error("preparing the task's {what}: {error}")]
    Prepare { what: String, error: String },
    #[error("cancelled")]
    Cancelled,
    #[error("this node did not renew the lease for {lease_ms} ms")]
    LeaseLost { lease_ms: u64 },
    #[error("the guard of the task ended before the task")]
    GuardLost,
    #[error("no guard could be started: {error}")]
    GuardUnavailable { error: String },
    #[error("no worker of kind {kind} is attached to this node any more")]
    NoWorker { kind: String },
    #[error("no worker of kind {kind} took it within {waited_ms} ms")]
    NotTaken { kind: String, waited_ms: u64 },
    #[error("{why}")]
    WorkerLost { why: String },
    #[error("{why}")]
    GivenBack { why: String },
    #[error("no WebAssembly program for WASI: {why}")]
    NotAProgram { why: String },
    #[error("a program of {bytes} bytes, above this node's limit of {limit} (`wasm.module`)")]
    ProgramTooLarge { bytes: u64, limit: u64 },
    #[error("compiling it takes more than {limit} bytes of memory, this node's limit (`wasm.compiler_memory`)")]
    CompilerMemory { limit: u64 },
    #[error("compiling it takes more than {limit_s} s of processor time, this node's limit (`wasm.compiler_time`)")]
    CompilerTime { limit_s: u64 },
    #[error(
        "what is compiled of it has {bytes} bytes, above this node's limit of {limit} (`wasm.cache`, at least 64 MiB)"
    )]
    CodeTooLarge { bytes: u64, limit: u64 },
    #[error("trap: {what}")]
    Trap { what: String },
    #[error("used more than {limit_s} s of processor time")]
    CpuLimit { limit_s: u64 },
}

/// What holds commands on this system, as the first guard found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Containment {
    pub level: Level,
    /// The kernel's version of Landlock, by which commands write in their own directory only. `None`: nothing fences
    /// them, and they can write whatever this user can.
    pub landlock: Option<u32>,
}

/// How surely everything a task starts is found and killed. Probed when a guard starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// The process group of the command: what calls `setsid` escapes. Elsewhere than Linux.
    ProcessGroup,
    /// The guard adopts what is orphaned and kills it. A task that kills its guard first is cleaned up after by a
    /// mark in its environment, which a task can remove.
    Subreaper,
    /// The guard is the first process of a namespace of its own: the kernel kills all others with it, and none of
    /// them can signal it.
    Namespace,
}

impl Level {
    /// What to try when this one cannot be had.
    pub(super) fn next_best(self) -> Option<Self> {
        match self {
            Self::Namespace => Some(Self::Subreaper),
            Self::Subreaper | Self::ProcessGroup => None,
        }
    }

    pub(super) fn best() -> Self {
        if cfg!(target_os = "linux") { Self::Namespace } else { Self::ProcessGroup }
    }

    /// The word on the guard's command line, in `status` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProcessGroup => "process-group",
            Self::Subreaper => "subreaper",
            Self::Namespace => "pid-namespace",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::ProcessGroup, Self::Subreaper, Self::Namespace].into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A directory of outputs that goes away with its last owner.
#[derive(Debug)]
pub struct OutDir(PathBuf);

impl OutDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            // Not lost for good: the next start empties the whole directory.
            tracing::warn!(path = %self.0.display(), %error, "outputs of a task not removed");
        }
    }
}
