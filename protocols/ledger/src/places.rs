//! Where the outcomes of remembered ids are: a table with open addressing. Nothing iterates it, so its order is
//! nobody's; its keys are hashes already. A `BTreeMap` of a million ids costs five cache misses a look, this one costs
//! one, and four of its slots are fetched with it. It keeps half of each id: who has found a place looks there for the
//! whole, and where two have the same half there are two places to look at.

use mesh_proto::ledger::Index;
use std::num::NonZeroU64;

/// An entry of the window: a batch, and a part of it.
pub type Place = (Index, u16);

/// The last batch that a place can name: at ten thousand a second for 890 years.
pub const LAST: Index = Index((1 << 48) - 1);

/// Many small tables, so that what grows at once is small: a table of a million ids takes a tenth of a second.
#[derive(Clone, Debug)]
pub struct Places {
    tables: Vec<Table>,
}

#[derive(Clone, Debug)]
struct Table {
    /// A power of two of slots, at most three quarters of them taken. An id that is not in its own slot has none free
    /// between that and where it is.
    slots: Vec<Slot>,
    taken: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    half: u64,
    place: Option<Packed>,
}

/// A place in eight bytes; no command runs in batch 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed(NonZeroU64);

impl Packed {
    fn new((index, part): Place) -> Option<Self> {
        debug_assert!(index <= LAST);
        NonZeroU64::new(index.0 << 16 | u64::from(part)).map(Self)
    }

    fn place(self) -> Place {
        // The low bits.
        (Index(self.0.get() >> 16), self.0.get() as u16)
    }
}

const TABLES: usize = 256;

impl Default for Places {
    fn default() -> Self {
        Self { tables: vec![Table { slots: vec![Slot::default(); 4], taken: 0 }; TABLES] }
    }
}

impl Places {
    /// Where the id may be, if anywhere.
    pub fn get(&self, id: u128) -> impl Iterator<Item = Place> {
        self.tables[table(id)].get(half(id))
    }

    pub fn insert(&mut self, id: u128, place: Place) {
        if let Some(place) = Packed::new(place) {
            self.tables[table(id)].insert(half(id), place);
        }
    }

    pub fn remove(&mut self, id: u128, place: Place) {
        if let Some(place) = Packed::new(place) {
            self.tables[table(id)].remove(half(id), place);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.taken).sum()
    }
}

/// By the high bits: the low ones are what the table has.
fn table(id: u128) -> usize {
    (id >> 120) as usize % TABLES
}

fn half(id: u128) -> u64 {
    id as u64
}

impl Table {
    fn get(&self, half: u64) -> impl Iterator<Item = Place> {
        let mut at = self.own(half);
        std::iter::from_fn(move || {
            // One slot in four is free.
            while let Slot { half: other, place: Some(place) } = self.slots[at] {
                at = self.behind(at);
                if other == half {
                    return Some(place.place());
                }
            }
            None
        })
    }

    fn insert(&mut self, half: u64, place: Packed) {
        if (self.taken + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.put(half, place);
        self.taken += 1;
    }

    fn remove(&mut self, half: u64, place: Packed) {
        let mut free = self.own(half);
        while self.slots[free].half != half || self.slots[free].place != Some(place) {
            if self.slots[free].place.is_none() {
                return;
            }
            free = self.behind(free);
        }
        self.slots[free] = Slot::default();
        self.taken -= 1;
        // Whoever is behind, and may be here, moves up; else it would not be found any more.
        let mut at = self.behind(free);
        while self.slots[at].place.is_some() {
            let (own, mask) = (self.own(self.slots[at].half), self.slots.len() - 1);
            if at.wrapping_sub(own) & mask >= at.wrapping_sub(free) & mask {
                self.slots[free] = std::mem::take(&mut self.slots[at]);
                free = at;
            }
            at = self.behind(at);
        }
    }

    /// Into the first free slot from its own on.
    fn put(&mut self, half: u64, place: Packed) {
        let mut at = self.own(half);
        while self.slots[at].place.is_some() {
            at = self.behind(at);
        }
        self.slots[at] = Slot { half, place: Some(place) };
    }

    fn own(&self, half: u64) -> usize {
        // The low bits of a hash are as good as any.
        half as usize & (self.slots.len() - 1)
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let larger = vec![Slot::default(); self.slots.len() * 2];
        for Slot { half, place } in std::mem::replace(&mut self.slots, larger) {
            if let Some(place) = place {
                self.put(half, place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::collections::BTreeSet;

    proptest! {
        /// Of ids that meet in few slots, and of which some have the same half.
        #[test]
        fn every_place_of_an_id_is_found(steps in vec((0..3u8, 0..60u64, 1..4u64, 0..2u16), 0..400)) {
            let id = |id: u64| u128::from(id % 7) | u128::from(id / 7 % 4) << 64 | u128::from(id % 2) << 4;
            let (mut places, mut model) = (Places::default(), BTreeSet::new());
            for (step, which, index, part) in steps {
                let one = (id(which) as u64, (index, part));
                if step > 0 && model.insert(one) {
                    places.insert(id(which), (Index(index), part));
                } else if step == 0 {
                    model.remove(&one);
                    places.remove(id(which), (Index(index), part));
                }
                prop_assert_eq!(places.len(), model.len());
                for id in (0..60).map(id) {
                    let found: BTreeSet<(u64, u16)> = places.get(id).map(|(index, part)| (index.0, part)).collect();
                    let kept = model.iter().filter(|(half, _)| *half == id as u64).map(|(_, place)| *place);
                    prop_assert_eq!(found, kept.collect());
                }
            }
        }
    }

    #[test]
    fn a_place_is_what_it_was() {
        for place in [(Index(1), 0), (Index(1), u16::MAX), (LAST, 0), (LAST, u16::MAX)] {
            assert_eq!(Packed::new(place).map(Packed::place), Some(place));
        }
    }
}
