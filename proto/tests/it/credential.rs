use crate::sample::{DAY, accepted, invitation, invited_credential, key, maker_credential, network, open_genesis};
use mesh_proto::{
    address::Addresses,
    certificate::Certificate,
    credential::{Credential, CredentialError, Grant, Invitation, Member, Standing, TrustAnchors},
    fuzz::{NOW, known_genesis},
    genesis::Genesis,
    limits,
    role::Role,
    time::Wall,
    token::{InvitationTerms, Token},
};
use std::time::Duration;

#[test]
fn the_maker_let_itself_in() {
    let maker = key(1).node_id();
    let member = Member { node: maker, role: Role::Full, expires: None, invited: Wall(0) };
    assert_eq!(maker_credential().verify(&known_genesis(), NOW), Ok(member));
    let pretender = Credential::of_maker(&key(2), &known_genesis(), NOW);
    assert_eq!(pretender.verify(&known_genesis(), NOW), Err(CredentialError::NotTheMaker(key(2).node_id())));
}

#[test]
fn an_invited_node_is_in_and_stays_in() {
    let credential = invited_credential(2);
    let member = Member { node: key(2).node_id(), role: Role::Worker, expires: None, invited: NOW };
    assert_eq!(credential.verify(&known_genesis(), NOW), Ok(member));
    let years_later = NOW + DAY * 2000;
    assert_eq!(credential.verify(&known_genesis(), years_later), Ok(member));
    assert_eq!(credential.verify_peer(&known_genesis(), member.node, Standing::Known, years_later), Ok(member));
}

#[test]
fn an_expired_invitation_lets_no_newcomer_in() {
    let node = key(2).node_id();
    let peer = |now| invited_credential(2).verify_peer(&known_genesis(), node, Standing::Newcomer, now);
    assert!(peer(NOW + DAY).is_ok());
    let (expires, now) = (NOW + DAY, NOW + DAY + Duration::from_millis(1));
    assert_eq!(peer(now), Err(CredentialError::InvitationExpired { expires, now }));
    let late = Credential::by_invitation(invitation(None), &key(100), &known_genesis(), node, Role::Worker, now);
    assert_eq!(late.verify(&known_genesis(), now), Err(CredentialError::MadeAfterExpiry { expires, issued: now }));
}

/// What the ledger says of its inviters.
struct Named {
    genesis: Genesis,
    inviters: Vec<u8>,
}

impl TrustAnchors for Named {
    fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn may_invite(&self, invitation: &Invitation, grant: &Grant, newcomer: bool) -> bool {
        let named = self.inviters.iter().any(|number| key(*number).node_id() == invitation.inviter);
        named || !newcomer && grant.node == key(2).node_id()
    }
}

#[test]
fn who_may_invite_is_asked_of_who_knows_it() {
    let terms = InvitationTerms { role: Role::Worker, issued: NOW, expires: NOW + DAY, member_until: None };
    let token = Token::invite(&key(5), known_genesis(), Addresses::default(), key(100), terms).unwrap();
    let by_another = token.credential(&key(2), None, NOW).unwrap();
    let named = |inviters: &[u8]| Named { genesis: known_genesis(), inviters: inviters.to_vec() };
    let (node, newcomer) = (key(2).node_id(), Standing::Newcomer);
    let unknown = |number| Err(CredentialError::UnknownInviter(key(number).node_id()));
    assert_eq!(by_another.verify_peer(&known_genesis(), node, newcomer, NOW), unknown(5));
    assert_eq!(by_another.verify_peer(&named(&[1]), node, newcomer, NOW), unknown(5));
    assert!(by_another.verify_peer(&named(&[1, 5]), node, newcomer, NOW).is_ok());
    // The maker's own key may be removed.
    assert_eq!(invited_credential(2).verify_peer(&named(&[5]), node, newcomer, NOW), unknown(1));
    assert!(invited_credential(2).verify_peer(&named(&[5]), node, Standing::Known, NOW).is_ok());
    assert_eq!(maker_credential().verify(&named(&[]), NOW).map(|maker| maker.node), Ok(key(1).node_id()));
}

#[test]
fn a_revoked_node_needs_an_invitation_of_later() {
    let node = key(2).node_id();
    let at = |at| invited_credential(2).verify_peer(&known_genesis(), node, Standing::Revoked { at }, NOW);
    assert_eq!(at(NOW), Err(CredentialError::Revoked { invited: NOW, at: NOW }));
    assert!(at(Wall(NOW.0 - 1)).is_ok());
}

