use super::world::{INTERVAL, World, done, index, key, node, rejected, seat};
use crate::{Event, Halt, Ledger};
use mesh_proto::{
    domain::Epoch,
    genesis::Engine,
    id::{NodeId, StoreId},
    ledger::{
        Auto, Body, Change, Done, Index, Motion, NEWEST_VERSION, Outcome, Pending, Rejection, Seat, SignedMotion,
        SignedSupport, Support,
    },
    role::Role,
};

fn seated(world: &World) -> Vec<NodeId> {
    world.ledger.committee().seats.iter().map(|seat| seat.node).collect()
}

fn sorted(numbers: &[u8]) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = numbers.iter().map(|number| node(*number)).collect();
    nodes.sort();
    nodes
}

#[test]
fn a_change_takes_effect_at_the_end_of_the_checkpoint() {
    let mut world = World::new();
    world.admit(2, Role::Full);
    assert_eq!(world.ledger.boundary(), None);
    let from = index(INTERVAL + 1);
    assert_eq!(world.motion(1, Change::CommitteeAdd(seat(2))), done(Done::Moved { from }));
    assert!(matches!(world.events.as_slice(), [Event::ChangePending(_)]), "{:?}", world.events);
    assert_eq!(world.ledger.committee().pending, Some(Pending::Add(seat(2))));
    assert_eq!(world.ledger.boundary(), Some(index(INTERVAL)));
    assert_eq!(seated(&world), sorted(&[1]));
    for change in [Change::CommitteeAdd(seat(3)), Change::CommitteeRemove(node(1))] {
        assert_eq!(world.motion(1, change), rejected(Rejection::Pending));
    }
    let events = world.fill();
    let committee = world.ledger.committee().clone();
    assert_eq!((committee.epoch, committee.since), (Epoch(1), index(INTERVAL)));
    assert_eq!(seated(&world), sorted(&[1, 2]));
    assert_eq!(events, vec![Event::CommitteeChanged(committee)]);
    assert_eq!(world.ledger.boundary(), None);
}

/// Nothing is certified there that a change would have to wait for; and one member's word is enough.
#[test]
fn under_raft_a_change_is_in_force_behind_its_own_batch() {
    let mut world = World::new();
    world.genesis.engine = Engine::Raft;
    world.ledger = Ledger::genesis(&world.genesis, *world.ledger.rules());
    for number in [2, 3] {
        world.admit(number, Role::Full);
        let from = world.ledger.index().next().next();
        let by = number - 1;
        assert_eq!(world.motion(by, Change::CommitteeAdd(seat(number))), done(Done::Moved { from }));
        assert!(world.ledger.boundary().is_none() && world.ledger.committee().pending.is_none());
    }
    assert_eq!((world.ledger.committee().epoch, seated(&world)), (Epoch(2), sorted(&[1, 2, 3])));
    assert!(matches!(world.motion(3, Change::CommitteeRemove(node(1))), Outcome::Done(_)));
    assert_eq!(seated(&world), sorted(&[2, 3]));
}

#[test]
fn a_change_in_the_last_batch_of_a_checkpoint_takes_effect_with_it() {
    let mut world = World::new();
    world.admit(2, Role::Full);
    while world.ledger.index() < index(INTERVAL - 1) {
        world.batch(vec![]);
    }
    let from = index(INTERVAL + 1);
    assert_eq!(world.motion(1, Change::CommitteeAdd(seat(2))), done(Done::Moved { from }));
    assert_eq!(world.ledger.committee().epoch, Epoch(1));
    assert_eq!(world.ledger.boundary(), None);
}

#[test]
fn who_may_be_added() {
    let mut world = World::new();
    world.admit(2, Role::Worker);
    world.admit(3, Role::Full);
    let add = |seat| Change::CommitteeAdd(seat);
    assert_eq!(world.motion(1, add(seat(1))), rejected(Rejection::Already));
    assert_eq!(world.motion(1, add(seat(2))), rejected(Rejection::NotMember), "a worker");
    assert_eq!(world.motion(1, add(seat(9))), rejected(Rejection::NotMember));
    assert_eq!(world.motion(1, add(Seat { store: None, ..seat(3) })), rejected(Rejection::Invalid));
    world.govern(Change::Revoke(node(3)));
    let at = world.now;
    assert_eq!(world.motion(1, add(seat(3))), rejected(Rejection::Revoked { at }));
    assert_eq!(world.motion(1, Change::CommitteeRemove(node(9))), rejected(Rejection::Unknown));
    assert_eq!(world.motion(1, Change::CommitteeRemove(node(1))), rejected(Rejection::LastSeat));
}

#[test]
fn a_committee_has_at_most_31() {
    let mut world = World::of(31);
    world.admit(40, Role::Full);
    assert_eq!(world.motion(1, Change::CommitteeAdd(seat(40))), rejected(Rejection::TooMany));
}

