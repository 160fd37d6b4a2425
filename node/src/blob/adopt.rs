//! A file on this machine becomes a blob: what an executor left, or what a user names.

use super::{
    error::BlobError,
    index::footprint,
    ingest::{Ingested, Tree, create},
    layout::TempPath,
    quota::Reservation,
    store::{Complete, Inner, Step},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What becomes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It becomes the blob, without a copy where the file system allows; nobody may have it open for writing any more.
    /// It is gone afterwards, also when the store then fails.
    Move,
    /// It stays as it is.
    Copy,
}

impl Inner {
    pub(super) async fn ingest_file(
        self: &Arc<Self>,
        path: PathBuf,
        take: Take,
        lease: Duration,
    ) -> Result<Ingested, BlobError> {
        let _slot = self.uploads.acquire().await.map_err(|_| BlobError::Stopping)?;
        let (source, size) = self
            .disk({
                let path = path.clone();
                move |_| open_regular(&path)
            })
            .await?;
        self.check_size(size)?;
        let mut room = Reservation::none(self);
        room.grow_to(footprint(size)).await?;
        let (hold, new, size) = self
            .disk(move |inner| {
                let moved = if take == Take::Move { move_in(inner, &path, &source)? } else { None };
                let complete = match moved {
                    Some(data) => hash_in(inner, source, data, size)?,
                    None => copy_in(inner, source, size, take, &path)?,
                };
                let size = complete.size;
                let (hold, new) = inner.commit(complete, lease, room)?;
                Ok((hold, new, size))
            })
            .await?;
        self.metrics.ingested.inc_by(size);
        Ok(Ingested { id: hold.id(), size, new, hold })
    }
}

/// A task may leave a link to any file of ours, or a pipe that nobody writes to, under the name of its output: neither
/// is followed nor waited for.
fn open_regular(path: &Path) -> Result<(File, u64), BlobError> {
    let not_regular = || BlobError::NotRegular { path: path.to_path_buf() };
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENXIO) => not_regular(),
        _ => BlobError::io("opening", path)(error),
    })?;
    let metadata = file.metadata().map_err(BlobError::io("reading the size of", path))?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(not_regular()) }
}

/// Renames the file into the store. `None`: it has to be copied, as it lies on another file system, or has other names
/// through which it could change.
fn move_in(inner: &Inner, path: &Path, source: &File) -> Result<Option<TempPath>, BlobError> {
    let opened = source.metadata().map_err(BlobError::io("reading", path))?;
    if opened.nlink() != 1 {
        return Ok(None);
    }
    let temp = inner.layout.temp();
    match fs::rename(path, temp.path()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => return Ok(None),
        Err(error) => return Err(BlobError::io("moving", path)(error)),
    }
    let moved = fs::symlink_metadata(temp.path()).map_err(BlobError::io("reading", temp.path()))?;
    if (moved.dev(), moved.ino()) != (opened.dev(), opened.ino()) {
        // Swapped between the open and the rename: not what was asked for.
        return Err(BlobError::NotRegular { path: path.to_path_buf() });
    }
    Ok(Some(temp))
}

fn hash_in(inner: &Arc<Inner>, mut source: File, data: TempPath, expected: u64) -> Result<Complete, BlobError> {
    let mut tree = Tree::new(inner);
    let size = pump(&mut source, data.path(), expected, |bytes| tree.update(bytes))?;
    inner.step(Step::Written, data.path())?;
    let (id, tree) = tree.finish()?;
    Ok(Complete { id, size, file: source, data, tree })
}

fn copy_in(
    inner: &Arc<Inner>,
    mut source: File,
    expected: u64,
    take: Take,
    path: &Path,
) -> Result<Complete, BlobError> {
    let data = inner.layout.temp();
    let mut file = create(&data)?;
    inner.step(Step::Created, data.path())?;
    let mut tree = Tree::new(inner);
    let size = pump(&mut source, path, expected, |bytes| {
        file.write_all(bytes).map_err(BlobError::io("writing", data.path()))?;
        tree.update(bytes)
    })?;
    inner.step(Step::Written, data.path())?;
    let (id, tree) = tree.finish()?;
    if take == Take::Move {
        fs::remove_file(path).map_err(BlobError::io("removing", path))?;
    }
    Ok(Complete { id, size, file, data, tree })
}

/// Reads to the end. A file that grows or shrinks meanwhile is refused: room was set aside for its size.
fn pump(
    source: &mut File,
    path: &Path,
    expected: u64,
    mut sink: impl FnMut(&[u8]) -> Result<(), BlobError>,
) -> Result<u64, BlobError> {
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) if size == expected => return Ok(size),
            Ok(0) => return Err(BlobError::WrongSize { expected, actual: size }),
            Ok(n) => {
                size += n as u64;
                if size > expected {
                    return Err(BlobError::WrongSize { expected, actual: size });
                }
                sink(&buffer[..n])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BlobError::io("reading", path)(error)),
        }
    }
}
