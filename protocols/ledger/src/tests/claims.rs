use super::world::{World, a_lock, a_task, award, done, lock, node, rejected, renew, unlock};
use crate::{Event, Rules};
use mesh_proto::{
    ledger::{Body, Claim, Claimed, Done, Fence, Outcome, Rejection},
    time::Wall,
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, time::Duration};

fn granted(fence: u64, expires: Wall) -> Outcome {
    done(Done::Granted { fence: Fence(fence), expires })
}

#[test]
fn a_lock_has_one_holder_until_its_lease_is_over() {
    let mut world = World::new();
    let begin = world.now;
    let at = |ms| begin + Duration::from_millis(ms);
    assert_eq!(world.run(lock("deploy", 1000)), granted(1, at(1000)));
    let events = vec![Event::Granted { claim: a_lock("deploy"), holder: node(3), fence: Fence(1) }];
    assert_eq!(world.events, events);
    assert_eq!(world.ledger.next_expiry(), Some(at(1000)));
    let owner = "ada".parse().unwrap();
    let held = Claimed { owner, holder: node(3), fence: Fence(1), granted: begin, expires: at(1000) };
    assert_eq!(world.run_as("bob", lock("deploy", 1000)), rejected(Rejection::Held(held)));
    assert_eq!(world.run_as("bob", lock("other", 5000)), granted(2, at(5000)), "another name");
    world.pass(600);
    assert_eq!(world.run(renew(a_lock("deploy"), 1, 1000)), granted(1, at(1600)));
    world.pass(999);
    assert!(world.tick().is_empty());
    assert_eq!(world.ledger.next_expiry(), Some(at(1600)));
    world.pass(1);
    let lapsed = Event::Freed { claim: a_lock("deploy"), fence: Fence(1), lapsed: true };
    assert_eq!(world.tick(), vec![lapsed]);
    assert_eq!(world.run(renew(a_lock("deploy"), 1, 1000)), rejected(Rejection::NotHeld));
    assert_eq!(world.run_as("bob", lock("deploy", 1000)), granted(3, at(2600)), "a number above all before");
}

#[test]
fn only_its_owner_renews_and_releases_and_only_under_its_number() {
    let mut world = World::new();
    let begin = world.now;
    world.run(lock("deploy", 1000));
    for (principal, body, rejection) in [
        ("bob", unlock(a_lock("deploy"), 1), Rejection::NotOwner),
        ("bob", renew(a_lock("deploy"), 1, 1000), Rejection::NotOwner),
        ("ada", unlock(a_lock("deploy"), 2), Rejection::NotHeld),
        ("ada", renew(a_lock("deploy"), 0, 1000), Rejection::NotHeld),
        ("ada", unlock(a_lock("other"), 1), Rejection::NotHeld),
    ] {
        assert_eq!(world.run_as(principal, body), rejected(rejection));
    }
    assert_eq!(world.run(unlock(a_lock("deploy"), 1)), done(Done::Released));
    let freed = Event::Freed { claim: a_lock("deploy"), fence: Fence(1), lapsed: false };
    assert_eq!(world.events, vec![freed]);
    assert_eq!(world.ledger.next_expiry(), None);
    assert_eq!(world.run(unlock(a_lock("deploy"), 1)), rejected(Rejection::NotHeld));
    assert_eq!(world.run(lock("deploy", 1000)), granted(2, begin + Duration::from_secs(1)));
}

#[test]
fn a_task_is_awarded_once_at_a_time() {
    let mut world = World::new();
    let begin = world.now;
    let later = begin + Duration::from_secs(1);
    assert_eq!(world.run(award(7, 3, 1000)), granted(1, later));
    let held =
        Claimed { owner: "ada".parse().unwrap(), holder: node(3), fence: Fence(1), granted: begin, expires: later };
    assert_eq!(world.run(award(7, 4, 1000)), rejected(Rejection::Held(held)));
    assert_eq!(world.run(award(8, 4, 1000)), granted(2, later));
    assert_eq!(world.run(unlock(Claim::Task(a_task(7)), 1)), done(Done::Released));
    assert_eq!(world.run(award(7, 4, 1000)), granted(3, later));
}

