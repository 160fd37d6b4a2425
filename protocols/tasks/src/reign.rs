//! What a driver in office knows of the task that it drives, and keeps nowhere.

use crate::{dependents::Awaiting, holders::Holders};
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
    pub acked: Holders,
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
    /// The present attempt is over, to no avail; the next is granted when the pause ends. All failures so far: they are
    /// written with that grant, and until then this driver's own knowledge; a new driver finds out for itself.
    pub pausing: Option<Vec<FailedAttempt>>,
    /// Nobody in reach is able to run it; it waits among those that seek.
    pub lacking: bool,
    /// What it is to start after, once that was asked for. Few tasks have it, and there is a reign for each that is driven.
    pub awaiting: Option<Box<Awaiting>>,
    /// How often the executor was asked in vain.
    pub asked: u32,
    /// See there.
    pub aside: Option<Box<Aside>>,
}

/// What few drivers know: those that took over, or moved an attempt. There may be a million of the others, that wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Who had the attempt before, and drops it when the present one is in force.
    pub handed: Option<(u32, NodeId)>,
    /// Attempts that count against a node which, as it turned out, was only out of reach: it still has them. The
    /// next write that names failures says so.
    pub cleared: BTreeSet<(u32, NodeId)>,
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
    /// What is known beside the usual, if anything is.
    pub fn aside(&self) -> Option<&Aside> {
        self.aside.as_deref()
    }

    /// The same, to be changed.
    pub fn aside_mut(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Where nothing is known there is nothing to change.
    pub fn known_aside(&mut self) -> Option<&mut Aside> {
        self.aside.as_deref_mut()
    }

    /// Lets go of what says nothing any more: after a restart there was one for each task that this node drove.
    pub fn tidy_aside(&mut self) {
        if let Some(aside) = &mut self.aside
            && aside.asked_for_promise.is_empty()
        {
            (aside.barring, aside.barred) = (BTreeSet::new(), BTreeSet::new());
        }
        self.aside.take_if(|aside| **aside == Aside::default());
    }

    /// The failures to write: those of a node that was only out of reach are nobody's.
    pub fn failures(&self, mut failed: Vec<FailedAttempt>) -> Vec<FailedAttempt> {
        let Some(aside) = self.aside() else { return failed };
        for failure in &mut failed {
            if failure.fault == Fault::Node
                && aside.cleared.contains(&(failure.attempt.number, failure.attempt.executor))
            {
                failure.fault = Fault::Nobody;
            }
        }
        failed
    }
}
