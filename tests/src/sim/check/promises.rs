//! What every store has said, which it may never take back: not before a crash, not after one.

use super::{Rule, Violation, disks::Record, registers::Key, task_map::TaskMap};
use mesh_proto::{
    id::{LogPosition, StoreId, TaskId},
    task::{Ballot, Item, Version},
};
use std::collections::BTreeMap;

/// What ever was on the disk of the store that says something: what was dropped since, being out of retention or given
/// up by its gateway, was no lie.
pub trait Past {
    fn was_written(&self, key: Key) -> bool;
    /// It, or a later version of the same driver, which stands for it, was written.
    fn was_reached(&self, key: Key) -> bool;
    fn was_promised(&self, ballot: Ballot) -> bool;
}

/// What was said, by store.
#[derive(Default)]
pub struct Promises {
    stores: BTreeMap<StoreId, TaskMap<Said>>,
}

/// What one store said of one task.
#[derive(Default)]
struct Said {
    /// The highest promise, and the record that it rests on.
    promised: Option<(Ballot, LogPosition)>,
    /// The highest that it said is on its disk, and the record that this rests on.
    has: Option<(Key, LogPosition)>,
}

impl Promises {
    /// The record is gone from the disk, and with it what was promised of it: how that can be is for the other
    /// checkers to find.
    pub fn dropped(&mut self, store: StoreId, task: &TaskId) {
        if let Some(said) = self.stores.get_mut(&store) {
            said.remove(task);
        }
    }

