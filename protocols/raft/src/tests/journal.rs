//! A journal in memory that outlives its user, and forgets what was not committed.

use crate::journal::Journal;
use std::{
    io,
    sync::{Arc, Mutex},
};

#[derive(Clone, Default)]
pub struct Paper(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    /// The position of the first record that is there.
    released: u64,
    records: Vec<Vec<u8>>,
    committed: usize,
}

impl Paper {
    /// As it would be found behind a crash.
    pub fn crashed(&self) -> Self {
        let of = self.0.lock().unwrap();
        let records = of.records[..of.committed].to_vec();
        Self(Arc::new(Mutex::new(Written { released: of.released, committed: records.len(), records })))
    }

    pub fn records(&self) -> usize {
        self.0.lock().unwrap().records.len()
    }
}

impl Journal for Paper {
    fn append(&mut self, record: &[u8]) -> io::Result<u64> {
        let mut of = self.0.lock().unwrap();
        of.records.push(record.to_vec());
        Ok(of.released + of.records.len() as u64)
    }

    fn commit(&mut self) -> io::Result<()> {
        let mut of = self.0.lock().unwrap();
        of.committed = of.records.len();
        Ok(())
    }

    fn release(&mut self, upto: u64) -> io::Result<()> {
        let mut of = self.0.lock().unwrap();
        let gone = upto.saturating_sub(of.released) as usize;
        // As segments are: some of what may go stays.
        let gone = gone - gone % 3;
        assert!(gone <= of.committed, "what is let go of was durable");
        of.records.drain(..gone);
        of.released += gone as u64;
        of.committed -= gone;
        Ok(())
    }

    fn rest(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn replay(&self, visit: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let of = self.0.lock().unwrap();
        (of.released + 1..).zip(&of.records).try_for_each(|(position, record)| visit(position, record))
    }
}
