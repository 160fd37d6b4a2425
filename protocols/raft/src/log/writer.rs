//! The journal's thread: takes jobs in their order, and answers when what they ask for is durable.

use super::{held::Positions, record::Record};
use crate::{journal::Journal, types::Types};
use openraft::storage::LogFlushed;
use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};
use tokio::sync::oneshot;

pub type Done = oneshot::Sender<io::Result<()>>;

pub enum Job {
    Append(Vec<(u64, Vec<u8>)>, LogFlushed<Types>),
    /// One record that is to be durable.
    Keep(Vec<u8>, Done),
    Truncate(u64, Done),
    /// Entries up to this one may go, once these records are there again.
    Purge(u64, Vec<Vec<u8>>, Done),
    /// May be lost: it is made durable with what comes next.
    Note(Vec<u8>),
}

/// Without a job for so long the journal is at rest.
const QUIET: Duration = Duration::from_secs(1);

pub struct Writer<J> {
    pub journal: J,
    pub positions: Positions,
}

impl<J: Journal> Writer<J> {
    /// Until the last sender of jobs is gone.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        let mut is_resting = false;
        loop {
            match jobs.recv_timeout(QUIET) {
                Ok(job) => {
                    is_resting = false;
                    self.take(job);
                }
                Err(RecvTimeoutError::Timeout) if is_resting => {}
                Err(RecvTimeoutError::Timeout) => is_resting = self.rest(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.rest();
                    return;
                }
            }
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Append(entries, flushed) => flushed.log_io_completed(self.append(entries)),
            Job::Keep(record, done) => say(done, self.journal.append(&record).and_then(|_| self.journal.commit())),
            Job::Truncate(from, done) => {
                self.positions.truncate(from);
                let record = Record::Truncated(from).encode();
                say(done, self.journal.append(&record).and_then(|_| self.journal.commit()));
            }
            Job::Purge(upto, rest, done) => say(done, self.purge(upto, rest)),
            Job::Note(record) => {
                if let Err(error) = self.journal.append(&record) {
                    tracing::error!(%error, "the journal of Raft takes nothing more");
                }
            }
        }
    }

    fn append(&mut self, entries: Vec<(u64, Vec<u8>)>) -> io::Result<()> {
        for (index, record) in entries {
            let position = self.journal.append(&record)?;
            self.positions.note(index, position);
        }
        self.journal.commit()
    }

    /// What is let go of is not missed: whatever of it still holds is written again before.
    fn purge(&mut self, upto: u64, rest: Vec<Vec<u8>>) -> io::Result<()> {
        self.positions.purge(upto);
        let mut first = self.positions.first();
        for record in rest {
            let position = self.journal.append(&record)?;
            first.get_or_insert(position);
        }
        self.journal.commit()?;
        match first {
            Some(first) => self.journal.release(first.saturating_sub(1)),
            None => Ok(()),
        }
    }

    fn rest(&mut self) -> bool {
        let rested = self.journal.commit().and_then(|()| self.journal.rest());
        if let Err(error) = &rested {
            tracing::error!(%error, "the journal of Raft cannot be written");
        }
        rested.is_ok()
    }
}

fn say(done: Done, result: io::Result<()>) {
    if done.send(result).is_err() {
        tracing::debug!("nobody waits for the journal any more");
    }
}
