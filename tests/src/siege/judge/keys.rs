use crate::check::{Action, Memory, Rule, Told as Seen, Violation};
use crate::siege::line::{Found, Operation, Outcome, Told, Wish};
use std::collections::{BTreeMap, BTreeSet};

/// Keys that are only ever counted up.
pub const COUNTER: &str = "count";

/// Each key's history, with what was there in the end as its last question. How many were looked at, and of how many too
/// much was asked at once.
pub fn judge(operations: &[Operation], read: Option<(u64, u64)>, found: &[Found]) -> Result<(u64, u64), Violation> {
    let mut memory = Memory::default();
    let mut keys = BTreeSet::new();
    let mut last = 0;
    for operation in operations {
        let (Some(key), Some(action)) = (operation.wish.key(), action(&operation.wish)) else { continue };
        last = last.max(operation.number);
        if matches!(operation.outcome, Outcome::Refused(_)) {
            continue;
        }
        keys.insert(key);
        memory.asked(key, operation.number, action, None, operation.asked);
        if let (Some(told), Some(at)) = (operation.told().and_then(seen), operation.answered) {
            memory.told(key, operation.number, told, at)?;
        }
    }
    if let Some((asked, answered)) = read {
        let mut there = BTreeMap::new();
        for found in found {
            keys.insert(&found.key);
            there.insert(found.key.as_str(), (found.version, found.write));
        }
        for key in keys {
            last = last.saturating_add(1);
            memory.asked(key, last, Action::Get, None, asked);
            memory.told(key, last, Seen::Value(there.get(key).copied()), answered)?;
        }
    }
    let judged = memory.judge()?;
    Ok((judged.checked, judged.open))
}

/// Each step of a counter was by one swap, and each swap was a step: what is there is as many as were told to be done, and
/// some of those of which nobody knows.
pub fn counters(operations: &[Operation], found: &[Found]) -> Result<(), Violation> {
    let mut steps: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for operation in operations {
        let Wish::Swap { key, writes: true, .. } = &operation.wish else { continue };
        let (done, open) = steps.entry(key).or_default();
        *done += u64::from(matches!(operation.told(), Some(Told::Written { .. })));
        *open += u64::from(operation.is_open());
    }
    for found in found.iter().filter(|found| found.key.starts_with(COUNTER)) {
        let (done, open) = steps.get(found.key.as_str()).copied().unwrap_or_default();
        if !(done..=done + open).contains(&found.count) {
            let what = format!("{} counts {}, by {done} steps and {open} that may be", found.key, found.count);
            return Err(Violation::new(Rule::ExactlyOnce, what));
        }
    }
    Ok(())
}

fn action(wish: &Wish) -> Option<Action> {
    match wish {
        Wish::Put { .. } => Some(Action::Put),
        Wish::Get { .. } => Some(Action::Get),
        Wish::Delete { .. } => Some(Action::Delete),
        Wish::Swap { expect, writes, .. } => Some(Action::Swap { expect: *expect, writes: *writes }),
        Wish::Lock { .. } | Wish::Renew { .. } | Wish::Unlock { .. } | Wish::Propose | Wish::Vote { .. } => None,
    }
}

fn seen(told: &Told) -> Option<Seen> {
    match told {
        Told::Written { version } => Some(Seen::Written { version: *version }),
        Told::Deleted { found } => Some(Seen::Deleted { found: *found }),
        Told::Value { version, write, .. } => Some(Seen::Value(Some((*version, *write)))),
        Told::Nothing => Some(Seen::Value(None)),
        Told::Mismatch { version } => Some(Seen::Mismatch { version: *version }),
        Told::Granted { .. }
        | Told::Held
        | Told::NotHeld
        | Told::Released
        | Told::Proposed { .. }
        | Told::Voted { .. }
        | Told::Rejected { .. } => None,
    }
}