#[test]
fn who_waits_for_a_seat_is_revoked_once_it_has_it() {
    let mut world = World::new();
    world.admit(2, Role::Full);
    world.motion(1, Change::CommitteeAdd(seat(2)));
    // The engine changes its committee at the boundary, whatever is ordered until then.
    assert_eq!(world.motion(1, Change::Revoke(node(2))), rejected(Rejection::Pending));
    world.fill();
    assert_eq!(seated(&world), sorted(&[1, 2]));
    assert!(matches!(world.motion(1, Change::Revoke(node(2))), Outcome::Done(_)));
}

/// Checklist item 37 of mesh-pbft.
#[test]
fn a_key_comes_back_on_the_disk_that_it_had() {
    let mut world = World::new();
    world.seat(2);
    world.govern(Change::CommitteeRemove(node(2)));
    assert_eq!(seated(&world), sorted(&[1]));
    let other = Seat { store: Some(StoreId(99)), ..seat(2) };
    assert_eq!(world.motion(1, Change::CommitteeAdd(other)), rejected(Rejection::SecondIdentity));
    world.govern(Change::CommitteeAdd(seat(2)));
    assert_eq!(seated(&world), sorted(&[1, 2]));
    assert_eq!(world.ledger.committee().epoch, Epoch(3));
}

#[test]
fn a_founders_disk_is_the_one_that_it_reports_first() {
    let mut world = World::of(2);
    world.govern(Change::CommitteeRemove(node(2)));
    // Nobody knows whether this is the disk that it had.
    assert_eq!(world.motion(1, Change::CommitteeAdd(seat(2))), rejected(Rejection::SecondIdentity));
    let mut world = World::of(2);
    assert_eq!(world.support(2, 1, 2), done(Done::Kept));
    assert_eq!(world.ledger.committee().seat(&node(2)), Some(&seat(2)));
    assert_eq!(world.support(2, 1, 99), rejected(Rejection::SecondIdentity));
    world.govern(Change::CommitteeRemove(node(2)));
    world.govern(Change::CommitteeAdd(seat(2)));
    assert_eq!(seated(&world), sorted(&[1, 2]));
}

/// A gateway that lies, or one member that does, must not take the committee apart.
#[test]
fn a_motion_needs_one_honest_member() {
    let mut world = World::of(4);
    world.admit(6, Role::Full);
    // The maker is of the committee and governs; so the others are asked.
    let remove = |number| Change::CommitteeRemove(node(number));
    assert_eq!(world.motion(5, remove(1)), rejected(Rejection::NotEntitled));
    assert_eq!(world.motion(6, remove(1)), rejected(Rejection::NotEntitled), "a member without a seat");
    let seconded = |signed| done(Done::Seconded { signed, needed: 2 });
    assert_eq!(world.motion(2, remove(3)), seconded(1));
    assert_eq!(world.motion(2, remove(3)), rejected(Rejection::Already));
    assert_eq!(world.motion(3, remove(2)), seconded(1), "another change has its own signers");
    assert_eq!(world.ledger.committee().pending, None);
    let from = Index(INTERVAL + 1);
    assert_eq!(world.motion(4, remove(3)), done(Done::Moved { from }));
    assert_eq!(world.ledger.committee().pending, Some(Pending::Remove(node(3))));
    assert_eq!(world.ledger.snapshot().below(b"o", 10).len(), 0, "motions of before are void");
    world.fill();
    assert_eq!(seated(&world), sorted(&[1, 2, 4]));
}

/// Else who saw an inviter added could add it again after it was removed.
#[test]
fn a_motion_is_not_brought_forward_again() {
    let mut world = World::of(4);
    let network = world.genesis.network_id();
    let add = Change::InviterAdd { key: node(9), uses: None, until: None, governs: false };
    let signed = SignedMotion::sign(&key(1), &network, Motion { serial: 0, change: add });
    assert!(matches!(world.run(Body::Motion(signed.clone())), Outcome::Done(Done::Moved { .. })));
    world.govern(Change::InviterRemove(node(9)));
    assert_eq!(world.run(Body::Motion(signed)), rejected(Rejection::Overtaken { serial: 2 }));
    let ahead = SignedMotion::sign(&key(1), &network, Motion { serial: 3, change: add });
    assert_eq!(world.run(Body::Motion(ahead)), rejected(Rejection::Overtaken { serial: 2 }));
}

#[test]
fn a_liars_motions_do_not_keep_others_out() {
    let mut world = World::of(4);
    let mut taken = 0;
    for number in 100..120 {
        let outcome = world.motion(2, Change::Revoke(node(number)));
        taken += u8::from(outcome == done(Done::Seconded { signed: 1, needed: 2 }));
        assert!(taken <= 8);
    }
    assert_eq!(taken, 8);
    assert_eq!(world.motion(3, Change::Revoke(node(150))), done(Done::Seconded { signed: 1, needed: 2 }));
}

#[test]
fn a_governing_key_is_as_good_as_the_makers_for_its_time() {
    let mut world = World::of(4);
    let until = Some(world.now + std::time::Duration::from_secs(1));
    world.govern(Change::InviterAdd { key: node(9), uses: None, until, governs: true });
    world.govern(Change::InviterRemove(node(1)));
    assert!(matches!(world.motion(9, Change::Revoke(node(50))), Outcome::Done(Done::Moved { .. })));
    world.pass(1001);
    assert_eq!(world.motion(9, Change::Revoke(node(51))), rejected(Rejection::NotEntitled));
    assert_eq!(world.motion(1, Change::Revoke(node(51))), done(Done::Seconded { signed: 1, needed: 2 }));
}

