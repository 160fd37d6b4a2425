//! What gossip may bring, and what becomes of it.

use super::*;
use crate::identity::{self, DataDir, InviteTerms};
use mesh_proto::address::Addresses;
use mesh_proto::capability::Capabilities;
use mesh_proto::token::{InvitationTerms, Token};
use std::time::Duration;
use tempfile::TempDir;

/// The maker of a network, and one who joined it.
fn two() -> (Identity, Identity, [TempDir; 2]) {
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let [maker, joiner] = dirs.each_ref().map(|dir| DataDir::lock(dir.path()).unwrap());
    let now = crate::brain::clock::wall();
    let maker = identity::init(&maker, "gossip".parse().unwrap(), false, now).unwrap();
    let (role, bootstrap) = (mesh_proto::role::Role::Worker, Addresses::default());
    let terms = InviteTerms { role, valid_for: Duration::from_secs(60), bootstrap };
    let token = identity::invite(&maker, None, terms, now).unwrap().to_text().to_string();
    let joiner = identity::join(&joiner, &token, None, now).unwrap();
    (maker, joiner, dirs)
}

/// Takes another invitation, of this date, in place of its own.
fn invited_again(maker: &Identity, joiner: &Identity, issued: Wall) -> Identity {
    let invitation = SecretKey::from_bytes(&[7; 32]);
    let expires = issued + Duration::from_secs(60);
    let terms = InvitationTerms { role: mesh_proto::role::Role::Worker, issued, expires, member_until: None };
    let token = Token::invite(&maker.key, maker.genesis.clone(), Addresses::default(), invitation, terms).unwrap();
    let credential = token.credential(&joiner.key, None, issued).unwrap();
    let key = SecretKey::from_bytes(&joiner.key.to_bytes());
    Identity { key, genesis: joiner.genesis.clone(), credential }
}

fn says(identity: &Identity, incarnation: u64) -> Member {
    own_entry(&identity.key, &identity.genesis, presence(identity, incarnation))
}

fn presence(identity: &Identity, incarnation: u64) -> Presence {
    Presence {
        credential: identity.credential.clone(),
        store: StoreId(1),
        incarnation,
        addresses: Addresses::default(),
        joined: Wall(0),
        left: false,
        name: Some("mill".parse().unwrap()),
        zone: Some("rack-7".parse().unwrap()),
        drains: false,
        capabilities: Capabilities::parse(["gpu=1"]).unwrap(),
    }
}

#[test]
fn news_goes_on_old_news_is_ignored_and_lies_are_rejected() {
    let (maker, joiner, _dirs) = two();
    let directory = Directory::new(maker.genesis.clone());
    let first = says(&joiner, 5);
    let label = |text: &str| Some(text.parse().unwrap());
    assert_eq!((first.name.clone(), first.zone.clone()), (label("mill"), label("rack-7")));
    assert_eq!(first.capabilities.to_string(), "gpu=1");
    assert_eq!(directory.judge(&first.entry), (Verdict::Accept, Some(first.clone())));
    directory.note(&first);
    for old in [5, 4] {
        assert_eq!(directory.judge(&says(&joiner, old).entry), (Verdict::Ignore, None), "incarnation {old}");
    }
    let newer = says(&joiner, 6);
    assert_eq!(directory.judge(&newer.entry), (Verdict::Accept, Some(newer.clone())));

    // Signed by another than whom it is about, cut short, followed by more, too large, of another network.
    let forged = own_entry(&maker.key, &maker.genesis, presence(&joiner, 9));
    let cut = &newer.entry[..newer.entry.len() - 1];
    let longer = [&newer.entry[..], &[0]].concat();
    let (_, foreign, _foreign_dirs) = two();
    for lie in [&forged.entry[..], cut, &longer, &vec![0; limits::MEMBER_BYTES + 1], &says(&foreign, 9).entry, b""] {
        assert_eq!(directory.judge(lie), (Verdict::Reject, None), "{lie:?}");
    }
}

