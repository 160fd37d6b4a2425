use super::linear::{self, Kind, Operation, Verdict};
use crate::check::{Rule, Violation};
use mesh_proto::time::Wall;
use std::collections::BTreeMap;

/// What users did to the shared memory, and were told of it. Each value is written once at most.
#[derive(Default)]
pub struct Memory {
    keys: BTreeMap<String, Key>,
    /// The latest agreed time that any correct replica has come to.
    time: Wall,
}

#[derive(Default)]
struct Key {
    history: Vec<Entry>,
    /// Which write has which version.
    versions: BTreeMap<u64, u32>,
    writes: BTreeMap<u32, u64>,
}

#[derive(Clone, Debug)]
struct Entry {
    want: u32,
    action: Action,
    asked: u64,
    told: Option<(u64, Told)>,
    /// Agreed time when it was asked for, and when somebody was told of it.
    time: (Wall, Wall),
    ttl_ms: Option<u64>,
}

/// What is wanted of a key. A write is named by who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Put,
    Get,
    Delete,
    /// With the version that it must find, none for nothing; and whether it writes, or deletes.
    Swap {
        expect: Option<u64>,
        writes: bool,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Written {
        version: u64,
    },
    Deleted {
        found: bool,
    },
    /// Version, and whose write.
    Value(Option<(u64, u32)>),
    Mismatch {
        version: Option<u64>,
    },
}

/// Histories of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub checked: u64,
    /// Too much had been asked at once.
    pub open: u64,
    /// They have no order unless something came to its end.
    pub ended: u64,
}

impl Memory {
    /// What correct replicas have come to in agreed time.
    pub fn is_at(&mut self, time: Wall) {
        self.time = self.time.max(time);
    }

    /// With a time to live, if it writes for a time only.
    pub fn asked(&mut self, key: &str, want: u32, action: Action, ttl_ms: Option<u64>, at: u64) {
        let time = (self.time, Wall(u64::MAX));
        let history = &mut self.keys.entry(key.to_owned()).or_default().history;
        history.push(Entry { want, action, asked: at, told: None, time, ttl_ms });
    }

    pub fn told(&mut self, key: &str, want: u32, told: Told, at: u64) -> Result<(), Violation> {
        let Some(found) = self.keys.get_mut(key) else { return Ok(()) };
        let pair = match told {
            Told::Written { version } => Some((version, want)),
            Told::Value(value) => value,
            Told::Deleted { .. } | Told::Mismatch { .. } => None,
        };
        if let Some((version, write)) = pair {
            let other = *found.versions.entry(version).or_insert(write);
            let before = *found.writes.entry(write).or_insert(version);
            if other != write || before != version {
                let what = format!("{key}: the write of {write} is version {version}, and was {before}, or {other}'s");
                return Err(Violation::new(Rule::ExactlyOnce, what));
            }
        }
        if let Some(entry) = found.history.iter_mut().find(|entry| entry.want == want && entry.told.is_none()) {
            entry.told = Some((at, told));
            entry.time.1 = self.time;
        }
        Ok(())
    }

    /// Looks at each key on its own: operations on several keys there are none.
    pub fn judge(&self) -> Result<Judged, Violation> {
        let mut judged = Judged::default();
        for (name, key) in &self.keys {
            let mut operations = key.operations();
            match linear::check(&operations) {
                Verdict::Linear => judged.checked += 1,
                Verdict::TooLong => judged.open += 1,
                Verdict::Not => {
                    let lines: Vec<String> = key.history.iter().map(|entry| format!("{entry:?}")).collect();
                    let what = format!("{name} has no order:\n{}", lines.join("\n"));
                    return Err(Violation::new(Rule::Linearizable, what));
                }
            }
            let fleeting = operations.iter_mut().map(|one| one.ttl_ms.take()).filter(Option::is_some).count();
            judged.ended += u64::from(fleeting > 0 && linear::check(&operations) == Verdict::Not);
        }
        Ok(judged)
    }
}

impl Key {
    fn operations(&self) -> Vec<Operation> {
        self.history.iter().filter_map(|entry| self.operation(entry)).collect()
    }

