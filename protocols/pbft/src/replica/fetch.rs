//! What is missing is asked for by digest, of one replica after the other.

use super::{Replica, Turn};
use crate::{Body, Rejection};
use mesh_proto::{
    id::{Digest, NodeId},
    limits,
    pbft::{Batch, Fetch, Message, Sequence},
    time::Mono,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bodies that came because they were asked for; until their slot is below a stable checkpoint.
#[derive(Debug, Default)]
pub struct Stash {
    bodies: BTreeMap<Digest, (Body, Sequence)>,
}

/// What slots wait for. One entry a slot.
#[derive(Debug, Default)]
pub struct Wants {
    slots: BTreeMap<Sequence, Want>,
    /// Decided slots that wait behind another, of which all was there when they were looked at: they are not looked at with
    /// each vote that comes meanwhile. What is lost since is missed when it is their turn.
    whole: BTreeSet<Sequence>,
    /// How many slots were looked at behind one that waits.
    #[cfg(test)]
    looked: usize,
}

#[derive(Debug)]
struct Want {
    lacks: Lacks,
    due: Mono,
    tries: u32,
    /// Of the bodies that have come for it.
    bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Lacks {
    Batch(Digest),
    Bodies(BTreeSet<Digest>),
}

impl Stash {
    pub fn get(&self, digest: &Digest) -> Option<&Body> {
        self.bodies.get(digest).map(|(body, _)| body)
    }

    pub fn has_of(&self, gateway: &NodeId) -> bool {
        self.bodies.values().any(|(body, _)| body.request.gateway == *gateway)
    }

    pub fn forget(&mut self, low: Sequence) {
        self.bodies.retain(|_, (_, sequence)| *sequence > low);
    }

    pub fn drop_of(&mut self, gone: Sequence) {
        self.bodies.retain(|_, (_, sequence)| *sequence != gone);
    }

    /// Bytes of operations.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bodies.values().map(|(body, _)| body.request.operations.as_bytes().len()).sum()
    }
}

impl Wants {
    pub fn due(&self) -> Option<Mono> {
        self.slots.values().map(|want| want.due).min()
    }

    pub fn drop(&mut self, sequence: Sequence) {
        self.slots.remove(&sequence);
    }

    pub fn clear(&mut self) {
        self.slots.clear();
        self.whole.clear();
    }

    pub fn forget(&mut self, low: Sequence) {
        self.slots = self.slots.split_off(&low.next());
        self.whole = self.whole.split_off(&low.next());
    }

    /// The slots that waited for this body, and for nothing else now.
    fn body_came(&mut self, digest: &Digest) -> (Option<Sequence>, Vec<Sequence>) {
        let (mut wanted, mut complete) = (None, Vec::new());
        for (sequence, want) in &mut self.slots {
            if let Lacks::Bodies(bodies) = &mut want.lacks
                && bodies.remove(digest)
            {
                wanted = Some(*sequence);
                if bodies.is_empty() {
                    complete.push(*sequence);
                }
            }
        }
        complete.iter().for_each(|sequence| self.drop(*sequence));
        (wanted, complete)
    }
}

impl Replica {
    /// What is missing of the decided batches behind one that is not there: whoever fetches them one by one is behind for as
    /// long as others execute more than one in a round trip.
    pub(super) fn want_behind(&mut self, turn: &Turn<'_>, sequence: Sequence) {
        let behind = self.slots.range(sequence.next()..).take(self.config.answer_slots as usize);
        let wants = &self.wants;
        let unwanted = behind.filter(|(at, _)| !wants.slots.contains_key(*at) && !wants.whole.contains(*at));
        let decided = unwanted.filter_map(|(sequence, slot)| Some((*sequence, slot.decided.as_ref()?.digest)));
        for (sequence, digest) in decided.collect::<Vec<_>>() {
            #[cfg(test)]
            {
                self.wants.looked += 1;
            }
            match self.batch(sequence, &digest) {
                Some(batch) => {
                    if self.bodies(turn, sequence, &digest, &batch).is_some() {
                        self.wants.whole.insert(sequence);
                    }
                }
                None => self.want_batch(turn, sequence, digest),
            }
        }
    }

    #[cfg(test)]
    pub fn looked_behind(&self) -> usize {
        self.wants.looked
    }

    /// The bodies of a batch that are not on the disk, and the bytes of all of them; `None` if some are not here, which
    /// are then wanted.
    pub(super) fn bodies(
        &mut self,
        turn: &Turn<'_>,
        sequence: Sequence,
        digest: &Digest,
        batch: &Batch,
    ) -> Option<(Vec<Body>, usize)> {
        let (mut bodies, mut bytes, mut missing) = (Vec::new(), 0, BTreeSet::new());
        // Of a batch that was given up a log that was begun anew since does not have the bodies: they are written again.
        let mut told = None;
        let is_told = self.durable.tells_batch(digest);
        for digest in &batch.requests {
            if let Some(kept) = self.durable.bodies.get(digest) {
                bytes += kept.value.operations.as_bytes().len();
                if !is_told && !told.get_or_insert_with(|| self.durable.told_bodies()).contains(digest) {
                    bodies.push(Body { digest: *digest, request: Arc::clone(&kept.value) });
                }
            } else if let Some(body) = self.pool.get(digest).or_else(|| self.stash.get(digest)) {
                bytes += body.request.operations.as_bytes().len();
                bodies.push(body.clone());
            } else {
                missing.insert(*digest);
            }
        }
        if missing.is_empty() {
            return Some((bodies, bytes));
        }
        self.want(turn, sequence, Lacks::Bodies(missing));
        None
    }

    pub(super) fn want_batch(&mut self, turn: &Turn<'_>, sequence: Sequence, digest: Digest) {
        self.want(turn, sequence, Lacks::Batch(digest));
    }

    /// A body that was asked for, and perhaps others that were not.
    pub(super) fn on_bodies(&mut self, turn: &mut Turn<'_>, bodies: Vec<Body>) -> Result<(), Rejection> {
        let mut is_wanted = false;
        for body in bodies {
            let (wanted, complete) = self.wants.body_came(&body.digest);
            if let Some(sequence) = wanted {
                is_wanted = true;
                self.counters.fetched += 1;
                let size = body.request.operations.as_bytes().len();
                self.stash.bodies.insert(body.digest, (body, sequence));
                self.bound_stash(sequence, size);
            }
            complete.iter().for_each(|sequence| self.progress(turn, *sequence));
        }
        if is_wanted { Ok(()) } else { Err(Rejection::Unasked) }
    }

    /// A proposal of more bytes than a batch may have is not worth fetching to its end.
    fn bound_stash(&mut self, sequence: Sequence, size: usize) {
        let Some(want) = self.wants.slots.get_mut(&sequence) else { return };
        want.bytes += size;
        let is_decided = self.slots.get(&sequence).is_some_and(|slot| slot.decided.is_some());
        if want.bytes > self.durable.config.batch_bytes as usize && !is_decided {
            self.stash.drop_of(sequence);
            self.drop_offer(sequence);
        }
    }

    /// A body came by itself.
    pub(super) fn body_came(&mut self, turn: &mut Turn<'_>, digest: &Digest) {
        let (_, complete) = self.wants.body_came(digest);
        complete.iter().for_each(|sequence| self.progress(turn, *sequence));
    }

    pub(super) fn on_batch(&mut self, turn: &mut Turn<'_>, batch: Arc<Batch>, digest: Digest) -> Result<(), Rejection> {
        let waiting = self.wants.slots.iter().filter(|(_, want)| want.lacks == Lacks::Batch(digest));
        let waiting: Vec<Sequence> = waiting.map(|(sequence, _)| *sequence).collect();
        for sequence in &waiting {
            self.wants.drop(*sequence);
            let slot = self.slot(*sequence, turn.now.mono);
            slot.content = Some((digest, Arc::clone(&batch)));
            if let Some(offer) = slot.offer.as_mut().filter(|offer| offer.digest == digest) {
                offer.batch = Some(Arc::clone(&batch));
            }
            self.progress(turn, *sequence);
        }
        if waiting.is_empty() { Err(Rejection::Unasked) } else { Ok(()) }
    }

    /// Asks for what is due.
    pub(super) fn fetch(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        let again = now + self.config.fetch_again;
        let mut questions = Vec::new();
        for want in self.wants.slots.values_mut().filter(|want| want.due <= now) {
            let question = match &want.lacks {
                Lacks::Batch(digest) => Fetch::Batch { digest: *digest },
                Lacks::Bodies(bodies) => {
                    Fetch::Requests { digests: bodies.iter().take(limits::PBFT_FETCH_DIGESTS).copied().collect() }
                }
            };
            questions.push((want.tries, question));
            (want.due, want.tries) = (again, want.tries.saturating_add(1));
        }
        for (tries, question) in questions {
            if let Some(to) = self.whom_to_ask(tries) {
                self.send(turn, to, Message::Fetch(question));
            }
        }
    }

    /// The primary first, then the others in turn.
    pub(super) fn whom_to_ask(&self, tries: u32) -> Option<NodeId> {
        let config = &self.durable.config;
        let first = config.primary(self.durable.view).index();
        let count = config.members.len();
        let others = (0..count).map(|step| config.members[(first + step) % count]).filter(|member| *member != self.me);
        let others: Vec<NodeId> = others.collect();
        others.get(tries as usize % others.len().max(1)).copied()
    }

    fn want(&mut self, turn: &Turn<'_>, sequence: Sequence, lacks: Lacks) {
        let due = turn.now.mono + self.config.fetch_after;
        let want = self.wants.slots.entry(sequence).or_insert_with(|| Want {
            lacks: Lacks::Bodies(BTreeSet::new()),
            due,
            tries: 0,
            bytes: 0,
        });
        want.lacks = lacks;
    }
}