#[test]
fn a_forgotten_member_stays_forgotten_and_only_a_full_member_forgets() {
    let (maker, joiner, _dirs) = two();
    let directory = Directory::new(maker.genesis.clone());
    let (network, now) = (maker.genesis.network_id(), crate::brain::clock::wall());
    let forgets = |by: &Identity, whom: &Identity, at| {
        let by_whom = by.credential.clone();
        codec::encode(&MemberEntry::forgotten(&by.key, &network, by_whom, whom.key.node_id(), at))
    };
    assert_eq!(directory.judge(&forgets(&joiner, &maker, now)), (Verdict::Reject, None), "it is a worker");
    let tomorrow = now + Duration::from_secs(86_400);
    assert_eq!(directory.judge(&forgets(&maker, &joiner, tomorrow)), (Verdict::Ignore, None), "a clock is wrong");
    let (verdict, gone) = directory.judge(&forgets(&maker, &joiner, now));
    let gone = gone.unwrap();
    assert_eq!((verdict, gone.standing), (Verdict::Accept, Standing::Forgotten));
    directory.note(&gone);
    assert_eq!(directory.judge(&says(&joiner, u64::MAX).entry), (Verdict::Ignore, None));
    let standing = || network::Directory::standing(&directory, joiner.key.node_id());
    assert_eq!(standing(), credential::Standing::Forgotten { at: now });

    let again = |issued| says(&invited_again(&maker, &joiner, issued), 1);
    assert_eq!(directory.judge(&again(now).entry), (Verdict::Ignore, None), "of one date, forgetting wins");
    let back = again(now + Duration::from_millis(1));
    assert_eq!(directory.judge(&back.entry), (Verdict::Accept, Some(back.clone())));
    directory.note(&back);
    assert_eq!(standing(), credential::Standing::Known);
    assert_eq!(directory.judge(&gone.entry), (Verdict::Ignore, None), "the old word, told again");
}

#[test]
fn who_has_a_disk_is_counted_while_it_stays_a_member() {
    let (maker, joiner, _dirs) = two();
    let directory = Directory::new(maker.genesis.clone());
    let (me, other) = (maker.key.node_id(), joiner.key.node_id());
    directory.note(&says(&maker, 1));
    assert_eq!(directory.holders_beside(me), 0, "oneself is none of the others");
    directory.note(&says(&joiner, 5));
    assert_eq!((directory.holders_beside(me), directory.holders_beside(other)), (1, 1));
    let left = Presence { left: true, ..presence(&joiner, 6) };
    directory.note(&own_entry(&joiner.key, &joiner.genesis, left));
    assert_eq!(directory.holders_beside(me), 0, "it left, and says so");
}

#[test]
fn whom_the_ledger_revoked_is_a_member_no_more_and_whom_it_lets_invite_invites() {
    use mesh_proto::ledger::Row;
    let (maker, joiner, _dirs) = two();
    let directory = Directory::new(maker.genesis.clone());
    let (node, now) = (joiner.key.node_id(), crate::brain::clock::wall());
    directory.note(&says(&joiner, 5));
    let admitted = |credential: &Credential| {
        network::Directory::judge_credential(&directory, &maker.genesis, credential, credential.node(), now)
    };
    let named = |key, serial, revoked: Option<Wall>| {
        let (role, invited) = (mesh_proto::role::Role::Worker, joiner.credential.invited());
        let member = revoked.map(|_| Row::Member { node, role, invited, until: None, revoked, seated: false });
        let inviter = Row::Inviter { key, uses: None, until: None, governs: false };
        Roll::new(serial, &member.into_iter().chain([inviter]).collect::<Vec<_>>())
    };
    assert!(admitted(&joiner.credential).is_ok());
    let at = joiner.credential.invited();
    directory.set_roll(Arc::new(named(maker.key.node_id(), 1, Some(at))));
    // Before the brain has it in its table, and when it has.
    for _ in 0..2 {
        assert_eq!(network::Directory::standing(&directory, node), credential::Standing::Revoked { at });
        assert_eq!(admitted(&joiner.credential), Err(CredentialError::Revoked { invited: at, at }));
        assert!(!directory.is_good(node) || directory.credential(node).is_none());
        directory.note(&revoked(node, at));
    }
    assert_eq!(directory.judge(&says(&joiner, 6).entry), (Verdict::Ignore, None));
    let again = invited_again(&maker, &joiner, Wall(at.0 + 1));
    assert!(admitted(&again.credential).is_ok(), "invited since");

    // Another key invites, and the maker's no more.
    let inviter = SecretKey::from_bytes(&[11; 32]);
    let terms = InvitationTerms {
        role: mesh_proto::role::Role::Worker,
        issued: now,
        expires: now + Duration::from_secs(60),
        member_until: None,
    };
    let invitation = SecretKey::from_bytes(&[12; 32]);
    let token = Token::invite(&inviter, maker.genesis.clone(), Addresses::default(), invitation, terms).unwrap();
    let newcomer = SecretKey::from_bytes(&[13; 32]);
    let credential = token.credential(&newcomer, None, now).unwrap();
    let unknown = |key: &SecretKey| Err(CredentialError::UnknownInviter(key.node_id()));
    assert_eq!(admitted(&credential), unknown(&inviter));
    let entry =
        own_entry(&newcomer, &maker.genesis, Presence { credential: credential.clone(), ..presence(&joiner, 1) });
    assert_eq!(directory.judge(&entry.entry), (Verdict::Ignore, None), "nobody's fault: by another word it is good");
    directory.set_roll(Arc::new(named(inviter.node_id(), 2, None)));
    assert!(admitted(&credential).is_ok());
    assert_eq!(directory.judge(&entry.entry).0, Verdict::Accept);
    assert_eq!(admitted(&again.credential), unknown(&maker.key));
}
