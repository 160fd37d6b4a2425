//! One network, its people, and one value at least of each shape that has a wire form. All from fixed keys and dates,
//! so that their bytes are the same in every build.

use crate::{ledger_sample, pbft_sample, talk_sample, task_sample};
use mesh_proto::{
    address::Addresses,
    admit::{AdmitReply, AdmitRequest, Enter, NetworkProof, Refusal, Welcome},
    batch::SealedBatch,
    capability::{Capabilities, Requirements},
    certificate::Certificate,
    codec::encode,
    credential::{Credential, Invitation},
    domain::{Domain, Epoch},
    envelope::Envelope,
    fuzz::{NOW, Note, known_genesis},
    genesis::{Engine, Founders, Genesis},
    id::{NetworkId, NodeId, StoreId},
    key::SecretKey,
    member::{MemberEntry, Presence},
    merkle::Leaf,
    role::Role,
    time::Wall,
    token::{InvitationTerms, Token},
    version::WireVersions,
};
use std::time::Duration;

/// A value, encoded.
pub struct Sample {
    pub name: &'static str,
    /// Its rule in `schema.cddl`; text has none.
    pub rule: Option<&'static str>,
    /// Its decoder, by the name of the fuzz target.
    pub target: &'static str,
    pub bytes: Vec<u8>,
}

/// Every sample; their names are their files' in `tests/golden`.
pub fn all() -> Vec<Sample> {
    let mut samples = identities();
    samples.extend(requests());
    samples.extend(replies());
    samples.extend(members());
    samples.extend(proofs());
    samples.extend(task_sample::specs());
    samples.extend(task_sample::frames());
    samples.extend(talk_sample::control());
    samples.extend(talk_sample::operations());
    samples.extend(talk_sample::blobs());
    samples.extend(talk_sample::logs());
    samples.extend(ledger_sample::all());
    samples.extend(pbft_sample::messages());
    samples.extend(pbft_sample::evidence());
    samples.extend(abilities());
    samples
}

fn identities() -> Vec<Sample> {
    let largest = Genesis {
        name: "a".repeat(64).parse().unwrap(),
        engine: Engine::Raft,
        open: true,
        created: Wall(u64::MAX),
        committee: Founders::new((0..31).map(|i| NodeId::from_bytes([i; 32])).collect()).unwrap(),
        ..known_genesis()
    };
    let open = Credential::in_open_network(&key(4), &open_genesis(), Role::Worker, NOW);
    vec![
        sample("genesis", "genesis", "genesis", &known_genesis()),
        sample("genesis-largest", "genesis", "genesis", &largest),
        sample("credential-maker", "credential", "credential", &maker_credential()),
        sample("credential-invited", "credential", "credential", &invited_credential(2)),
        sample("credential-ending", "credential", "credential", &ending_credential(3)),
        sample("credential-open", "credential", "credential", &open),
        token_sample("token", &token()),
        token_sample("token-open", &Token::to_open_network(open_genesis(), addresses(1)).unwrap()),
        token_content("token-content", &token()),
    ]
}

fn requests() -> Vec<Sample> {
    let enter = Enter {
        proof: NetworkProof::new(&network(), key(2).node_id(), key(1).node_id()),
        credential: invited_credential(2),
        versions: WireVersions { oldest: 1, newest: 2 },
        store: StoreId(7),
        addresses: addresses(2),
    };
    let knock = AdmitRequest::Knock(enter.proof);
    vec![
        sample("admit-knock", "admit-request", "admit_request", &knock),
        sample("admit-enter", "admit-request", "admit_request", &AdmitRequest::Enter(Box::new(enter))),
    ]
}

fn replies() -> Vec<Sample> {
    let proof = NetworkProof::new(&network(), key(1).node_id(), key(2).node_id());
    let welcome = Welcome {
        credential: maker_credential(),
        versions: WireVersions { oldest: 1, newest: 1 },
        store: StoreId(u64::MAX),
        members: vec![present(2, 5), forgotten(3)],
    };
    let reply = |name, reply| sample(name, "admit-reply", "admit_reply", &reply);
    let refused = |name, refusal| reply(name, AdmitReply::Refused(refusal));
    vec![
        reply("admit-known", AdmitReply::Known(proof)),
        reply("admit-welcome", AdmitReply::Welcome(Box::new(welcome))),
        refused("admit-silent", Refusal::Silent),
        refused("admit-expired", Refusal::InvitationExpired),
        refused("admit-ended", Refusal::MembershipEnded),
        refused("admit-clock", Refusal::Clock),
        refused("admit-not-this-peer", Refusal::NotThisPeer),
        refused("admit-bad-credential", Refusal::BadCredential),
        refused("admit-forgotten", Refusal::Forgotten),
        refused("admit-revoked", Refusal::Revoked),
        refused("admit-not-inviter", Refusal::NotInviter),
        refused("admit-version", Refusal::Version(WireVersions { oldest: 3, newest: 4 })),
        refused("admit-busy", Refusal::Busy { retry_ms: 1500 }),
    ]
}

fn members() -> Vec<Sample> {
    let named = with_presence(2, |presence| {
        presence.name = Some(NAME.parse().unwrap());
        presence.zone = Some(ZONE.parse().unwrap());
    });
    vec![
        sample("member-joined", "member-entry", "member", &present(2, 5)),
        sample("member-left", "member-entry", "member", &with_presence(2, |presence| presence.left = true)),
        sample("member-named", "member-entry", "member", &named),
        sample("member-capable", "member-entry", "member", &capable(2, 5)),
        sample("member-forgotten", "member-entry", "member", &forgotten(2)),
    ]
}

