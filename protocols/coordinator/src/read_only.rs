//! What a node does on the side of a cut that cannot decide: it takes nothing new, and says so at once.
//!
//! Whether it is on that side is two conditions: fewer than half of the other members are in reach, and so is no quorum of
//! the committee. A committee that tolerates no fault is a quorum wherever one or two nodes are, and counts for nothing
//! here. Neither says who is right: what is in force is decided by a quorum, or a record's majority, as ever.

use crate::{
    Command, Coordinator, Refusal, RequestId,
    recovery::{Recoveries, Recovery},
};
use mesh_membership::Lasting;
use mesh_proto::{agreement::Operation, ledger::Body, time::Now};
use std::fmt;

/// What a node on the wrong side of a cut sees, itself included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    pub sees: u32,
    pub of: u32,
    /// It is members of the committee that are counted, else all that hold tasks.
    pub is_committee: bool,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = if self.is_committee { "committee members" } else { "members" };
        write!(f, "this side sees {} of {} {whom}", self.sees, self.of)
    }
}

/// How this node stands to the rest of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionView {
    /// Fewer than half of the other members that hold tasks are in reach, for a heartbeat or longer.
    pub partitioned: bool,
    /// New work, and what needs agreement, is refused; and why.
    pub read_only: Option<Side>,
    /// How often it was cut off since the start.
    pub partitions: u64,
    pub recoveries: Recoveries,
}

#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// Too few members of the committee are in reach for it to decide anything.
    quorum_lost: Lasting,
    pub(crate) partitions: u64,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) recoveries: Recoveries,
}

/// The committee, by this node's own connections and replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seats {
    pub(crate) sees: usize,
    pub(crate) of: usize,
    pub(crate) needed: usize,
    /// How many may be away without anything being lost.
    tolerated: usize,
}

/// Before another try; nobody knows how long a cut lasts.
const RETRY_MS: u32 = 1_000;

impl Coordinator {
    /// To be called where connections may have changed.
    pub(crate) fn look_at_quorum(&mut self, now: Now) {
        let is_lost = self.seats().is_some_and(|seats| seats.sees < seats.needed);
        self.cut.quorum_lost.look(now.mono, is_lost, self.config.membership.heartbeat);
        self.recover(now);
    }

    pub(crate) fn seats(&self) -> Option<Seats> {
        let agreement = self.agreement.as_ref()?;
        let (committee, engine) = (agreement.committee(), agreement.engine());
        let of = committee.len();
        let own = committee.contains(&self.node()) && agreement.standing().replica.is_some_and(|own| own.votes());
        Some(Seats {
            sees: self.committee_in_reach().len() + usize::from(own),
            of,
            needed: mesh_ledger::needed(engine, of),
            tolerated: mesh_ledger::tolerated(engine, of),
        })
    }

    /// Why new work is refused, if it is.
    pub fn read_only(&self) -> Option<Side> {
        if !self.members.is_partitioned() {
            return None;
        }
        let side = |sees, of, is_committee| {
            let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            Some(Side { sees: number(sees), of: number(of), is_committee })
        };
        match self.seats().filter(|seats| seats.tolerated > 0) {
            Some(seats) if self.cut.quorum_lost.holds() => side(seats.sees, seats.of, true),
            Some(_) => None,
            None => {
                let reach = self.members.reach();
                let own = usize::from(self.members.me().holds_tasks());
                side(reach.reached + own, reach.known + own, false)
            }
        }
    }

    /// How this node stands to the rest of the mesh.
    pub fn partition(&self) -> PartitionView {
        PartitionView {
            partitioned: self.members.is_partitioned(),
            read_only: self.read_only(),
            partitions: self.cut.partitions,
            recoveries: self.cut.recoveries.clone(),
        }
    }

    /// Refuses what begins something new. What goes on: whatever reads, follows, or ends something.
    pub(crate) fn is_refused_here(&mut self, request: RequestId, command: &Command) -> bool {
        let Command::Submit { specs, .. } = command else { return false };
        let Some(side) = self.read_only() else { return false };
        self.requests.refuse(request, specs.len(), &refusal(side));
        true
    }

    /// Why an operation is not even sent to the committee, if it is not.
    pub(crate) fn refused_order(&self, operation: &Operation) -> Option<Refusal> {
        let side = self.read_only()?;
        // Nothing can come of it while the committee is out of reach; else only what is new waits.
        let can_decide = self.seats().is_some_and(|seats| seats.sees >= seats.needed);
        (!can_decide || begins(operation)).then(|| refusal(side))
    }
}

fn refusal(side: Side) -> Refusal {
    Refusal::ReadOnly { side, retry_ms: RETRY_MS }
}

/// Whether it is anything but a read, and the going on and ending of what was taken before.
fn begins(operation: &Operation) -> bool {
    let Operation::Command(command) = operation else { return false };
    match &command.body {
        Body::Renew { .. } | Body::Unlock { .. } | Body::Award { .. } | Body::Tick => false,
        Body::Propose(_)
        | Body::Vote(_)
        | Body::Close(_)
        | Body::MemoryPut { .. }
        | Body::MemoryDelete { .. }
        | Body::MemoryCompareAndSwap { .. }
        | Body::Admit(_)
        | Body::Motion(_)
        | Body::Evidence(_)
        | Body::Support(_)
        | Body::ActivateVersion(_)
        | Body::Lock { .. } => true,
    }
}
