//! What this node holds on disk, as facts left it: the only durable state of the task layer.

mod copy;
mod entry;
mod key;
mod names;
mod pages;
mod sealed;

use crate::{
    Fact,
    naming::{self, Naming},
};
use mesh_proto::{
    codec::{self, DecodeError},
    id::{NodeId, TaskId},
    task::{Ballot, Holder, Outcome, Spec, Version},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    sync::Arc,
};

pub use copy::Copy;
use entry::Entry;
use key::Key;
use names::Names;
use pages::Pages;
use sealed::Sealed;

/// A result that waits to be settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    #[serde(rename = "o")]
    pub outcome: Arc<Outcome>,
    #[serde(rename = "h")]
    pub holders: Vec<NodeId>,
}

/// A copy on the shelf: as it is while somebody works on it, packed when it rests.
#[derive(Debug)]
enum Slot {
    Open(Box<Copy>),
    Sealed(Sealed),
}

/// A copy, and its number in the store: 0 of one that lies there under its id.
#[derive(Debug)]
struct Place {
    number: u64,
    slot: Slot,
}

impl Slot {
    fn is_live(&self) -> bool {
        match self {
            Self::Open(copy) => copy.is_live(),
            Self::Sealed(sealed) => sealed.ended.is_none(),
        }
    }
}

/// What can be told of a copy without opening it.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'a> {
    pub holders: &'a [Holder],
    /// Who wrote it.
    pub driver: NodeId,
    pub ended: Option<Wall>,
    pub is_confirmed: bool,
    pub complete: bool,
}

/// The state that facts make. Changed by [`Shelf::apply`] alone, but for what is remarked on a copy in passing.
#[derive(Debug, Default)]
pub struct Shelf {
    copies: BTreeMap<TaskId, Place>,
    /// The highest number of one in the store, or to be.
    last_number: u64,
    names: Names,
    pages: Pages,
    /// Ended copies that are still open, in the order of their ends.
    unsealed: VecDeque<TaskId>,
    /// Copies that live and were open when they were last written, in the order of that: an id for each time.
    fresh: VecDeque<TaskId>,
    /// Promises above what is held, if anything is.
    promises: BTreeMap<TaskId, (Ballot, Wall)>,
    outbox: BTreeMap<(TaskId, u32), Kept>,
    floor: Wall,
    /// Held and not ended.
    live: BTreeSet<TaskId>,
    /// Ended, by when.
    ended: BTreeSet<(Wall, TaskId)>,
    /// Of these, those whose end is not known to be decided: it may be the only word of one that others have yet to hear.
    undecided: BTreeSet<TaskId>,
    /// Held once, and dropped when they had ended: when that was. Whoever asks for one is told that it is too old,
    /// instead of finding here a holder that never knew it.
    gone: BTreeMap<TaskId, Wall>,
    /// The same, by when.
    gone_by_end: BTreeSet<(Wall, TaskId)>,
    naming: Naming,
    /// Entries that are not yet as the store has them.
    changed: BTreeSet<Key>,
    /// The same of copies, by their numbers: whose it is, if it is there still.
    changed_copies: BTreeMap<u64, Option<TaskId>>,
}