fn abilities() -> Vec<Sample> {
    vec![
        sample("capabilities", "capabilities", "capabilities", &capabilities()),
        sample("requirements", "requirements", "requirements", &requirements()),
    ]
}

fn proofs() -> Vec<Sample> {
    let note = Note("the printer is on fire".into());
    let envelope = Envelope::seal(&key(2), &network(), Epoch(3), &note);
    let leaves: Vec<Leaf> = (0u8..11).map(|i| Leaf::new(Domain::Announcement, &encode(&Note(i.to_string())))).collect();
    let batch = SealedBatch::sign(&key(2), &network(), Epoch(3), &leaves).unwrap();
    let lone = SealedBatch::sign(&key(2), &network(), Epoch(0), &leaves[..1]).unwrap();
    vec![
        sample("envelope", "envelope", "envelope", &envelope),
        sample("signed-leaf", "signed-leaf", "signed_leaf", &batch.leaf(6).unwrap()),
        sample("signed-leaf-promoted", "signed-leaf", "signed_leaf", &batch.leaf(10).unwrap()),
        sample("signed-leaf-lone", "signed-leaf", "signed_leaf", &lone.leaf(0).unwrap()),
    ]
}

/// Key 1 is the maker's; 2 and up are members'; 100 and up are invitations'.
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32])
}

pub fn network() -> NetworkId {
    known_genesis().network_id()
}

pub fn open_genesis() -> Genesis {
    Genesis { open: true, ..known_genesis() }
}

pub fn maker_credential() -> Credential {
    Credential::of_maker(&key(1), &known_genesis(), known_genesis().created)
}

/// What may be left out of an entry.
pub const NAME: &str = "the mill";
pub const ZONE: &str = "rack-7";

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// For a worker, from now, for a day.
pub fn invitation(until: Option<Wall>) -> Certificate<Invitation> {
    invitation_at(NOW, until)
}

pub fn invitation_at(issued: Wall, member_until: Option<Wall>) -> Certificate<Invitation> {
    let invitation = Invitation {
        key: key(100).node_id(),
        inviter: key(1).node_id(),
        role: Role::Worker,
        issued,
        expires: issued + DAY,
        member_until,
    };
    Certificate::issue(&key(1), &network(), invitation)
}

pub fn invited_credential(number: u8) -> Credential {
    accepted(invitation(None), number)
}

/// As [`invited_credential`], for two days.
pub fn ending_credential(number: u8) -> Credential {
    accepted(invitation(Some(NOW + DAY * 2)), number)
}

pub fn accepted(invitation: Certificate<Invitation>, number: u8) -> Credential {
    let issued = invitation.unverified().issued;
    let node = key(number).node_id();
    Credential::by_invitation(invitation, &key(100), &known_genesis(), node, Role::Worker, issued)
}

pub fn addresses(count: usize) -> Addresses {
    Addresses::new((0..count).map(|i| format!("/ip4/192.0.2.{i}/udp/7440/quic-v1")).collect()).unwrap()
}

pub fn token() -> Token {
    let terms = InvitationTerms { role: Role::Worker, issued: NOW, expires: NOW + DAY, member_until: None };
    Token::invite(&key(1), known_genesis(), addresses(2), key(100), terms).unwrap()
}

pub fn present(number: u8, incarnation: u64) -> MemberEntry {
    with_presence(number, |presence| presence.incarnation = incarnation)
}

pub fn with_presence(number: u8, change: impl FnOnce(&mut Presence)) -> MemberEntry {
    let mut presence = Presence {
        credential: invited_credential(number),
        store: StoreId(u64::from(number)),
        incarnation: 5,
        addresses: addresses(1),
        joined: NOW,
        left: false,
        name: None,
        zone: None,
        drains: false,
        capabilities: Capabilities::default(),
    };
    change(&mut presence);
    MemberEntry::present(&key(number), &network(), presence)
}

pub fn capable(number: u8, incarnation: u64) -> MemberEntry {
    with_presence(number, |presence| {
        presence.incarnation = incarnation;
        presence.capabilities = capabilities();
    })
}

/// One of each kind of value.
pub fn capabilities() -> Capabilities {
    Capabilities::parse(["cores=16", "mem=64GiB", "arch=x86_64", "tool:ffmpeg=6.1.1", "tool:sort", "ssd"]).unwrap()
}

pub fn requirements() -> Requirements {
    "cores>=4,mem>2GiB,arch=x86_64,tool:ffmpeg<7,cuda<=12.2?,zone!=eu?".parse().unwrap()
}

pub fn forgotten(number: u8) -> MemberEntry {
    forgotten_at(number, NOW)
}

pub fn forgotten_at(number: u8, at: Wall) -> MemberEntry {
    MemberEntry::forgotten(&key(1), &network(), maker_credential(), key(number).node_id(), at)
}

pub fn sample<T: serde::Serialize>(name: &'static str, rule: &'static str, target: &'static str, value: &T) -> Sample {
    Sample { name, rule: Some(rule), target, bytes: encode(value) }
}

fn token_sample(name: &'static str, token: &Token) -> Sample {
    Sample { name, rule: None, target: "token", bytes: token.to_text().as_bytes().to_vec() }
}

/// What is between a token's length and its checksum.
fn token_content(name: &'static str, token: &Token) -> Sample {
    let text = token.to_text().to_ascii_uppercase();
    let bytes = data_encoding::BASE32_NOPAD.decode(&text.as_bytes()["mesh1".len()..]).unwrap();
    let content = bytes[2..bytes.len() - 4].to_vec();
    Sample { name, rule: Some("token"), target: "token_content", bytes: content }
}
