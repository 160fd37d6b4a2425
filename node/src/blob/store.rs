//! The blobs on this disk: what opening finds, and the one way by which a blob comes to be.

use super::{
    config::BlobConfig,
    error::{BlobError, OpenError},
    flight::Flights,
    index::{Entry, Index, footprint},
    keeper::Keepers,
    layout::{DirSync, Layout, TempPath, remove_if_there},
    lease::{Hold, remaining, stamp},
    metrics::BlobMetrics,
    quota::Reservation,
};
use mesh_proto::id::{BlobId, NodeId};
use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, Semaphore, watch};

/// The points between which a crash may fall while a blob comes to be. Tests look at, or fail, each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Created,
    /// A verified piece of a download is about to be written.
    Received,
    Written,
    Synced,
    TreeRenamed,
    Renamed,
    DirectorySynced,
}

pub(super) type Steps = Box<dyn Fn(Step) -> io::Result<()> + Send + Sync>;

pub(super) struct Inner {
    pub(super) config: BlobConfig,
    pub(super) layout: Layout,
    pub(super) metrics: BlobMetrics,
    index: Mutex<Index>,
    /// Held while names in `data` change together with the index, on blocking threads only. Taken before `index`.
    names: Mutex<()>,
    data_sync: DirSync,
    disk: Arc<Semaphore>,
    pub(super) uploads: Semaphore,
    pub(super) fetches: Semaphore,
    pub(super) fetches_waiting: Semaphore,
    pub(super) relays: Arc<Semaphore>,
    pub(super) flights: Flights,
    pub(super) serves: Arc<Semaphore>,
    pub(super) peers: Mutex<BTreeMap<NodeId, usize>>,
    pub(super) collecting: tokio::sync::Mutex<()>,
    /// Collectors attached, the news that room is wanted, and the number of collections that ended.
    pub(super) collectors: AtomicUsize,
    pub(super) pressure: Notify,
    pub(super) collections: watch::Sender<u64>,
    pub(super) steps: Steps,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStore").field("dir", &self.layout.root()).finish_non_exhaustive()
    }
}

/// A file that has all of a blob's content, and its tree, if it has one.
pub(super) struct Complete {
    pub(super) id: BlobId,
    pub(super) size: u64,
    pub(super) file: File,
    pub(super) data: TempPath,
    pub(super) tree: Option<TempPath>,
}

