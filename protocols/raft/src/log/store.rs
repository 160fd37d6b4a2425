use super::{
    held::{Held, Positions, Weight},
    record::Record,
    writer::{Job, Writer},
};
use crate::{
    journal::Journal,
    types::{Entry, LogId, StorageError, StorageIOError, Types, Vote},
};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader, storage::LogFlushed, storage::RaftLogStorage};
use std::{
    fmt::Debug,
    io,
    ops::RangeBounds,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
};
use tokio::sync::{oneshot, watch};

/// Bytes of entries that one answer holds, and with it one message to a follower: about an entry's.
pub const READ_BYTES: u64 = 128 * 1024;

/// The log. Clones are the same one.
#[derive(Clone)]
pub struct LogStore {
    held: Arc<Mutex<Held>>,
    jobs: mpsc::Sender<Job>,
    /// The last entry that a snapshot on the disk covers.
    covers: watch::Receiver<Option<u64>>,
}

impl LogStore {
    /// Reads the journal, and starts the thread that writes it: it ends when the last clone is dropped.
    /// What `covers` does not reach is never let go of.
    pub fn open<J: Journal>(journal: J, covers: watch::Receiver<Option<u64>>) -> io::Result<(Self, JoinHandle<()>)> {
        let (mut held, mut positions) = (Held::default(), Positions::default());
        journal.replay(&mut |position, bytes| {
            let record = Record::decode(bytes)?;
            positions.read(&record, position);
            held.read(record, bytes.len() as u64)
        })?;
        held.check()?;
        let (jobs, received) = mpsc::channel();
        let writer = Writer { journal, positions };
        let thread = std::thread::Builder::new().name("raft-log".into()).spawn(move || writer.run(&received))?;
        Ok((Self { held: Arc::new(Mutex::new(held)), jobs, covers }, thread))
    }

    /// Nothing was ever voted or written here.
    pub fn is_pristine(&self) -> bool {
        let held = self.held();
        held.vote.is_none() && held.last().is_none()
    }

    /// Of the entries behind this one.
    pub fn behind(&self, index: Option<u64>) -> Weight {
        self.held().behind(index)
    }

    /// See [`Held::surplus`].
    pub fn surplus(&self, upto: u64, keep: u64) -> Option<u64> {
        self.held().surplus(upto, keep)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that can panic happens under the lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(&self, job: Job) -> io::Result<()> {
        self.jobs.send(job).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the journal's thread has ended"))
    }

    async fn done(&self, job: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Job) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.job(job(done))?;
        answer.await.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the journal's thread has ended"))?
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(self.held().entries(range, u64::MAX))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        Ok(self.held().entries(start..end, READ_BYTES))
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let held = self.held();
        Ok(LogState { last_purged_log_id: held.purged, last_log_id: held.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let record = Record::Vote(*vote).encode();
        self.done(|done| Job::Keep(record, done)).await.map_err(|error| StorageIOError::write_vote(&error))?;
        self.held().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.held().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let Some(committed) = committed else { return Ok(()) };
        self.held().committed = Some(committed);
        let record = Record::Committed(committed).encode();
        Ok(self.job(Job::Note(record)).map_err(|error| StorageIOError::write(&error))?)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        // Entries that it names may not have become durable.
        let held = self.held();
        Ok(held.committed.min(held.last()))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut held = self.held();
            for entry in entries {
                let (index, record) = (entry.log_id.index, Record::Entry(entry.clone()).encode());
                held.push(entry, record.len() as u64).map_err(|error| StorageIOError::write_logs(&error))?;
                records.push((index, record));
            }
        }
        Ok(self.job(Job::Append(records, callback)).map_err(|error| StorageIOError::write_logs(&error))?)
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.held().truncate(from.index);
        let done = self.done(|done| Job::Truncate(from.index, done)).await;
        Ok(done.map_err(|error| StorageIOError::write_logs(&error))?)
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        // Who is sent a snapshot is told to cut its log while that is still on its way to the disk: a crash between the two
        // would leave neither, and the node could not start any more.
        let covered = self.covers.wait_for(|covered| *covered >= Some(upto.index)).await;
        covered.map_err(|_| StorageIOError::write_logs(AnyError::error("the snapshots have ended")))?;
        let rest = {
            let mut held = self.held();
            held.purge(upto);
            held.rest().iter().map(Record::encode).collect()
        };
        let done = self.done(|done| Job::Purge(upto.index, rest, done)).await;
        Ok(done.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)))?)
    }
}
