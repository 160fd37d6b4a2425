//! Programs that are part of meshd, for checks and benchmarks.

use super::input::open_regular;
use super::outcome::{Failure, OutDir, Outcome, Output, Status};
use super::pool::{Desk, Executor};
use super::protocol::INLINE_BYTES;
use super::run::{Program, Run, Source};
use bytes::Bytes;
use mesh_proto::id::TaskId;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub struct Builtins {
    desk: Arc<Desk>,
    runtime: Handle,
    directory: PathBuf,
    running: Arc<Running>,
}

/// How to end those that do not end at once.
#[derive(Default)]
struct Running(Mutex<BTreeMap<(TaskId, u32), CancellationToken>>);

impl Builtins {
    pub fn new(desk: Arc<Desk>, directory: PathBuf) -> Self {
        Self { desk, runtime: Handle::current(), directory, running: Arc::default() }
    }

    /// The whole of a small `echo` or `sha256`: no lock, no task, no file.
    pub fn at_once(run: &Run) -> Option<Outcome> {
        let bytes = match &run.stdin {
            Source::Inline(bytes) if bytes.len() <= INLINE_BYTES => bytes.clone(),
            Source::Null => Bytes::new(),
            Source::Inline(_) | Source::File(_) => return None,
        };
        let stdout = match run.program {
            Program::Echo => bytes,
            Program::Sha256 => hexadecimal(Sha256::digest(&bytes).as_slice()),
            Program::Sleep(_) | Program::Exec { .. } | Program::Wasm { .. } | Program::Worker { .. } => return None,
        };
        Some(Outcome::ended(Status::Exit(0), stdout))
    }
}

impl Executor for Builtins {
    fn run(&self, run: Run) -> Option<Outcome> {
        let key = (run.task, run.attempt);
        let token = CancellationToken::new();
        self.running.lock().insert(key, token.clone());
        let (desk, running) = (Arc::clone(&self.desk), Arc::clone(&self.running));
        let out = self.directory.join(format!("{}-{}.out", run.task, run.attempt));
        self.runtime.spawn(async move {
            let started = Instant::now();
            let limit = run.time_limit;
            let work = work(run, out, token.clone());
            let mut outcome = tokio::select! {
                outcome = work => outcome,
                () = token.cancelled() => Outcome::failed(Failure::Cancelled),
                () = tokio::time::sleep(limit) => Outcome::failed(Failure::TimeLimit { limit_ms: limit.as_millis() as u64 }),
            };
            // What still reads a file stops at its next block.
            token.cancel();
            outcome.wall = started.elapsed();
            running.lock().remove(&key);
            desk.finish(key.0, key.1, outcome).await;
        });
        None
    }

    fn cancel(&self, task: TaskId, attempt: u32) -> bool {
        let running = self.running.lock();
        running.get(&(task, attempt)).inspect(|token| token.cancel()).is_some()
    }
}

impl Drop for Builtins {
    fn drop(&mut self) {
        self.running.lock().values().for_each(CancellationToken::cancel);
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(TaskId, u32), CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(run: Run, out: PathBuf, token: CancellationToken) -> Outcome {
    if let Program::Sleep(time) = run.program {
        tokio::time::sleep(time).await;
        return Outcome::ended(Status::Exit(0), Bytes::new());
    }
    let blocking = tokio::task::spawn_blocking(move || {
        let hash = run.program == Program::Sha256;
        read_all(run.stdin, hash, &out, run.limits.output_bytes, &token)
    });
    match blocking.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::failed(Failure::Prepare { what: "input".into(), error: error.to_string() }),
        Err(error) => Outcome::failed(Failure::Prepare { what: "builtin".into(), error: error.to_string() }),
    }
}

/// `echo` and `sha256` of more than fits a record.
fn read_all(source: Source, hash: bool, out: &Path, limit: u64, token: &CancellationToken) -> io::Result<Outcome> {
    let mut reader: Box<dyn Read> = match source {
        Source::Inline(bytes) => Box::new(io::Cursor::new(bytes)),
        Source::File(path) => Box::new(open_regular(&path)?),
        Source::Null => Box::new(io::empty()),
    };
    let mut sink = if hash { Copy::Hash(Sha256::new()) } else { Copy::to_file(out)? };
    let mut block = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let length = reader.read(&mut block)?;
        if length == 0 {
            return sink.finish(total);
        }
        if token.is_cancelled() {
            return Ok(Outcome::failed(Failure::Cancelled));
        }
        total += length as u64;
        if !hash && total > limit {
            return Ok(Outcome::failed(Failure::OutputTooLarge { stream: "stdout".into(), limit }));
        }
        sink.write(&block[..length])?;
    }
}

enum Copy {
    Hash(Sha256),
    File(File, PathBuf, OutDir),
}

impl Copy {
    fn to_file(out: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(out)?;
        let owner = OutDir::new(out.to_path_buf());
        let path = out.join("stdout");
        Ok(Self::File(File::create(&path)?, path, owner))
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        match self {
            Self::Hash(hash) => {
                hash.update(block);
                Ok(())
            }
            Self::File(file, ..) => file.write_all(block),
        }
    }

    fn finish(self, len: u64) -> io::Result<Outcome> {
        match self {
            Self::Hash(hash) => Ok(Outcome::ended(Status::Exit(0), hexadecimal(hash.finalize().as_slice()))),
            Self::File(_, path, _) if len <= INLINE_BYTES as u64 => {
                Ok(Outcome::ended(Status::Exit(0), std::fs::read(path)?.into()))
            }
            Self::File(_, path, owner) => {
                let mut outcome = Outcome::ended(Status::Exit(0), Bytes::new());
                outcome.stdout = Output::File { path, len, truncated: false };
                outcome.directory = Some(Arc::new(owner));
                Ok(outcome)
            }
        }
    }
}

fn hexadecimal(digest: &[u8]) -> Bytes {
    (data_encoding::HEXLOWER.encode(digest) + "\n").into()
}