impl Inner {
    pub(super) fn open(dir: &Path, config: BlobConfig, steps: Steps) -> Result<Self, OpenError> {
        config.check()?;
        let layout = Layout::open(dir)?;
        let index = scan(&layout, &config)?;
        let inner = Self {
            data_sync: DirSync::new(layout.data_dir()),
            metrics: BlobMetrics::default(),
            index: Mutex::new(index),
            names: Mutex::new(()),
            disk: Arc::new(Semaphore::new(config.disk_jobs_max)),
            uploads: Semaphore::new(config.uploads_max),
            fetches: Semaphore::new(config.fetches_max),
            fetches_waiting: Semaphore::new(config.fetches_waiting_max),
            relays: Arc::new(Semaphore::new(config.relays_max)),
            flights: Flights::default(),
            serves: Arc::new(Semaphore::new(config.serves_max)),
            peers: Mutex::default(),
            collecting: tokio::sync::Mutex::default(),
            collectors: AtomicUsize::new(0),
            pressure: Notify::new(),
            collections: watch::Sender::new(0),
            steps,
            layout,
            config,
        };
        inner.measure(&inner.index());
        Ok(inner)
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sync_names(&self) -> Result<(), BlobError> {
        self.data_sync.sync()
    }

    /// Runs file work on a blocking thread, at most `disk_jobs_max` at once. It runs to its end even if the caller
    /// goes away.
    pub(super) async fn disk<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&Arc<Self>) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let permit = Arc::clone(&self.disk).acquire_owned().await.map_err(|_| BlobError::Stopping)?;
        let inner = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let result = job(&inner);
            drop(permit);
            result
        });
        match task.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(BlobError::Stopping),
            },
        }
    }

    pub(super) fn step(&self, step: Step, path: &Path) -> Result<(), BlobError> {
        (self.steps)(step).map_err(BlobError::io("writing", path))
    }

    pub(super) fn measure(&self, index: &Index) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.store_bytes.set(number(index.stored_bytes));
        self.metrics.store_blobs.set(number(index.entries.len() as u64));
        self.metrics.quota_bytes.set(number(self.config.quota_bytes));
    }

    /// Makes a complete file the blob that it is, or, if that is here already, extends its lease. On return content,
    /// name and lease are durable. Blocking. The flag says whether the blob is new.
    pub(super) fn commit(
        self: &Arc<Self>,
        complete: Complete,
        lease: Duration,
        room: Reservation,
    ) -> Result<(Hold, bool), BlobError> {
        let Complete { id, size, file, data, tree } = complete;
        let lease = lease.min(self.config.lease_max);
        if let Some(hold) = Hold::take(self, id) {
            return self.renew_lease(&hold, lease).map(|()| (hold, false));
        }
        // Nobody writes to a blob by accident: not even its owner without a chmod.
        file.set_permissions(Permissions::from_mode(0o444)).map_err(BlobError::io("protecting", data.path()))?;
        let lease_end = Instant::now().checked_add(lease);
        stamp(&file, lease).map_err(BlobError::io("leasing", data.path()))?;
        file.sync_all().map_err(BlobError::io("syncing", data.path()))?;
        self.step(Step::Synced, data.path())?;

        let (hold, new) = {
            let _names = self.names();
            let mut index = self.index();
            if let Some(entry) = index.entries.get_mut(&id) {
                (Hold::on(self, id, entry), false)
            } else {
                drop(index);
                if let Some(tree) = tree {
                    tree.rename(&self.layout.tree(id))?;
                }
                self.step(Step::TreeRenamed, data.path())?;
                data.rename(&self.layout.data(id))?;
                let pinned = self.layout.pin(id).exists();
                index = self.index();
                let mut entry = Entry::new(size, lease_end, pinned, index.next_life());
                let hold = Hold::on(self, id, &mut entry);
                index.entries.insert(id, entry);
                index.stored_bytes += footprint(size);
                room.settle(&mut index);
                (hold, true)
            }
        };
        self.finish_commit(&hold, lease, new).inspect_err(|_| self.withdraw(&hold))?;
        Ok((hold, new))
    }

    fn finish_commit(&self, hold: &Hold, lease: Duration, new: bool) -> Result<(), BlobError> {
        let path = hold.path();
        if new {
            self.step(Step::Renamed, &path)?;
        } else {
            self.renew_lease(hold, lease)?;
        }
        self.sync_names()?;
        self.step(Step::DirectorySynced, &path)?;
        let mut index = self.index();
        if let Some(entry) = index.entries.get_mut(&hold.id()) {
            entry.durable = true;
        }
        self.measure(&index);
        Ok(())
    }

    /// Takes back a name whose durability is not known, unless another commit of the same content relies on it.
    fn withdraw(&self, hold: &Hold) {
        let _names = self.names();
        {
            let mut index = self.index();
            if index
                .entries
                .get(&hold.id())
                .is_none_or(|entry| entry.life != hold.life() || entry.durable || entry.holds > 1)
            {
                return;
            }
            index.remove(hold.id());
        }
        if let Err(error) = self.unlink(hold.id()) {
            tracing::warn!(id = %hold.id(), %error, "a blob that could not be made durable was left behind");
        }
    }

    /// Removes the files of a blob that is no longer in the index. The data goes first: a tree alone is nothing.
    pub(super) fn unlink(&self, id: BlobId) -> Result<(), BlobError> {
        remove_if_there(&self.layout.data(id))?;
        remove_if_there(&self.layout.tree(id))
    }
}

/// Reads the directories into an index.
fn scan(layout: &Layout, config: &BlobConfig) -> Result<Index, BlobError> {
    let mut index = Index::default();
    let mut trees = Vec::new();
    for (name, metadata) in list(&layout.data_dir())? {
        if let Some(id) = name.strip_suffix(".tree").and_then(|stem| stem.parse::<BlobId>().ok()) {
            trees.push(id);
            continue;
        }
        let Ok(id) = name.parse::<BlobId>() else {
            tracing::warn!(%name, "a file in the blob directory is none of ours; it is left alone");
            continue;
        };
        let path = layout.data(id);
        let modified = metadata.modified().map_err(BlobError::io("reading the time of", &path))?;
        let lease_end = remaining(modified, config.lease_max);
        let pinned = layout.pin(id).exists();
        let size = metadata.len();
        index.stored_bytes += footprint(size);
        let mut entry = Entry::new(size, lease_end, pinned, index.next_life());
        entry.durable = true;
        // The lease may be older; the file is not.
        entry.added = metadata.created().unwrap_or(entry.added);
        entry.keepers = Keepers::anybody(Some(Instant::now()));
        index.entries.insert(id, entry);
    }
    for id in trees {
        if !index.entries.contains_key(&id) {
            remove_if_there(&layout.tree(id))?;
        }
    }
    for (name, metadata) in list(&layout.partial_dir())? {
        let stem = name.strip_suffix(".data").or_else(|| name.strip_suffix(".tree"));
        if let Some(id) = stem.and_then(|stem| stem.parse::<BlobId>().ok()) {
            *index.partials.entry(id).or_default() += footprint(metadata.len());
        }
    }
    Ok(index)
}

fn list(dir: &Path) -> Result<Vec<(String, fs::Metadata)>, BlobError> {
    let failed = || BlobError::io("listing", dir);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let metadata = entry.metadata().map_err(failed())?;
        if metadata.is_file() {
            found.push((entry.file_name().to_string_lossy().into_owned(), metadata));
        }
    }
    Ok(found)
}
