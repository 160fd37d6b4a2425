//! What the journal's records come to, in memory.

use super::record::Record;
use crate::types::{Entry, LogId, Vote};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    ops::{Bound, RangeBounds},
};

/// The log as it is.
#[derive(Default)]
pub struct Held {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    /// Without a gap, from right behind what was purged.
    entries: VecDeque<Kept>,
    bytes: u64,
}

struct Kept {
    entry: Entry,
    bytes: u64,
}

/// How much of a log there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    pub entries: u64,
    pub bytes: u64,
}

impl Held {
    /// The last entry, or what was purged last.
    pub fn last(&self) -> Option<LogId> {
        self.entries.back().map(|kept| kept.entry.log_id).or(self.purged)
    }

    pub fn push(&mut self, entry: Entry, bytes: u64) -> io::Result<()> {
        let index = entry.log_id.index;
        // Where there is none, the first may be any: whether it is right behind what was purged is asked at the start.
        let last = self.entries.back().map(|last| last.entry.log_id.index);
        if let Some(last) = last.filter(|last| last.checked_add(1) != Some(index)) {
            return Err(invalid(format!("entry {index} behind entry {last}")));
        }
        self.bytes += bytes;
        self.entries.push_back(Kept { entry, bytes });
        Ok(())
    }

    pub fn truncate(&mut self, from: u64) {
        while let Some(last) = self.entries.pop_back_if(|last| last.entry.log_id.index >= from) {
            self.bytes -= last.bytes;
        }
    }

    pub fn purge(&mut self, upto: LogId) {
        while let Some(first) = self.entries.pop_front_if(|first| first.entry.log_id.index <= upto.index) {
            self.bytes -= first.bytes;
        }
        self.purged = self.purged.max(Some(upto));
    }

    /// Entries of a range, in order; of at most so many bytes, but one.
    pub fn entries(&self, range: impl RangeBounds<u64>, most: u64) -> Vec<Entry> {
        let Some(first) = self.entries.front().map(|kept| kept.entry.log_id.index) else { return Vec::new() };
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for kept in self.entries.iter().skip(skipped) {
            bytes += kept.bytes;
            if !range.contains(&kept.entry.log_id.index) || bytes > most && !found.is_empty() {
                break;
            }
            found.push(kept.entry.clone());
        }
        found
    }

    /// Of the entries behind this one.
    pub fn behind(&self, index: Option<u64>) -> Weight {
        let newer = self.entries.iter().rev().take_while(|kept| Some(kept.entry.log_id.index) > index);
        newer.fold(Weight::default(), |sum, kept| Weight { entries: sum.entries + 1, bytes: sum.bytes + kept.bytes })
    }

    /// The last entry that may go where so many bytes of those up to `upto` are to stay; none where all may stay.
    pub fn surplus(&self, upto: u64, keep: u64) -> Option<u64> {
        let covered = self.entries.iter().rev().skip_while(|kept| kept.entry.log_id.index > upto);
        let mut bytes = 0;
        let mut first_to_go = covered.skip_while(|kept| {
            bytes += kept.bytes;
            bytes <= keep
        });
        first_to_go.next().map(|kept| kept.entry.log_id.index)
    }

    /// The journal's records again, from any point on that the log did not need to go further back than.
    pub fn read(&mut self, record: Record, bytes: u64) -> io::Result<()> {
        match record {
            Record::Vote(vote) => self.vote = Some(vote),
            Record::Entry(entry) => self.push(entry, bytes)?,
            Record::Truncated(from) => self.truncate(from),
            Record::Purged(upto) => self.purge(upto),
            Record::Committed(upto) => self.committed = Some(upto),
        }
        Ok(())
    }

    pub fn check(&self) -> io::Result<()> {
        let first = self.entries.front().map(|kept| kept.entry.log_id.index);
        let expected = self.purged.map_or(0, |purged| purged.index.saturating_add(1));
        match first {
            Some(first) if first != expected => {
                Err(invalid(format!("the first entry is {first}, and should be {expected}")))
            }
            _ => Ok(()),
        }
    }

    /// What a journal must hold beside the entries.
    pub fn rest(&self) -> Vec<Record> {
        let purged = self.purged.map(Record::Purged);
        let (vote, committed) = (self.vote.map(Record::Vote), self.committed.map(Record::Committed));
        [purged, vote, committed].into_iter().flatten().collect()
    }
}

/// Of each entry that is there, where it is in the journal.
#[derive(Default)]
pub struct Positions(BTreeMap<u64, u64>);

impl Positions {
    pub fn note(&mut self, index: u64, position: u64) {
        self.0.insert(index, position);
    }

    pub fn truncate(&mut self, from: u64) {
        self.0.split_off(&from);
    }

    pub fn purge(&mut self, upto: u64) {
        self.0 = self.0.split_off(&upto.saturating_add(1));
    }

    /// The first record that is still wanted, if one is.
    pub fn first(&self) -> Option<u64> {
        self.0.first_key_value().map(|(_, position)| *position)
    }

    pub fn read(&mut self, record: &Record, position: u64) {
        match record {
            Record::Entry(entry) => self.note(entry.log_id.index, position),
            Record::Truncated(from) => self.truncate(*from),
            Record::Purged(upto) => self.purge(upto.index),
            Record::Vote(_) | Record::Committed(_) => {}
        }
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log of Raft does not fit together: {what}"))
}
