//! The client table: which requests were executed, and what came of them. Section 4.1.

use mesh_proto::{
    codec,
    domain::Domain,
    id::{Digest, NodeId},
    limits,
    merkle::{Leaf, Tree},
    pbft::{ClientEntry, EpochConfig, Executed, Outcome, RequestNumber, Roots, Sequence},
    time::Wall,
};
use std::{collections::BTreeMap, sync::Arc};

/// A pure function of the requests that were ordered before: which entries and answers it keeps depends on numbers and
/// bytes, never on a clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    entries: BTreeMap<NodeId, Arc<Entry>>,
    /// The highest number of a gateway that was evicted: new ones must begin above it.
    floor: RequestNumber,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    executed: BTreeMap<RequestNumber, Past>,
    /// Of all answers.
    bytes: usize,
    /// Of the last request.
    last: Sequence,
    leaf: Option<Leaf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    sequence: Sequence,
    /// Which was executed. A gateway may have used the number for others (simulator, seed 50026).
    request: Digest,
    outcome: Outcome,
    /// Of the outcome.
    digest: Digest,
}

/// What the table says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    New,
    /// Under its number this request was executed, which may be another one than was asked about. Its outcome is
    /// `Forgotten` while it is being executed.
    Executed {
        sequence: Sequence,
        request: Digest,
        outcome: Outcome,
    },
    /// Not above this.
    TooOld(RequestNumber),
    TooNew,
}

/// The leaf is a cache.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (&self.executed, self.bytes, self.last) == (&other.executed, other.bytes, other.last)
    }
}

impl Eq for Entry {}

impl Table {
    /// A date far ahead would raise the floor for everybody when its gateway is evicted.
    pub fn judge(&self, config: &EpochConfig, gateway: &NodeId, number: RequestNumber, time: Wall) -> Verdict {
        let floor = match self.entries.get(gateway) {
            Some(entry) => {
                if let Some(Past { sequence, request, outcome, .. }) = entry.executed.get(&number) {
                    let (sequence, request, outcome) = (*sequence, *request, outcome.clone());
                    return Verdict::Executed { sequence, request, outcome };
                }
                entry.floor_below(config, number, self.floor)
            }
            None => self.floor,
        };
        if number <= floor {
            return Verdict::TooOld(floor);
        }
        match number.date() > time + limits::CLOCK_SKEW {
            true => Verdict::TooNew,
            false => Verdict::New,
        }
    }

    /// Notes that a request judged new is executed at `sequence`. Whether another gateway was forgotten for it.
    pub fn begin(
        &mut self,
        config: &EpochConfig,
        gateway: NodeId,
        number: RequestNumber,
        request: Digest,
        sequence: Sequence,
    ) -> bool {
        let has_room = self.entries.contains_key(&gateway) || self.entries.len() < config.clients as usize;
        if !self.entries.contains_key(&gateway) {
            while self.entries.len() >= config.clients as usize {
                self.evict();
            }
        }
        let entry = Arc::make_mut(self.entries.entry(gateway).or_default());
        entry.leaf = None;
        entry.last = entry.last.max(sequence);
        entry.put(number, Past::new(sequence, request, Outcome::Forgotten));
        let floor = entry.floor(config);
        while let Some(oldest) = entry.executed.first_entry().filter(|oldest| *oldest.key() <= floor) {
            entry.bytes -= oldest.get().outcome.len();
            oldest.remove();
        }
        !has_room
    }

    /// Keeps the outcome of a request that was begun, and as many before it as there is room for.
    pub fn finish(&mut self, config: &EpochConfig, gateway: &NodeId, number: RequestNumber, outcome: Outcome) {
        let Some(entry) = self.entries.get_mut(gateway) else { return };
        let entry = Arc::make_mut(entry);
        let Some(begun) = entry.executed.get(&number) else { return };
        let past = Past::new(begun.sequence, begun.request, outcome);
        entry.leaf = None;
        entry.put(number, past);
        let limit = config.client_bytes as usize;
        let mut over = entry.bytes.saturating_sub(limit);
        for past in entry.executed.values_mut() {
            if over == 0 {
                break;
            }
            let size = past.outcome.len();
            if size > 0 {
                entry.bytes -= size;
                over = over.saturating_sub(size);
                past.outcome = Outcome::Forgotten;
                past.digest = past.outcome.digest();
            }
        }
    }

    /// Whether this gateway has a place.
    pub fn has(&self, gateway: &NodeId) -> bool {
        self.entries.contains_key(gateway)
    }

    /// What makes of `before` this table: the entries that are other than there; one with nothing in it is gone.
    pub fn changes_since(&self, before: &Self) -> Vec<ClientEntry> {
        let is_same = |gateway: &NodeId, entry: &Arc<Entry>| {
            before.entries.get(gateway).is_some_and(|other| Arc::ptr_eq(entry, other) || entry == other)
        };
        let changed = self.entries.iter().filter(|(gateway, entry)| !is_same(gateway, entry));
        let changed = changed.map(|(gateway, entry)| entry.to_wire(*gateway));
        let gone = before.entries.keys().filter(|gateway| !self.entries.contains_key(gateway));
        changed.chain(gone.map(|gateway| ClientEntry { gateway: *gateway, executed: Vec::new() })).collect()
    }

