//! Batches at and below the stable checkpoint, for whoever is a little behind it: a state takes longer to fetch than an
//! interval lasts under load, and without the batches behind it who has fetched one would be one state behind for ever.
//! A deviation: in section 4.3 the log ends at the stable checkpoint. Nothing rests on what is here, and a restart loses it.

use super::Replica;
use mesh_proto::{
    id::Digest,
    pbft::{Batch, Committed, Request, Sequence},
};
use std::{collections::BTreeMap, sync::Arc};

/// Without a gap, up to the stable checkpoint. No more numbers than a window has: who is further behind executes nothing of
/// what is above its own.
#[derive(Debug, Default)]
pub struct Past {
    batches: BTreeMap<Sequence, PastBatch>,
    bodies: BTreeMap<Digest, (Arc<Request>, Sequence)>,
    /// Of all batches.
    bytes: usize,
}

#[derive(Debug)]
struct PastBatch {
    certificate: Arc<Committed>,
    batch: Arc<Batch>,
    bytes: usize,
}

impl Past {
    /// Those above a number, if there are all of them.
    pub fn above(&self, number: Sequence) -> impl Iterator<Item = (&Arc<Committed>, &Arc<Batch>)> {
        let is_next = self.batches.first_key_value().is_some_and(|(first, _)| *first <= number.next());
        let there = self.batches.range(number.next()..).take_while(move |_| is_next);
        there.map(|(_, past)| (&past.certificate, &past.batch))
    }

    pub fn body(&self, digest: &Digest) -> Option<&Arc<Request>> {
        self.bodies.get(digest).map(|(request, _)| request)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, certificate: Arc<Committed>, batch: Arc<Batch>, bodies: Vec<(Digest, Arc<Request>)>) {
        let sequence = certificate.sequence;
        let sizes = bodies.iter().map(|(_, request)| request.operations.as_bytes().len() + BODY);
        let bytes = sizes.sum::<usize>() + BATCH;
        self.bytes += bytes;
        for (digest, request) in bodies {
            self.bodies.insert(digest, (request, sequence));
        }
        self.batches.insert(sequence, PastBatch { certificate, batch, bytes });
    }

    /// Keeps the last ones, within both bounds.
    fn prune(&mut self, above: Sequence, most_bytes: usize) {
        let mut gone = None;
        while let Some(first) = self.batches.first_entry()
            && (*first.key() <= above || self.bytes > most_bytes)
        {
            gone = Some(*first.key());
            self.bytes -= first.remove().bytes;
        }
        if let Some(gone) = gone {
            self.bodies.retain(|_, (_, last)| *last > gone);
        }
    }
}

impl Replica {
    /// What was executed up to a checkpoint that is about to be stable.
    pub(super) fn keep_past(&mut self, stable: Sequence) {
        for sequence in self.durable.low().get() + 1..=stable.get() {
            let sequence = Sequence::new(sequence);
            let Some((certificate, batch, bodies)) = self.whole(sequence) else {
                // Of what was executed before a restart nothing is there.
                self.past.clear();
                continue;
            };
            self.past.put(certificate, batch, bodies);
        }
        let window = u64::from(self.durable.config.window);
        self.past.prune(Sequence::new(stable.get().saturating_sub(window)), self.config.past_bytes);
    }

    #[cfg(test)]
    pub fn past_bytes(&self) -> usize {
        self.past.bytes
    }

    fn whole(&self, sequence: Sequence) -> Option<Whole> {
        let certificate = Arc::clone(self.slots.get(&sequence)?.decided.as_ref()?);
        let batch = self.batch(sequence, &certificate.digest)?;
        let bodies = batch.requests.iter().map(|digest| Some((*digest, self.body(digest)?.request)));
        let bodies = bodies.collect::<Option<_>>()?;
        Some((certificate, batch, bodies))
    }
}

type Whole = (Arc<Committed>, Arc<Batch>, Vec<(Digest, Arc<Request>)>);

/// About what a batch takes with its certificate, and a request beside its operations.
const BATCH: usize = 4096;
const BODY: usize = 256;
