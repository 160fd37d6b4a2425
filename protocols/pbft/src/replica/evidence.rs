//! Members that contradict themselves. Kept with both statements, a fixed count for each member. Checklist item 40.

use super::{Replica, Turn};
use crate::{Event, Fact};
use mesh_proto::pbft::{Conflict, Evidence, ReplicaId};
use std::sync::Arc;

impl Replica {
    /// Nothing follows from it here: whoever is shown it may order the member's removal.
    pub(super) fn convict(&mut self, turn: &mut Turn<'_>, replica: ReplicaId, conflict: Conflict) {
        let epoch = self.durable.config.epoch;
        let evidence = Evidence { epoch, replica, conflict };
        let known = self.durable.evidence.get(&(epoch, replica));
        let is_full = known.is_some_and(|known| known.len() >= self.config.evidence_max);
        let is_known = known.is_some_and(|known| known.iter().any(|before| before.is_about_the_same(&evidence)));
        if is_full || is_known {
            return;
        }
        let evidence = Arc::new(evidence);
        self.persist(turn, Fact::Evidence { evidence: Arc::clone(&evidence) });
        self.counters.evidence += 1;
        self.event(turn, Event::Caught(evidence));
    }

    /// What is known of members that contradicted themselves.
    pub fn evidence(&self) -> impl Iterator<Item = &Arc<Evidence>> {
        self.durable.evidence.values().flatten()
    }
}
