//! What this node holds on disk, as facts left it: the only durable state of the task layer.

use crate::Fact;
use mesh_proto::{
    codec::{self, DecodeError},
    id::{BlobId, NodeId, TaskId},
    task::{Ballot, Birth, Held, Outcome, Register, Spec, Version},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A copy of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    #[serde(rename = "i")]
    pub birth: Arc<Birth>,
    #[serde(rename = "b")]
    pub ballot: Ballot,
    #[serde(rename = "v")]
    pub version: Version,
    #[serde(rename = "r")]
    pub register: Arc<Register>,
    /// All named holders are known to have the birth. Not kept: forgotten, it is found out again.
    #[serde(skip)]
    pub confirmed: bool,
    /// A majority of the holders is known to have just this. Not kept either.
    #[serde(skip)]
    pub in_force: bool,
    /// All holders are known to have just this. Kept when the store is next brought up to date, and no sooner: where it
    /// is lost, it is found out again.
    #[serde(rename = "c", default)]
    pub complete: bool,
}

impl Copy {
    /// Later writes compare higher.
    pub fn stamp(&self) -> (Ballot, Version) {
        (self.ballot, self.version)
    }

    pub fn is_live(&self) -> bool {
        self.register.ending().is_none()
    }

    /// Known to be more than a placement that may have been given up.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed || self.version > Version::BIRTH
    }

    /// Safe to acknowledge: confirmed, and not by a settlement of the birth that its home list has yet to take.
    pub fn is_bound(&self) -> bool {
        let is_settlement = self.ballot.term > 0 && self.register.joint.as_ref() == Some(&self.birth.home);
        self.is_confirmed() && (self.confirmed || self.in_force || !is_settlement)
    }

    /// The register to write next: a birth that is known to be complete binds its home list no more.
    pub fn register_to_change(&self) -> Register {
        let mut register = Register::clone(&self.register);
        if self.version == Version::BIRTH && self.confirmed {
            register.joint = None;
        }
        register
    }

    pub fn to_held(&self) -> Held {
        Held {
            birth: Arc::clone(&self.birth),
            ballot: self.ballot,
            version: self.version,
            register: Arc::clone(&self.register),
        }
    }
}

/// A result that waits to be settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    #[serde(rename = "o")]
    pub outcome: Arc<Outcome>,
    #[serde(rename = "h")]
    pub holders: Vec<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Floor,
    Copy(TaskId),
    Promise(TaskId),
    Kept(TaskId, u32),
}

/// The state that facts make. Changed by [`Shelf::apply`] alone, but for the two remarks on a copy that are not kept.
#[derive(Debug, Default)]
pub struct Shelf {
    copies: BTreeMap<TaskId, Copy>,
    /// Promises above what is held, if anything is.
    promises: BTreeMap<TaskId, (Ballot, Wall)>,
    outbox: BTreeMap<(TaskId, u32), Kept>,
    floor: Wall,
    /// Held and not ended.
    live: BTreeSet<TaskId>,
    /// Ended, by when.
    ended: BTreeSet<(Wall, TaskId)>,
    changed: Vec<Key>,
}