#[test]
fn claims_are_bounded() {
    let mut world = World::with(Rules { claims: 2, ..Rules::default() }, 1);
    world.run(lock("a", 1000));
    world.run(award(1, 3, 2000));
    assert_eq!(world.run(lock("b", 1000)), rejected(Rejection::TooMany));
    world.pass(1000);
    assert!(matches!(world.run(lock("b", 1000)), Outcome::Done(_)), "one has lapsed");
}

#[test]
fn a_lease_is_of_a_lawful_length() {
    let mut world = World::new();
    for ms in [0, 99, 24 * 60 * 60 * 1000 + 1, u64::MAX] {
        assert_eq!(world.run(lock("a", ms)), rejected(Rejection::Invalid), "{ms}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Take(u8, u8),
    /// Under the number that this principal was given last, or under another.
    Renew(u8, u8, bool),
    Release(u8, u8, bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, what) = (0..3u8, 0..3u8);
    prop_oneof![
        3 => (who.clone(), what.clone()).prop_map(|(who, what)| Step::Take(who, what)),
        2 => (who.clone(), what.clone(), any::<bool>()).prop_map(|(who, what, own)| Step::Renew(who, what, own)),
        1 => (who, what, any::<bool>()).prop_map(|(who, what, own)| Step::Release(who, what, own)),
        2 => (0..1500u64).prop_map(Step::Pass),
    ]
}

/// Of each name: who holds it, under which number, until when.
type Model = BTreeMap<u8, (u8, u64, Wall)>;

proptest! {
    #[test]
    fn nobody_holds_what_another_holds(steps in vec(step(), 0..80)) {
        let mut world = World::new();
        let (mut model, mut last, mut given): (Model, u64, BTreeMap<(u8, u8), u64>) = Default::default();
        for step in steps {
            // One of the names is a task's.
            let claim = |what: u8| if what == 0 { Claim::Task(a_task(0)) } else { a_lock(&format!("l{what}")) };
            let name = |who: u8| format!("user{who}");
            model.retain(|_, (_, _, until)| *until > world.now);
            let until = world.now + Duration::from_secs(1);
            match step {
                Step::Pass(ms) => drop(world.pass(ms)),
                Step::Take(who, what) => {
                    let body = if what == 0 { award(0, 3, 1000) } else { lock(&format!("l{what}"), 1000) };
                    match (world.run_as(&name(who), body), model.get(&what)) {
                        (Outcome::Done(Done::Granted { fence: Fence(fence), expires }), None) => {
                            prop_assert!(fence > last, "numbers grow");
                            prop_assert_eq!(expires, until);
                            last = fence;
                            given.insert((who, what), fence);
                            model.insert(what, (who, fence, expires));
                        }
                        (Outcome::Rejected(Rejection::Held(held)), Some((holder, fence, expires))) => {
                            let (owner, fence) = (name(*holder), Fence(*fence));
                            prop_assert_eq!((held.owner.as_str(), held.fence, held.expires), (&*owner, fence, *expires));
                        }
                        (outcome, model) => prop_assert!(false, "{outcome:?}, and {model:?}"),
                    }
                }
                Step::Renew(who, what, own) | Step::Release(who, what, own) => {
                    let fence = if own { given.get(&(who, what)).copied().unwrap_or(0) } else { last + 1 };
                    let renews = matches!(step, Step::Renew(..));
                    let body: Body =
                        if renews { renew(claim(what), fence, 1000) } else { unlock(claim(what), fence) };
                    let outcome = world.run_as(&name(who), body);
                    match model.get(&what) {
                        Some((holder, held, _)) if (*holder, *held) == (who, fence) => {
                            if renews {
                                prop_assert_eq!(outcome, granted(fence, until));
                                model.insert(what, (who, fence, until));
                            } else {
                                prop_assert_eq!(outcome, done(Done::Released));
                                model.remove(&what);
                            }
                        }
                        _ => prop_assert!(matches!(outcome, Outcome::Rejected(_)), "{:?}", outcome),
                    }
                }
            }
            let next = model.values().map(|(_, _, until)| *until).min();
            if let Some(expiry) = world.ledger.next_expiry() {
                // What is over by the clock is not over before a batch says so.
                prop_assert!(next.is_none_or(|next| expiry <= next));
            } else {
                prop_assert_eq!(next, None);
            }
        }
    }
}
