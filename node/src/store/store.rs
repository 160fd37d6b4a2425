//! The store itself.

use super::{DiskBackend, StoreError};
use crate::log::{Disk, FileDisk};
use mesh_proto::id::{LogPosition, StoreId};
use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend, TableDefinition,
    TableError, WriteTransaction, backends::FileBackend,
};
use std::{
    fs::OpenOptions,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Memory of the page cache.
pub const DEFAULT_CACHE_BYTES: usize = 8 << 20;

/// What keys become: `None` removes one. Of several changes of a key the last one holds.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// How much the store may take.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Bytes of the page cache; the bulk of what the store holds in memory. Default [`DEFAULT_CACHE_BYTES`].
    pub cache_bytes: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { cache_bytes: DEFAULT_CACHE_BYTES }
    }
}

/// Keys and values as of a log position.
#[derive(Debug)]
pub struct Store {
    database: Database,
    position: LogPosition,
    /// Where it is a file by itself.
    path: Option<PathBuf>,
}

impl Store {
    /// Opens the store in `backend`, or makes one at [`LogPosition::START`] if it is empty. `store_id` is the log's.
    ///
    /// # Errors
    /// [`StoreError::OtherStore`] if the store belongs to another log; [`StoreError::Database`] if anything in it is not as
    /// it was written. Opening may panic inside redb if the file's structure was altered from outside.
    pub fn open(backend: impl StorageBackend, store_id: StoreId, config: &StoreConfig) -> Result<Self, StoreError> {
        discard_unborn(&backend).map_err(StoreError::io("look at the file"))?;
        let mut database = redb::Builder::new()
            .set_cache_size(config.cache_bytes)
            .create_with_backend(backend)
            .map_err(StoreError::database("open"))?;
        // Pages have checksums, which redb does not look at when it reads them: rot would be believed. Whoever opens a store
        // reads all of it once anyway. What can be mended is as of one write, whose position says so to the log.
        database.check_integrity().map_err(StoreError::database("check"))?;
        let position = match read_meta(&database)? {
            Some(meta) => {
                meta.check(store_id)?;
                meta.position
            }
            None => {
                let mut store = Self { database, position: LogPosition::START, path: None };
                store.create(store_id)?;
                return Ok(store);
            }
        };
        Ok(Self { database, position, path: None })
    }

