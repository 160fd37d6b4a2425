//! What a test puts between a node's log and its disk.

use meshd::log::{Disk, DiskFile};
use std::{io, sync::Arc};

/// Asked before the disk is.
pub trait Between: Send + Sync + 'static {
    fn write(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// What the disk is said to have free, of what it has.
    fn free(&self, bytes: u64) -> u64 {
        bytes
    }
}

/// A disk, or a file of it, with that before it.
pub struct Seam<T, B> {
    pub inner: T,
    pub between: Arc<B>,
}

impl<D: Disk, B: Between> Disk for Seam<D, B> {
    type File = Seam<D::File, B>;

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        Ok(Seam { inner: self.inner.open(name)?, between: self.between.clone() })
    }

    fn create(&mut self, name: &str, len: u64) -> io::Result<Self::File> {
        Ok(Seam { inner: self.inner.create(name, len)?, between: self.between.clone() })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes().map(|bytes| self.between.free(bytes))
    }
}

impl<F: DiskFile, B: Between> DiskFile for Seam<F, B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.between.write()?;
        self.inner.write_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.between.sync()?;
        self.inner.sync_data()
    }
}
