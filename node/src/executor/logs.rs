//! What a running command has written so far, read from the files its guard keeps.

use mesh_proto::id::TaskId;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn file(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    pub bytes: Vec<u8>,
    /// Where to go on.
    pub next: u64,
    /// Whether more may come. Once false, the rest is in the outcome.
    pub running: bool,
}

const MAX_CHUNK: usize = 1 << 20;

pub fn read(
    directory: &Path,
    task: TaskId,
    attempt: u32,
    stream: Stream,
    offset: u64,
    max: usize,
    running: bool,
) -> io::Result<LogChunk> {
    let path = out_directory(directory, task, attempt).join(stream.file());
    let file = match File::open(path) {
        Ok(file) => file,
        // Nothing written yet, or over.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(LogChunk { bytes: Vec::new(), next: offset, running });
        }
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; max.min(MAX_CHUNK)];
    let length = file.read_at(&mut bytes, offset)?;
    bytes.truncate(length);
    Ok(LogChunk { next: offset + length as u64, bytes, running })
}

/// Beside the task's own directory, so that its name means nothing inside.
pub fn out_directory(directory: &Path, task: TaskId, attempt: u32) -> PathBuf {
    directory.join(format!("{task}-{attempt}.out"))
}