    /// Opens or makes the store in a real file, with mode 0600, and locks it. Its directory must exist.
    pub fn open_file(path: &Path, store_id: StoreId, config: &StoreConfig) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(StoreError::io("open the file"))?;
        if let Some(parent) = path.parent() {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            FileDisk::open(parent).and_then(|mut disk| disk.sync()).map_err(StoreError::io("sync the directory"))?;
        }
        let backend = FileBackend::new(file).map_err(StoreError::database("open"))?;
        Ok(Self { path: Some(path.to_owned()), ..Self::open(backend, store_id, config)? })
    }

    /// Opens or makes the store in a file of a disk, such as the simulator's.
    pub fn open_disk<D: Disk>(
        disk: &mut D,
        name: &str,
        store_id: StoreId,
        config: &StoreConfig,
    ) -> Result<Self, StoreError>
    where
        D::File: 'static,
    {
        let backend = DiskBackend::open(disk, name).map_err(StoreError::io("open the file"))?;
        Self::open(backend, store_id, config)
    }

    /// All records up to this one are absorbed, durably.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// Makes `changes`, which bring the store from [`Store::position`] to `upto`, durable in one transaction.
    ///
    /// # Errors
    /// After one that is not [`StoreError::Backwards`], the process must end: whether the transaction was made shows
    /// when the store is opened next.
    pub fn write(&mut self, upto: LogPosition, changes: Changes) -> Result<(), StoreError> {
        if upto < self.position {
            return Err(StoreError::Backwards { position: self.position, upto });
        }
        self.transact("write", |transaction| {
            let mut state = transaction.open_table(STATE)?;
            for (key, value) in &changes {
                match value {
                    Some(value) => drop(state.insert(key.as_slice(), value.as_slice())?),
                    None => drop(state.remove(key.as_slice())?),
                }
            }
            let mut meta = transaction.open_table(META)?;
            meta.insert(FORMAT, FORMAT_VERSION)?;
            meta.insert(POSITION, upto.0)?;
            Ok(())
        })?;
        self.position = upto;
        Ok(())
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.state()?.get(key).map_err(StoreError::database("read"))?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    /// Calls `f` with each key and value, in the order of the keys' bytes, until it fails.
    pub fn for_each<E: From<StoreError>>(&self, mut f: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        for entry in self.state()?.iter().map_err(StoreError::database("read"))? {
            let (key, value) = entry.map_err(StoreError::database("read"))?;
            f(key.value(), value.value())?;
        }
        Ok(())
    }

    /// The number of keys.
    pub fn len(&self) -> Result<u64, StoreError> {
        self.state()?.len().map_err(StoreError::database("read"))
    }

    /// Blocks of the disk that its file has, in bytes; `u64::MAX` where that cannot be told.
    pub fn disk_bytes(&self) -> u64 {
        let file = self.path.as_ref().and_then(|path| std::fs::metadata(path).ok());
        file.map_or(u64::MAX, |file| file.blocks().saturating_mul(512))
    }

    pub fn is_empty(&self) -> Result<bool, StoreError> {
        self.len().map(|len| len == 0)
    }

    /// Closes the file in order and says whether that worked; dropping closes as well. Nothing is lost without it.
    pub fn close(self) -> Result<(), StoreError> {
        self.database.close().map_err(StoreError::database("close"))
    }

    /// Claims another format.
    #[cfg(test)]
    pub(super) fn write_format(&self, version: u64) {
        self.transact("write", |transaction| {
            transaction.open_table(META)?.insert(FORMAT, version)?;
            Ok(())
        })
        .unwrap();
    }

    #[cfg(test)]
    pub(super) fn format(&self) -> u64 {
        read_meta(&self.database).unwrap().unwrap().format
    }

    fn state(&self) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>, StoreError> {
        let transaction = self.database.begin_read().map_err(StoreError::database("read"))?;
        transaction.open_table(STATE).map_err(StoreError::database("read"))
    }

    fn create(&mut self, store_id: StoreId) -> Result<(), StoreError> {
        self.transact("create", |transaction| {
            transaction.open_table(STATE)?;
            let mut meta = transaction.open_table(META)?;
            meta.insert(FORMAT, FORMAT_VERSION)?;
            meta.insert(STORE_ID, store_id.0)?;
            meta.insert(POSITION, LogPosition::START.0)?;
            Ok(())
        })
    }

    fn transact(
        &self,
        action: &'static str,
        f: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(StoreError::database(action))?;
        // Without it, the start after a crash reads and checks the whole file, however large.
        transaction.set_quick_repair(true);
        f(&transaction).map_err(StoreError::database(action))?;
        transaction.commit().map_err(StoreError::database(action))
    }
}

struct Meta {
    format: u64,
    store_id: StoreId,
    position: LogPosition,
}

impl Meta {
    fn check(&self, expected: StoreId) -> Result<(), StoreError> {
        if !(FORMAT_BEFORE..=FORMAT_VERSION).contains(&self.format) {
            return Err(StoreError::Version { found: self.format, supported: FORMAT_VERSION });
        }
        if self.store_id != expected {
            return Err(StoreError::OtherStore { found: self.store_id, expected });
        }
        Ok(())
    }
}

/// `None` if the store was not yet made.
fn read_meta(database: &Database) -> Result<Option<Meta>, StoreError> {
    let transaction = database.begin_read().map_err(StoreError::database("read"))?;
    let table = match transaction.open_table(META) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        table => table.map_err(StoreError::database("read"))?,
    };
    let field = |name: &'static str| {
        let value = table.get(name).map_err(StoreError::database("read"))?;
        value.map(|value| value.value()).ok_or(StoreError::Damaged { missing: name })
    };
    Ok(Some(Meta {
        format: field(FORMAT)?,
        store_id: StoreId(field(STORE_ID)?),
        position: LogPosition(field(POSITION)?),
    }))
}

/// Empties a file in which redb had begun to make a database when the power went. It writes its magic number last, so
/// zeros in that place mean that nobody was ever told of the database; redb itself refuses such a file for ever.
fn discard_unborn(backend: &impl StorageBackend) -> std::io::Result<()> {
    let mut magic = [0; REDB_MAGIC];
    let len = backend.len()?;
    if len >= REDB_MAGIC as u64 {
        backend.read(0, &mut magic)?;
    }
    if len > 0 && magic == [0; REDB_MAGIC] {
        backend.set_len(0)?;
    }
    Ok(())
}

const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format";
const STORE_ID: &str = "store-id";
const POSITION: &str = "position";
/// 2: failed attempts name whose fault it was. 3: copies of records are under numbers that grow, in fewer bytes.
const FORMAT_VERSION: u64 = 3;
/// What this build reads as well, and makes the present one with its first write: an earlier build refuses it then, and would
/// pass over what it does not know.
const FORMAT_BEFORE: u64 = 2;
const REDB_MAGIC: usize = 9;
