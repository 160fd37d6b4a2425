//! Numbers that grow in time: of two operations, one of which was answered before the other was asked, the later has the
//! higher one.

use crate::check::{Rule, Violation};
use crate::siege::line::{Operation, Told};
use std::collections::BTreeMap;

/// All operations run in one order of batches, whatever they are about.
pub fn of_batches(operations: &[Operation]) -> Result<(), Violation> {
    grows("batch", operations.iter().filter_map(|operation| Some((operation.index?, operation))).collect())
}

/// The versions of a key.
pub fn of_versions(operations: &[Operation]) -> Result<(), Violation> {
    let mut keys: BTreeMap<&str, Vec<(u64, &Operation)>> = BTreeMap::new();
    for operation in operations {
        if let (Some(key), Some(Told::Written { version })) = (operation.wish.key(), operation.told()) {
            keys.entry(key).or_default().push((*version, operation));
        }
    }
    keys.into_values().try_for_each(|writes| grows("version", writes))
}

fn grows(what: &str, mut numbered: Vec<(u64, &Operation)>) -> Result<(), Violation> {
    numbered.sort_by_key(|(number, operation)| (*number, operation.asked));
    // Of those with lower numbers, or the same, the one that was asked last.
    let mut latest: Option<&Operation> = None;
    for group in numbered.chunk_by(|one, other| one.0 == other.0) {
        let later = |one: Option<&'_ Operation>, other: &Operation| one.is_none_or(|one| one.asked < other.asked);
        for (_, operation) in group {
            if later(latest, operation) {
                latest = Some(operation);
            }
        }
        for (number, operation) in group {
            if let (Some(latest), Some(answered)) = (latest, operation.answered)
                && answered < latest.asked
            {
                let text =
                    format!("{what} {number} of {operation:?} is not below that of {latest:?}, which came later");
                return Err(Violation::new(Rule::Linearizable, text));
            }
        }
    }
    Ok(())
}
