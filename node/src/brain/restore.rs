//! A brain from the disk: the store, then the tail of the log.

use crate::{
    identity::DataDir,
    log::{Disk, FileDisk, Log, LogConfig, LogError, NewLog},
    store::{Store, StoreConfig, StoreError},
};
use mesh_coordinator::{Config, Coordinator, Fact};
use mesh_proto::{
    codec::{self, DecodeError},
    id::StoreId,
};
use std::io;

/// What a node goes on with.
pub struct Restored<D: Disk> {
    pub coordinator: Coordinator,
    pub log: Log<D>,
    pub store: Store,
}

/// Why a node cannot go on with what is on its disk. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log's directory: {0}")]
    Directory(#[source] io::Error),
    #[error("a record that this build cannot read: {0}; was it written by a later build?")]
    Record(#[from] DecodeError),
    #[error(
        "what is kept of the committee's decisions does not fit together: {0}; keep the data directory for inspection"
    )]
    Agreement(String),
}

/// Opens log and store under the data directory. `config` is asked with the store id of the log, made now if there was
/// no log. `seam` is put over the log's disk.
pub fn restore<D: Disk>(
    dir: &DataDir,
    log_config: &LogConfig,
    new: NewLog,
    seam: impl FnOnce(FileDisk) -> D,
    config: impl FnOnce(StoreId) -> Config,
) -> Result<Restored<D>, RestoreError> {
    let disk = FileDisk::open(dir.file("log")).map_err(RestoreError::Directory)?;
    let opened = Log::open(seam(disk), log_config, new)?;
    let store = Store::open_file(&dir.file("store.redb"), opened.store_id, &StoreConfig::default())?;
    opened.log.require(store.position())?;
    let mut coordinator = Coordinator::new(config(opened.store_id));
    store.for_each(|key, value| coordinator.load(key, value).map_err(RestoreError::from))?;
    coordinator.loaded(store.position());
    opened.log.replay(store.position(), |_, record| {
        coordinator.apply(codec::decode::<Fact>(record, Fact::LIMIT)?);
        Ok::<(), RestoreError>(())
    })?;
    if let Some(why) = coordinator.broken() {
        return Err(RestoreError::Agreement(why));
    }
    Ok(Restored { coordinator, log: opened.log, store })
}
