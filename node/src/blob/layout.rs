//! Where things lie on the disk.
//!
//! ```text
//! data/<id>         a whole blob, read-only; its modification time is the end of its lease
//! data/<id>.tree    the hash pairs of its tree in post order, if it has more than one chunk group. A cache: every
//!                   pair is checked against the id when used, and the file is made anew when missing or wrong.
//! pins/<id>         empty: the operator wants this blob kept
//! partial/<id>.data and .tree: a download under way. Self-verifying, as the tree's root is the id: what is really
//!                   there is found by hashing, so nothing needs to be synced or marked while it grows.
//! temp/<n>          uploads under way; removed at open
//! ```

use super::error::BlobError;
use mesh_proto::id::BlobId;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    next_temp: AtomicU64,
}

impl Layout {
    /// Makes the directories that are missing, durably, and empties `temp`.
    pub(super) fn open(root: &Path) -> Result<Self, BlobError> {
        let layout = Self { root: root.to_path_buf(), next_temp: AtomicU64::new(0) };
        for dir in [layout.data_dir(), layout.pin_dir(), layout.partial_dir(), layout.temp_dir()] {
            fs::create_dir_all(&dir).map_err(BlobError::io("creating", &dir))?;
        }
        let temp = layout.temp_dir();
        for entry in fs::read_dir(&temp).map_err(BlobError::io("listing", &temp))? {
            let path = entry.map_err(BlobError::io("listing", &temp))?.path();
            fs::remove_file(&path).map_err(BlobError::io("removing", &path))?;
        }
        for dir in [Some(root), root.parent().filter(|parent| !parent.as_os_str().is_empty())].into_iter().flatten() {
            sync_dir(dir).map_err(BlobError::io("syncing", dir))?;
        }
        Ok(layout)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn pin_dir(&self) -> PathBuf {
        self.root.join("pins")
    }

    pub(super) fn partial_dir(&self) -> PathBuf {
        self.root.join("partial")
    }

    fn temp_dir(&self) -> PathBuf {
        self.root.join("temp")
    }

    pub(super) fn data(&self, id: BlobId) -> PathBuf {
        self.data_dir().join(id.to_string())
    }

    pub(super) fn tree(&self, id: BlobId) -> PathBuf {
        self.data_dir().join(format!("{id}.tree"))
    }

    pub(super) fn pin(&self, id: BlobId) -> PathBuf {
        self.pin_dir().join(id.to_string())
    }

    pub(super) fn partial_data(&self, id: BlobId) -> PathBuf {
        self.partial_dir().join(format!("{id}.data"))
    }

    pub(super) fn partial_tree(&self, id: BlobId) -> PathBuf {
        self.partial_dir().join(format!("{id}.tree"))
    }

    /// A name in `temp` that this process has not used.
    pub(super) fn temp(&self) -> TempPath {
        let n = self.next_temp.fetch_add(1, Ordering::Relaxed);
        TempPath { path: self.temp_dir().join(n.to_string()), armed: true }
    }
}

/// A file that goes when this is dropped, unless it was renamed.
#[derive(Debug)]
pub(super) struct TempPath {
    path: PathBuf,
    armed: bool,
}

impl TempPath {
    /// A file that stays where it is unless it is renamed: a download, which can be continued.
    pub(super) fn lasting(path: PathBuf) -> Self {
        Self { path, armed: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn rename(mut self, to: &Path) -> Result<(), BlobError> {
        fs::rename(&self.path, to).map_err(BlobError::io("renaming to", to))?;
        self.armed = false;
        Ok(())
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        if self.armed
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            // It goes at the next open.
            tracing::warn!(path = %self.path.display(), %error, "temporary file not removed");
        }
    }
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a file that may not be there.
pub(super) fn remove_if_there(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BlobError::io("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Syncs of one directory, shared: who asks while one is running waits for the next, together with everybody else.
#[derive(Debug)]
pub(super) struct DirSync {
    path: PathBuf,
    asked: AtomicU64,
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    upto: u64,
    failed: bool,
}

impl DirSync {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, asked: AtomicU64::new(0), done: Mutex::new(Done::default()) }
    }

    /// Returns when every rename that this thread made before the call is durable.
    pub(super) fn sync(&self) -> Result<(), BlobError> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.upto >= mine {
            return Ok(());
        }
        // After a failed sync the kernel may report the next one as good although the entries were lost, so a
        // directory that failed once is not believed again by this process.
        if done.failed {
            return Err(BlobError::io("syncing", &self.path)(io::Error::other("an earlier sync failed; restart")));
        }
        let dir = File::open(&self.path).map_err(BlobError::io("opening", &self.path))?;
        let upto = self.asked.load(Ordering::SeqCst);
        if let Err(error) = dir.sync_all() {
            done.failed = true;
            return Err(BlobError::io("syncing", &self.path)(error));
        }
        done.upto = upto;
        Ok(())
    }
}
