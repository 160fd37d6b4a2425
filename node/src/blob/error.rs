//! Why a store could not be opened, or did not do what was asked.

use super::config::BlobConfigError;
use mesh_proto::id::BlobId;
use std::{io, path::Path, path::PathBuf, sync::Arc};

/// Why [`BlobStore::open`](super::BlobStore::open) failed. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Config(#[from] BlobConfigError),
    #[error(transparent)]
    Disk(#[from] BlobError),
}

/// Why the store did not do what was asked. Its state is as before, unless the variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobError {
    #[error("no blob {id}")]
    NotFound { id: BlobId },
    /// Nothing that may go would make enough room. Ask again when records have ended, or raise the quota.
    #[error("the quota of {quota_bytes} bytes is full: {needed_bytes} needed, {available_bytes} available")]
    QuotaFull { needed_bytes: u64, available_bytes: u64, quota_bytes: u64 },
    /// The file system is nearly full, whatever the quota says.
    #[error("the disk is nearly full: {needed_bytes} needed, {free_bytes} free, of which {floor_bytes} must stay so")]
    DiskFull { needed_bytes: u64, free_bytes: u64, floor_bytes: u64 },
    #[error("{size} bytes, above the limit of {limit} for one blob")]
    TooLarge { size: u64, limit: u64 },
    /// The upload ended early or went on too long.
    #[error("{expected} bytes were announced, {actual} came")]
    WrongSize { expected: u64, actual: u64 },
    #[error("blob {id} is in use: {by}")]
    InUse { id: BlobId, by: InUse },
    /// An output that is a link, a directory, a device or a pipe is none.
    #[error("{path} is not a regular file")]
    NotRegular { path: PathBuf },
    /// The reader that was handed in failed: the uploader's side, not ours.
    #[error("reading the upload: {0}")]
    Upload(#[source] Arc<io::Error>),
    #[error("the upload sent nothing for {0:?}")]
    UploadIdle(std::time::Duration),
    #[error("{action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// What is on the disk is not what its name says; it is no longer offered.
    #[error("blob {id} is damaged on this disk")]
    Damaged { id: BlobId },
    #[error("the owner of the records did not say what is referenced; nothing was removed")]
    Unanswered,
    #[error("the node is stopping")]
    Stopping,
}

impl BlobError {
    pub(super) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { action, path, source: Arc::new(source) }
    }

    /// Whether there was no room, by quota or on the disk: less may fit, or later, or elsewhere.
    pub fn is_want_of_room(&self) -> bool {
        match self {
            Self::QuotaFull { .. } | Self::DiskFull { .. } => true,
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

/// What keeps a blob from being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InUse {
    #[error("pinned")]
    Pinned,
    #[error("its upload lease has not run out")]
    Leased,
    #[error("a running execution or transfer holds it")]
    Held,
    #[error("a record here refers to it")]
    Referenced,
    /// Another node has said so, or has not had the time to say anything since this one started.
    #[error("a record on another node refers to it, or may")]
    Needed,
}
