use crate::sample::{accepted, all, invitation, key, network};
use mesh_proto::{
    admit::{AdmitReply, AdmitRequest, Refusal, Welcome},
    codec::{DecodeError, encode},
    credential::{CredentialError, Standing},
    fuzz::{NOW, known_genesis},
    id::StoreId,
    limits,
    time::Wall,
    version::WireVersions,
};
use std::time::Duration;

#[test]
fn nothing_that_is_sent_holds_the_network_id() {
    let network = network();
    for sample in all().iter().filter(|sample| sample.target.starts_with("admit_")) {
        assert!(!sample.bytes.windows(32).any(|window| window == network.as_bytes()), "{}", sample.name);
    }
}

#[test]
fn each_cause_has_its_reason() {
    let genesis = known_genesis();
    let node = key(2).node_id();
    let refusal = |credential: mesh_proto::credential::Credential, peer, now: Wall| {
        let error: CredentialError = credential.verify_peer(&genesis, peer, Standing::Newcomer, now).unwrap_err();
        Refusal::from(&error)
    };
    let good = || accepted(invitation(None), 2);
    let day = crate::sample::DAY;
    assert_eq!(refusal(good(), node, NOW + day * 2), Refusal::InvitationExpired);
    assert_eq!(refusal(good(), key(3).node_id(), NOW), Refusal::NotThisPeer);
    assert_eq!(refusal(good(), node, Wall(0)), Refusal::Clock);
    let ended = accepted(invitation(Some(NOW)), 2);
    assert_eq!(refusal(ended, node, NOW + Duration::from_millis(1)), Refusal::MembershipEnded);
}

#[test]
fn a_request_is_weighed_before_it_is_read() {
    let bytes = vec![0xff; limits::ADMIT_REQUEST_BYTES + 1];
    let error = DecodeError::TooLarge { size: bytes.len(), limit: limits::ADMIT_REQUEST_BYTES };
    assert_eq!(AdmitRequest::decode(&bytes), Err(error));
}

#[test]
fn a_welcome_is_bounded() {
    let welcome = |count: usize| {
        encode(&AdmitReply::Welcome(Box::new(Welcome {
            credential: accepted(invitation(None), 2),
            versions: WireVersions::OURS,
            store: StoreId(1),
            members: vec![crate::sample::present(2, 1); count],
        })))
    };
    let full = welcome(limits::WELCOME_MEMBERS);
    assert!(full.len() < limits::ADMIT_REPLY_BYTES, "{}", full.len());
    assert!(AdmitReply::decode(&full).is_ok());
    assert!(matches!(AdmitReply::decode(&welcome(limits::WELCOME_MEMBERS + 1)), Err(DecodeError::Malformed(_))));
}
