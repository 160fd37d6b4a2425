use crate::sample::{key, network, open_genesis};
use mesh_proto::{
    codec::{DecodeError, encode},
    domain::{Domain, Epoch},
    envelope::{Envelope, OpenError, Payload},
    fuzz::Note,
    key::BadSignature,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// Encodes as [`Note`] does.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order(String);

impl Payload for Order {
    const DOMAIN: Domain = Domain::Task;
    const LIMIT: usize = 1024;
}

fn sealed(text: &str) -> Envelope {
    Envelope::seal(&key(2), &network(), Epoch(3), &Note(text.into()))
}

#[test]
fn an_envelope_opens_where_it_was_sealed_for() {
    let note = sealed("hello").open::<Note>(&network()).unwrap();
    assert_eq!((note.from(), note.epoch()), (key(2).node_id(), Some(Epoch(3))));
    assert_eq!(note.into_inner(), Note("hello".into()));
    assert_eq!(sealed("hello").open::<Note>(&open_genesis().network_id()), Err(OpenError::Network));
    let domain = OpenError::Domain { expected: Domain::Task, found: Domain::Announcement };
    assert_eq!(sealed("hello").open::<Order>(&network()), Err(domain));
}

#[test]
fn a_payload_is_weighed_before_its_signature_is_checked() {
    let too_large = OpenError::Payload(DecodeError::TooLarge { size: 1027, limit: 1024 });
    assert_eq!(sealed(&"a".repeat(1024)).open::<Note>(&network()), Err(too_large));
}

#[test]
fn each_field_is_signed() {
    let bytes = encode(&sealed("hello"));
    let with = |old: &[u8], new: &[u8]| {
        let at = bytes.windows(old.len()).position(|window| window == old).expect("it is there");
        let mut changed = bytes.clone();
        changed[at..at + old.len()].copy_from_slice(new);
        Envelope::decode(&changed).unwrap().open::<Note>(&network()).unwrap_err()
    };
    let bad = |node| OpenError::Signature(BadSignature(node));
    assert_eq!(with(b"hello", b"jello"), bad(key(2).node_id()));
    assert_eq!(with(&[0x61, b'e', 3], &[0x61, b'e', 4]), bad(key(2).node_id()));
    assert_eq!(with(key(2).node_id().as_bytes(), key(3).node_id().as_bytes()), bad(key(3).node_id()));
    assert_eq!(with(network().as_bytes(), &[0; 32]), OpenError::Network);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_flipped_bit_opens(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode(&sealed("hello"));
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(envelope) = Envelope::decode(&bytes) {
            prop_assert!(envelope.open::<Note>(&network()).is_err());
        }
    }
}
