//! Every history of a small committee: four replicas, one of which lies, two numbers, two views, and the plan of the view
//! behind each. Whoever prepared what, whichever three are heard, in whatever order, and whatever the liar shows of what
//! it has: what may have committed is kept.

use crate::{Plan, plan};
use mesh_proto::{
    domain::Epoch,
    id::Digest,
    key::Signature,
    pbft::{Ballots, Batch, Change, Prepared, ReplicaId, Sequence, View},
};
use std::collections::BTreeSet;

const CORRECT: usize = 3;
const LIAR: usize = 3;
const NUMBERS: usize = 2;

/// One has prepared this, and it is the highest that it shows: in which view, and what.
type Certificate = Option<(u64, Digest)>;
/// Of each number.
type Held = [Certificate; NUMBERS];

/// What a view's primary proposes anew.
fn fresh(view: u64, number: usize) -> Digest {
    Digest::of("proposal", &[&view.to_le_bytes(), &number.to_le_bytes()])
}

/// Who of the correct has prepared which number in a view: a bit each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prepares(u8);

impl Prepares {
    fn all() -> impl Iterator<Item = Self> {
        (0..1 << (CORRECT * NUMBERS)).map(Self)
    }

    fn has(self, replica: usize, number: usize) -> bool {
        self.0 >> (replica * NUMBERS + number) & 1 == 1
    }

    /// With the liar, whose word counts as any, these are a quorum.
    fn may_commit(self, number: usize) -> bool {
        (0..CORRECT).filter(|replica| self.has(*replica, number)).count() >= 2
    }
}

fn says(replica: usize, held: Held) -> Change {
    let prepared = held.into_iter().zip(1..).filter_map(|(certificate, sequence)| {
        let (view, digest) = certificate?;
        let (view, sequence) = (View::new(view), Sequence::new(sequence));
        let proposal = Signature::from_bytes([0; 64]);
        Some(Prepared { view, sequence, digest, proposal, prepares: Ballots::default() })
    });
    Change {
        epoch: Epoch(0),
        view: View::new(9),
        replica: ReplicaId::new(replica as u8),
        stable: Sequence::ZERO,
        proof: None,
        prepared: prepared.collect(),
    }
}

/// All plans that any three come to. The liar shows, of each number, any of what there may be; it can forge nothing.
fn plans(correct: [Held; CORRECT], shown: &[Vec<Certificate>; NUMBERS], mut each: impl FnMut(Plan)) {
    let correct: Vec<Change> = correct.into_iter().enumerate().map(|(replica, held)| says(replica, held)).collect();
    each(in_any_order(&correct));
    for (first, second) in shown[0].iter().flat_map(|first| shown[1].iter().map(move |second| (*first, *second))) {
        for unheard in 0..CORRECT {
            let mut three = correct.clone();
            three[unheard] = says(LIAR, [first, second]);
            each(in_any_order(&three));
        }
    }
}

fn in_any_order(three: &[Change]) -> Plan {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let plans = ORDERS.map(|order| plan(order.iter().map(|place| &three[*place])).expect("no two certificates differ"));
    let [first, others @ ..] = plans;
    assert!(others.iter().all(|other| *other == first), "{three:?}");
    first
}

/// What is proposed again where the plan says so, and anew behind it.
fn proposals(plan: &Plan, view: u64) -> [Digest; NUMBERS] {
    std::array::from_fn(|number| plan.digests.get(number).copied().unwrap_or_else(|| fresh(view, number)))
}

/// Checklist item 28: model checking, as far as it goes.
#[test]
fn what_may_have_committed_is_kept_in_every_history() {
    let (mut histories, mut cases) = (BTreeSet::new(), 0);
    let first: [Digest; NUMBERS] = std::array::from_fn(|number| fresh(0, number));
    for prepares in Prepares::all() {
        let certificate = |number: usize| Some((0, first[number]));
        let held = |replica, number| certificate(number).filter(|_| prepares.has(replica, number));
        let correct = std::array::from_fn(|replica| std::array::from_fn(|number| held(replica, number)));
        let shown = std::array::from_fn(|number| vec![None, certificate(number)]);
        plans(correct, &shown, |plan| {
            for number in (0..NUMBERS).filter(|number| prepares.may_commit(*number)) {
                assert_eq!(plan.digests.get(number), Some(&first[number]));
            }
            histories.insert((prepares, proposals(&plan, 1)));
            cases += 1;
        });
    }
    assert_eq!(cases, 64 * (1 + 3 * 4));
    for (before, second) in histories.iter().copied() {
        for prepares in Prepares::all() {
            let certificates = |number: usize| [None, Some((0, first[number])), Some((1, second[number]))];
            let held = |replica, number| {
                certificates(number)[match (prepares.has(replica, number), before.has(replica, number)) {
                    (true, _) => 2,
                    (false, true) => 1,
                    (false, false) => 0,
                }]
            };
            let correct = std::array::from_fn(|replica| std::array::from_fn(|number| held(replica, number)));
            let shown = std::array::from_fn(|number| certificates(number).to_vec());
            plans(correct, &shown, |plan| {
                for number in 0..NUMBERS {
                    let planned = plan.digests.get(number);
                    assert!(!before.may_commit(number) || planned == Some(&first[number]), "of the first view");
                    assert!(!prepares.may_commit(number) || planned == Some(&second[number]), "of the second view");
                }
                cases += 1;
            });
        }
    }
    let became_null = histories.iter().filter(|(_, second)| second.contains(&Batch::null().digest())).count();
    println!("{cases} cases of {} histories", histories.len());
    assert!(became_null > 0);
    assert_eq!(cases, 64 * 13 + histories.len() * 64 * (1 + 3 * 9));
}
