use crate::sample::{DAY, addresses, key, open_genesis, token};
use mesh_proto::{
    credential::{CredentialError, Standing},
    fuzz::{NOW, known_genesis},
    genesis::Genesis,
    role::Role,
    token::{InvitationTerms, Token, TokenError},
};
use proptest::prelude::*;
use std::time::Duration;

fn parse(text: &str) -> Result<Token, TokenError> {
    Token::parse(text, NOW)
}

#[test]
fn a_token_is_all_that_is_needed_to_join() {
    let text = token().to_text();
    assert!(text.starts_with("mesh1") && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", *text);
    assert!(text.len() < 1200, "{}", text.len());
    let token = parse(&text).unwrap();
    assert_eq!(token.genesis, known_genesis());
    assert_eq!(token.bootstrap, addresses(2));
    let credential = token.credential(&key(2), None, NOW).unwrap();
    let member = credential.verify_peer(&known_genesis(), key(2).node_id(), Standing::Newcomer, NOW).unwrap();
    assert_eq!(member.role, Role::Worker);
    assert_eq!(token.credential(&key(2), Some(Role::Client), NOW).unwrap().role(), Role::Client);
    let raised = CredentialError::RoleRaised { granted: Role::Worker, claimed: Role::Full };
    assert_eq!(token.credential(&key(2), Some(Role::Full), NOW), Err(TokenError::Invitation(raised)));
}

#[test]
fn wrapped_and_upper_case_pastes_are_taken() {
    let text = token().to_text();
    let wrapped: Vec<_> = text.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).unwrap()).collect();
    assert!(parse(&format!("  {}\r\n", wrapped.join("\n"))).is_ok());
    assert!(parse(&text.to_ascii_uppercase()).is_ok());
}

#[test]
fn each_bad_paste_is_told_apart() {
    let text = token().to_text();
    assert_eq!(parse("").unwrap_err(), TokenError::Prefix);
    assert_eq!(parse("/ip4/127.0.0.1/tcp/7440").unwrap_err(), TokenError::Prefix);
    assert_eq!(parse(&text[1..]).unwrap_err(), TokenError::Prefix);
    assert_eq!(
        parse(&format!("{}-", *text)).unwrap_err(),
        TokenError::Character { character: '-', at: text.len() + 1 }
    );
    assert_eq!(parse(&format!("{}{}", *text, &text[5..])).unwrap_err(), TokenError::Trailing);
    assert!(matches!(parse(&"mesh1a".repeat(10_000)).unwrap_err(), TokenError::TooLong { .. }));
    assert!(matches!(parse("mesh1").unwrap_err(), TokenError::Truncated { size: 0, .. }));
    let mut damaged = text.clone();
    damaged.replace_range(40..41, if &text[40..41] == "a" { "b" } else { "a" });
    assert_eq!(parse(&damaged).unwrap_err(), TokenError::Checksum);
}

#[test]
fn a_paste_cut_anywhere_is_called_cut_short() {
    let text = token().to_text();
    for length in 5..text.len() - 1 {
        assert!(matches!(parse(&text[..length]), Err(TokenError::Truncated { .. })), "{length}");
    }
}

#[test]
fn an_expired_token_says_so() {
    let (expires, now) = (NOW + DAY, NOW + DAY + Duration::from_millis(1));
    let text = token().to_text();
    assert!(Token::parse(&text, expires).is_ok());
    assert_eq!(Token::parse(&text, now).unwrap_err(), TokenError::Expired { expires, now });
}

#[test]
fn whether_who_invites_may_is_for_those_who_let_in() {
    let terms = InvitationTerms { role: Role::Full, issued: NOW, expires: NOW + DAY, member_until: None };
    let token = Token::invite(&key(2), known_genesis(), addresses(0), key(100), terms).unwrap();
    let credential = parse(&token.to_text()).unwrap().credential(&key(3), None, NOW).unwrap();
    let error = CredentialError::UnknownInviter(key(2).node_id());
    assert_eq!(credential.verify(&known_genesis(), NOW), Err(error));
}

#[test]
fn a_token_of_an_open_network_needs_no_invitation() {
    let token = parse(&Token::to_open_network(open_genesis(), addresses(1)).unwrap().to_text()).unwrap();
    assert!(token.invitation().is_none());
    assert!(token.credential(&key(2), None, NOW).is_ok());
    let closed = Token::to_open_network(known_genesis(), addresses(1)).unwrap_err();
    assert_eq!(closed, TokenError::NoInvitation { network: "sample".into() });
}

#[test]
fn bootstrap_addresses_are_few() {
    let count = 9;
    let error = Token::to_open_network(open_genesis(), addresses(count)).unwrap_err();
    assert_eq!(error, TokenError::Addresses { count });
}

#[test]
fn the_secret_is_not_shown() {
    let shown = format!("{:?}", token());
    // The invitation key is 32 times the byte 100.
    assert!(!shown.contains("100, 100") && !shown.contains("6464"), "{shown}");
}

#[test]
fn the_largest_token_fits() {
    let genesis = Genesis {
        name: "a".repeat(64).parse().unwrap(),
        open: true,
        committee: mesh_proto::genesis::Founders::new(
            (0..31).map(|i| mesh_proto::id::NodeId::from_bytes([i; 32])).collect(),
        )
        .unwrap(),
        ..known_genesis()
    };
    let long = (0..8).map(|i| format!("/{i}{}", "a".repeat(510))).collect();
    let terms = InvitationTerms { role: Role::Full, issued: NOW, expires: NOW + DAY, member_until: Some(NOW + DAY) };
    let bootstrap = mesh_proto::address::Addresses::new(long).unwrap();
    let token = Token::invite(&key(1), genesis, bootstrap, key(100), terms).unwrap();
    assert!(parse(&token.to_text()).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_character_is_noticed(at in 5usize..400, symbol in "[a-z2-7]") {
        let text = token().to_text();
        let mut changed = text.to_string();
        changed.replace_range(at..at + 1, &symbol);
        prop_assert_eq!(*changed == **text, parse(&changed).is_ok());
    }
}
