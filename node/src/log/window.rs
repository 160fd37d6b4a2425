//! Buffered reading of a segment from front to back.

use super::{DiskFile, LogError};
use std::io;

/// The part of a file that was read last.
pub(super) struct Window<'a, F> {
    file: &'a F,
    name: &'a str,
    /// Nothing is read from here on.
    end: u64,
    offset: u64,
    bytes: Vec<u8>,
}

impl<'a, F: DiskFile> Window<'a, F> {
    pub fn new(file: &'a F, name: &'a str, end: u64) -> Self {
        Self { file, name, end, offset: 0, bytes: Vec::new() }
    }

    /// `len` bytes from `offset`, which must lie before the window's end.
    pub fn get(&mut self, offset: u64, len: usize) -> Result<&[u8], LogError> {
        debug_assert!(offset + len as u64 <= self.end);
        if offset < self.offset || offset + len as u64 > self.offset + self.bytes.len() as u64 {
            let ahead = (self.end - offset).min(READ_AHEAD) as usize;
            self.bytes.resize(len.max(ahead), 0);
            self.offset = offset;
            let read = self.file.read_at(&mut self.bytes, offset).map_err(LogError::io("read", self.name))?;
            if read < self.bytes.len() {
                self.bytes.clear();
                return Err(LogError::io("read", self.name)(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let start = (offset - self.offset) as usize;
        Ok(&self.bytes[start..start + len])
    }
}

const READ_AHEAD: u64 = 256 << 10;
