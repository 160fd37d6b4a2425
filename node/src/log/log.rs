//! The log itself.

use super::{
    Disk, DiskFile, LogConfig, LogError, NewLog,
    batch::Batch,
    frame::{FrameKey, HEADER, records},
    recovery,
    segment::{self, Header, Name, RECORDS_AT},
};
use mesh_proto::id::{LogPosition, StoreId};
use std::collections::VecDeque;

/// A segment log on a disk. The module's documentation says how to hold it.
pub struct Log<D: Disk> {
    disk: D,
    config: LogConfig,
    /// All segments before the current one, oldest first.
    sealed: VecDeque<Header>,
    current: Header,
    file: D::File,
    key: FrameKey,
    /// Where the current segment is free from, without what is in `batch`.
    tail: u64,
    /// The current segment ends with a proof that all before it was durable.
    proven: bool,
    /// Numbers in the names of the free segments, all of the configured size.
    free: Vec<u64>,
    batch: Batch,
    appended: LogPosition,
    committed: LogPosition,
    bytes_since_release: u64,
    /// Nobody knows what is on disk.
    poisoned: bool,
}

/// What [`Log::open`] found.
#[derive(Debug)]
pub struct Opened<D: Disk> {
    pub log: Log<D>,
    /// That of the log on disk; if there was none, the one given.
    pub store_id: StoreId,
    /// There was no log on the disk.
    pub fresh: bool,
    /// The first record that is still there, or else the position that the first one will have.
    pub first: LogPosition,
}

impl<D: Disk> Log<D> {
    /// Opens the log of `disk`, or makes one. All of it is read and checked, and all that is found is durable on
    /// return. Files with other names than a segment's are left alone.
    ///
    /// Nobody else may have the log open: whoever owns the directory must see to that.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::Version`] leave the disk as it was.
    pub fn open(mut disk: D, config: &LogConfig, new: NewLog) -> Result<Opened<D>, LogError> {
        config.check()?;
        let (live, spare) = list(&disk)?;
        let found = match live.is_empty() {
            true => None,
            false => Some(recovery::find(&disk, &live)?),
        };
        let mut free = usable(&mut disk, spare, config)?;
        let fresh = found.is_none();
        let (segments, (file, tail), last, bytes) = match found {
            Some(found) => {
                let mended = recovery::mend(&mut disk, &found)?;
                (found.segments, mended, found.last, found.bytes)
            }
            None => {
                let header = Header {
                    store_id: new.store_id,
                    salt: new.salt,
                    generation: FIRST_GENERATION,
                    first: LogPosition::START.next(),
                    size: config.segment_size,
                };
                let file = segment::establish(&mut disk, free.pop(), &header)?;
                (vec![header], (file, RECORDS_AT), LogPosition::START, 0)
            }
        };
        let first = segments[0].first;
        let mut sealed = VecDeque::from(segments);
        let current = sealed.pop_back().expect("a log has a segment");
        let log = Self {
            disk,
            config: config.clone(),
            sealed,
            current,
            file,
            key: current.key(),
            tail,
            proven: true,
            free,
            batch: Batch::default(),
            appended: last,
            committed: last,
            bytes_since_release: bytes,
            poisoned: false,
        };
        Ok(Opened { store_id: current.store_id, log, fresh, first })
    }

    /// Calls `f` with each committed record after `after`, in order, until it fails. Returns the last position.
    ///
    /// # Errors
    /// [`LogError::Released`] if the records right after `after` are no longer there, [`LogError::Lost`] if `after`
    /// is behind the end of the log.
    pub fn replay<E: From<LogError>>(
        &self,
        after: LogPosition,
        mut f: impl FnMut(LogPosition, &[u8]) -> Result<(), E>,
    ) -> Result<LogPosition, E> {
        let first = self.first();
        if after.next() < first {
            return Err(LogError::Released { wanted: after.next(), first }.into());
        }
        self.require(after)?;
        let mut visit = |header: &Header, end: LogPosition, file: &D::File| {
            recovery::frames(file, header, end, |frame, bytes| {
                for (n, record) in (frame.first.0..).zip(records(bytes, frame.count)) {
                    if n > after.0 {
                        f(LogPosition(n), record)?;
                    }
                }
                Ok::<(), E>(())
            })
        };
        let ends = self.sealed.iter().skip(1).map(|header| header.first).chain([self.current.first]);
        for (header, end) in self.sealed.iter().zip(ends) {
            if end > after.next() {
                let name = Name::Live(header.generation).to_string();
                let file = self.disk.open(&name).map_err(LogError::io("open", &name))?;
                visit(header, end, &file)?;
            }
        }
        visit(&self.current, self.committed.next(), &self.file)?;
        Ok(self.committed)
    }

