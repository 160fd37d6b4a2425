//! What is on every disk, as the facts tell it.

use super::task_map::TaskMap;
use mesh_proto::{
    id::{NodeId, StoreId, TaskId},
    task::{Ballot, Birth, Outcome, Register, Version},
    time::Wall,
};
use mesh_tasks::Fact;
use std::{collections::BTreeMap, sync::Arc};

/// All disks that ever were, by store.
#[derive(Default)]
pub struct Disks {
    disks: BTreeMap<StoreId, Disk>,
    /// Which of them ever had something of a task: few of many.
    had: TaskMap<Vec<StoreId>>,
}

/// One life of a disk.
pub struct Disk {
    pub node: NodeId,
    /// Not lost.
    pub intact: bool,
    /// Its node left the mesh: nobody can ask it any more.
    pub away: bool,
    records: TaskMap<Record>,
    /// Results in the outbox.
    kept: BTreeMap<(TaskId, u32), Arc<Outcome>>,
    pub floor: Wall,
}

/// What a disk has of a task.
#[derive(Clone, Default)]
pub struct Record {
    /// The highest ballot promised, or written under.
    pub promised: Option<Ballot>,
    pub held: Option<(Ballot, Version, Arc<Register>)>,
    pub birth: Option<Arc<Birth>>,
}

impl Disks {
    pub fn born(&mut self, store: StoreId, node: NodeId) {
        self.disks.insert(
            store,
            Disk {
                node,
                intact: true,
                away: false,
                records: TaskMap::default(),
                kept: BTreeMap::new(),
                floor: Wall(0),
            },
        );
    }

    pub fn lost(&mut self, store: StoreId) {
        if let Some(disk) = self.disks.get_mut(&store) {
            disk.intact = false;
            disk.records = TaskMap::default();
            disk.kept = BTreeMap::new();
        }
    }

    /// The node of the disk leaves the mesh, with the disk.
    pub fn leaves(&mut self, store: StoreId) {
        if let Some(disk) = self.disks.get_mut(&store) {
            disk.away = true;
        }
    }

    pub fn get(&self, store: StoreId) -> Option<&Disk> {
        self.disks.get(&store)
    }

    /// Whether the others can have what is on it, now or once its node is back.
    pub fn is_intact(&self, store: StoreId) -> bool {
        self.disks.get(&store).is_some_and(|disk| disk.intact && !disk.away)
    }

    pub fn record(&self, store: StoreId, task: &TaskId) -> Option<&Record> {
        self.disks.get(&store)?.records.get(task)
    }

    /// The stores that have the record now, and as what.
    pub fn holding(&self, task: &TaskId) -> impl Iterator<Item = (StoreId, &Register)> {
        let had = self.had.get(task).map_or(&[][..], Vec::as_slice);
        let disks = had.iter().filter_map(|store| self.disks.get_key_value(store));
        disks.filter(|(_, disk)| disk.intact).filter_map(|(store, disk)| {
            let (_, _, register) = disk.records.get(task)?.held.as_ref()?;
            Some((*store, register.as_ref()))
        })
    }

    pub fn apply(&mut self, store: StoreId, fact: &Fact) {
        let Some(disk) = self.disks.get_mut(&store) else { return };
        let written = match fact {
            Fact::Held { birth, .. } => Some(birth.task),
            Fact::Written { task, .. } => Some(*task),
            _ => None,
        };
        if let Some(task) = written {
            let had = self.had.entry(task).or_default();
            if let Err(place) = had.binary_search(&store) {
                had.insert(place, store);
            }
        }
        match fact {
            Fact::Held { birth, ballot, version, register } => {
                disk.write(birth.task, *ballot, *version, register);
                disk.records.entry(birth.task).or_default().birth = Some(Arc::clone(birth));
            }
            Fact::Written { task, ballot, version, register } => disk.write(*task, *ballot, *version, register),
            Fact::Promised { task, ballot, .. } => disk.records.entry(*task).or_default().raise(*ballot),
            Fact::Dropped { tasks } => {
                for task in tasks {
                    disk.records.remove(task);
                }
            }
            Fact::Outlived { task, .. } => {
                disk.records.remove(task);
            }
            Fact::Floor { floor } => disk.floor = *floor,
            Fact::Kept { task, attempt, outcome, .. } => {
                disk.kept.insert((*task, *attempt), Arc::clone(outcome));
            }
            Fact::Settled { task, attempt } => {
                disk.kept.remove(&(*task, *attempt));
            }
        }
    }
}

impl Disk {
    fn write(&mut self, task: TaskId, ballot: Ballot, version: Version, register: &Arc<Register>) {
        let record = self.records.entry(task).or_default();
        record.raise(ballot);
        record.held = Some((ballot, version, register.clone()));
    }

    pub fn kept(&self, task: TaskId, attempt: u32) -> Option<&Outcome> {
        self.kept.get(&(task, attempt)).map(Arc::as_ref)
    }

    /// Results that wait for their drivers.
    pub fn outbox(&self) -> impl Iterator<Item = (TaskId, u32)> {
        self.kept.keys().copied()
    }
}

impl Record {
    fn raise(&mut self, ballot: Ballot) {
        if self.promised.is_none_or(|promised| promised < ballot) {
            self.promised = Some(ballot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::{ballot, birth, node, outcome, register, task};

    #[test]
    fn facts_make_what_is_on_a_disk_and_its_loss_unmakes_it() {
        let mut disks = Disks::default();
        let store = StoreId(5);
        disks.born(store, node(5));
        let held = register(&[5, 6, 7], 1);
        for fact in [
            Fact::Held { birth: birth(1), ballot: ballot(0, 5), version: Version::BIRTH, register: held.clone() },
            Fact::Promised { task: task(1), ballot: ballot(2, 6), at: Wall(0) },
            Fact::Kept { task: task(1), attempt: 1, outcome: Arc::new(outcome(0, 1)), holders: Vec::new() },
        ] {
            disks.apply(store, &fact);
        }
        let record = disks.record(store, &task(1)).unwrap();
        assert_eq!(record.promised, Some(ballot(2, 6)));
        assert_eq!(record.held, Some((ballot(0, 5), Version::BIRTH, held)));
        assert_eq!(disks.holding(&task(1)).map(|(store, _)| store).collect::<Vec<_>>(), [store]);
        assert_eq!(disks.get(store).unwrap().outbox().collect::<Vec<_>>(), [(task(1), 1)]);
        disks.lost(store);
        assert_eq!(disks.holding(&task(1)).count(), 0);
        assert!(!disks.is_intact(store));
    }
}
