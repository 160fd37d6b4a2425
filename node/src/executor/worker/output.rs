//! What comes of a worker's task, as it comes: in files beside the tasks' directories, as a command's.

use super::WorkerError;
use crate::executor::guard::{directory, holdings::is_disk_full, sink::Sink};
use crate::executor::logs::{Stream, out_directory};
use crate::executor::outcome::{Failure, Outcome, Status};
use crate::executor::protocol::{Kept, Report};
use crate::executor::run::{Limits, Run};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Output {
    /// Files that are to come of it lie here until its end.
    work: PathBuf,
    out: PathBuf,
    names: Vec<String>,
    limits: Limits,
    /// `None` once it has ended.
    state: Mutex<Option<State>>,
}

struct State {
    sinks: [Sink; 2],
    /// Bytes of all that was sent for files, what was sent again included.
    received: u64,
    uploads: u64,
}

/// A file on its way. It is not there before it is whole.
pub struct Upload {
    output: Arc<Output>,
    name: String,
    path: PathBuf,
    file: File,
    len: u64,
    is_placed: bool,
}

impl Output {
    pub fn new(base: &Path, run: &Run, bound: Limits) -> Self {
        let limits = run.limits.within(bound);
        let sinks = ["stdout", "stderr"].map(|name| Sink::fed(name, limits.output_bytes));
        Self {
            work: base.join(format!("{}-{}", run.task, run.attempt)),
            out: out_directory(base, run.task, run.attempt),
            names: run.outputs.clone(),
            limits,
            state: Mutex::new(Some(State { sinks, received: 0, uploads: 0 })),
        }
    }

    /// Adds to what it writes; `published`, so that who follows it sees it at once. Blocks.
    pub fn write(&self, stream: Stream, bytes: &[u8], published: bool) -> Result<(), WorkerError> {
        let state = &mut *self.lock();
        let State { sinks: [stdout, stderr], .. } = state.as_mut().ok_or(WorkerError::NotHeld)?;
        let sink = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        if published && self.out.parent().is_some_and(|base| is_disk_full(base, self.limits.free_bytes / 4)) {
            return Err(WorkerError::NoRoom);
        }
        sink.take(bytes, &self.out).map_err(disk)?;
        if published {
            sink.publish(&self.out).map_err(disk)?;
        }
        match sink.overflown {
            true => Err(WorkerError::TooLarge { what: "output", limit: self.limits.output_bytes }),
            false => Ok(()),
        }
    }

    /// Room for one more file that the task asks for: where it is written until it is whole.
    fn begin_upload(&self, name: &str) -> Result<PathBuf, WorkerError> {
        if !self.names.iter().any(|asked| asked == name) {
            return Err(WorkerError::Unasked);
        }
        let state = &mut *self.lock();
        let state = state.as_mut().ok_or(WorkerError::NotHeld)?;
        if state.uploads == 0 {
            directory::make(&self.work).map_err(disk)?;
        }
        state.uploads += 1;
        // Beside the task's directory, so that its name means nothing inside.
        Ok(self.out.with_extension(format!("part-{}", state.uploads)))
    }

    /// What came of it, of which nothing is added any more. Blocks.
    pub fn end(&self, mut status: Status, cpu_us: u64, wall_us: u64) -> Outcome {
        let Some(State { sinks, uploads, .. }) = self.lock().take() else {
            return Outcome::failed(Failure::Prepare { what: "output".into(), error: "it has ended".into() });
        };
        if sinks.iter().any(|sink| sink.overflown) && status == Status::Exit(0) {
            let limit = self.limits.output_bytes;
            status = Status::Failed(Failure::OutputTooLarge { stream: "an output".into(), limit });
        }
        let mut files = Vec::new();
        if let Status::Exit(code) = status {
            match self.collect(uploads, code == 0) {
                Ok(collected) => files = collected,
                Err(failure) => status = Status::Failed(failure),
            }
        }
        if uploads > 0 {
            clear(&self.work);
        }
        let has_file = sinks.iter().any(Sink::has_file);
        let [stdout, stderr] = sinks.map(Sink::kept);
        let in_file = |kept: &Kept| matches!(kept, Kept::File { .. });
        if has_file && ![&stdout, &stderr].into_iter().chain(files.iter().map(|(_, kept)| kept)).any(in_file) {
            // Small after all: it was in a file only for who followed it.
            clear(&self.out);
        }
        let report = Report { status, stdout, stderr, files, cpu_us, wall_us, max_rss_bytes: 0 };
        Outcome::reported(report, &self.out, None)
    }

    fn collect(&self, uploads: u64, all: bool) -> Result<Vec<(String, Kept)>, Failure> {
        match (uploads, self.names.first()) {
            (0, Some(first)) if all => Err(Failure::OutputMissing { path: first.clone() }),
            (0, _) => Ok(Vec::new()),
            _ => directory::collect(&self.work, &self.out, &self.names, &self.limits, all),
        }
    }

    /// Nothing that can panic happens under the lock.
    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Its worker never ended it.
impl Drop for Output {
    fn drop(&mut self) {
        if self.lock().take().is_some_and(|state| state.uploads > 0 || state.sinks.iter().any(Sink::has_file)) {
            clear(&self.work);
            clear(&self.out);
        }
    }
}

impl Upload {
    /// Of a file that the task asks for. Blocks.
    pub fn begin(output: Arc<Output>, name: &str) -> Result<Self, WorkerError> {
        let path = output.begin_upload(name)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(disk)?;
        Ok(Self { output, name: name.to_owned(), path, file, len: 0, is_placed: false })
    }

    /// Blocks.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WorkerError> {
        let Limits { file_bytes, total_file_bytes, free_bytes, .. } = self.output.limits;
        self.len = self.len.saturating_add(bytes.len() as u64);
        if self.len > file_bytes {
            return Err(WorkerError::TooLarge { what: "a file", limit: file_bytes });
        }
        let received = {
            let state = &mut *self.output.lock();
            let state = state.as_mut().ok_or(WorkerError::NotHeld)?;
            state.received = state.received.saturating_add(bytes.len() as u64);
            state.received
        };
        if received > total_file_bytes {
            return Err(WorkerError::TooLarge { what: "all files", limit: total_file_bytes });
        }
        if is_disk_full(&self.output.work, free_bytes) {
            return Err(WorkerError::NoRoom);
        }
        self.file.write_all(bytes).map_err(disk)
    }

    /// Puts it in its place, or in the place of the one that was there. Blocks.
    pub fn place(mut self) -> Result<(), WorkerError> {
        let output = Arc::clone(&self.output);
        let state = output.lock();
        if state.is_none() {
            return Err(WorkerError::NotHeld);
        }
        let target = output.work.join(&self.name);
        let parent = target.parent().unwrap_or(&output.work);
        std::fs::create_dir_all(parent).and_then(|()| std::fs::rename(&self.path, &target)).map_err(disk)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_placed
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a part of a worker's file not removed");
        }
    }
}

fn clear(directory: &Path) {
    if let Err(error) = directory::remove(directory) {
        // Not lost for good: the next start empties the whole directory.
        tracing::warn!(path = %directory.display(), %error, "outputs of a task not removed");
    }
}

fn disk(error: io::Error) -> WorkerError {
    WorkerError::Disk(error.to_string())
}
