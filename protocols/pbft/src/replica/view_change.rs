//! Leaving a view. Section 4.4.

use super::{Replica, Turn};
use crate::{Event, Fact, Rejection, durable::Standing};
use mesh_proto::{
    id::Digest,
    pbft::{Change, Conflict, Message, Prepared, ReplicaId, View, ViewChange},
};
use std::{collections::BTreeMap, sync::Arc};

impl Replica {
    /// Leaves for `view`, which is above the present one: no proposal and no vote of an old view is taken from here on.
    /// Checkpoints, certificates and state still are.
    pub(super) fn leave_for(&mut self, turn: &mut Turn<'_>, view: View) {
        let Some(replica) = self.id.filter(|_| self.can_vote() && view > self.durable.view) else { return };
        let change = self.change(view, replica);
        let digest = change.digest();
        let message = Arc::new(ViewChange::sign(&self.key, &self.network, change));
        self.persist(turn, Fact::Left { message: Arc::clone(&message) });
        self.counters.left_views += 1;
        self.event(turn, Event::LeftFor(view));
        self.changes.insert(replica, (Arc::clone(&message), digest));
        self.drop_offers();
        self.suspicion.new_view_due = None;
        self.refresh_snapshot();
        self.broadcast(turn, Message::ViewChange(message));
        // What is decided is executed in whatever view: what it lacks is wanted again.
        self.execute(turn);
    }

    pub(super) fn on_view_change(
        &mut self,
        turn: &mut Turn<'_>,
        message: Arc<ViewChange>,
        digest: Digest,
    ) -> Result<(), Rejection> {
        self.in_epoch(message.change.epoch)?;
        if self.fill_pending(turn, &message, digest) {
            return Ok(());
        }
        let view = message.change.view;
        if view < self.durable.view || view == self.durable.view && self.durable.is_active() {
            return Err(Rejection::View { message: view, own: self.durable.view });
        }
        self.hold_view_change(turn, message, digest)?;
        self.consider_views(turn);
        Ok(())
    }

    /// Of each sender the highest view alone.
    fn hold_view_change(
        &mut self,
        turn: &mut Turn<'_>,
        message: Arc<ViewChange>,
        digest: Digest,
    ) -> Result<(), Rejection> {
        let replica = message.change.replica;
        if let Some((known, known_digest)) = self.changes.get(&replica) {
            if known.change.view > message.change.view || *known_digest == digest {
                return Err(Rejection::Duplicate);
            }
            if known.change.view == message.change.view {
                let conflict = Conflict::ViewChanges { one: Arc::clone(known), other: message };
                self.convict(turn, replica, conflict);
                return Err(Rejection::Conflict);
            }
        }
        self.changes.insert(replica, (message, digest));
        Ok(())
    }

    /// Joins views that f + 1 others are for, leaves the present one where as many would or have, and begins the one that a
    /// quorum is for.
    pub(super) fn consider_views(&mut self, turn: &mut Turn<'_>) {
        while let Some(view) = self.view_to_join() {
            self.counters.joined_views += 1;
            let before = self.durable.view;
            self.leave_for(turn, view);
            if self.durable.view == before {
                break;
            }
        }
        self.leave_primary(turn);
        self.consider_new_view(turn);
    }

    /// The smallest of the views above the own one, if f + 1 others are for such. Section 4.5.2.
    fn view_to_join(&self) -> Option<View> {
        let others = self.changes.iter().filter(|(replica, _)| Some(**replica) != self.id);
        let views: Vec<View> = others.map(|(_, (message, _))| message.change.view).collect();
        let above = views.into_iter().filter(|view| *view > self.durable.view);
        let above: Vec<View> = above.collect();
        above.iter().min().copied().filter(|_| above.len() >= self.quorums.weak())
    }

    /// The own VIEW-CHANGE: the stable checkpoint, and the highest certificate of every number above it.
    fn change(&self, view: View, replica: ReplicaId) -> Change {
        let (stable, high) = (self.durable.low(), self.durable.high());
        let proof = self.durable.stable.as_ref().filter(|_| stable > self.durable.config.start);
        let entries = self.durable.log.range(stable.next()..=high);
        let prepared = entries.filter_map(|(_, entry)| entry.prepared.as_deref().cloned());
        let prepared: Vec<Prepared> = prepared.collect();
        let epoch = self.durable.config.epoch;
        Change { epoch, view, replica, stable, proof: proof.map(|stable| stable.certificate.clone()), prepared }
    }

    /// The VIEW-CHANGEs for the own view, if this replica waits for it.
    pub(super) fn changes_for_view(&self) -> BTreeMap<ReplicaId, (Arc<ViewChange>, Digest)> {
        let Standing::Changing(_) = self.durable.standing else { return BTreeMap::new() };
        let view = self.durable.view;
        let held = self.changes.iter().filter(|(_, (message, _))| message.change.view == view);
        held.map(|(replica, held)| (*replica, held.clone())).collect()
    }

    fn drop_offers(&mut self) {
        self.wants.clear();
        self.slots.values_mut().for_each(|slot| slot.offer = None);
    }
}
