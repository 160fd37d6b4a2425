//! What a driver in office knows of the task that it drives, and keeps nowhere.

use mesh_proto::task::{Ballot, FailedAttempt, Holder};
use std::collections::BTreeSet;

/// The state of a driver in office.
#[derive(Debug, Default)]
pub struct Reign {
    pub ballot: Option<Ballot>,
    /// Holders known to have the present version on disk.
    pub acked: BTreeSet<Holder>,
    /// A majority has it.
    pub in_force: bool,
    /// Holders of other births of the task, of which a majority each must have the first write as well.
    pub passed_by: BTreeSet<Vec<Holder>>,
    /// Something was heard of the present attempt since it was granted, or since this driver took office.
    pub running: bool,
    /// The present attempt was granted by this driver, not found in the record: the grant may be said again.
    pub granted: bool,
    /// The present attempt is over, to no avail; the next is granted when the pause ends. All failures so far: they are
    /// written with that grant, and until then this driver's own knowledge; a new driver finds out for itself.
    pub pausing: Option<Vec<FailedAttempt>>,
    /// How often the executor was asked in vain.
    pub asked: u32,
    /// Holders that have outlived the record.
    pub outlived: BTreeSet<Holder>,
}