impl Shelf {
    /// Reads no time, draws nothing, emits nothing: shared by live operation and replay.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Held { birth, ballot, version, register } => {
                self.put(Copy { birth, ballot, version, register, confirmed: false, in_force: false, complete: false });
            }
            Fact::Written { task, ballot, version, register } => {
                if let Some(copy) = self.copies.get(&task) {
                    let (birth, confirmed) = (Arc::clone(&copy.birth), copy.confirmed);
                    self.put(Copy { birth, ballot, version, register, confirmed, in_force: false, complete: false });
                }
            }
            Fact::Promised { task, ballot, at } => {
                self.promises.insert(task, (ballot, at));
                self.changed.push(Key::Promise(task));
            }
            Fact::Dropped { tasks } => tasks.iter().for_each(|task| self.drop_task(task)),
            Fact::Floor { floor } => {
                self.floor = self.floor.max(floor);
                self.changed.push(Key::Floor);
            }
            Fact::Kept { task, attempt, outcome, holders } => {
                self.outbox.insert((task, attempt), Kept { outcome, holders });
                self.changed.push(Key::Kept(task, attempt));
            }
            Fact::Settled { task, attempt } => {
                self.outbox.remove(&(task, attempt));
                self.changed.push(Key::Kept(task, attempt));
            }
        }
    }

    fn put(&mut self, copy: Copy) {
        let task = copy.birth.task;
        self.changed.push(Key::Copy(task));
        self.index(&copy);
        if self.promises.get(&task).is_some_and(|(promised, _)| *promised <= copy.ballot) {
            self.promises.remove(&task);
            self.changed.push(Key::Promise(task));
        }
        if let Some(old) = self.copies.insert(task, copy)
            && let (Some(before), after) = (old.register.ending(), self.copies.get(&task))
            && after.and_then(|copy| copy.register.ending()).is_none_or(|ending| ending.at != before.at)
        {
            self.ended.remove(&(before.at, task));
        }
    }

    fn index(&mut self, copy: &Copy) {
        match copy.register.ending() {
            None => {
                self.live.insert(copy.birth.task);
            }
            Some(ending) => {
                self.live.remove(&copy.birth.task);
                self.ended.insert((ending.at, copy.birth.task));
            }
        }
    }

    fn drop_task(&mut self, task: &TaskId) {
        if let Some(copy) = self.copies.remove(task) {
            self.live.remove(task);
            if let Some(ending) = copy.register.ending() {
                self.ended.remove(&(ending.at, *task));
            }
            self.changed.push(Key::Copy(*task));
        }
        if self.promises.remove(task).is_some() {
            self.changed.push(Key::Promise(*task));
        }
    }

    pub fn copy(&self, task: &TaskId) -> Option<&Copy> {
        self.copies.get(task)
    }

    /// All named holders are known to have the birth.
    pub fn mark_confirmed(&mut self, task: &TaskId) {
        if let Some(copy) = self.copies.get_mut(task) {
            copy.confirmed = true;
        }
    }

    /// What is held is known to be on a majority of the holders.
    pub fn mark_in_force(&mut self, task: &TaskId) {
        if let Some(copy) = self.copies.get_mut(task) {
            copy.in_force = true;
        }
    }

    /// What is held is known to be on all of the holders.
    pub fn mark_complete(&mut self, task: &TaskId) {
        if let Some(copy) = self.copies.get_mut(task).filter(|copy| !copy.complete) {
            copy.complete = true;
            self.changed.push(Key::Copy(*task));
        }
    }

    /// The highest ballot that this node has promised for a task, by what it holds or in so many words.
    pub fn promised(&self, task: &TaskId) -> Option<Ballot> {
        let held = self.copies.get(task).map(|copy| copy.ballot);
        held.max(self.promises.get(task).map(|(ballot, _)| *ballot))
    }

    pub fn copies(&self) -> &BTreeMap<TaskId, Copy> {
        &self.copies
    }

    pub fn live(&self) -> &BTreeSet<TaskId> {
        &self.live
    }

    pub fn ended(&self) -> &BTreeSet<(Wall, TaskId)> {
        &self.ended
    }

    /// Promises for records that are not held.
    pub fn bare_promises(&self) -> impl Iterator<Item = (&TaskId, &(Ballot, Wall))> {
        self.promises.iter().filter(|(task, _)| !self.copies.contains_key(task))
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

    /// Of these blobs, the ones that a held record names this node for, or names without being ended.
    pub fn referenced(&self, me: NodeId, blobs: &BTreeSet<BlobId>) -> BTreeSet<BlobId> {
        let mut found = BTreeSet::new();
        let mut note = |blob: &mesh_proto::task::BlobRef| {
            if blobs.contains(&blob.id) && blob.nodes.contains(&me) {
                found.insert(blob.id);
            }
        };
        for copy in self.copies.values() {
            if let Ok(spec) = Spec::decode(&copy.birth.spec) {
                spec.blobs().for_each(&mut note);
            }
            if let Some(outcome) = copy.register.ending().and_then(|ending| ending.outcome.as_ref()) {
                outcome.blobs().for_each(&mut note);
            }
        }
        self.outbox.values().for_each(|kept| kept.outcome.blobs().for_each(&mut note));
        found
    }

    /// The entries that changed since the last call, as the store keeps them: no value is a removal.
    pub fn take_changes(&mut self, mut put: impl FnMut(Vec<u8>, Option<Vec<u8>>)) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        for key in changed {
            let value = match key {
                Key::Floor => Some(codec::encode(&self.floor)),
                Key::Copy(task) => self.copies.get(&task).map(codec::encode),
                Key::Promise(task) => self.promises.get(&task).map(codec::encode),
                Key::Kept(task, attempt) => self.outbox.get(&(task, attempt)).map(codec::encode),
            };
            put(key.to_bytes(), value);
        }
    }

    /// Takes one entry back from the store. Unknown keys are somebody else's and answered `false`.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<bool, DecodeError> {
        const LIMIT: usize = Fact::LIMIT;
        match Key::from_bytes(key) {
            None => return Ok(false),
            Some(Key::Floor) => self.floor = codec::decode(value, LIMIT)?,
            Some(Key::Copy(task)) => {
                let copy: Copy = codec::decode(value, LIMIT)?;
                self.index(&copy);
                self.copies.insert(task, copy);
            }
            Some(Key::Promise(task)) => {
                self.promises.insert(task, codec::decode(value, LIMIT)?);
            }
            Some(Key::Kept(task, attempt)) => {
                self.outbox.insert((task, attempt), codec::decode(value, LIMIT)?);
            }
        }
        Ok(true)
    }
}

impl Key {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Floor => b"tf".to_vec(),
            Self::Copy(task) => [b"tc", task.as_bytes().as_slice()].concat(),
            Self::Promise(task) => [b"tp", task.as_bytes().as_slice()].concat(),
            Self::Kept(task, attempt) => [b"to", task.as_bytes().as_slice(), attempt.to_be_bytes().as_slice()].concat(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_at_checked(2)?;
        let task = |rest: &[u8]| rest.try_into().ok().map(TaskId::from_bytes);
        match kind {
            b"tf" if rest.is_empty() => Some(Self::Floor),
            b"tc" => task(rest).map(Self::Copy),
            b"tp" => task(rest).map(Self::Promise),
            b"to" => {
                let (id, attempt) = rest.split_at_checked(32)?;
                Some(Self::Kept(task(id)?, u32::from_be_bytes(attempt.try_into().ok()?)))
            }
            _ => None,
        }
    }
}
