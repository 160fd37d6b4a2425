use crate::log::{Disk, FileDisk, Log, LogConfig, LogError, NewLog};
use mesh_proto::id::{LogPosition, StoreId};
use mesh_raft::Journal;
use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The engine's log, by the same library as the brain's.
pub struct RaftLog<D: Disk>(Log<D>);

/// What of the engine is on the disk.
pub struct Found<D: Disk> {
    pub log: RaftLog<D>,
    /// Nothing: neither a log nor a snapshot.
    pub is_empty: bool,
}

/// Why it is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{path}: {error}")]
    Directory { path: PathBuf, error: io::Error },
    #[error("the log of Raft in {path} is of another disk than the node's own: what it promised is not this node's")]
    Foreign { path: PathBuf },
    #[error("there is a snapshot of Raft in {path}, and the log that belongs to it is gone: what was promised is lost")]
    Lost { path: PathBuf },
}

/// Opens what is under `dir`, or makes it for this disk.
pub fn open(dir: &Path, config: &LogConfig, store: StoreId) -> Result<Found<FileDisk>, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Directory { path, error }
    };
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(dir)(error)),
        Ok(()) | Err(_) => {}
    }
    let path = dir.join("log");
    let disk = FileDisk::open(&path).map_err(failed(&path))?;
    let found = on(disk, config, store)?;
    match (found, dir.join("snapshot").exists()) {
        (None, _) => Err(OpenError::Foreign { path }),
        (Some(found), true) if found.is_empty => Err(OpenError::Lost { path: dir.to_owned() }),
        (Some(found), _) => Ok(found),
    }
}

/// None where it is of another disk.
fn on<D: Disk>(disk: D, config: &LogConfig, store: StoreId) -> Result<Option<Found<D>>, LogError> {
    let opened = Log::open(disk, config, NewLog { store_id: store, salt: rand::random() })?;
    let is_empty = opened.log.last() == LogPosition::START;
    Ok((opened.store_id == store).then_some(Found { log: RaftLog(opened.log), is_empty }))
}

impl<D: Disk + 'static> Journal for RaftLog<D> {
    fn append(&mut self, record: &[u8]) -> io::Result<u64> {
        self.0.append(record).map(|position| position.0).map_err(io::Error::other)
    }

    fn commit(&mut self) -> io::Result<()> {
        self.0.commit().map(drop).map_err(io::Error::other)
    }

    fn release(&mut self, upto: u64) -> io::Result<()> {
        self.0.release(LogPosition(upto)).map_err(io::Error::other)
    }

    fn rest(&mut self) -> io::Result<()> {
        self.0.seal().and_then(|()| self.0.prepare()).map_err(io::Error::other)
    }

    fn replay(&self, visit: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let before = LogPosition(self.0.first().0.saturating_sub(1));
        let read = self.0.replay(before, |position, record| visit(position.0, record).map_err(Unread));
        read.map(drop).map_err(|Unread(error)| error)
    }
}

struct Unread(io::Error);

impl From<LogError> for Unread {
    fn from(error: LogError) -> Self {
        Self(io::Error::other(error))
    }
}

#[cfg(test)]
mod tests;
