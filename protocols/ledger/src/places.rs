//! Where the outcomes of remembered ids are: a table with open addressing. Nothing iterates it, so its order is
//! nobody's; its keys are hashes already. A `BTreeMap` of a million ids costs five cache misses a look, this one costs
//! one.

use mesh_proto::ledger::Index;

/// An entry of the window: a batch, and a part of it.
pub type Place = (Index, u16);

/// Many small tables, so that what grows at once is small: a table of a million ids takes a tenth of a second.
#[derive(Clone, Debug)]
pub struct Places {
    tables: Vec<Table>,
}

#[derive(Clone, Debug)]
struct Table {
    /// A power of two of slots, at most three quarters of them taken. An id that is not in its own slot has none free
    /// between that and where it is.
    slots: Vec<Option<(u128, Place)>>,
    taken: usize,
}

const TABLES: usize = 256;

impl Default for Places {
    fn default() -> Self {
        Self { tables: vec![Table { slots: vec![None; 4], taken: 0 }; TABLES] }
    }
}

impl Places {
    pub fn get(&self, id: u128) -> Option<Place> {
        self.tables[table(id)].get(id)
    }

    pub fn insert(&mut self, id: u128, place: Place) {
        self.tables[table(id)].insert(id, place);
    }

    pub fn remove(&mut self, id: u128) {
        self.tables[table(id)].remove(id);
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.taken).sum()
    }
}

/// By the high bits: the low ones choose the slot.
fn table(id: u128) -> usize {
    (id >> 120) as usize % TABLES
}

impl Table {
    fn get(&self, id: u128) -> Option<Place> {
        self.slots[self.find(id)].map(|(_, place)| place)
    }

    fn insert(&mut self, id: u128, place: Place) {
        if (self.taken + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let at = self.find(id);
        self.taken += usize::from(self.slots[at].is_none());
        self.slots[at] = Some((id, place));
    }

    fn remove(&mut self, id: u128) {
        let mut free = self.find(id);
        if self.slots[free].take().is_none() {
            return;
        }
        self.taken -= 1;
        // Whoever is behind, and may be here, moves up; else it would not be found any more.
        let mut at = self.behind(free);
        while let Some((other, _)) = self.slots[at] {
            let (own, mask) = (self.own(other), self.slots.len() - 1);
            if at.wrapping_sub(own) & mask >= at.wrapping_sub(free) & mask {
                self.slots[free] = self.slots[at].take();
                free = at;
            }
            at = self.behind(at);
        }
    }

    /// The slot that has it, or the free one where it would be.
    fn find(&self, id: u128) -> usize {
        let mut at = self.own(id);
        // One slot in four is free.
        while self.slots[at].is_some_and(|(other, _)| other != id) {
            at = self.behind(at);
        }
        at
    }

    fn own(&self, id: u128) -> usize {
        // The low bits of a hash are as good as any.
        id as usize & (self.slots.len() - 1)
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        let larger = vec![None; self.slots.len() * 2];
        for (id, place) in std::mem::replace(&mut self.slots, larger).into_iter().flatten() {
            let at = self.find(id);
            self.slots[at] = Some((id, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in vec((any::<bool>(), 0..60u64, any::<u16>()), 0..400)) {
            let (mut places, mut model) = (Places::default(), BTreeMap::new());
            for (adds, id, part) in steps {
                // Ids that meet in few slots.
                let id = u128::from(id % 7) | u128::from(id / 7) << 64 | u128::from(id % 2) << 4;
                if adds {
                    places.insert(id, (Index(1), part));
                    model.insert(id, (Index(1), part));
                } else {
                    places.remove(id);
                    model.remove(&id);
                }
                prop_assert_eq!(places.len(), model.len());
                for id in (0..60).map(|id: u64| u128::from(id % 7) | u128::from(id / 7) << 64 | u128::from(id % 2) << 4) {
                    prop_assert_eq!(places.get(id), model.get(&id).copied());
                }
            }
        }
    }
}
