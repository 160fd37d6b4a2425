//! Whether a history of one register can have happened in one order. After Wing and Gong, *Testing and Verifying Concurrent
//! Objects*, 1993, with the memory of Lowe's *Testing for Linearizability*: a set of operations that led to a state once
//! and to no end is not tried again.

use std::collections::{BTreeMap, HashSet};

/// One operation as its user saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub kind: Kind,
    pub asked: u64,
    /// None if it may have happened, at any time since, or not at all.
    pub answered: Option<u64>,
    /// Agreed time when it was asked for, and when it was answered: it happened in between. Without an answer the latter
    /// is the end of time.
    pub time: (u64, u64),
    /// Of a write, the milliseconds after which it is there no more. Default never.
    pub ttl_ms: Option<u64>,
}

/// What it does to the register, which holds the number of a write or nothing; and what was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Put(u32),
    Get(Option<u32>),
    Delete {
        found: bool,
    },
    MaybeDelete,
    /// It found what it must.
    Swap {
        expect: Option<u32>,
        to: Option<u32>,
    },
    MaybeSwap {
        expect: Option<u32>,
        to: Option<u32>,
    },
    /// It found something else: which, where that is known.
    Mismatch {
        expect: Option<u32>,
        is_there: bool,
        known: Option<u32>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linear,
    Not,
    /// Too many were under way at once to look at all orders.
    TooLong,
}

type State = Option<u32>;

/// States that are looked at.
const MOST: usize = 300_000;

pub fn check(operations: &[Operation]) -> Verdict {
    let mut search = Search { operations, fleeting: fleeting(operations), tried: HashSet::new() };
    let mut done = vec![0u64; operations.len().div_ceil(64)];
    match search.go(&mut done, None) {
        Some(true) => Verdict::Linear,
        Some(false) => Verdict::Not,
        None => Verdict::TooLong,
    }
}

/// By write: the agreed time before which it is not gone, and that from which on it is.
type Ends = BTreeMap<u32, (u64, u64)>;

struct Search<'a> {
    operations: &'a [Operation],
    /// Writes that end.
    fleeting: Ends,
    tried: HashSet<(Vec<u64>, State)>,
}

fn fleeting(operations: &[Operation]) -> Ends {
    let ends = operations.iter().filter_map(|one| {
        let (asked, answered) = one.time;
        let ttl = one.ttl_ms?;
        let ends = (asked.saturating_add(ttl), answered.saturating_add(ttl));
        match one.kind {
            Kind::Put(write) | Kind::Swap { to: Some(write), .. } | Kind::MaybeSwap { to: Some(write), .. } => {
                Some((write, ends))
            }
            _ => None,
        }
    });
    ends.collect()
}

impl Search<'_> {
    /// Whether the rest fits behind what is done; none if that is too much to find out.
    fn go(&mut self, done: &mut [u64], state: State) -> Option<bool> {
        let mut state = state;
        let mut taken = Vec::new();
        let result = loop {
            let left = |operation: &usize| !has(done, *operation);
            let ends = |operation: usize| self.operations[operation].answered.unwrap_or(u64::MAX);
            let all: Vec<usize> = (0..self.operations.len()).filter(left).collect();
            let first_end = all.iter().map(|operation| ends(*operation)).min().unwrap_or(u64::MAX);
            if first_end == u64::MAX {
                break Some(true);
            }
            let next: Vec<usize> =
                all.into_iter().filter(|operation| self.operations[*operation].asked <= first_end).collect();
            // What is as it was told and changes nothing can as well be first.
            let idle = next.iter().find(|operation| {
                let one = &self.operations[**operation];
                one.answered.is_some()
                    && self.found(one, state).contains(&Some(state))
                    && apply(one.kind, state) == Some(state)
            });
            if let Some(&idle) = idle {
                set(done, idle);
                taken.push(idle);
                continue;
            }
            if self.tried.len() >= MOST {
                break None;
            }
            if !self.tried.insert((done.to_vec(), state)) {
                break Some(false);
            }
            break self.branch(done, &mut state, &next);
        };
        taken.into_iter().for_each(|operation| unset(done, operation));
        result
    }

    fn branch(&mut self, done: &mut [u64], state: &mut State, next: &[usize]) -> Option<bool> {
        for &operation in next {
            let one = self.operations[operation];
            for there in self.found(&one, *state).into_iter().flatten() {
                let Some(then) = apply(one.kind, there) else { continue };
                set(done, operation);
                let found = self.go(done, then);
                unset(done, operation);
                if found != Some(false) {
                    return found;
                }
            }
        }
        Some(false)
    }

    /// What an operation may find where this was written: the same, or nothing where that has come to its end.
    fn found(&self, operation: &Operation, state: State) -> [Option<State>; 2] {
        let ends = state.and_then(|write| self.fleeting.get(&write));
        let Some((earliest, latest)) = ends else { return [Some(state), None] };
        let (asked, answered) = operation.time;
        [(asked < *latest).then_some(state), (answered >= *earliest).then_some(None)]
    }
}

