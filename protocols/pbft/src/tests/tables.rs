//! The client table.

use super::bench::{epoch, gateway_key, seq};
use crate::table::{Table, Verdict, entry_leaf};
use mesh_proto::{
    id::{Digest, NodeId},
    pbft::{EpochConfig, Outcome, RequestNumber},
    task::Octets,
    time::Wall,
};
use proptest::{collection::vec, prelude::*};

fn gateway(n: u8) -> NodeId {
    gateway_key(100 + n).node_id()
}

fn number(n: u64) -> RequestNumber {
    RequestNumber::new(n)
}

fn answer(size: usize) -> Outcome {
    Outcome::Executed(Octets::from(vec![7; size]))
}

/// What some request under this number would have for its digest.
fn digest(n: u64) -> Digest {
    Digest::of("request", &[&n.to_le_bytes()])
}

fn execute(table: &mut Table, config: &EpochConfig, who: u8, n: u64, at: u64, outcome: Outcome) {
    table.begin(config, gateway(who), number(n), digest(n), seq(at));
    table.finish(config, &gateway(who), number(n), outcome);
}

/// Checklist item 17: eviction follows sequence numbers, and whoever was evicted begins above the floor.
#[test]
fn an_evicted_gateway_cannot_repeat_what_was_executed() {
    let config = epoch(4);
    let mut table = Table::default();
    for who in 0..4 {
        execute(&mut table, &config, who, 50 + u64::from(who), 10 - u64::from(who), answer(1));
    }
    // The fifth evicts the one that was silent longest: gateway 3, executed at number 7.
    execute(&mut table, &config, 4, 60, 11, answer(1));
    assert_eq!(table.floor(), number(53));
    assert_eq!(table.judge(&config, &gateway(3), number(53), Wall(0)), Verdict::TooOld(number(53)));
    assert_eq!(table.judge(&config, &gateway(3), number(54), Wall(0)), Verdict::New);
    assert!(matches!(table.judge(&config, &gateway(0), number(50), Wall(0)), Verdict::Executed { .. }));
    assert_eq!(table.judge(&config, &gateway(9), number(5), Wall(0)), Verdict::TooOld(number(53)), "newcomers too");
}

/// Checklist item 17: nor once it has come back, though its window then reaches below the floor (found by
/// `no_correct_primary_is_left_for_what_it_has_no_room_for`).
#[test]
fn a_gateway_that_came_back_cannot_repeat_what_was_executed_before() {
    let config = epoch(4);
    let mut table = Table::default();
    for who in 0..4 {
        execute(&mut table, &config, who, 50 + u64::from(who), 10 - u64::from(who), answer(1));
    }
    execute(&mut table, &config, 4, 60, 11, answer(1));
    execute(&mut table, &config, 3, 55, 12, answer(1));
    assert!(table.floor() < number(54));
    assert_eq!(table.judge(&config, &gateway(3), number(53), Wall(0)), Verdict::TooOld(table.floor()));
    assert_eq!(table.judge(&config, &gateway(3), number(54), Wall(0)), Verdict::New, "under way beside the first");
    assert_eq!(table.judge(&config, &gateway(3), number(56), Wall(0)), Verdict::New);
}

/// Checklist item 17: a fact of a checkpoint makes the very table, whatever was let go of since the one before.
#[test]
fn what_differs_makes_the_same_table() {
    let config = EpochConfig { client_bytes: 10, ..epoch(4) };
    let mut before = Table::default();
    execute(&mut before, &config, 0, 3, 1, answer(4));
    execute(&mut before, &config, 1, 50, 2, answer(1));
    let mut table = before.clone();
    // One answer pushes another out, and is pushed out itself; four more gateways push one out.
    execute(&mut table, &config, 0, 4, 3, answer(9));
    execute(&mut table, &config, 0, 5, 4, answer(7));
    (2..5).for_each(|who| execute(&mut table, &config, who, 60, 5, answer(1)));
    let changes = table.changes_since(&before);
    let mut replayed = before.clone();
    replayed.replace(&changes, table.floor());
    assert_eq!(replayed.roots(), table.roots());
    assert_eq!(replayed, table);
    assert!(changes.iter().any(|entry| entry.executed.is_empty()), "one is gone");
    assert_eq!(table.changes_since(&table), Vec::new());
}

