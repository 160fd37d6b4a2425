//! The seam below the log and the store: real files, or the simulator's.

use std::io;

/// One flat directory of files.
///
/// A name is durable when [`Disk::sync`] has returned, the content of a file when its [`DiskFile::sync_data`] has.
/// Until then a crash may undo it, wholly or in part.
pub trait Disk: Send {
    type File: DiskFile;

    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens an existing file for reading and writing. Fails with [`io::ErrorKind::NotFound`] if there is none.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Makes a file of `len` zero bytes with its blocks allocated, so that writes inside it need no further space.
    /// Fails if the name is taken. After a failure a file of that name and any length may be there.
    fn create(&mut self, name: &str, len: u64) -> io::Result<Self::File>;

    /// Gives a file another name, atomically. Fails if there is no `from`; replaces `to`.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes all creations, renames and removals so far durable, in their order.
    fn sync(&mut self) -> io::Result<()>;

    /// Bytes that new files may still take.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file of a [`Disk`].
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Send {
    fn len(&self) -> io::Result<u64>;

    /// Reads at `offset` until `buffer` is full or the file ends; the number of bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, making the file longer if need be.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or makes it longer with zeros.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Makes content and length durable. After an error, what was written since the last success may be on disk, or
    /// not, and a second call may claim success without having written it.
    fn sync_data(&mut self) -> io::Result<()>;
}