#[test]
fn a_forgotten_node_needs_an_invitation_of_later_that_is_good_now() {
    let node = key(2).node_id();
    let at = |at, now| invited_credential(2).verify_peer(&known_genesis(), node, Standing::Forgotten { at }, now);
    let before = Wall(NOW.0 - 1);
    assert!(at(before, NOW + DAY).is_ok());
    for at_or_after in [NOW, NOW + DAY] {
        let forgotten = CredentialError::Forgotten { invited: NOW, at: at_or_after };
        assert_eq!(at(at_or_after, NOW), Err(forgotten), "of one date, forgetting wins");
    }
    // Nobody saw it use this invitation in time.
    let (expires, now) = (NOW + DAY, NOW + DAY * 2);
    assert_eq!(at(before, now), Err(CredentialError::InvitationExpired { expires, now }));
    let (invited, standing) = (Wall(0), Standing::Forgotten { at: Wall(0) });
    let maker = maker_credential().verify_peer(&known_genesis(), key(1).node_id(), standing, NOW);
    assert_eq!(maker, Err(CredentialError::Forgotten { invited, at: Wall(0) }));
}

#[test]
fn a_membership_ends_when_the_invitation_says_so() {
    let until = NOW + DAY * 2;
    let credential = accepted(invitation(Some(until)), 2);
    assert_eq!(credential.verify(&known_genesis(), until).map(|member| member.expires), Ok(Some(until)));
    let now = until + Duration::from_millis(1);
    assert_eq!(credential.verify(&known_genesis(), now), Err(CredentialError::MembershipEnded { until, now }));
}

#[test]
fn no_role_is_above_the_invitation() {
    let with_role = |role| {
        let node = key(2).node_id();
        let credential = Credential::by_invitation(invitation(None), &key(100), &known_genesis(), node, role, NOW);
        credential.verify(&known_genesis(), NOW).map(|member| member.role)
    };
    assert_eq!(with_role(Role::Client), Ok(Role::Client));
    let raised = CredentialError::RoleRaised { granted: Role::Worker, claimed: Role::Full };
    assert_eq!(with_role(Role::Full), Err(raised));
}

#[test]
fn each_link_of_the_chain_is_checked() {
    let genesis = known_genesis();
    let node = key(2).node_id();
    let by = |invitation, invitation_key: u8| {
        let key = key(invitation_key);
        Credential::by_invitation(invitation, &key, &genesis, node, Role::Worker, NOW).verify(&genesis, NOW)
    };
    assert_eq!(by(invitation(None), 101), Err(CredentialError::GrantSignature(key(100).node_id())));

    let body = invitation(None).unverified().clone();
    let forged = Certificate::issue(&key(2), &network(), body.clone());
    assert_eq!(by(forged, 100), Err(CredentialError::InvitationSignature(key(1).node_id())));

    let by_a_member = Certificate::issue(&key(2), &network(), Invitation { inviter: node, ..body });
    assert_eq!(by(by_a_member, 100), Err(CredentialError::UnknownInviter(node)));
}

#[test]
fn a_credential_is_for_one_network_and_one_peer() {
    let other = Genesis { nonce: [9; 32], ..known_genesis() };
    assert_eq!(invited_credential(2).verify(&other, NOW), Err(CredentialError::WrongNetwork));
    let (credential, peer) = (key(2).node_id(), key(3).node_id());
    assert_eq!(
        invited_credential(2).verify_peer(&known_genesis(), peer, Standing::Known, NOW),
        Err(CredentialError::NotThisPeer { credential, peer })
    );
}

#[test]
fn a_clock_may_be_ahead_by_the_skew() {
    let now = Wall(NOW.0 - limits::CLOCK_SKEW.as_millis() as u64);
    assert!(invited_credential(2).verify(&known_genesis(), now).is_ok());
    let now = Wall(now.0 - 1);
    let error = CredentialError::FromTheFuture { issued: NOW, now };
    assert_eq!(invited_credential(2).verify(&known_genesis(), now), Err(error));
}

#[test]
fn only_an_open_network_takes_who_was_not_invited() {
    let open = |role| Credential::in_open_network(&key(4), &open_genesis(), role, NOW).verify(&open_genesis(), NOW);
    assert_eq!(open(Role::Worker).map(|member| member.node), Ok(key(4).node_id()));
    let raised = CredentialError::RoleRaised { granted: Role::Worker, claimed: Role::Full };
    assert_eq!(open(Role::Full), Err(raised));
    let closed = Credential::in_open_network(&key(4), &known_genesis(), Role::Worker, NOW);
    assert_eq!(closed.verify(&known_genesis(), NOW), Err(CredentialError::NotOpen));
}

#[test]
fn a_certificate_serves_no_other_purpose() {
    // One that the maker signed as a grant, shown as an invitation: other domain, so no signature.
    let network = network();
    let Credential::Maker(grant) = maker_credential() else { panic!("the maker's") };
    let bytes = mesh_proto::codec::encode(&grant);
    assert!(mesh_proto::codec::decode_canonical::<Certificate<Invitation>>(&bytes, 1024).is_err());
    assert!(grant.verify(key(1).node_id(), &network).is_ok());
    assert!(grant.verify(key(1).node_id(), &open_genesis().network_id()).is_err());
}