    /// Values are told apart by who wrote them.
    fn operation(&self, entry: &Entry) -> Option<Operation> {
        let told = entry.told.map(|(_, told)| told);
        // A version that nobody was told of is none that anybody has seen.
        let write_of = |version: u64| self.versions.get(&version).copied().unwrap_or(u32::MAX);
        let kind = match (entry.action, told) {
            (Action::Put, _) => Kind::Put(entry.want),
            (Action::Get, Some(Told::Value(value))) => Kind::Get(value.map(|(_, write)| write)),
            // Nobody was told, and it changes nothing.
            (Action::Get, _) => return None,
            (Action::Delete, None) => Kind::MaybeDelete,
            (Action::Delete, Some(told)) => Kind::Delete { found: told == Told::Deleted { found: true } },
            (Action::Swap { expect, writes }, told) => {
                let expect = expect.map(write_of);
                let to = writes.then_some(entry.want);
                match told {
                    None => Kind::MaybeSwap { expect, to },
                    Some(Told::Mismatch { version }) => {
                        let known = version.and_then(|version| self.versions.get(&version).copied());
                        Kind::Mismatch { expect, is_there: version.is_some(), known }
                    }
                    Some(_) => Kind::Swap { expect, to },
                }
            }
        };
        let time = (entry.time.0.0, entry.time.1.0);
        let answered = entry.told.map(|(at, _)| at);
        Some(Operation { kind, asked: entry.asked, answered, time, ttl_ms: entry.ttl_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_acknowledged_is_seen() {
        let mut memory = Memory::default();
        memory.asked("k", 1, Action::Put, None, 0);
        memory.told("k", 1, Told::Written { version: 7 }, 10).unwrap();
        memory.asked("k", 2, Action::Get, None, 20);
        memory.told("k", 2, Told::Value(Some((7, 1))), 30).unwrap();
        assert_eq!(memory.judge(), Ok(Judged { checked: 1, ..Judged::default() }));
        memory.asked("k", 3, Action::Get, None, 40);
        memory.told("k", 3, Told::Value(None), 50).unwrap();
        assert_eq!(memory.judge().unwrap_err().rule, Rule::Linearizable);
    }

    #[test]
    fn a_write_has_one_version() {
        let mut memory = Memory::default();
        memory.asked("k", 1, Action::Put, None, 0);
        memory.told("k", 1, Told::Written { version: 7 }, 10).unwrap();
        memory.asked("k", 2, Action::Get, None, 20);
        let again = memory.told("k", 2, Told::Value(Some((9, 1))), 30);
        assert_eq!(again.unwrap_err().rule, Rule::ExactlyOnce);
    }

    #[test]
    fn a_swap_finds_what_it_must() {
        let mut memory = Memory::default();
        memory.asked("k", 1, Action::Put, None, 0);
        memory.told("k", 1, Told::Written { version: 7 }, 10).unwrap();
        memory.asked("k", 2, Action::Swap { expect: Some(7), writes: true }, None, 20);
        memory.told("k", 2, Told::Written { version: 8 }, 30).unwrap();
        memory.asked("k", 3, Action::Swap { expect: Some(7), writes: false }, None, 40);
        memory.told("k", 3, Told::Mismatch { version: Some(8) }, 50).unwrap();
        assert_eq!(memory.judge(), Ok(Judged { checked: 1, ..Judged::default() }));
        memory.asked("k", 4, Action::Swap { expect: None, writes: false }, None, 60);
        memory.told("k", 4, Told::Deleted { found: false }, 70).unwrap();
        assert_eq!(memory.judge().unwrap_err().rule, Rule::Linearizable);
    }

    /// It was written between 1,000 and 1,010 of agreed time, for 100 ms.
    #[test]
    fn a_write_for_a_time_is_gone_in_time_and_not_before() {
        let read_at = |time: u64, value| {
            let mut memory = Memory::default();
            memory.is_at(Wall(1_000));
            memory.asked("k", 1, Action::Put, Some(100), 0);
            memory.is_at(Wall(1_010));
            memory.told("k", 1, Told::Written { version: 7 }, 10).unwrap();
            memory.is_at(Wall(time));
            memory.asked("k", 2, Action::Get, None, 20);
            memory.told("k", 2, Told::Value(value), 30).unwrap();
            memory.judge()
        };
        let judged = |ended| Ok(Judged { checked: 1, ended, ..Judged::default() });
        assert_eq!(read_at(1_050, Some((7, 1))), judged(0));
        assert!(read_at(1_050, None).is_err());
        assert_eq!(read_at(1_105, None), judged(1));
        assert_eq!(read_at(1_200, None), judged(1));
        assert!(read_at(1_200, Some((7, 1))).is_err());
    }
}
