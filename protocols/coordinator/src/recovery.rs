//! From the first member that is back after a cut to a mesh that is one again, and how long that took.

use crate::{ControlMessage, Coordinator, Query, coordinator::UNASKED};
use mesh_proto::{
    agreement::{Question, ReplicaStanding, Standing},
    id::NodeId,
    time::{Mono, Now},
};
use rand::seq::IteratorRandom as _;
use std::{collections::BTreeMap, time::Duration};

/// How long recoveries took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recoveries {
    /// Those that took no longer than each bound, and longer than the one before; the last has no bound.
    pub counts: [u64; Self::BOUNDS_MS.len() + 1],
    pub sum: Duration,
}

impl Recoveries {
    pub const BOUNDS_MS: [u64; 11] = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 1_800_000];

    fn note(&mut self, took: Duration) {
        let place = Self::BOUNDS_MS.partition_point(|bound| Duration::from_millis(*bound) < took);
        self.counts[place] += 1;
        self.sum += took;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// One that is under way: enough members are in reach, and what they know is not known yet.
#[derive(Debug)]
pub(crate) struct Recovery {
    since: Mono,
    ask: Mono,
    /// Whose table is being compared with this node's, and whether that is done.
    compared: Option<NodeId>,
    is_compared: bool,
    /// Where members of the committee say that they stand.
    standings: BTreeMap<NodeId, ReplicaStanding>,
}

/// Between two questions.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Coordinator {
    /// Since the start.
    pub fn recoveries(&self) -> &Recoveries {
        &self.cut.recoveries
    }

    pub(crate) fn partitioned(&mut self) {
        self.cut.partitions += 1;
        self.cut.recovery = None;
    }

    pub(crate) fn healed(&mut self, now: Now, since: Mono) {
        self.cut.recovery =
            Some(Recovery { since, ask: now.mono, compared: None, is_compared: false, standings: BTreeMap::new() });
        self.recover(now);
    }

    /// That was all that this member knows and this node did not.
    pub(crate) fn compared_with(&mut self, now: Now, from: NodeId) {
        if let Some(recovery) = self.cut.recovery.as_mut().filter(|recovery| recovery.compared == Some(from)) {
            recovery.is_compared = true;
            self.recover(now);
        }
    }

    pub(crate) fn stands(&mut self, now: Now, from: NodeId, standing: &Standing) {
        let (Some(recovery), Some(replica)) = (&mut self.cut.recovery, standing.replica) else { return };
        // Nobody else's word grows this.
        if self.agreement.as_ref().is_some_and(|agreement| agreement.committee().contains(&from)) {
            recovery.standings.insert(from, replica);
            self.recover(now);
        }
    }

    pub(crate) fn recover(&mut self, now: Now) {
        let Some(recovery) = &self.cut.recovery else { return };
        if self.is_recovered(recovery) {
            let took = now.mono.since(recovery.since);
            self.cut.recoveries.note(took);
            self.cut.recovery = None;
        } else if recovery.ask <= now.mono {
            self.ask_the_others(now);
        }
    }

    /// The tables are one, a quorum takes part in a view, and the replica here has what f + 1 of them had.
    fn is_recovered(&self, recovery: &Recovery) -> bool {
        let Some(agreement) = &self.agreement else { return recovery.is_compared };
        let Some(seats) = self.seats() else { return recovery.is_compared };
        let own = agreement.standing().replica;
        let is_of_it = agreement.committee().contains(&self.node());
        let all = || recovery.standings.values().chain(own.iter().filter(|_| is_of_it));
        let active = all().filter(|one| one.active && one.votes()).count();
        let mut executed: Vec<_> = all().map(|one| one.executed).collect();
        executed.sort_unstable_by(|one, other| other.cmp(one));
        let told = executed.get(mesh_ledger::weak(agreement.engine(), seats.of).saturating_sub(1));
        let is_behind = own.zip(told).is_some_and(|(own, told)| own.executed < *told);
        recovery.is_compared && active >= seats.needed && !is_behind
    }

    fn ask_the_others(&mut self, now: Now) {
        let Some(recovery) = &mut self.cut.recovery else { return };
        recovery.ask = now.mono + ASK_AGAIN;
        if !recovery.is_compared {
            // Of those that came back, one: each of them compares with somebody of this side when they meet.
            recovery.compared = self.members.connected_since(recovery.since).choose(&mut self.rng);
        }
        let compared = recovery.compared.filter(|_| !recovery.is_compared);
        if let Some(node) = compared {
            self.compare_with(node);
        }
        for node in self.committee_in_reach() {
            let query = Query::Agreement(Question::Standing);
            self.control.push((node, ControlMessage::Query { id: UNASKED, query }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_is_counted_below_its_bound() {
        let mut recoveries = Recoveries::default();
        [50, 100, 101, 4_000_000].map(Duration::from_millis).into_iter().for_each(|took| recoveries.note(took));
        assert_eq!((recoveries.counts[0], recoveries.counts[1], recoveries.counts[11]), (2, 1, 1));
        assert_eq!((recoveries.count(), recoveries.sum), (4, Duration::from_millis(4_000_251)));
    }
}