    /// Takes over what [`Table::changes_since`] found.
    pub fn replace(&mut self, changes: &[ClientEntry], floor: RequestNumber) {
        for (gateway, entry) in Self::from_entries(changes, floor).entries {
            match entry.executed.is_empty() {
                true => drop(self.entries.remove(&gateway)),
                false => drop(self.entries.insert(gateway, entry)),
            }
        }
        self.floor = floor;
    }

    /// The root over all entries.
    pub fn roots(&mut self) -> Roots {
        for (gateway, entry) in &mut self.entries {
            if entry.leaf.is_none() {
                let leaf = entry.make_leaf(gateway);
                Arc::make_mut(entry).leaf = Some(leaf);
            }
        }
        match self.tree() {
            Some(tree) => Roots { root: tree.root(), count: tree.count() },
            None => Roots::EMPTY,
        }
    }

    /// `None` if there is no entry.
    pub fn tree(&self) -> Option<Tree> {
        let leaves: Vec<Leaf> = self
            .entries
            .iter()
            .map(|(gateway, entry)| entry.leaf.unwrap_or_else(|| entry.make_leaf(gateway)))
            .collect();
        // At most PBFT_CLIENTS.
        Tree::new(&leaves).ok()
    }

    /// The `index`-th, in the order of their leaves.
    pub fn entry(&self, index: u32) -> Option<ClientEntry> {
        let (gateway, entry) = self.entries.iter().nth(index as usize)?;
        Some(entry.to_wire(*gateway))
    }

    pub fn entries(&self) -> impl Iterator<Item = ClientEntry> {
        self.entries.iter().map(|(gateway, entry)| entry.to_wire(*gateway))
    }

    /// As it came from others, each entry proved by [`entry_leaf`].
    pub fn from_entries(entries: &[ClientEntry], floor: RequestNumber) -> Self {
        let entries = entries.iter().map(|wire| {
            let mut entry = Entry::default();
            for Executed { number, sequence, request, outcome } in &wire.executed {
                entry.put(*number, Past::new(*sequence, *request, outcome.clone()));
                entry.last = entry.last.max(*sequence);
            }
            (wire.gateway, Arc::new(entry))
        });
        Self { entries: entries.collect(), floor }
    }

    pub fn floor(&self) -> RequestNumber {
        self.floor
    }

    /// Makes room by forgetting who was silent for most sequence numbers.
    fn evict(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(gateway, entry)| (entry.last, **gateway));
        let Some(gateway) = oldest.map(|(gateway, _)| *gateway) else { return };
        if let Some(entry) = self.entries.remove(&gateway) {
            self.floor = self.floor.max(entry.high());
        }
    }
}

impl Past {
    fn new(sequence: Sequence, request: Digest, outcome: Outcome) -> Self {
        let digest = outcome.digest();
        Self { sequence, request, outcome, digest }
    }
}

impl Entry {
    fn high(&self) -> RequestNumber {
        self.executed.last_key_value().map_or(RequestNumber::ZERO, |(number, _)| *number)
    }

    /// Numbers up to this are not remembered one by one.
    fn floor(&self, config: &EpochConfig) -> RequestNumber {
        RequestNumber::new(self.high().get().saturating_sub(u64::from(config.client_window)))
    }

    /// One that was evicted and has come back does not remember what it had executed before, all of which is at or below the
    /// table's floor, and below all that it has executed since.
    fn floor_below(&self, config: &EpochConfig, number: RequestNumber, floor: RequestNumber) -> RequestNumber {
        let own = self.floor(config);
        match self.executed.first_key_value().is_some_and(|(lowest, _)| number < *lowest) {
            true => own.max(floor),
            false => own,
        }
    }

    fn put(&mut self, number: RequestNumber, past: Past) {
        self.bytes += past.outcome.len();
        if let Some(before) = self.executed.insert(number, past) {
            self.bytes -= before.outcome.len();
        }
    }

    fn make_leaf(&self, gateway: &NodeId) -> Leaf {
        let executed = self.executed.iter();
        leaf(gateway, executed.map(|(number, past)| (*number, past.sequence, past.request, past.digest)))
    }

    fn to_wire(&self, gateway: NodeId) -> ClientEntry {
        let executed = self.executed.iter().map(|(number, past)| Executed {
            number: *number,
            sequence: past.sequence,
            request: past.request,
            outcome: past.outcome.clone(),
        });
        ClientEntry { gateway, executed: executed.collect() }
    }
}

/// The leaf of an entry as it came.
pub fn entry_leaf(entry: &ClientEntry) -> Leaf {
    let executed = entry.executed.iter();
    leaf(&entry.gateway, executed.map(|past| (past.number, past.sequence, past.request, past.outcome.digest())))
}

/// Over digests of answers, so that answers are hashed once, and not again at each checkpoint.
fn leaf(gateway: &NodeId, executed: impl Iterator<Item = (RequestNumber, Sequence, Digest, Digest)>) -> Leaf {
    let executed: Vec<_> = executed.collect();
    Leaf::new(Domain::PbftState, &codec::encode(&(gateway, executed)))
}