    /// `store` sends `item`, which rests on its record `after`, with this on its disk.
    pub fn sent(
        &mut self,
        store: StoreId,
        item: &Item,
        after: LogPosition,
        disk: Option<&Record>,
        past: &impl Past,
    ) -> Result<(), Violation> {
        let (task, kind) = match item {
            Item::Placed { task, ballot } => (*task, Kind::Has((*ballot, Version::BIRTH))),
            Item::Wrote { task, ballot, version } => (*task, Kind::Has((*ballot, *version))),
            Item::Pull { task, ballot, version } => (*task, Kind::IsAt((*ballot, *version))),
            Item::Promise { task, ballot, held } => {
                (*task, Kind::Promises(*ballot, held.as_ref().map(|held| (held.ballot, held.version))))
            }
            Item::Refused { task, promised, .. } => (*task, Kind::Refuses(*promised)),
            Item::Prepare { task, ballot, .. } => (*task, Kind::Prepares(*ballot)),
            Item::Write { task, ballot, version, .. } => (*task, Kind::Writes((*ballot, *version))),
            _ => return Ok(()),
        };
        let said = self.stores.entry(store).or_default().entry(task).or_default();
        let fault = |rule, what: String| Err(Violation::new(rule, format!("{task}: store {store} {what}")));
        // What was decided in one turn leaves by destination, not in the order of its making: only what was said in an
        // earlier turn is taken back.
        let promised_before = said.promised.filter(|(_, at)| *at < after).map(|(ballot, _)| ballot);
        let had = said.has.filter(|(_, at)| *at < after).map(|(key, _)| key);
        let on_disk = disk.and_then(|disk| disk.held.as_ref()).map(|(ballot, version, _)| (*ballot, *version));
        match kind {
            Kind::Has(key) => {
                // Not only now: what it took since may leave before this does (simulator, seed 49906).
                if !past.was_reached(key) {
                    return fault(Rule::DurableBeforeSaid, format!("says it has {}, which was never there", show(key)));
                }
                // A repeat of what it accepted before it promised is no lie. What was dropped meanwhile, because the
                // gateway gave it up, binds nobody.
                if on_disk >= Some(key) {
                    said.has = said.has.max(Some((key, after)));
                }
            }
            Kind::Writes(key) => {
                if !past.was_written(key) {
                    return fault(Rule::DurableBeforeSaid, format!("writes {}, which was never there", show(key)));
                }
            }
            Kind::Prepares(ballot) => {
                if !past.was_promised(ballot) {
                    return fault(Rule::DurableBeforeSaid, format!("asks for {ballot}, which was never on its disk"));
                }
            }
            Kind::IsAt(key) => {
                if had.is_some_and(|has| key < has) {
                    return fault(Rule::PromisesKept, format!("is at {}, had said {}", show(key), show_has(had)));
                }
            }
            Kind::Promises(ballot, held) => {
                if promised_before.is_some_and(|promised| ballot < promised) {
                    return fault(Rule::PromisesKept, format!("promises {ballot} after a higher one"));
                }
                if had.is_some_and(|has| held.is_none_or(|held| held < has)) {
                    let held = held.map_or("nothing".into(), show);
                    return fault(Rule::PromisesKept, format!("shows {held}, had said {}", show_has(had)));
                }
                if !past.was_promised(ballot) {
                    return fault(Rule::DurableBeforeSaid, format!("promises {ballot}, which was never on its disk"));
                }
                if held.is_some_and(|held| !past.was_written(held)) {
                    return fault(Rule::DurableBeforeSaid, "shows what was never on its disk".into());
                }
                // What was released meanwhile, since a majority has gone on without it, binds nobody.
                let is_kept = disk.and_then(|disk| disk.promised) >= Some(ballot);
                if is_kept && said.promised.is_none_or(|(promised, _)| promised <= ballot) {
                    said.promised = Some((ballot, after));
                }
                said.has = said.has.max(held.map(|held| (held, after)));
            }
            Kind::Refuses(promised) => {
                if promised_before.is_some_and(|said| promised < said) {
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
            Some((promised, _)) if key.0 < promised => Err(Violation::new(
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
    Prepares(Ballot),
    Writes(Key),
}

fn show(key: Key) -> String {
    format!("{} {:?}", key.0, key.1)
}

fn show_has(had: Option<Key>) -> String {
    had.map_or("nothing".into(), show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::sample::{ballot, birth, register, task};
    use mesh_proto::task::Held;

    const STORE: StoreId = StoreId(1);

    /// Promised up to a term, and everything written or nothing.
    struct Had {
        term: u32,
        is_written: bool,
    }

    const NOTHING: Had = Had { term: 0, is_written: false };
    const ALL: Had = Had { term: 9, is_written: true };

    impl Past for Had {
        fn was_written(&self, _: Key) -> bool {
            self.is_written
        }

        fn was_reached(&self, _: Key) -> bool {
            self.is_written
        }

        fn was_promised(&self, ballot: Ballot) -> bool {
            ballot.term <= self.term
        }
    }

    /// Says it on the strength of record `after`.
    fn says(
        promises: &mut Promises,
        item: &Item,
        after: u64,
        disk: Option<&Record>,
        past: &Had,
    ) -> Result<(), Violation> {
        promises.sent(STORE, item, LogPosition(after), disk, past)
    }

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
        Record { promised: Some(ballot(term, 1)), held, birth: None }
    }

    fn key(term: u32, version: u32) -> Key {
        (ballot(term, 1), Version(version))
    }

    #[test]
    fn what_is_said_and_not_on_disk_is_found() {
        let mut promises = Promises::default();
        let said = says(&mut promises, &wrote(key(0, 1)), 1, None, &NOTHING).unwrap_err();
        assert_eq!(said.rule, Rule::DurableBeforeSaid);
        let said =
            says(&mut promises, &promise(3, None), 2, Some(&disk(2, None)), &Had { term: 2, ..ALL }).unwrap_err();
        assert_eq!(said.rule, Rule::DurableBeforeSaid);
        let on_disk = disk(3, Some(key(0, 1)));
        let said =
            says(&mut promises, &promise(3, Some(key(0, 2))), 3, Some(&on_disk), &Had { is_written: false, ..ALL })
                .unwrap_err();
        assert_eq!(said.rule, Rule::DurableBeforeSaid);
        says(&mut promises, &promise(3, Some(key(0, 1))), 4, Some(&on_disk), &ALL).unwrap();
    }

    #[test]
    fn a_promise_that_goes_down_is_found() {
        let mut promises = Promises::default();
        let on_disk = disk(9, None);
        says(&mut promises, &promise(3, None), 5, Some(&on_disk), &ALL).unwrap();
        says(&mut promises, &promise(3, None), 6, Some(&on_disk), &ALL).unwrap();
        let said = says(&mut promises, &promise(2, None), 7, Some(&on_disk), &ALL).unwrap_err();
        assert_eq!(said.rule, Rule::PromisesKept);
        let refused = Item::Refused { task: task(1), ballot: ballot(1, 2), promised: ballot(2, 1) };
        assert_eq!(says(&mut promises, &refused, 8, None, &ALL).unwrap_err().rule, Rule::PromisesKept);
        assert_eq!(promises.written(STORE, task(1), key(2, 7)).unwrap_err().rule, Rule::PromisesKept);
        promises.written(STORE, task(1), key(3, 1)).unwrap();
        // Another life of the disk promised nothing.
        promises.sent(StoreId(2), &promise(2, None), LogPosition(9), Some(&on_disk), &ALL).unwrap();
    }

    #[test]
    fn a_record_that_is_taken_back_is_found() {
        let mut promises = Promises::default();
        says(&mut promises, &wrote(key(0, 2)), 10, Some(&disk(0, Some(key(0, 2)))), &ALL).unwrap();
        let on_disk = disk(9, Some(key(0, 1)));
        for held in [None, Some(key(0, 1))] {
            let said = says(&mut promises, &promise(3, held), 11, Some(&on_disk), &ALL).unwrap_err();
            assert_eq!(said.rule, Rule::PromisesKept);
        }
        let pull = Item::Pull { task: task(1), ballot: ballot(0, 1), version: Version(1) };
        assert_eq!(says(&mut promises, &pull, 12, None, &ALL).unwrap_err().rule, Rule::PromisesKept);
        promises.dropped(STORE, &task(1));
        says(&mut promises, &promise(3, None), 13, Some(&on_disk), &ALL).unwrap();
    }
}
