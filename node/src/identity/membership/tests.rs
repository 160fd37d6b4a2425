//! From one machine's `init` to another's `join`, and everything that may be there already.

use tempfile::TempDir;

use super::*;
use crate::identity::read_bootstrap;

const NOW: Wall = Wall(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn directory() -> (TempDir, DataDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = DataDir::lock(temp.path()).unwrap();
    (temp, dir)
}

fn network(name: &str) -> (TempDir, Identity) {
    let (temp, dir) = directory();
    let identity = init(&dir, name.parse().unwrap(), false, NOW).unwrap();
    (temp, identity)
}

fn token(identity: &Identity) -> String {
    token_of(identity, NOW)
}

fn token_of(identity: &Identity, now: Wall) -> String {
    let bootstrap = Addresses::new(vec!["/dns4/a.example/tcp/7440".to_owned()]).unwrap();
    let terms = InviteTerms { role: Role::Worker, valid_for: HOUR, bootstrap };
    invite(identity, None, terms, now).unwrap().to_text().to_string()
}

#[test]
fn a_network_is_made_once_and_read_back() {
    let (temp, dir) = directory();
    assert!(matches!(Identity::load(temp.path(), NOW), Err(IdentityError::NoNetwork { .. })));
    let made = init(&dir, "lab".parse().unwrap(), false, NOW).unwrap();
    // Beside the lock's holder, as `invite` reads beside a running node.
    let read = Identity::load(temp.path(), NOW).unwrap();
    assert_eq!(read.genesis, made.genesis);
    assert_eq!(read.member(NOW).unwrap().role, Role::Full);
    assert!(matches!(init(&dir, "lab".parse().unwrap(), false, NOW), Err(IdentityError::AlreadyMember { .. })));
}

#[test]
fn a_token_is_all_that_another_machine_needs() {
    let (_maker_dir, maker) = network("lab");
    let (temp, dir) = directory();
    let joined = join(&dir, &token(&maker), None, NOW).unwrap();
    assert_ne!(joined.key.node_id(), maker.key.node_id());
    // Long after the invitation expired, since it limits joining and not membership.
    let later = NOW + HOUR * 1000;
    let read = Identity::load(temp.path(), later).unwrap();
    assert_eq!(read.member(later).unwrap().role, Role::Worker);
    assert_eq!(read.genesis.network_id(), maker.genesis.network_id());
    assert_eq!(read_bootstrap(temp.path()).unwrap().to_vec(), ["/dns4/a.example/tcp/7440"]);
    assert!(matches!(invite_from(&read), Err(IdentityError::NotTheMaker { .. })));
}

fn invite_from(identity: &Identity) -> Result<Token, IdentityError> {
    let terms = InviteTerms { role: Role::Worker, valid_for: HOUR, bootstrap: Addresses::default() };
    invite(identity, None, terms, NOW)
}

#[test]
fn joining_twice_or_elsewhere_is_refused_and_changes_nothing() {
    let (_one_dir, one) = network("one");
    let (_two_dir, two) = network("two");
    let (temp, dir) = directory();
    join(&dir, &token(&one), None, NOW).unwrap();
    let before = std::fs::read(temp.path().join(CREDENTIAL)).unwrap();
    let again = join(&dir, &token(&one), None, NOW).unwrap_err();
    assert!(matches!(again, IdentityError::NotLater { .. }), "{again}");
    let elsewhere = join(&dir, &token(&two), None, NOW).unwrap_err().to_string();
    assert!(elsewhere.contains("network one") && elsewhere.contains("for two"), "{elsewhere}");
    assert_eq!(std::fs::read(temp.path().join(CREDENTIAL)).unwrap(), before);
}

#[test]
fn an_invitation_of_later_takes_the_place_of_the_one_before() {
    let (maker_temp, maker) = network("lab");
    let (temp, dir) = directory();
    let later = NOW + Duration::from_millis(1);
    let (before, after) = (token(&maker), token_of(&maker, later));
    let first = join(&dir, &before, None, NOW).unwrap();
    assert_eq!(join(&dir, &after, Some(Role::Client), later).unwrap().key.node_id(), first.key.node_id());
    let member = Identity::load(temp.path(), later).unwrap().member(later).unwrap();
    assert_eq!((member.role, member.invited), (Role::Client, later));
    for not_later in [before, after] {
        assert!(matches!(join(&dir, &not_later, None, later), Err(IdentityError::NotLater { .. })));
    }
    // Its own token would make the maker less than it is.
    let dir = DataDir::lock(maker_temp.path()).unwrap();
    assert!(matches!(join(&dir, &token_of(&maker, later), None, later), Err(IdentityError::NotLater { .. })));
    assert_eq!(Identity::load(maker_temp.path(), later).unwrap().member(later).unwrap().role, Role::Full);
}

#[test]
fn a_bad_or_old_token_leaves_no_key() {
    let (_maker_dir, maker) = network("lab");
    let (temp, dir) = directory();
    let token = token(&maker);
    for (text, now) in [("nonsense", NOW), (&token[..token.len() - 8], NOW), (&token, NOW + HOUR * 2)] {
        assert!(matches!(join(&dir, text, None, now), Err(IdentityError::Token(_))), "{text}");
    }
    assert!(!temp.path().join("key").exists());
}

#[test]
fn a_join_that_died_can_be_repeated_even_elsewhere() {
    let (_one_dir, one) = network("one");
    let (_two_dir, two) = network("two");
    let (temp, dir) = directory();
    let first = join(&dir, &token(&one), None, NOW).unwrap().key.node_id();
    std::fs::remove_file(temp.path().join(CREDENTIAL)).unwrap();
    assert!(matches!(Identity::load(temp.path(), NOW), Err(IdentityError::NoNetwork { .. })));
    let second = join(&dir, &token(&two), None, NOW).unwrap();
    assert_eq!(second.key.node_id(), first);
    assert_eq!(second.genesis.network_id(), two.genesis.network_id());
}

#[test]
fn what_does_not_belong_together_is_named() {
    let (temp, _identity) = network("lab");
    let damage = |name: &str, bytes: &[u8]| {
        let path = temp.path().join(name);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let error = Identity::load(temp.path(), NOW).unwrap_err();
        std::fs::write(&path, before).unwrap();
        error
    };
    let other_key = format!("{}\n", "07".repeat(32));
    for (name, bytes) in [("key", other_key.as_bytes()), (GENESIS, b"x"), (CREDENTIAL, b"x"), (GENESIS, b"")] {
        let error = damage(name, bytes);
        assert!(matches!(error, IdentityError::Damaged { .. }), "{name}: {error}");
    }
    let (_other_dir, other) = network("lab");
    let error = damage(GENESIS, &other.genesis.encode());
    assert!(matches!(error, IdentityError::Credential { .. }), "{error}");
}

#[test]
fn an_open_network_needs_no_invitation() {
    let (_maker_temp, maker_dir) = directory();
    let maker = init(&maker_dir, "open".parse().unwrap(), true, NOW).unwrap();
    let (_temp, dir) = directory();
    let joined = join(&dir, &invite_from(&maker).unwrap().to_text(), None, NOW).unwrap();
    assert_eq!(joined.member(NOW).unwrap().role, Role::Worker);
    assert!(matches!(invite_from(&joined), Ok(token) if token.invitation().is_none()));
}
