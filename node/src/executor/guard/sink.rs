//! Where a program's output goes: memory while it is little, a file beside the task's directory when it is more.
//!
//! From a command by a pipe and not a file from the start: most outputs are tiny, and making, filling, reading and removing two files
//! costs more than all else the guard does for a short command. A pipe also makes the limit exact.

use crate::executor::protocol::{INLINE_BYTES, Kept};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

pub struct Sink {
    pub name: &'static str,
    pipe: Option<File>,
    /// The first [`INLINE_BYTES`] of it.
    head: Vec<u8>,
    /// All that was kept, once there is too much for `head` or somebody may want to follow.
    file: Option<File>,
    kept: u64,
    limit: u64,
    pub overflown: bool,
}

/// What went wrong with a sink that is not the command's fault.
pub type SinkResult = std::io::Result<()>;

impl Sink {
    /// `pipe` must not block.
    pub fn new(name: &'static str, pipe: OwnedFd, limit: u64) -> Self {
        Self { pipe: Some(pipe.into()), ..Self::fed(name, limit) }
    }

    /// Of a program that writes through [`Sink::take`].
    pub fn fed(name: &'static str, limit: u64) -> Self {
        Self { name, pipe: None, head: Vec::new(), file: None, kept: 0, limit, overflown: false }
    }

    /// To poll for; `None` when the command has closed its end.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is in the pipe now, at most some megabytes, so that the guard looks at its clock between.
    pub fn drain(&mut self, out: &Path, scratch: &mut [u8]) -> SinkResult {
        for _ in 0..64 {
            let Some(pipe) = &mut self.pipe else { return Ok(()) };
            match pipe.read(scratch) {
                Ok(0) => self.pipe = None,
                Ok(n) => self.take(&scratch[..n], out)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.overflown {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes all that is left when nobody writes any more.
    pub fn finish(&mut self, out: &Path, scratch: &mut [u8]) -> SinkResult {
        // A pipe holds 1 MiB at most unless its reader says otherwise; `drain` takes 64 scratches of it.
        self.drain(out, scratch)?;
        self.pipe = None;
        Ok(())
    }

    /// From now on everything is in the file too, for who follows the output of a long task.
    pub fn publish(&mut self, out: &Path) -> SinkResult {
        if self.file.is_none() && !self.head.is_empty() {
            self.spill(out)?;
        }
        Ok(())
    }

    /// Bytes until it is full.
    #[cfg(feature = "wasm")]
    pub fn room(&self) -> u64 {
        self.limit - self.kept
    }

    /// Whether there is something to remove when it is not reported.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    pub fn kept(self) -> Kept {
        if self.kept <= INLINE_BYTES as u64 && !self.overflown {
            Kept::Inline(self.head)
        } else {
            Kept::File { name: self.name.into(), len: self.kept, truncated: self.overflown }
        }
    }

    pub fn take(&mut self, bytes: &[u8], out: &Path) -> SinkResult {
        let room = (self.limit - self.kept).min(bytes.len() as u64) as usize;
        self.overflown |= room < bytes.len();
        let bytes = &bytes[..room];
        if self.file.is_none() && self.kept + room as u64 > INLINE_BYTES as u64 || self.overflown {
            self.spill(out)?;
        }
        if self.head.len() < INLINE_BYTES {
            let more = bytes.len().min(INLINE_BYTES - self.head.len());
            self.head.extend_from_slice(&bytes[..more]);
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        self.kept += room as u64;
        Ok(())
    }

    fn spill(&mut self, out: &Path) -> SinkResult {
        if self.file.is_none() {
            std::fs::create_dir_all(out)?;
            let mut file = File::create_new(out.join(self.name))?;
            file.write_all(&self.head)?;
            self.file = Some(file);
        }
        Ok(())
    }
}
