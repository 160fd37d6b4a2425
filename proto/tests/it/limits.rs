//! That the largest lawful value of each kind is within its limit, so that no limit refuses what we would send.

use crate::sample::{DAY, accepted, invitation, key, network, present, with_presence};
use mesh_proto::{
    address::Addresses,
    admit::{AdmitReply, AdmitRequest, Enter, NetworkProof, Welcome},
    aggregate::{Aggregate, AggregateId, Fold, Share, Subject},
    batch::{SealedBatch, SignedLeaf},
    capability::Capabilities,
    codec::encode,
    control::ControlMessage,
    credential::Credential,
    domain::{Domain, Epoch},
    fixed::Fixed,
    fuzz::NOW,
    id::StoreId,
    label::Label,
    limits,
    member::{MemberEntry, Presence},
    merkle::Leaf,
    time::Wall,
    version::WireVersions,
};

fn largest_addresses() -> Addresses {
    let long = format!("/{}", "a".repeat(limits::ADDRESS_BYTES - 1));
    Addresses::new(vec![long; limits::ADDRESSES]).unwrap()
}

/// As many as there may be, and as long as they then may be together.
fn largest_capabilities() -> Capabilities {
    let names: Vec<String> = (0..limits::CAPABILITIES).map(|n| format!("aaaaaaaaaaaaa{n:03}")).collect();
    let capabilities = Capabilities::parse(names.iter().map(String::as_str)).unwrap();
    assert_eq!(capabilities.texts().map(|text| text.len()).sum::<usize>(), limits::CAPABILITIES_BYTES);
    capabilities
}

fn largest_label() -> Label {
    "a".repeat(limits::LABEL_BYTES).parse().unwrap()
}

#[test]
fn the_largest_values_fit() {
    let credential = accepted(invitation(Some(NOW + DAY)), 2);
    assert!(Credential::decode(&encode(&credential)).is_ok());

    let presence = Presence {
        credential: credential.clone(),
        store: StoreId(u64::MAX),
        incarnation: u64::MAX,
        addresses: largest_addresses(),
        joined: Wall(u64::MAX),
        left: true,
        name: Some(largest_label()),
        zone: Some(largest_label()),
        drains: true,
        capabilities: largest_capabilities(),
    };
    assert!(MemberEntry::decode(&encode(&MemberEntry::present(&key(2), &network(), presence))).is_ok());

    let enter = Enter {
        proof: NetworkProof::new(&network(), key(2).node_id(), key(1).node_id()),
        credential,
        versions: WireVersions { oldest: u16::MAX, newest: u16::MAX },
        store: StoreId(u64::MAX),
        addresses: largest_addresses(),
    };
    assert!(AdmitRequest::decode(&encode(&AdmitRequest::Enter(Box::new(enter)))).is_ok());
}

#[test]
fn a_welcome_takes_the_members_that_fit() {
    let entry = with_presence(2, |presence| presence.addresses = largest_addresses());
    let welcome = |members| {
        Welcome::new(accepted(invitation(Some(NOW + DAY)), 2), WireVersions::OURS, StoreId(u64::MAX), members)
    };
    for (entry, fits) in [(entry, 14), (present(2, 1), limits::WELCOME_MEMBERS)] {
        let welcome = welcome(vec![entry; 100]);
        assert_eq!(welcome.members.len(), fits);
        assert!(AdmitReply::decode(&encode(&AdmitReply::Welcome(Box::new(welcome)))).is_ok());
    }
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    // Arrays in arrays; and behind a key that nobody knows, whose value is skipped.
    let arrays = vec![0x81; 100_000];
    let skipped = [&[0xa1, 0x61, b'w', 0xa1, 0x61, b'z'], arrays.as_slice()].concat();
    let tags = vec![0xc1; 100_000];
    for bytes in [arrays, skipped, tags] {
        assert!(AdmitReply::decode(&bytes).is_err());
    }
}

#[test]
fn the_longest_path_fits() {
    let leaves = vec![Leaf::new(Domain::Task, b""); limits::BATCH_LEAVES as usize];
    let batch = SealedBatch::sign(&key(2), &network(), Epoch(u64::MAX), &leaves).unwrap();
    let leaf = batch.leaf(limits::BATCH_LEAVES - 1).unwrap();
    assert_eq!(SignedLeaf::decode(&encode(&leaf)), Ok(leaf));
}

#[test]
fn the_largest_shares_fit() {
    let id = AggregateId { origin: key(2).node_id(), number: u64::MAX };
    let name = "n".repeat(limits::AGGREGATE_NAME_BYTES);
    let numbers = |count: usize| (0..u16::try_from(count).unwrap()).map(|of| (of, Fixed(i128::MIN))).collect();
    for (fold, given, extremes) in
        [(Fold::Buckets, limits::AGGREGATE_NUMBERS, 0), (Fold::Most, 4, limits::AGGREGATE_LENGTH)]
    {
        let share = Share {
            id,
            subject: Subject { fold, name: name.clone(), length: u16::MAX },
            life: u64::MAX,
            turn: u64::MAX,
            left_ms: u32::MAX,
            given: numbers(given),
            extremes: numbers(extremes),
        };
        let bytes = encode(&ControlMessage::Aggregate(Aggregate::Share(Box::new(share))));
        assert!(ControlMessage::decode(&bytes).is_ok(), "{} bytes", bytes.len());
    }
}
