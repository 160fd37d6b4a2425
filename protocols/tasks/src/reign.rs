//! What a driver in office knows of the task that it drives, and keeps nowhere.

use crate::dependents::Awaiting;
use mesh_proto::{
    id::NodeId,
    task::{Ballot, FailedAttempt, Fault, Holder},
    time::Mono,
};
use std::collections::BTreeSet;

/// The state of a driver in office.
#[derive(Debug, Default)]
pub struct Reign {
    pub ballot: Option<Ballot>,
    /// Holders known to have the present version on disk.
    pub acked: BTreeSet<Holder>,
    /// A majority has it.
    pub in_force: bool,
    /// The change of holders that is under way was begun by this driver. One that was adopted may have been in force
    /// before, and is not to be aimed at others.
    pub is_own_change: bool,
    /// Something was heard of the present attempt since it was granted, or since this driver took office.
    pub running: bool,
    /// The present attempt was granted by this driver, not found in the record: the grant may be said again.
    pub granted: bool,
    /// When it did that.
    pub granted_at: Option<Mono>,
    /// Who had the attempt before, and drops it when the present one is in force.
    pub handed: Option<(u32, NodeId)>,
    /// Attempts that count against a node which, as it turned out, was only out of reach: it still has them. The
    /// next write that names failures says so.
    pub cleared: BTreeSet<(u32, NodeId)>,
    /// The present attempt is over, to no avail; the next is granted when the pause ends. All failures so far: they are
    /// written with that grant, and until then this driver's own knowledge; a new driver finds out for itself.
    pub pausing: Option<Vec<FailedAttempt>>,
    /// Nobody in reach is able to run it; it waits among those that seek.
    pub lacking: bool,
    /// What it is to start after, once that was asked for. Few tasks have it, and there is a reign for each that is driven.
    pub awaiting: Option<Box<Awaiting>>,
    /// How often the executor was asked in vain.
    pub asked: u32,
    /// Holders that have outlived the record.
    pub outlived: BTreeSet<Holder>,
    /// Who was asked for a promise, and is still to be told what came of it.
    pub asked_for_promise: BTreeSet<NodeId>,
    /// Members that had taken no other birth than the one that was adopted, and have promised to take none.
    pub barring: BTreeSet<Holder>,
    /// Of these, who has had what was written in this reign: with a majority of the home list among them no other birth can
    /// be completed any more.
    pub barred: BTreeSet<Holder>,
    /// Holders that were told that the end is decided, while others lack it.
    pub told: BTreeSet<Holder>,
}

impl Reign {
    /// The failures to write: those of a node that was only out of reach are nobody's.
    pub fn failures(&self, mut failed: Vec<FailedAttempt>) -> Vec<FailedAttempt> {
        for failure in &mut failed {
            if failure.fault == Fault::Node
                && self.cleared.contains(&(failure.attempt.number, failure.attempt.executor))
            {
                failure.fault = Fault::Nobody;
            }
        }
        failed
    }
}