/// The state behind it; none if it cannot have been told so.
fn apply(kind: Kind, state: State) -> Option<State> {
    match kind {
        Kind::Put(write) => Some(Some(write)),
        Kind::Get(value) => (value == state).then_some(state),
        Kind::Delete { found } => (found == state.is_some()).then_some(None),
        Kind::MaybeDelete => Some(None),
        Kind::Swap { expect, to } => (expect == state).then_some(to),
        Kind::MaybeSwap { expect, to } => Some(if expect == state { to } else { state }),
        Kind::Mismatch { expect, is_there, known } => {
            let fits = expect != state && is_there == state.is_some() && known.is_none_or(|known| Some(known) == state);
            fits.then_some(state)
        }
    }
}

fn has(done: &[u64], operation: usize) -> bool {
    done[operation / 64] & 1 << (operation % 64) != 0
}

fn set(done: &mut [u64], operation: usize) {
    done[operation / 64] |= 1 << (operation % 64);
}

fn unset(done: &mut [u64], operation: usize) {
    done[operation / 64] &= !(1 << (operation % 64));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: Kind, asked: u64, answered: u64) -> Operation {
        Operation { kind, asked, answered: Some(answered), time: (asked, answered), ttl_ms: None }
    }

    #[test]
    fn what_overlaps_may_be_in_either_order() {
        let both = [one(Kind::Put(1), 0, 10), one(Kind::Put(2), 5, 15)];
        for value in [1, 2] {
            let history = [&both[..], &[one(Kind::Get(Some(value)), 20, 30)]].concat();
            assert_eq!(check(&history), Verdict::Linear);
        }
        let history = [&both[..], &[one(Kind::Get(Some(1)), 20, 30), one(Kind::Get(Some(2)), 31, 40)]].concat();
        assert_eq!(check(&history), Verdict::Not);
    }

    #[test]
    fn what_came_before_is_before() {
        let history = [one(Kind::Put(1), 0, 10), one(Kind::Put(2), 11, 20), one(Kind::Get(Some(1)), 21, 30)];
        assert_eq!(check(&history), Verdict::Not);
    }

    #[test]
    fn what_has_no_answer_may_have_happened_or_not() {
        let lost = Operation { answered: None, time: (0, u64::MAX), ..one(Kind::Put(1), 0, 0) };
        for value in [None, Some(1)] {
            assert_eq!(check(&[lost, one(Kind::Get(value), 20, 30)]), Verdict::Linear);
        }
        let there_and_gone = [lost, one(Kind::Get(Some(1)), 20, 30), one(Kind::Get(None), 31, 40)];
        assert_eq!(check(&there_and_gone), Verdict::Not);
    }

    #[test]
    fn swaps_and_deletions_tell_what_they_found() {
        let put = one(Kind::Put(1), 0, 10);
        let swap = |expect, to, at| one(Kind::Swap { expect, to }, at, at + 5);
        assert_eq!(check(&[put, swap(Some(1), Some(2), 11), swap(Some(2), None, 20)]), Verdict::Linear);
        assert_eq!(check(&[put, swap(Some(2), Some(3), 11)]), Verdict::Not);
        assert_eq!(check(&[put, one(Kind::Delete { found: false }, 11, 12)]), Verdict::Not);
        let mismatch = Kind::Mismatch { expect: None, is_there: true, known: Some(1) };
        assert_eq!(check(&[put, one(mismatch, 11, 12)]), Verdict::Linear);
    }

    #[test]
    fn what_was_written_for_a_time_is_there_until_then_and_no_longer() {
        // It ends between 100 and 110.
        let put = Operation { ttl_ms: Some(100), ..one(Kind::Put(1), 0, 10) };
        let read = |value, at| one(Kind::Get(value), at, at + 5);
        for (value, at, verdict) in [
            (Some(1), 90, Verdict::Linear),
            (None, 90, Verdict::Not),
            (Some(1), 105, Verdict::Linear),
            (None, 105, Verdict::Linear),
            (Some(1), 110, Verdict::Not),
            (None, 110, Verdict::Linear),
        ] {
            assert_eq!(check(&[put, read(value, at)]), verdict, "{value:?} at {at}");
        }
        assert_eq!(check(&[put, read(None, 105), read(Some(1), 111)]), Verdict::Not, "it does not come back");
        let swap = one(Kind::Swap { expect: None, to: Some(2) }, 120, 125);
        assert_eq!(check(&[put, swap, read(Some(2), 130)]), Verdict::Linear);
        let kept = one(Kind::Put(2), 50, 55);
        assert_eq!(check(&[put, kept, read(Some(2), 130)]), Verdict::Linear, "a later write has its own end");
        assert_eq!(check(&[put, kept, read(None, 130)]), Verdict::Not);
    }
}
