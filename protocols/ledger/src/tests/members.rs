use super::world::{START, World, done, key, node, rejected};
use crate::{Event, Rules};
use mesh_proto::{
    credential::Credential,
    ledger::{Body, Change, Done, Evidence, Outcome, Query, Rejection, Row},
    role::Role,
    task::Octets,
    time::Wall,
    token::InvitationTerms,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn member(world: &World, number: u8) -> Option<(Role, Option<Wall>, Option<Wall>, bool)> {
    let rows = world.ledger.answer(&Query::Members { after: None, limit: 100 }).rows;
    rows.into_iter().find_map(|row| match row {
        Row::Member { node: at, role, until, revoked, seated, .. } if at == node(number) => {
            Some((role, until, revoked, seated))
        }
        _ => None,
    })
}

fn admit(world: &mut World, credential: Credential) -> Outcome {
    world.run(Body::Admit(Box::new(credential)))
}

fn inviter(number: u8, uses: Option<u32>, until: Option<Wall>, governs: bool) -> Change {
    Change::InviterAdd { key: node(number), uses, until, governs }
}

#[test]
fn who_was_invited_is_known_by_its_role() {
    let mut world = World::new();
    assert_eq!(member(&world, 1), Some((Role::Full, None, None, true)), "the founder");
    assert_eq!(world.admit(2, Role::Worker), done(Done::Kept));
    assert_eq!(world.events, vec![Event::Admitted(node(2))]);
    assert_eq!(member(&world, 2), Some((Role::Worker, None, None, false)));
    assert_eq!(world.admit(2, Role::Worker), done(Done::Kept));
    assert!(world.events.is_empty(), "the same again is no news");
    let maker = Credential::of_maker(&key(1), &world.genesis, START);
    assert_eq!(admit(&mut world, maker), done(Done::Kept));
}

#[test]
fn only_inviters_invite_within_their_bounds() {
    let mut world = World::new();
    let by_two = |world: &World, number, issued| world.invite(2, number, Role::Worker, issued);
    let credential = by_two(&world, 5, START);
    assert_eq!(admit(&mut world, credential), rejected(Rejection::NotInviter));
    world.govern(inviter(2, Some(2), Some(START + HOUR), false));
    for number in [5, 6] {
        let credential = by_two(&world, number, START);
        assert_eq!(admit(&mut world, credential.clone()), done(Done::Kept));
        assert_eq!(admit(&mut world, credential), done(Done::Kept), "known already: no use of the key");
    }
    let credential = by_two(&world, 7, START);
    assert_eq!(admit(&mut world, credential), rejected(Rejection::NotInviter), "used up");
    world.govern(inviter(2, None, Some(START + HOUR), false));
    let late = by_two(&world, 7, START + HOUR + Duration::from_millis(1));
    assert_eq!(admit(&mut world, late), rejected(Rejection::NotInviter));
    let in_time = by_two(&world, 7, START + HOUR);
    assert_eq!(admit(&mut world, in_time), done(Done::Kept));
    world.govern(Change::InviterRemove(node(2)));
    let credential = by_two(&world, 8, START);
    assert_eq!(admit(&mut world, credential), rejected(Rejection::NotInviter));
    assert_eq!(world.motion(1, Change::InviterRemove(node(2))), rejected(Rejection::Unknown));
}

#[test]
fn an_invitation_is_for_a_time_and_a_membership_may_be() {
    let mut world = World::new();
    let until = START + HOUR * 5;
    let terms =
        || InvitationTerms { role: Role::Full, issued: START, expires: START + HOUR, member_until: Some(until) };
    let [early, late, later] = [2, 3, 2].map(|number| world.invite_on(1, number, terms()));
    assert_eq!(admit(&mut world, early), done(Done::Kept));
    world.pass(3_600_001);
    assert_eq!(admit(&mut world, late), rejected(Rejection::Expired));
    assert_eq!(admit(&mut world, later.clone()), done(Done::Kept), "who came in in time stays in");
    assert_eq!(member(&world, 2), Some((Role::Full, Some(until), None, false)));
    world.pass(4 * 3_600_000);
    assert_eq!(admit(&mut world, later), rejected(Rejection::Expired));
    assert_eq!(world.motion(1, Change::CommitteeAdd(super::world::seat(2))), rejected(Rejection::NotMember));
}

#[test]
fn who_was_revoked_comes_back_by_a_later_invitation_only() {
    let mut world = World::new();
    let old = world.invite(1, 2, Role::Worker, START);
    admit(&mut world, old.clone());
    world.pass(10).govern(Change::Revoke(node(2)));
    let at = world.now;
    assert_eq!(member(&world, 2), Some((Role::Worker, None, Some(at), false)));
    assert_eq!(admit(&mut world, old), rejected(Rejection::Revoked { at }));
    assert_eq!(world.motion(1, Change::Revoke(node(2))), rejected(Rejection::Already));
    let same_time = world.invite(1, 2, Role::Worker, at);
    assert_eq!(admit(&mut world, same_time), rejected(Rejection::Revoked { at }));
    let newer = world.invite(1, 2, Role::Worker, at + Duration::from_millis(1));
    assert_eq!(admit(&mut world, newer), done(Done::Kept));
    assert_eq!(member(&world, 2), Some((Role::Worker, None, None, false)));
    // Nobody has seen it, and its credential may still be shown somewhere.
    world.govern(Change::Revoke(node(9)));
    let unseen = world.invite(1, 9, Role::Worker, START);
    assert!(matches!(admit(&mut world, unseen), Outcome::Rejected(Rejection::Revoked { .. })));
}

#[test]
fn an_earlier_credential_does_not_undo_a_later_one() {
    let mut world = World::new();
    let old = world.invite(1, 2, Role::Full, START);
    assert_eq!(admit(&mut world, old.clone()), done(Done::Kept));
    world.pass(10).govern(Change::Revoke(node(2)));
    world.pass(10);
    assert_eq!(world.admit(2, Role::Client), done(Done::Kept));
    let now = (Role::Client, None, None, false);
    assert_eq!(member(&world, 2), Some(now));
    assert_eq!(admit(&mut world, old), rejected(Rejection::Already));
    assert!(world.events.is_empty());
    assert_eq!(member(&world, 2), Some(now), "what it was before it was revoked is over");
    // Without a revocation, too.
    let (early, late) = (world.invite(1, 3, Role::Full, START), world.invite(1, 3, Role::Worker, world.now));
    for credential in [late.clone(), early, late] {
        admit(&mut world, credential);
        assert_eq!(member(&world, 3), Some((Role::Worker, None, None, false)));
    }
}

#[test]
fn members_are_bounded() {
    let mut world = World::with(Rules { members: 3, checkpoint_interval: 8, ..Rules::default() }, 1);
    assert_eq!(world.admit(2, Role::Worker), done(Done::Kept));
    world.govern(inviter(3, None, None, false));
    assert_eq!(world.admit(4, Role::Worker), rejected(Rejection::TooMany));
    assert_eq!(world.admit(2, Role::Worker), done(Done::Kept), "one that is known");
    assert_eq!(world.motion(1, Change::Revoke(node(4))), rejected(Rejection::TooMany));
    assert_eq!(world.motion(1, inviter(4, None, None, false)), rejected(Rejection::TooMany));
    world.govern(Change::InviterRemove(node(3)));
    assert_eq!(world.admit(4, Role::Worker), done(Done::Kept));
}

#[test]
fn evidence_is_kept_once_and_a_bounded_number() {
    let mut world = World::with(Rules { evidence: 2, ..Rules::default() }, 4);
    let evidence = |accused, n: u8| Evidence { accused: node(accused), proof: Octets::from(&[n][..]) };
    let bring = |world: &mut World, evidence| world.run(Body::Evidence(evidence));
    assert_eq!(bring(&mut world, evidence(2, 1)), done(Done::Kept));
    assert_eq!(world.events, vec![Event::Accused(node(2))]);
    assert_eq!(bring(&mut world, evidence(2, 1)), rejected(Rejection::Already));
    assert_eq!(bring(&mut world, evidence(9, 1)), rejected(Rejection::NotMember));
    let nothing = Evidence { accused: node(2), proof: Octets::default() };
    assert_eq!(bring(&mut world, nothing), rejected(Rejection::Invalid));
    assert_eq!(bring(&mut world, evidence(2, 3)), done(Done::Kept));
    assert_eq!(bring(&mut world, evidence(2, 5)), rejected(Rejection::TooMany));
    assert_eq!(bring(&mut world, evidence(3, 5)), done(Done::Kept), "against another");
    let rows = world.ledger.answer(&Query::Evidence(node(2))).rows;
    assert_eq!(rows.len(), 2);
    assert!(rows.contains(&Row::Evidence(evidence(2, 3))));
}
