//! Who would leave the primary, said before anybody leaves.
//!
//! A replica that has left a view is lost to it: it cannot come back, for what its VIEW-CHANGE leaves out others may take for
//! never prepared. One that suspects the primary alone (it was cut off or started again, and waits for what the others have
//! long executed) would be missing until the next change of view, and the committee would tolerate one fault less. So it says
//! first that it would leave, and leaves once f + 1 members would or have, itself among them: one of these is correct, and as
//! many VIEW-CHANGEs move a replica anyway. STOP of Mod-SMaRt (Sousa and Bessani, EDCC '12, section 4.2).

use super::{Replica, Turn};
use mesh_proto::{
    id::NodeId,
    pbft::{ReplicaId, Status, View},
    time::Mono,
};
use std::collections::{BTreeMap, BTreeSet};

/// Of the primary of which view.
#[derive(Debug, Default)]
pub struct Complaints {
    own: Option<(View, Mono)>,
    /// And when they last said so: who has died since complains no more.
    others: BTreeMap<ReplicaId, (View, Mono)>,
}

impl Complaints {
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Replica {
    /// This one would leave the present view.
    pub(super) fn complains(&self) -> bool {
        self.suspects() && self.complaints.own.is_some_and(|(view, _)| view == self.durable.view)
    }

    /// When it looks again whether it has cause to.
    pub(super) fn complaint_due(&self) -> Option<Mono> {
        let own = self.complaints.own.filter(|_| self.complains());
        own.map(|(_, since)| since + self.suspicion.timeout)
    }

    pub(super) fn withdraw_complaint(&mut self) {
        self.complaints.own = None;
    }

    pub(super) fn complain(&mut self, turn: &mut Turn<'_>) {
        self.complaints.own = Some((self.durable.view, turn.now.mono));
        self.counters.complaints += 1;
        self.tell_status(turn);
        self.consider_views(turn);
    }

    /// What a member of this epoch says of its view.
    pub(super) fn hear_complaint(&mut self, turn: &mut Turn<'_>, from: NodeId, status: &Status) {
        let Some(replica) = self.durable.config.replica_of(&from).filter(|replica| Some(*replica) != self.id) else {
            return;
        };
        if status.leaves && status.active {
            self.complaints.others.insert(replica, (status.view, turn.now.mono));
            self.consider_views(turn);
        } else {
            self.complaints.others.remove(&replica);
        }
    }

    /// Members that would leave the present view or have left it are f + 1.
    pub(super) fn is_to_be_left(&self, now: Mono) -> bool {
        let view = self.durable.view;
        // They say it with each status, of which one may be lost.
        let holds = self.config.status_idle * 2;
        let others = self.complaints.others.iter();
        let would =
            others.filter(|(_, (of, said))| *of == view && now.since(*said) <= holds).map(|(replica, _)| *replica);
        let have =
            self.changes.iter().filter(|(_, (message, _))| message.change.view > view).map(|(replica, _)| *replica);
        let own = self.id.filter(|_| self.complains());
        let all: BTreeSet<ReplicaId> = would.chain(have).chain(own).collect();
        self.suspects() && all.len() >= self.quorums.weak()
    }
}
