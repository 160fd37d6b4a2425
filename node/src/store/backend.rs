//! redb's storage on a file of the disk seam, so that the simulator is the store's disk as well.

use crate::log::{Disk, DiskFile};
use std::{
    fmt, io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A file of a [`Disk`] as redb wants it. Takes no lock: whoever owns the directory sees to it that nobody else has
/// the file open.
pub struct DiskBackend<F>(Mutex<F>);

impl<F: DiskFile> DiskBackend<F> {
    /// Opens the file, or makes an empty one of which the name is durable on return.
    pub fn open<D: Disk<File = F>>(disk: &mut D, name: &str) -> io::Result<Self> {
        let file = match disk.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(name, 0)?;
                disk.sync()?;
                file
            }
            opened => opened?,
        };
        Ok(Self(Mutex::new(file)))
    }

    fn file(&self) -> MutexGuard<'_, F> {
        // Calls into the file leave nothing half done that a panic could expose.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: DiskFile + 'static> redb::StorageBackend for DiskBackend<F> {
    fn len(&self) -> io::Result<u64> {
        self.file().len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.file().read_at(out, offset)? == out.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file().set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file().write_at(data, offset)
    }
}

impl<F> fmt::Debug for DiskBackend<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskBackend")
    }
}
