use super::world::{START, World, done, index, lock, node, propose, put, rejected};
use crate::{Ledger, Rules};
use mesh_proto::{
    ledger::{Body, Change, Command, Done, Evidence, Index, Outcome, Query, Rejection},
    role::Role,
    task::Octets,
    time::Wall,
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

#[test]
fn a_repeat_is_answered_and_not_run() {
    let mut world = World::new();
    let first = world.command("ada", lock("a", 1000));
    let outcome = world.batch(vec![first.clone()]).remove(0);
    assert!(matches!(outcome, Outcome::Done(Done::Granted { .. })));
    assert_eq!(world.batch(vec![first.clone(), first.clone()]), vec![outcome.clone(), outcome.clone()]);
    // A gateway that draws its own birth for it.
    let mut through_another = first.clone();
    through_another.id.born = world.ledger.index();
    assert_eq!(world.batch(vec![through_another]), vec![outcome.clone()]);
    // Time has passed, and the answer is still what came of it.
    world.pass(5000);
    assert_eq!(world.batch(vec![first.clone()]), vec![outcome]);
    let other = Command { body: lock("b", 1000), ..first.clone() };
    assert_eq!(world.batch(vec![other]), vec![rejected(Rejection::Reused)]);
    let mut of_another = first;
    of_another.id.principal = "bob".parse().unwrap();
    assert!(matches!(world.batch(vec![of_another]).remove(0), Outcome::Done(Done::Granted { .. })));
}

/// Checklist item 40: the accused can foretell the id under which evidence is brought, and have something harmless ordered under it first.
#[test]
fn what_proves_itself_cannot_be_kept_out_by_taking_its_id() {
    let mut world = World::of(4);
    let evidence = |n: u8| Evidence { accused: node(2), proof: Octets::from(&[n][..]) };
    let accusation = world.command("meshd", Body::Evidence(evidence(1)));
    let before = |body| Command { body, ..accusation.clone() };
    assert!(matches!(world.batch(vec![before(put("a", "1"))]).remove(0), Outcome::Done(_)));
    assert_eq!(world.batch(vec![before(Body::Evidence(evidence(2)))]), vec![done(Done::Kept)]);
    assert_eq!(world.batch(vec![accusation.clone()]), vec![done(Done::Kept)]);
    assert_eq!(world.ledger.answer(&Query::Evidence(node(2))).rows.len(), 2);
    // A repeat is one all the same.
    assert_eq!(world.batch(vec![accusation.clone()]), vec![done(Done::Kept)]);
    assert!(world.events.is_empty());
    // And the id stays the first one's.
    assert_eq!(world.batch(vec![before(put("a", "2"))]), vec![rejected(Rejection::Reused)]);

    for body in [
        Body::Admit(Box::new(world.invite(1, 5, Role::Worker, START))),
        Body::Motion(world.signed_motion(1, Change::CommitteeRemove(node(4)))),
        Body::Support(world.signed_support(1, 1, 7)),
    ] {
        let proof = world.command("ada", body);
        world.batch(vec![Command { body: put("a", "1"), ..proof.clone() }]);
        let outcome = world.batch(vec![proof]).remove(0);
        assert!(!matches!(outcome, Outcome::Rejected(Rejection::Reused)), "{outcome:?}");
    }
}

#[test]
fn a_repeat_within_a_batch_is_answered_too() {
    let mut world = World::new();
    let twice = world.command("ada", Body::Propose(propose(|_| {})));
    let outcomes = world.batch(vec![twice.clone(), twice]);
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(world.ledger.snapshot().below(b"p", 10).len(), 1);
}

#[test]
fn a_rejection_is_remembered_as_well() {
    let mut world = World::new();
    let held = world.command("bob", lock("a", 1000));
    world.run(lock("a", 1000));
    let outcome = world.batch(vec![held.clone()]).remove(0);
    assert!(matches!(outcome, Outcome::Rejected(Rejection::Held(_))));
    world.pass(1000);
    assert_eq!(world.batch(vec![held]), vec![outcome], "it was told so; who wants the lock now asks anew");
}

#[test]
fn what_is_forgotten_is_refused() {
    let mut world = World::with(Rules { window_commands: 4, ..Rules::default() }, 1);
    let first = world.command("ada", put("a", "1"));
    world.batch(vec![first.clone()]);
    for n in 0..3 {
        world.run(put("b", &n.to_string()));
    }
    assert_eq!(world.ledger.floor(), Index(0));
    assert_eq!(world.batch(vec![first.clone()]), vec![done(Done::Written { version: 1 << 16 })]);
    world.run(put("b", "4"));
    assert_eq!(world.ledger.floor(), Index(2));
    let stale = rejected(Rejection::Stale { floor: Index(2) });
    assert_eq!(world.batch(vec![first]), vec![stale]);
    let mut at_the_floor = world.command("ada", put("c", "1"));
    at_the_floor.id.born = Index(2);
    assert!(matches!(world.batch(vec![at_the_floor]).remove(0), Outcome::Done(_)));
}

#[test]
fn an_idle_mesh_forgets_too() {
    let mut world = World::with(Rules { window_batches: 3, ..Rules::default() }, 1);
    let first = world.command("ada", put("a", "1"));
    world.batch(vec![first.clone()]);
    for _ in 0..2 {
        world.batch(vec![]);
    }
    assert!(matches!(world.batch(vec![first.clone()]).remove(0), Outcome::Done(_)), "three batches later");
    assert!(matches!(world.batch(vec![first.clone()]).remove(0), Outcome::Rejected(Rejection::Stale { .. })));
    assert_eq!(world.ledger.floor(), Index(2));
    assert_eq!(world.ledger.snapshot().below(b"w", 10).len(), 0);
}

#[test]
fn who_claims_to_come_from_the_future_is_refused() {
    let mut world = World::new();
    world.tick();
    for ahead in [2, 3, u64::MAX] {
        let mut command = world.command("ada", put("a", "1"));
        command.id.born = index(ahead);
        assert_eq!(world.batch(vec![command]), vec![rejected(Rejection::Ahead)], "{ahead}");
        world = World::new();
        world.tick();
    }
    let mut command = world.command("ada", put("a", "1"));
    command.id.key = Octets::default();
    assert_eq!(world.batch(vec![command]), vec![rejected(Rejection::Invalid)]);
}

#[test]
fn a_batch_that_is_larger_than_the_window_is_remembered_whole() {
    let mut world = World::with(Rules { window_commands: 4, ..Rules::default() }, 1);
    let many: Vec<Command> = (0..300).map(|n| world.command("ada", put(&format!("k{n}"), "v"))).collect();
    let outcomes = world.batch(many.clone());
    let again = many.iter().step_by(7).cloned().collect();
    let expected: Vec<Outcome> = outcomes.iter().step_by(7).cloned().collect();
    assert_eq!(world.batch(again), expected);
    // The next command of its own pushes it out.
    world.run(put("x", "y"));
    assert!(matches!(world.batch(many[..1].to_vec()).remove(0), Outcome::Rejected(Rejection::Stale { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// A command adds one to what its id has done, and says how often it was asked for before: that it is 1 at most is
    /// what the window promises, whatever its bounds, also after a restart and a transfer.
    #[test]
    fn no_id_has_two_effects(
        window_commands in 1..8u64,
        window_batches in 1..8u64,
        batches in vec(vec((0..12u8, 0..4u64), 0..6), 1..40),
        restart in any::<u64>(),
    ) {
        let rules = Rules { window_commands, window_batches, ..Rules::default() };
        let mut world = World::with(rules, 1);
        let mut drawn: BTreeMap<u8, Command> = BTreeMap::new();
        let mut runs: BTreeMap<u8, u64> = BTreeMap::new();
        let mut told: BTreeMap<u8, Outcome> = BTreeMap::new();
        for (at, batch) in (0..).zip(batches) {
            let mut asked = Vec::new();
            for (id, ago) in batch {
                let born = Index(world.ledger.index().0.saturating_sub(ago));
                let command = drawn.entry(id).or_insert_with(|| {
                    let mut command = world.command("ada", lock(&format!("of {id}"), 100));
                    command.id.born = born;
                    command
                });
                asked.push((id, command.clone()));
            }
            let before = world.ledger.state.meta.fence;
            let outcomes = world.batch(asked.iter().map(|(_, command)| command.clone()).collect());
            let mut granted = 0;
            for ((id, _), outcome) in asked.iter().zip(outcomes) {
                match (&outcome, told.get(id)) {
                    (Outcome::Rejected(Rejection::Stale { .. }), _) => {}
                    (outcome, Some(told)) => prop_assert_eq!(outcome, told),
                    (Outcome::Done(Done::Granted { .. }), None) => {
                        *runs.entry(*id).or_default() += 1;
                        granted += 1;
                        told.insert(*id, outcome);
                    }
                    (outcome, None) => prop_assert!(false, "{:?}", outcome),
                }
            }
            prop_assert_eq!(world.ledger.state.meta.fence.0 - before.0, granted, "fences are effects");
            prop_assert!(runs.values().all(|runs| *runs <= 1));
            prop_assert!(world.ledger.state.meta.remembered <= window_commands.max(6));
            // Lapsed, so that a second run would be granted.
            world.pass(200);
            if restart.rotate_left(at) & 1 == 1 {
                world.ledger = Ledger::open(world.ledger.snapshot()).unwrap();
            }
        }
        prop_assert!(world.ledger.time() >= Wall(0));
    }
}