impl Shelf {
    /// Reads no time, draws nothing, emits nothing: shared by live operation and replay.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Held { birth, ballot, version, register } => {
                self.put(Copy {
                    birth,
                    ballot,
                    version,
                    register,
                    confirmed: false,
                    in_force: false,
                    settled: false,
                    complete: false,
                });
            }
            Fact::Written { task, ballot, version, register } => {
                if let Some(copy) = self.copy(&task) {
                    let (birth, confirmed, settled) = (Arc::clone(&copy.birth), copy.confirmed, copy.settled);
                    self.put(Copy {
                        birth,
                        ballot,
                        version,
                        register,
                        confirmed,
                        in_force: false,
                        settled,
                        complete: false,
                    });
                }
            }
            Fact::Promised { task, ballot, at } => {
                // At the end of the numbers of terms a campaign has none that is higher.
                let ballot = self.promises.get(&task).map_or(ballot, |(promised, _)| ballot.max(*promised));
                self.promises.insert(task, (ballot, at));
                self.changed.insert(Key::Promise(task));
            }
            Fact::Dropped { tasks } => tasks.iter().for_each(|task| self.drop_task(task)),
            Fact::Outlived { task, at } => {
                self.drop_task(&task);
                self.remember_gone(task, at);
            }
            Fact::Floor { floor } => {
                self.floor = self.floor.max(floor);
                self.changed.insert(Key::Floor);
            }
            Fact::Kept { task, attempt, outcome, holders } => {
                self.keep(task, attempt, Kept { outcome, holders });
                self.changed.insert(Key::Kept(task, attempt));
            }
            Fact::Settled { task, attempt } => {
                if let Some(kept) = self.outbox.remove(&(task, attempt)) {
                    self.naming.remove(&naming::of_kept(&kept));
                }
                self.changed.insert(Key::Kept(task, attempt));
            }
        }
    }

    fn put(&mut self, copy: Copy) {
        let task = copy.birth.task;
        let number = self.copies.get(&task).map_or(self.last_number + 1, |place| place.number);
        self.last_number = self.last_number.max(number);
        self.note_changed(task, number);
        if self.promises.get(&task).is_some_and(|(promised, _)| *promised <= copy.ballot) {
            self.promises.remove(&task);
            self.changed.insert(Key::Promise(task));
        }
        if let Some(before) = self.ended_at(&task)
            && copy.register.ending().is_none_or(|ending| ending.at != before)
        {
            self.ended.remove(&(before, task));
        }
        self.index(&copy);
        match copy.is_live() {
            true => self.fresh.push_back(task),
            false => self.unsealed.push_back(task),
        }
        self.naming.add(&naming::of_copy(&copy));
        let place = Place { number, slot: Slot::Open(Box::new(copy)) };
        if let Some(old) = self.copies.insert(task, place) {
            self.put_away(&task, &old.slot);
        }
    }

    fn note_changed(&mut self, task: TaskId, number: u64) {
        match number {
            0 => drop(self.changed.insert(Key::Copy(task))),
            _ => drop(self.changed_copies.insert(number, Some(task))),
        }
    }

    fn index(&mut self, copy: &Copy) {
        let task = copy.birth.task;
        match copy.register.ending() {
            None => {
                self.live.insert(task);
                self.undecided.remove(&task);
            }
            Some(ending) => {
                self.live.remove(&task);
                match copy.settled {
                    true => self.undecided.remove(&task),
                    false => self.undecided.insert(task),
                };
                self.ended.insert((ending.at, task));
            }
        }
    }

    fn slot(&self, task: &TaskId) -> Option<&Slot> {
        self.copies.get(task).map(|place| &place.slot)
    }

    fn ended_at(&self, task: &TaskId) -> Option<Wall> {
        match self.slot(task)? {
            Slot::Open(copy) => copy.register.ending().map(|ending| ending.at),
            Slot::Sealed(sealed) => sealed.ended,
        }
    }

    /// A copy that is on the shelf no more: what it named, and where it was packed.
    fn put_away(&mut self, task: &TaskId, old: &Slot) {
        if !matches!(old, Slot::Sealed(sealed) if !sealed.names_blobs) {
            let named = naming::of_copy(&self.open(task, old));
            self.naming.remove(&named);
        }
        if let Slot::Sealed(old) = old {
            self.pages.give_up(old.place);
        }
    }

    fn keep(&mut self, task: TaskId, attempt: u32, kept: Kept) {
        self.naming.add(&naming::of_kept(&kept));
        if let Some(old) = self.outbox.insert((task, attempt), kept) {
            self.naming.remove(&naming::of_kept(&old));
        }
    }

    fn drop_task(&mut self, task: &TaskId) {
        if let Some(at) = self.ended_at(task) {
            self.ended.remove(&(at, *task));
            self.remember_gone(*task, at);
        } else if let Some(at) = self.gone.remove(task) {
            self.gone_by_end.remove(&(at, *task));
            self.changed.insert(Key::Gone(*task));
        }
        if let Some(old) = self.copies.remove(task) {
            self.put_away(task, &old.slot);
            self.live.remove(task);
            self.undecided.remove(task);
            match old.number {
                0 => drop(self.changed.insert(Key::Copy(*task))),
                number => drop(self.changed_copies.insert(number, None)),
            }
        }
        if self.promises.remove(task).is_some() {
            self.changed.insert(Key::Promise(*task));
        }
    }

    fn remember_gone(&mut self, task: TaskId, at: Wall) {
        if let Some(before) = self.gone.insert(task, at) {
            self.gone_by_end.remove(&(before, task));
        }
        self.gone_by_end.insert((at, task));
        self.changed.insert(Key::Gone(task));
    }

    /// It was held here, had ended, and is forgotten.
    pub fn is_gone(&self, task: &TaskId) -> bool {
        self.gone.contains_key(task)
    }

    /// When that ended, or was found to have.
    pub fn gone_at(&self, task: &TaskId) -> Option<Wall> {
        self.gone.get(task).copied()
    }

    pub fn gone(&self) -> &BTreeSet<(Wall, TaskId)> {
        &self.gone_by_end
    }

    /// Packs ended copies on which nobody works, looking at `most` of them. Changes nothing that can be seen.
    pub fn seal(&mut self, most: usize, is_in_use: impl Fn(&TaskId) -> bool) {
        for _ in 0..most.min(self.unsealed.len()) {
            let Some(task) = self.unsealed.pop_front() else { return };
            let Some(Place { slot, .. }) = self.copies.get_mut(&task) else { continue };
            match slot {
                Slot::Open(copy) if copy.is_live() => {}
                Slot::Open(_) if is_in_use(&task) => self.unsealed.push_back(task),
                Slot::Open(copy) => {
                    if let Some(sealed) = Sealed::seal(copy, &mut self.names, &mut self.pages) {
                        *slot = Slot::Sealed(sealed);
                    }
                }
                Slot::Sealed(_) => {}
            }
        }
    }

    /// Ended copies that are still open.
    pub fn unsealed(&self) -> usize {
        self.unsealed.len()
    }

    /// Packs copies that live, looking at `most` of them, but for the last `fresh` that were written: what takes its usual way
    /// ends before its turn comes. What is packed is opened each time that it is looked at. Changes nothing that can be seen.
    pub fn seal_resting(&mut self, most: usize, fresh: usize) {
        for _ in 0..most.min(self.fresh.len().saturating_sub(fresh)) {
            let Some(task) = self.fresh.pop_front() else { return };
            if let Some(Place { slot, .. }) = self.copies.get_mut(&task)
                && let Slot::Open(copy) = slot
                && copy.is_live()
                && let Some(sealed) = Sealed::seal(copy, &mut self.names, &mut self.pages)
            {
                *slot = Slot::Sealed(sealed);
            }
        }
    }

    #[cfg(test)]
    pub fn is_packed(&self, task: &TaskId) -> bool {
        matches!(self.slot(task), Some(Slot::Sealed(_)))
    }

    /// Those that [`Self::seal_resting`] would look at, and those that it would leave.
    pub fn fresh(&self) -> usize {
        self.fresh.len()
    }

    pub fn copy(&self, task: &TaskId) -> Option<Cow<'_, Copy>> {
        self.slot(task).map(|slot| self.open(task, slot))
    }

    /// A copy that has not ended.
    pub fn live_copy(&self, task: &TaskId) -> Option<Cow<'_, Copy>> {
        let slot = self.slot(task)?;
        slot.is_live().then(|| self.open(task, slot))
    }

    /// Held, and not ended.
    pub fn is_live(&self, task: &TaskId) -> bool {
        self.slot(task).is_some_and(Slot::is_live)
    }

    /// Whether its specification has a deadline, or has bytes that look so.
    pub fn may_have_a_deadline(&self, task: &TaskId) -> bool {
        self.slot(task).is_some_and(|slot| match slot {
            Slot::Open(copy) => Spec::may_have_a_deadline(&copy.birth.spec),
            Slot::Sealed(sealed) => sealed.may_have_a_deadline(&self.pages),
        })
    }

    /// Which version of it is held.
    pub fn stamp(&self, task: &TaskId) -> Option<(Ballot, Version)> {
        self.slot(task).map(|slot| match slot {
            Slot::Open(copy) => copy.stamp(),
            Slot::Sealed(sealed) => (sealed.ballot(&self.names), sealed.version),
        })
    }

    fn open<'a>(&'a self, task: &TaskId, slot: &'a Slot) -> Cow<'a, Copy> {
        match slot {
            Slot::Open(copy) => Cow::Borrowed(copy),
            Slot::Sealed(sealed) => Cow::Owned(sealed.open(*task, &self.names, &self.pages)),
        }
    }

    /// All named holders are known to have the birth.
    pub fn mark_confirmed(&mut self, task: &TaskId) {
        match self.copies.get_mut(task).map(|place| &mut place.slot) {
            Some(Slot::Open(copy)) => copy.confirmed = true,
            Some(Slot::Sealed(sealed)) => sealed.confirmed = true,
            None => {}
        }
    }

    /// What is held is known to be on a majority of the holders.
    pub fn mark_in_force(&mut self, task: &TaskId) {
        let is_live = match self.copies.get_mut(task).map(|place| &mut place.slot) {
            Some(Slot::Open(copy)) => {
                copy.in_force = true;
                copy.is_live()
            }
            Some(Slot::Sealed(sealed)) => {
                sealed.in_force = true;
                sealed.ended.is_none()
            }
            None => return,
        };
        if !is_live {
            self.mark_settled(task);
        }
    }

    /// The end that is held is known to be decided.
    pub fn mark_settled(&mut self, task: &TaskId) {
        let Some(place) = self.copies.get_mut(task) else { return };
        let settled = match &mut place.slot {
            Slot::Open(copy) => &mut copy.settled,
            Slot::Sealed(sealed) => &mut sealed.settled,
        };
        if !std::mem::replace(settled, true) {
            let number = place.number;
            self.undecided.remove(task);
            self.note_changed(*task, number);
        }
    }

    /// What is held is known to be on all of the holders.
    pub fn mark_complete(&mut self, task: &TaskId) {
        let Some(place) = self.copies.get_mut(task) else { return };
        let complete = match &mut place.slot {
            Slot::Open(copy) => &mut copy.complete,
            Slot::Sealed(sealed) => &mut sealed.complete,
        };
        if !std::mem::replace(complete, true) {
            let number = place.number;
            self.note_changed(*task, number);
        }
    }

    /// The highest ballot that this node has promised for a task, by what it holds or in so many words.
    pub fn promised(&self, task: &TaskId) -> Option<Ballot> {
        let held = self.stamp(task).map(|(ballot, _)| ballot);
        held.max(self.promises.get(task).map(|(ballot, _)| *ballot))
    }

    /// The copies behind `start`, in the order of their ids.
    pub fn copies(&self, start: Bound<TaskId>) -> impl Iterator<Item = (&TaskId, Cow<'_, Copy>)> {
        self.copies.range((start, Bound::Unbounded)).map(|(task, place)| (task, self.open(task, &place.slot)))
    }

    /// The same, unopened.
    pub fn glances(&self, start: Bound<TaskId>) -> impl Iterator<Item = (&TaskId, Glance<'_>)> {
        self.copies.range((start, Bound::Unbounded)).map(|(task, place)| (task, self.glance_at(&place.slot)))
    }

    pub fn glance(&self, task: &TaskId) -> Option<Glance<'_>> {
        self.slot(task).map(|slot| self.glance_at(slot))
    }

    fn glance_at<'a>(&'a self, slot: &'a Slot) -> Glance<'a> {
        match slot {
            Slot::Open(copy) => Glance {
                holders: &copy.register.holders,
                driver: copy.ballot.driver,
                ended: copy.register.ending().map(|ending| ending.at),
                is_confirmed: copy.is_confirmed(),
                complete: copy.complete,
            },
            Slot::Sealed(sealed) => Glance {
                holders: &sealed.holders,
                driver: sealed.ballot(&self.names).driver,
                ended: sealed.ended,
                is_confirmed: sealed.confirmed || sealed.is_written(),
                complete: sealed.complete,
            },
        }
    }

    /// The stamp of a copy that has ended.
    pub fn end_stamp(&self, task: &TaskId) -> Option<(Ballot, Version)> {
        self.stamp(task).filter(|_| !self.is_live(task))
    }

    pub fn copies_len(&self) -> usize {
        self.copies.len()
    }

    pub fn live(&self) -> &BTreeSet<TaskId> {
        &self.live
    }

    pub fn ended(&self) -> &BTreeSet<(Wall, TaskId)> {
        &self.ended
    }

    /// How many have ended of which that is not known to be decided.
    pub fn undecided(&self) -> usize {
        self.undecided.len()
    }

    pub fn is_undecided(&self, task: &TaskId) -> bool {
        self.undecided.contains(task)
    }

    pub fn is_held(&self, task: &TaskId) -> bool {
        self.copies.contains_key(task)
    }

    /// Promises above what is held, from behind that id on, and when each was made.
    pub fn promises_after(&self, after: Option<TaskId>) -> impl Iterator<Item = (&TaskId, Wall)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.promises.range((start, Bound::Unbounded)).map(|(task, (_, at))| (task, *at))
    }

    pub fn promises_len(&self) -> usize {
        self.promises.len()
    }

    pub fn outbox(&self) -> &BTreeMap<(TaskId, u32), Kept> {
        &self.outbox
    }

    pub fn floor(&self) -> Wall {
        self.floor
    }

    /// The blobs that records and results here name.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Entries that the next call of [`Self::take_changes`] has.
    pub fn changed_len(&self) -> usize {
        self.changed.len() + self.changed_copies.len()
    }

    /// The entries that changed since the last call, as the store keeps them: no value is a removal.
    pub fn take_changes(&mut self, mut put: impl FnMut(Vec<u8>, Option<Vec<u8>>)) {
        for key in std::mem::take(&mut self.changed) {
            let value = match key {
                Key::Floor => Some(codec::encode(&self.floor)),
                // One that was dropped and has come again since lies under a number: here it would be for good.
                Key::Copy(task) => {
                    let place = self.copies.get(&task).filter(|place| place.number == 0);
                    place.map(|place| codec::encode(self.open(&task, &place.slot).as_ref()))
                }
                // Those are noted by themselves.
                Key::Entry(_) => None,
                Key::Promise(task) => self.promises.get(&task).map(codec::encode),
                Key::Kept(task, attempt) => self.outbox.get(&(task, attempt)).map(codec::encode),
                Key::Gone(task) => self.gone.get(&task).map(codec::encode),
            };
            put(key.to_bytes(), value);
        }
        for (number, task) in std::mem::take(&mut self.changed_copies) {
            let copy = task.and_then(|task| self.copy(&task));
            put(Key::Entry(number).to_bytes(), copy.map(|copy| codec::encode(&Entry::new(&copy))));
        }
    }

    fn restore(&mut self, number: u64, copy: Copy) {
        self.index(&copy);
        self.naming.add(&naming::of_copy(&copy));
        let (task, sealed) = (copy.birth.task, Sealed::seal(&copy, &mut self.names, &mut self.pages));
        let slot = sealed.map_or_else(|| Slot::Open(Box::new(copy)), Slot::Sealed);
        self.copies.insert(task, Place { number, slot });
    }

    /// Takes one entry back from the store. Unknown keys are somebody else's and answered `false`.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<bool, DecodeError> {
        const LIMIT: usize = Fact::LIMIT;
        match Key::from_bytes(key) {
            None => return Ok(false),
            Some(Key::Floor) => self.floor = codec::decode(value, LIMIT)?,
            Some(Key::Copy(_)) => self.restore(0, codec::decode(value, LIMIT)?),
            Some(Key::Entry(number)) => {
                let entry: Entry = codec::decode(value, LIMIT)?;
                let copy = entry.into_copy();
                let copy =
                    copy.ok_or_else(|| DecodeError::Malformed("a holder that is not on the home list".into()))?;
                self.last_number = self.last_number.max(number);
                self.restore(number, copy);
            }
            Some(Key::Promise(task)) => {
                self.promises.insert(task, codec::decode(value, LIMIT)?);
            }
            Some(Key::Gone(task)) => {
                let at = codec::decode(value, LIMIT)?;
                self.gone.insert(task, at);
                self.gone_by_end.insert((at, task));
            }
            Some(Key::Kept(task, attempt)) => {
                self.keep(task, attempt, codec::decode(value, LIMIT)?);
            }
        }
        Ok(true)
    }
}