/// Checklist item 38: of each gateway a window of numbers and so many bytes are kept; the oldest answers go first.
#[test]
fn answers_are_kept_within_a_bound() {
    let config = EpochConfig { client_bytes: 10, ..epoch(4) };
    let mut table = Table::default();
    for n in 1..=3 {
        execute(&mut table, &config, 0, n, n, answer(4));
    }
    let judged = |n| table.judge(&config, &gateway(0), number(n), Wall(0));
    let executed = |n, outcome| Verdict::Executed { sequence: seq(n), request: digest(n), outcome };
    assert_eq!(judged(1), executed(1, Outcome::Forgotten));
    assert_eq!(judged(2), executed(2, answer(4)));
    let mut table = table.clone();
    execute(&mut table, &config, 0, 11, 4, answer(1));
    assert_eq!(table.judge(&config, &gateway(0), number(3), Wall(0)), Verdict::TooOld(number(3)));
}

/// Checklist item 17: an answer that is there twice, or not, or is of another request, is another table. Each table is
/// taken over with what its root covers.
#[test]
fn the_root_covers_numbers_places_requests_and_answers() {
    let config = epoch(4);
    let root = |n, at, request, outcome| {
        let mut table = Table::default();
        table.begin(&config, gateway(0), number(n), request, seq(at));
        table.finish(&config, &gateway(0), number(n), outcome);
        let entries: Vec<_> = table.entries().collect();
        assert_eq!(Table::from_entries(&entries, table.floor()), table);
        table.roots().root
    };
    let roots = [
        root(1, 1, digest(1), answer(1)),
        root(2, 1, digest(1), answer(1)),
        root(1, 2, digest(1), answer(1)),
        root(1, 1, digest(2), answer(1)),
        root(1, 1, digest(1), answer(2)),
        root(1, 1, digest(1), Outcome::Forgotten),
        Table::default().roots().root,
    ];
    let distinct: std::collections::BTreeSet<_> = roots.iter().collect();
    assert_eq!(distinct.len(), roots.len());
}

proptest! {
    /// Checklist items 14 and 17: outcomes may come late, a pipeline behind; the table is the same as if they had come
    /// at once, and the same again after a transfer.
    #[test]
    fn the_table_is_a_function_of_the_order(all in vec((0u8..6, 1u64..40, 0usize..9), 1..60), late in 1usize..5) {
        let config = EpochConfig { client_bytes: 16, ..epoch(4) };
        let (mut at_once, mut piped) = (Table::default(), Table::default());
        let mut pending = std::collections::VecDeque::new();
        for (place, (who, n, size)) in all.into_iter().enumerate() {
            let at = seq(place as u64 + 1);
            if at_once.judge(&config, &gateway(who), number(n), Wall(0)) != Verdict::New {
                continue;
            }
            at_once.begin(&config, gateway(who), number(n), digest(n), at);
            at_once.finish(&config, &gateway(who), number(n), answer(size));
            prop_assert_eq!(piped.judge(&config, &gateway(who), number(n), Wall(0)), Verdict::New);
            piped.begin(&config, gateway(who), number(n), digest(n), at);
            pending.push_back((who, n, size));
            if pending.len() >= late {
                let (who, n, size) = pending.pop_front().unwrap();
                piped.finish(&config, &gateway(who), number(n), answer(size));
            }
        }
        for (who, n, size) in pending {
            piped.finish(&config, &gateway(who), number(n), answer(size));
        }
        prop_assert_eq!(piped.roots(), at_once.roots());
        let entries: Vec<_> = at_once.entries().collect();
        let mut moved = Table::from_entries(&entries, at_once.floor());
        prop_assert_eq!(moved.roots(), at_once.roots());
        prop_assert_eq!(&moved, &at_once);
        if let Some(tree) = at_once.tree() {
            for (place, entry) in entries.iter().enumerate() {
                let path = tree.path(place as u32).unwrap();
                prop_assert_eq!(path.root(entry_leaf(entry), place as u32, tree.count()), Some(tree.root()));
            }
        }
    }
}
