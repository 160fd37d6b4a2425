//! What every store has said, which it may never take back: not before a crash, not after one.

use super::{
    disks::Record,
    registers::Key,
    task_map::TaskMap,
    violation::{Rule, Violation},
};
use mesh_proto::{
    id::{StoreId, TaskId},
    task::{Ballot, Item, Version},
};
use std::collections::BTreeMap;

/// What was said, by store.
#[derive(Default)]
pub struct Promises {
    stores: BTreeMap<StoreId, TaskMap<Said>>,
}

/// What one store said of one task.
#[derive(Default)]
struct Said {
    promised: Option<Ballot>,
    /// The highest that it said is on its disk.
    has: Option<Key>,
}

impl Promises {
    /// The record is gone from the disk, and with it what was promised of it: how that can be is for the other
    /// checkers to find.
    pub fn dropped(&mut self, store: StoreId, task: &TaskId) {
        if let Some(said) = self.stores.get_mut(&store) {
            said.remove(task);
        }
    }

    /// `store` sends `item`, with this on its disk. `was_written` tells whether a write was ever on its disk.
    pub fn sent(
        &mut self,
        store: StoreId,
        item: &Item,
        disk: Option<&Record>,
        was_written: impl FnOnce(Key) -> bool,
    ) -> Result<(), Violation> {
        let (task, kind) = match item {
            Item::Placed { task, ballot } => (*task, Kind::Has((*ballot, Version::BIRTH))),
            Item::Wrote { task, ballot, version } => (*task, Kind::Has((*ballot, *version))),
            Item::Pull { task, ballot, version } => (*task, Kind::IsAt((*ballot, *version))),
            Item::Promise { task, ballot, held } => {
                (*task, Kind::Promises(*ballot, held.as_ref().map(|held| (held.ballot, held.version))))
            }
            Item::Refused { task, promised, .. } => (*task, Kind::Refuses(*promised)),
            _ => return Ok(()),
        };
        let said = self.stores.entry(store).or_default().entry(task).or_default();
        let fault = |rule, what: String| Err(Violation::new(rule, format!("{task}: store {store} {what}")));
        match kind {
            Kind::Has(key) => {
                if !was_written(key) {
                    return fault(Rule::DurableBeforeSaid, format!("says it has {}, which was never there", show(key)));
                }
                // A repeat of what it accepted before it promised is no lie.
                said.has = said.has.max(Some(key));
            }
            Kind::IsAt(key) => {
                if said.has.is_some_and(|has| key < has) {
                    return fault(Rule::PromisesKept, format!("is at {}, had said {}", show(key), show_has(said)));
                }
            }
            Kind::Promises(ballot, held) => {
                if said.promised.is_some_and(|promised| ballot < promised) {
                    return fault(Rule::PromisesKept, format!("promises {ballot} after a higher one"));
                }
                if said.has.is_some_and(|has| held.is_none_or(|held| held < has)) {
                    let held = held.map_or("nothing".into(), show);
                    return fault(Rule::PromisesKept, format!("shows {held}, had said {}", show_has(said)));
                }
                if disk.and_then(|disk| disk.promised).is_none_or(|promised| promised < ballot) {
                    return fault(Rule::DurableBeforeSaid, format!("promises {ballot}, which is not on its disk"));
                }
                let on_disk = disk.and_then(|disk| disk.held.as_ref()).map(|(ballot, version, _)| (*ballot, *version));
                if held > on_disk {
                    return fault(Rule::DurableBeforeSaid, "shows what is not on its disk".into());
                }
                said.promised = Some(ballot);
                said.has = said.has.max(held);
            }
            Kind::Refuses(promised) => {
                if said.promised.is_some_and(|said| promised < said) {
                    return fault(Rule::PromisesKept, format!("names {promised} as its promise after a higher one"));
                }
            }
        }
        Ok(())
    }

    /// A write is on the disk of `store`, which must not have promised a higher ballot before.
    pub fn written(&mut self, store: StoreId, task: TaskId, key: Key) -> Result<(), Violation> {
        let said = self.stores.get(&store).and_then(|tasks| tasks.get(&task));
        match said.and_then(|said| said.promised) {
            Some(promised) if key.0 < promised => Err(Violation::new(
                Rule::PromisesKept,
                format!("{task}: store {store} takes {} after it promised {promised}", show(key)),
            )),
            _ => Ok(()),
        }
    }
}

