use super::Replica;
use crate::votes::Votes;
use mesh_proto::{
    id::Digest,
    key::Signature,
    pbft::{Batch, Committed, Sequence, View},
    time::Mono,
};
use std::sync::Arc;

/// What is known of one number of the window, beside what is on the disk.
#[derive(Debug)]
pub struct Slot {
    /// A proposal that is not accepted: its batch or bodies are missing, or it is above a checkpoint that this replica has
    /// not come to.
    pub offer: Option<Offer>,
    pub prepares: Votes,
    pub commits: Votes,
    /// The proof that it committed.
    pub decided: Option<Arc<Committed>>,
    /// The content of what was decided, from who sent the proof.
    pub content: Option<(Digest, Arc<Batch>)>,
    /// When it was first heard of in this view.
    pub since: Mono,
}

#[derive(Clone, Debug)]
pub struct Offer {
    pub view: View,
    pub digest: Digest,
    pub signature: Signature,
    pub batch: Option<Arc<Batch>>,
}

impl Replica {
    /// Made when it is first heard of. Only numbers of the window get here.
    pub(super) fn slot(&mut self, sequence: Sequence, now: Mono) -> &mut Slot {
        debug_assert!(self.in_window(sequence).is_ok(), "a slot of the window");
        let members = self.durable.config.members.len();
        self.slots.entry(sequence).or_insert_with(|| Slot {
            offer: None,
            prepares: Votes::new(members),
            commits: Votes::new(members),
            decided: None,
            content: None,
            since: now,
        })
    }

    /// The content behind a digest at this number, if it is known here.
    pub(super) fn batch(&self, sequence: Sequence, digest: &Digest) -> Option<Arc<Batch>> {
        let kept = self.durable.batches.get(digest).map(|kept| Arc::clone(&kept.value));
        kept.or_else(|| {
            let slot = self.slots.get(&sequence)?;
            let offered = slot.offer.as_ref().filter(|offer| offer.digest == *digest);
            let offered = offered.and_then(|offer| offer.batch.clone());
            offered.or_else(|| {
                slot.content.as_ref().filter(|content| content.0 == *digest).map(|(_, batch)| batch.clone())
            })
        })
        .or_else(|| (*digest == Batch::null().digest()).then(|| Arc::new(Batch::null())))
    }
}