    /// Takes a record in, in memory, and says which position it will have. It is durable when [`Log::commit`] has
    /// returned that position or a later one. The caller bounds what it appends before a commit.
    ///
    /// # Errors
    /// [`LogError::TooLarge`] if it is over [`LogConfig::max_record`]: the log is as before.
    pub fn append(&mut self, record: &[u8]) -> Result<LogPosition, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let limit = self.max_record();
        if record.len() > limit {
            return Err(LogError::TooLarge { size: record.len(), limit });
        }
        self.appended = self.appended.next();
        self.batch.push(record, self.appended, self.tail, self.current.size, self.config.segment_size);
        Ok(self.appended)
    }

    /// Makes all appended records durable: one write and one sync, one more of each for every segment that is begun.
    /// Returns the last durable position. Without records it does nothing.
    ///
    /// # Errors
    /// After one, the records may or may not be there after a restart, and the log accepts nothing more.
    pub fn commit(&mut self) -> Result<LogPosition, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if !self.batch.is_empty() {
            self.poisoned = true;
            let mut batch = std::mem::take(&mut self.batch);
            self.write(&mut batch)?;
            batch.clear();
            self.batch = batch;
            self.committed = self.appended;
            self.proven = false;
            self.poisoned = false;
        }
        Ok(self.committed)
    }

    /// Writes the proof that the last commit was durable, without which rot in it looks like a torn write. For when
    /// nothing has been committed for a while, and for an orderly end; a later commit is the same proof. Costs 32
    /// bytes and a sync, or nothing if the proof is there. Appended records stay uncommitted.
    pub fn seal(&mut self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        // A seal would be in the place that the open frame of the batch was given. The commit to come is as good.
        if self.proven || !self.batch.is_empty() {
            return Ok(());
        }
        self.poisoned = true;
        let name = Name::Live(self.current.generation).to_string();
        let seal = recovery::seal(&self.key, self.tail, self.committed.next());
        self.file.write_at(&seal, self.tail).map_err(LogError::io("write", &name))?;
        self.file.sync_data().map_err(LogError::io("sync", &name))?;
        self.tail += HEADER as u64;
        self.proven = true;
        self.poisoned = false;
        Ok(())
    }

    /// Sees to it that a free segment is there, so that no commit has to wait until one is allocated. For when there
    /// is nothing else to do. A disk that has no room for one is no reason to fail: the commit that needs it will.
    pub fn prepare(&mut self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        if !self.free.is_empty() || self.config.free_segments == 0 {
            return Ok(());
        }
        let free = self.free_bytes()?;
        if free < self.config.segment_size {
            return Ok(());
        }
        self.poisoned = true;
        let number = self.current.generation + 1;
        let name = Name::Free(number).to_string();
        let mut file = self.disk.create(&name, self.config.segment_size).map_err(LogError::io("create", &name))?;
        file.sync_data().map_err(LogError::io("sync", &name))?;
        self.disk.sync().map_err(LogError::io("sync the directory of", &name))?;
        self.free.push(number);
        self.poisoned = false;
        Ok(())
    }

    /// Says that no record up to `upto` will be asked for again. Segments that hold no other become free; the current
    /// one never does.
    pub fn release(&mut self, upto: LogPosition) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        self.poisoned = true;
        while let Some(oldest) = self.sealed.front() {
            let next = self.sealed.get(1).unwrap_or(&self.current);
            if next.first > upto.next() {
                break;
            }
            let (generation, size) = (oldest.generation, oldest.size);
            let name = Name::Live(generation).to_string();
            if size == self.config.segment_size && self.free.len() < self.config.free_segments {
                // A spare may have that number still, as it is not always the one that was made last that is used.
                let number = (generation..).find(|number| !self.free.contains(number)).unwrap_or(generation);
                let to = Name::Free(number).to_string();
                self.disk.rename(&name, &to).map_err(LogError::io("rename", &name))?;
                self.free.push(number);
            } else {
                self.disk.remove(&name).map_err(LogError::io("remove", &name))?;
            }
            // Before the next one goes: were only that one's going durable, a segment would seem to be missing.
            self.disk.sync().map_err(LogError::io("sync the directory of", &name))?;
            self.sealed.pop_front();
        }
        self.bytes_since_release = 0;
        self.poisoned = false;
        Ok(())
    }

    /// Fails with [`LogError::Lost`] if `known`, of which somebody knows that it was durable, is not there.
    pub fn require(&self, known: LogPosition) -> Result<(), LogError> {
        match known > self.committed {
            true => Err(LogError::Lost { last: self.committed, known }),
            false => Ok(()),
        }
    }

    /// The last durable record.
    pub fn last(&self) -> LogPosition {
        self.committed
    }

    /// The first record that is still there, or else the position that the first one will have.
    pub fn first(&self) -> LogPosition {
        self.sealed.front().unwrap_or(&self.current).first
    }

    pub fn store_id(&self) -> StoreId {
        self.current.store_id
    }

    /// Bytes committed since the last [`Log::release`], or found when the log was opened: what a restart would read.
    pub fn bytes_since_release(&self) -> u64 {
        self.bytes_since_release
    }

    /// Bytes appended and not yet committed.
    pub fn pending_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Bytes of the largest record that [`Log::append`] takes.
    pub fn max_record(&self) -> usize {
        self.config.max_record()
    }

    /// Segments in use and free ones.
    pub fn segments(&self) -> (usize, usize) {
        (self.sealed.len() + 1, self.free.len())
    }

    /// Bytes that can be committed before the disk is full, if nobody else takes any: the rest of the current
    /// segment, the free ones, and whole new ones.
    pub fn headroom(&self) -> Result<u64, LogError> {
        let size = self.config.segment_size;
        let unallocated = self.free_bytes()?;
        let more = (unallocated / size).saturating_add(self.free.len() as u64);
        let rest = self.current.size - self.tail;
        Ok(rest.saturating_add(more.saturating_mul(size - RECORDS_AT)))
    }

    /// Bytes that are free on the disk, beside the segments that are there.
    pub fn free_bytes(&self) -> Result<u64, LogError> {
        self.disk.free_bytes().map_err(LogError::io("ask for the free space of", "."))
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), LogError> {
        for (frame, bytes) in batch.frames() {
            if frame.next_segment {
                self.begin_segment(frame.first)?;
            }
            self.key.finish(bytes, frame.offset, frame.first, frame.count);
            let wrap = |action| {
                let generation = self.current.generation;
                move |source| LogError::io(action, &Name::Live(generation).to_string())(source)
            };
            self.file.write_at(bytes, frame.offset).map_err(wrap("write"))?;
            // Each frame before the next one is written: recovery relies on only the last being torn.
            self.file.sync_data().map_err(wrap("sync"))?;
            self.tail = frame.offset + bytes.len() as u64;
            self.bytes_since_release += bytes.len() as u64;
        }
        Ok(())
    }

    fn begin_segment(&mut self, first: LogPosition) -> Result<(), LogError> {
        let generation = self.current.generation + 1;
        let header = Header { generation, first, size: self.config.segment_size, ..self.current };
        self.file = segment::establish(&mut self.disk, self.free.pop(), &header)?;
        self.sealed.push_back(std::mem::replace(&mut self.current, header));
        self.key = header.key();
        self.tail = RECORDS_AT;
        Ok(())
    }
}