#[test]
fn settings_change_at_once() {
    let mut world = World::new();
    let auto = Auto { on: false, max: 13 };
    assert_eq!(world.motion(1, Change::CommitteeAuto(auto)), done(Done::Moved { from: index(1) }));
    assert_eq!(world.events, vec![Event::CommitteeChanged(world.ledger.committee().clone())]);
    assert_eq!((world.ledger.committee().auto, world.ledger.committee().epoch), (auto, Epoch(0)));
    assert_eq!(world.motion(1, Change::CommitteeAuto(auto)), rejected(Rejection::Already));
    for max in [0, 32] {
        assert_eq!(world.motion(1, Change::CommitteeAuto(Auto { on: true, max })), rejected(Rejection::Invalid));
    }
}

#[test]
fn a_version_is_raised_when_all_support_it() {
    let mut world = World::of(4);
    let activate = Body::ActivateVersion;
    for version in [0, 1, 3] {
        assert!(matches!(world.run(activate(version)), Outcome::Rejected(_)), "{version}");
    }
    for number in 1..=3 {
        assert_eq!(world.support(number, 2, u64::from(number)), done(Done::Kept));
    }
    assert_eq!(world.support(4, 1, 4), done(Done::Kept));
    assert_eq!(world.run(activate(2)), rejected(Rejection::Unsupported));
    assert_eq!(world.support(4, 2, 4), done(Done::Kept));
    let outcome = world.run(activate(2));
    let from = world.ledger.boundary().map_or_else(|| world.ledger.index().next(), Index::next);
    assert_eq!(outcome, done(Done::Moved { from }));
    assert_eq!(world.ledger.version(), 1);
    let events = world.fill();
    assert_eq!(world.ledger.version(), 2);
    assert!(events.contains(&Event::VersionActivated(2)));
    assert_eq!(world.ledger.committee().epoch, Epoch(0), "the committee is as it was");
    // This build cannot go on, and says so instead of guessing.
    assert_eq!(NEWEST_VERSION, 1);
    let (root, next) = (world.ledger.root(), world.ledger.index().next());
    assert_eq!(world.ledger.apply(next, world.now, &[]), Err(Halt::Version { active: 2 }));
    assert_eq!(world.ledger.root(), root);
}

#[test]
fn a_report_is_of_a_member_and_the_latest_counts() {
    let mut world = World::of(1);
    assert_eq!(world.support(9, 1, 1), rejected(Rejection::NotMember));
    assert_eq!(world.support(1, 0, 1), rejected(Rejection::Invalid));
    world.admit(2, Role::Full);
    assert_eq!(world.support(2, 2, 7), done(Done::Kept));
    let network = world.genesis.network_id();
    let report =
        |at| Body::Support(SignedSupport::report(&key(2), &network, Support { version: 1, store: StoreId(7), at }));
    assert_eq!(world.run(report(Index(1))), rejected(Rejection::Already), "an older word");
    let ahead = Index(world.ledger.index().0 + 2);
    assert_eq!(world.run(report(ahead)), rejected(Rejection::Ahead));
    let latest = world.ledger.index();
    assert_eq!(world.run(report(latest)), done(Done::Kept));
}

#[test]
fn who_executes_less_than_is_active_is_not_seated() {
    let mut world = World::of(1);
    world.admit(2, Role::Full);
    world.ledger.state.meta.version = 2;
    let state = &world.ledger.state;
    assert!(!crate::execute::versions::supports(state, &node(2), 2));
    let network = world.genesis.network_id();
    let motion = Motion { serial: world.ledger.serial(), change: Change::CommitteeAdd(seat(2)) };
    let signed = SignedMotion::sign(&key(1), &network, motion);
    let refused = crate::execute::committee::motion(&mut world.ledger.state, &signed);
    assert_eq!(refused, Err(Rejection::Unsupported));
}

#[test]
fn batches_come_in_order() {
    let mut world = World::new();
    let ledger: &mut Ledger = &mut world.ledger;
    for wrong in [0, 2, 3] {
        let halt = Halt::OutOfOrder { last: Index(0), found: Index(wrong) };
        assert_eq!(ledger.apply(Index(wrong), world.now, &[]), Err(halt));
    }
    let tick = mesh_proto::ledger::Checked::committed(world.command("ada", Body::Tick));
    let many = vec![tick; mesh_proto::limits::BATCH_COMMANDS + 1];
    let too_large = Halt::TooLarge { found: many.len() };
    assert_eq!(world.ledger.apply(Index(1), world.now, &many), Err(too_large));
}

#[test]
fn time_does_not_go_back() {
    let mut world = World::new();
    world.pass(1000).tick();
    let now = world.now;
    world.now = super::world::START;
    world.tick();
    assert_eq!(world.ledger.time(), now);
}
