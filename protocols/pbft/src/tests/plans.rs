//! The new view as a pure function.

use crate::{Alarm, plan};
use mesh_proto::{
    domain::Epoch,
    id::Digest,
    key::Signature,
    pbft::{Ballots, Batch, Change, Prepared, ReplicaId, Sequence, View},
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

const WINDOW: u64 = 8;

fn change(replica: u8, stable: u64, prepared: Vec<(u64, u64, u8)>) -> Change {
    let mut highest = BTreeMap::new();
    for (sequence, view, digest) in prepared {
        let sequence = stable + 1 + sequence % WINDOW;
        highest.insert(sequence, prepared_at(sequence, view, digest));
    }
    Change {
        epoch: Epoch(0),
        view: View::new(50),
        replica: ReplicaId::new(replica),
        stable: Sequence::new(stable),
        proof: None,
        prepared: highest.into_values().collect(),
    }
}

fn prepared_at(sequence: u64, view: u64, digest: u8) -> Prepared {
    Prepared {
        view: View::new(view),
        sequence: Sequence::new(sequence),
        digest: Digest::from_bytes([digest; 32]),
        proposal: Signature::from_bytes([0; 64]),
        prepares: Ballots::default(),
    }
}

/// Digests follow from number and view, as they do while no more than f lie.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = (0u64..3, vec((0u64..WINDOW, 0u64..4), 0..6));
    vec(one, 3).prop_map(|all| {
        let changes = all.into_iter().enumerate().map(|(replica, (stable, prepared))| {
            let stable = stable * 4;
            let prepared = prepared.into_iter().map(|(place, view)| {
                let sequence = stable + 1 + place;
                (place, view, (sequence * 7 + view) as u8 | 1)
            });
            change(replica as u8, stable, prepared.collect())
        });
        changes.collect()
    })
}

proptest! {
    /// Checklist item 28: independent of the order of arrival.
    #[test]
    fn the_plan_does_not_depend_on_the_order(changes in changes(), turn in 0usize..3, swap: bool) {
        let mut other = changes.clone();
        other.rotate_left(turn);
        if swap {
            other.swap(0, 1);
        }
        prop_assert_eq!(plan(&changes), plan(&other));
    }

    /// Checklist item 28: each number has the digest of its highest certificate, or null; none is missing.
    #[test]
    fn each_number_has_its_highest_certificate(changes in changes()) {
        let plan = plan(&changes).unwrap();
        prop_assert_eq!(plan.stable, changes.iter().map(|change| change.stable).max().unwrap());
        let all = || changes.iter().flat_map(|change| &change.prepared);
        let last = all().map(|prepared| prepared.sequence).max().unwrap_or(plan.stable).max(plan.stable);
        prop_assert_eq!(plan.last(), last);
        for (place, digest) in plan.digests.iter().enumerate() {
            let sequence = plan.stable.plus(place as u64 + 1);
            let best = all().filter(|prepared| prepared.sequence == sequence).max_by_key(|prepared| prepared.view);
            let expected = best.map_or(Batch::null().digest(), |prepared| prepared.digest);
            prop_assert_eq!(*digest, expected);
        }
    }

    /// Checklist item 28: what committed survives: it prepared at a quorum, of which every other quorum has one.
    #[test]
    fn what_may_have_committed_is_kept(changes in changes(), who in 0usize..3, place in 0u64..WINDOW) {
        let mut changes = changes;
        let sequence = changes[who].stable.plus(place + 1);
        // The certificate of the highest view of all.
        let prepared = prepared_at(sequence.get(), 40, 99);
        changes[who].prepared.retain(|before| before.sequence != sequence);
        changes[who].prepared.push(prepared);
        changes[who].prepared.sort_by_key(|prepared| prepared.sequence);
        let plan = plan(&changes).unwrap();
        if sequence > plan.stable {
            let at = plan.digests[sequence.above(plan.stable) as usize - 1];
            prop_assert_eq!(at, Digest::from_bytes([99; 32]));
        }
    }
}

/// Checklist item 28: exhaustively, for all certificates of three replicas for two numbers in two views.
#[test]
fn a_small_world_is_planned_right_in_every_case() {
    let mut cases = 0;
    // For each of three replicas and two numbers: no certificate, one of view 0, one of view 1.
    for code in 0..3u32.pow(6) {
        let digit = |place: u32| code / 3u32.pow(place) % 3;
        let changes: Vec<Change> = (0..3)
            .map(|replica| {
                let certificates = (0..2).filter_map(|number| match digit(replica * 2 + number) {
                    0 => None,
                    view => Some((u64::from(number), u64::from(view - 1), 10 + (number * 2 + view - 1) as u8)),
                });
                change(replica as u8, 0, certificates.collect())
            })
            .collect();
        let plan = plan(&changes).unwrap();
        let best = |number: u32| (0..3).map(|replica| digit(replica * 2 + number)).max().unwrap();
        let expected = |number: u32| match best(number) {
            0 => Batch::null().digest(),
            view => Digest::from_bytes([10 + (number * 2 + view - 1) as u8; 32]),
        };
        let length = if best(1) > 0 { 2 } else { u32::from(best(0) > 0) };
        assert_eq!(plan.digests, (0..length).map(expected).collect::<Vec<_>>(), "{code}");
        cases += 1;
    }
    assert_eq!(cases, 729);
}

/// Checklist item 29: two certificates for one view and number are an alarm, whoever brings them.
#[test]
fn two_certificates_for_one_view_are_an_alarm() {
    let changes = [change(0, 0, vec![(0, 1, 5)]), change(1, 0, vec![(0, 1, 6)])];
    let alarm = Alarm::TwoPrepared { view: View::new(1), sequence: Sequence::new(1) };
    assert_eq!(plan(&changes), Err(alarm));
    let below = [change(0, 0, vec![(0, 1, 5)]), change(1, 0, vec![(0, 1, 6)]), change(2, 8, vec![])];
    assert!(plan(&below).unwrap().digests.is_empty(), "below a stable checkpoint nothing is looked at");
}
