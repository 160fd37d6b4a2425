//! What a log must hold, whatever the disk does.

use super::{super::*, contents, record};
use mesh_proto::id::LogPosition;

/// Stands beside a log and remembers across its lives.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// All records of this history, by position from 1: those that were appended last may be lost.
    records: Vec<Vec<u8>>,
    /// So many of them must be there.
    promised: usize,
    released: usize,
    /// Makes each record unlike all others, those of lost positions too.
    drawn: u64,
}

impl Model {
    pub fn append<D: Disk>(&mut self, log: &mut Log<D>, len: usize) {
        self.drawn += 1;
        let record = record(self.drawn, len);
        let position = log.append(&record).unwrap();
        self.records.push(record);
        assert_eq!(position.0, self.records.len() as u64);
    }

    pub fn commit<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), LogError> {
        let position = log.commit()?;
        assert_eq!(position.0, self.records.len() as u64);
        self.promised = self.records.len();
        Ok(())
    }

    pub fn release<D: Disk>(&mut self, log: &mut Log<D>, keep: usize) -> Result<(), LogError> {
        self.released = self.released.max(self.promised.saturating_sub(keep));
        log.release(LogPosition(self.released as u64))
    }

    /// Compares with what was recovered, which becomes the history: what is lost now never existed, and what is there
    /// is promised.
    pub fn recovered<D: Disk>(&mut self, opened: &Opened<D>) {
        let log = &opened.log;
        let (first, last) = (log.first().0 as usize, log.last().0 as usize);
        assert!(first <= self.released + 1, "record {first} is the first, released are {}", self.released);
        assert!(last >= self.promised, "record {} was promised, {last} is the last", self.promised);
        assert!(last <= self.records.len(), "record {last} was never appended");
        let found = contents(log, LogPosition(first as u64 - 1)).unwrap();
        assert!(found == self.records[first - 1..last], "other content in {first}..={last}");
        self.records.truncate(last);
        self.promised = last;
    }
}
