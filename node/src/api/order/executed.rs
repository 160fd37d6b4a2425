use mesh_proto::ledger::Index;
use std::sync::atomic::{AtomicU64, Ordering};

/// The highest batch that an answer of the committee told of.
#[derive(Debug, Default)]
pub struct Executed(AtomicU64);

impl Executed {
    pub fn known(&self) -> Index {
        Index(self.0.load(Ordering::Relaxed))
    }

    pub fn heard(&self, index: Index) {
        self.0.fetch_max(index.0, Ordering::Relaxed);
    }
}
