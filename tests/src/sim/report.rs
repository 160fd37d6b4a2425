//! What came of one world.

use super::{check::Violation, count::Counts, options::Options, scale::Meter};

/// The end of one run.
pub struct Report {
    pub options: Options,
    pub violation: Option<Violation>,
    pub counts: Counts,
    /// The same for the same seed and build, always.
    pub hash: u64,
    pub events: u64,
    /// Microseconds.
    pub virtual_time: u64,
    pub tasks: u64,
    /// Of the member that a boundary is looked for at.
    pub writes: u64,
    /// Of a large world.
    pub meter: Option<Meter>,
}
