//! Real files in one directory.

use super::disk::{Disk, DiskFile};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A directory of the file system.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
    /// Open for the whole life, so that it can be synced even when descriptors have run out.
    directory: File,
}

impl FileDisk {
    /// Opens the directory and makes it, with mode 0700, if it is not there. Its parent must exist.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                if let Some(parent) = path.parent() {
                    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                    sync_directory(&File::open(parent)?)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let directory = File::open(&path)?;
        Ok(Self { path, directory })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Disk for FileDisk {
    type File = FileDiskFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            // Ours are all ASCII; what is not UTF-8 is nobody's business here.
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<FileDiskFile> {
        // std opens with O_CLOEXEC, so that no executed program inherits the log.
        OpenOptions::new().read(true).write(true).open(self.path.join(name)).map(FileDiskFile)
    }

    fn create(&mut self, name: &str, len: u64) -> io::Result<FileDiskFile> {
        // 0600: records hold what users submitted.
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path.join(name))?;
        let mut file = FileDiskFile(file);
        if len > 0 {
            preallocate(&mut file, len)?;
        }
        Ok(file)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync(&mut self) -> io::Result<()> {
        sync_directory(&self.directory)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.directory)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// A file of a [`FileDisk`].
#[derive(Debug)]
pub struct FileDiskFile(File);

impl DiskFile for FileDiskFile {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.0.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        sync_file(&self.0)
    }
}

/// The one place that knows how this system makes a file's content durable.
#[cfg(not(target_vendor = "apple"))]
fn sync_file(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fdatasync(file)?)
}

/// `fsync` of macOS stops at the drive's cache; only this reaches the medium.
#[cfg(target_vendor = "apple")]
fn sync_file(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fcntl_fullfsync(file)?)
}

fn sync_directory(directory: &File) -> io::Result<()> {
    Ok(rustix::fs::fsync(directory)?)
}

/// Takes the blocks first, which fails early and whole on a full disk, then writes zeros: a block that is reserved
/// but was never written makes the first `fdatasync` after each write to it commit the file system's journal too.
fn preallocate(file: &mut FileDiskFile, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(&file.0, rustix::fs::FallocateFlags::empty(), 0, len) {
        Ok(()) => {}
        // Some network and overlay file systems cannot; the zeros below take the blocks there.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let zeros = vec![0; len.min(ZEROS_AT_ONCE) as usize];
    let mut offset = 0;
    while offset < len {
        let n = (len - offset).min(ZEROS_AT_ONCE);
        file.write_at(&zeros[..n as usize], offset)?;
        offset += n;
    }
    Ok(())
}

const ZEROS_AT_ONCE: u64 = 1 << 20;