enum Kind {
    Has(Key),
    IsAt(Key),
    Promises(Ballot, Option<Key>),
    Refuses(Ballot),
}

fn show(key: Key) -> String {
    format!("{} {:?}", key.0, key.1)
}

fn show_has(said: &Said) -> String {
    said.has.map_or("nothing".into(), show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::{ballot, birth, register, task};
    use mesh_proto::task::Held;

    const STORE: StoreId = StoreId(1);

    fn promise(term: u32, held: Option<Key>) -> Item {
        let held =
            held.map(|(ballot, version)| Held { birth: birth(1), ballot, version, register: register(&[0, 1, 2], 1) });
        Item::Promise { task: task(1), ballot: ballot(term, 1), held }
    }

    fn wrote(key: Key) -> Item {
        Item::Wrote { task: task(1), ballot: key.0, version: key.1 }
    }

    fn disk(term: u32, held: Option<Key>) -> Record {
        let held = held.map(|(ballot, version)| (ballot, version, register(&[0, 1, 2], 1)));
        Record { promised: Some(ballot(term, 1)), held }
    }

    fn key(term: u32, version: u32) -> Key {
        (ballot(term, 1), Version(version))
    }

    #[test]
    fn what_is_said_and_not_on_disk_is_found() {
        let mut promises = Promises::default();
        let said = promises.sent(STORE, &wrote(key(0, 1)), None, |_| false).unwrap_err();
        assert_eq!(said.rule, Rule::DurableBeforeSaid);
        let said = promises.sent(STORE, &promise(3, None), Some(&disk(2, None)), |_| true).unwrap_err();
        assert_eq!(said.rule, Rule::DurableBeforeSaid);
        let on_disk = disk(3, Some(key(0, 1)));
        let said = promises.sent(STORE, &promise(3, Some(key(0, 2))), Some(&on_disk), |_| true).unwrap_err();
        assert_eq!(said.rule, Rule::DurableBeforeSaid);
        promises.sent(STORE, &promise(3, Some(key(0, 1))), Some(&on_disk), |_| true).unwrap();
    }

    #[test]
    fn a_promise_that_goes_down_is_found() {
        let mut promises = Promises::default();
        let on_disk = disk(9, None);
        promises.sent(STORE, &promise(3, None), Some(&on_disk), |_| true).unwrap();
        promises.sent(STORE, &promise(3, None), Some(&on_disk), |_| true).unwrap();
        let said = promises.sent(STORE, &promise(2, None), Some(&on_disk), |_| true).unwrap_err();
        assert_eq!(said.rule, Rule::PromisesKept);
        let refused = Item::Refused { task: task(1), ballot: ballot(1, 2), promised: ballot(2, 1) };
        assert_eq!(promises.sent(STORE, &refused, None, |_| true).unwrap_err().rule, Rule::PromisesKept);
        assert_eq!(promises.written(STORE, task(1), key(2, 7)).unwrap_err().rule, Rule::PromisesKept);
        promises.written(STORE, task(1), key(3, 1)).unwrap();
        // Another life of the disk promised nothing.
        promises.sent(StoreId(2), &promise(2, None), Some(&on_disk), |_| true).unwrap();
    }

    #[test]
    fn a_record_that_is_taken_back_is_found() {
        let mut promises = Promises::default();
        promises.sent(STORE, &wrote(key(0, 2)), None, |_| true).unwrap();
        let on_disk = disk(9, Some(key(0, 1)));
        for held in [None, Some(key(0, 1))] {
            let said = promises.sent(STORE, &promise(3, held), Some(&on_disk), |_| true).unwrap_err();
            assert_eq!(said.rule, Rule::PromisesKept);
        }
        let pull = Item::Pull { task: task(1), ballot: ballot(0, 1), version: Version(1) };
        assert_eq!(promises.sent(STORE, &pull, None, |_| true).unwrap_err().rule, Rule::PromisesKept);
        promises.dropped(STORE, &task(1));
        promises.sent(STORE, &promise(3, None), Some(&on_disk), |_| true).unwrap();
    }
}