impl<D: Disk> std::fmt::Debug for Log<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("store_id", &self.current.store_id)
            .field("first", &self.first())
            .field("last", &self.committed)
            .field("generation", &self.current.generation)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

/// The generations of the live segments, ascending, and the numbers of the free ones.
fn list(disk: &impl Disk) -> Result<(Vec<u64>, Vec<u64>), LogError> {
    let mut live = Vec::new();
    let mut free = Vec::new();
    for name in disk.list().map_err(LogError::io("list", "."))? {
        match Name::parse(&name) {
            Some(Name::Live(generation)) => live.push(generation),
            Some(Name::Free(number)) => free.push(number),
            None => {}
        }
    }
    live.sort_unstable();
    free.sort_unstable();
    Ok((live, free))
}

/// The free segments to keep. Removes those of another size, which a crash or another configuration left, and those
/// over the bound.
fn usable(disk: &mut impl Disk, spare: Vec<u64>, config: &LogConfig) -> Result<Vec<u64>, LogError> {
    let mut kept = Vec::new();
    for number in spare {
        let name = Name::Free(number).to_string();
        let file = disk.open(&name).map_err(LogError::io("open", &name))?;
        let len = file.len().map_err(LogError::io("read the length of", &name))?;
        if len == config.segment_size && kept.len() < config.free_segments {
            kept.push(number);
        } else {
            drop(file);
            disk.remove(&name).map_err(LogError::io("remove", &name))?;
        }
    }
    Ok(kept)
}

const FIRST_GENERATION: u64 = 1;
