//! What the fuzzers call: each decoder, and behind it what is done with a value that decodes. Not part of the API.
//!
//! A target says whether it accepted the bytes, so that the test that replays a corpus can tell that some of it is.
//!
//! # Panics
//! A target panics where a decoder breaks its word: a value that was accepted must encode to the bytes it came from.

use crate::{
    admit::{AdmitReply, AdmitRequest},
    batch::SignedLeaf,
    codec::{self, DecodeError},
    credential::{Credential, Standing},
    domain::Domain,
    envelope::{Envelope, Payload},
    genesis::{Engine, Founders, Genesis},
    key::SecretKey,
    member::{MemberEntry, merge},
    merkle::Leaf,
    pbft::{EpochConfig, Evidence, Message, Sizes},
    task::{Frame, Spec},
    time::Wall,
    token::Token,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A decoder, by the name of its fuzz target and of its corpus.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: [Target; 13] = [
    ("genesis", genesis),
    ("credential", credential),
    ("token", token),
    ("token_content", token_content),
    ("admit_request", admit_request),
    ("admit_reply", admit_reply),
    ("member", member),
    ("envelope", envelope),
    ("signed_leaf", signed_leaf),
    ("task_spec", task_spec),
    ("task_frame", task_frame),
    ("pbft_message", pbft_message),
    ("pbft_evidence", pbft_evidence),
];

pub fn genesis(bytes: &[u8]) -> bool {
    accepted(bytes, Genesis::decode(bytes), |genesis| {
        let again = Genesis::decode(&genesis.encode()).map(|again| again.network_id());
        assert_eq!(again, Ok(genesis.network_id()));
    })
}

pub fn credential(bytes: &[u8]) -> bool {
    accepted(bytes, Credential::decode(bytes), |credential| check_credential(&credential))
}

/// The text form, which is not unique: white space and case are free.
pub fn token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(token) = Token::parse(text, NOW) else {
        return false;
    };
    let canonical = token.to_text();
    let again = Token::parse(&canonical, NOW).map(|token| token.to_text());
    assert_eq!(again.as_deref(), Ok(&*canonical), "a token survives its text");
    true
}

/// What is inside the text, which the checksum keeps from a fuzzer.
pub fn token_content(bytes: &[u8]) -> bool {
    match Token::decode(bytes) {
        Ok(token) => {
            assert_eq!(token.encode().as_slice(), bytes, "an accepted value encodes to the bytes it came from");
            true
        }
        Err(_) => false,
    }
}

pub fn admit_request(bytes: &[u8]) -> bool {
    accepted(bytes, AdmitRequest::decode(bytes), |request| {
        if let AdmitRequest::Enter(enter) = request {
            check_credential(&enter.credential);
        }
    })
}

pub fn admit_reply(bytes: &[u8]) -> bool {
    accepted(bytes, AdmitReply::decode(bytes), |reply| {
        let AdmitReply::Welcome(welcome) = reply else {
            return;
        };
        let mut table = BTreeMap::new();
        for entry in welcome.members {
            merge(&mut table, entry.clone());
            assert!(!merge(&mut table, entry), "an entry is news once");
        }
    })
}

pub fn member(bytes: &[u8]) -> bool {
    accepted(bytes, MemberEntry::decode(bytes), |entry| {
        let node = entry.node();
        if let Ok(verified) = entry.verify(&known_genesis(), NOW) {
            assert_eq!(verified.get().node(), node);
        }
    })
}

pub fn envelope(bytes: &[u8]) -> bool {
    accepted(bytes, Envelope::decode(bytes), |envelope| {
        if let Ok(note) = envelope.open::<Note>(&known_genesis().network_id()) {
            assert_eq!(note.from(), envelope.unverified_signer());
        }
    })
}

pub fn signed_leaf(bytes: &[u8]) -> bool {
    accepted(bytes, SignedLeaf::decode(bytes), |leaf| {
        let network = known_genesis().network_id();
        let [message, other] = [&b"message"[..], b"another"].map(|bytes| Leaf::new(Domain::Announcement, bytes));
        assert!(leaf.verify(&network, message).is_err() || leaf.verify(&network, other).is_err());
    })
}

pub fn task_spec(bytes: &[u8]) -> bool {
    match Spec::decode(bytes) {
        Ok(spec) => {
            assert_eq!(codec::encode(&spec), bytes, "an accepted value encodes to the bytes it came from");
            let network = known_genesis().network_id();
            assert_eq!(Spec::decode(bytes).map(|again| again.id(&network)), Ok(spec.id(&network)));
            true
        }
        Err(_) => false,
    }
}

/// Not canonical: the same frame may come in more than one encoding, but each is one value, whose own encoding is
/// hardly longer and within what it says it weighs.
pub fn task_frame(bytes: &[u8]) -> bool {
    match Frame::decode(bytes) {
        Ok(frame) => {
            let again = codec::encode(&frame);
            // cbor4ii takes a variant without the map of one that should be around it, so ours may be longer by that.
            assert!(again.len() <= bytes.len() * 2, "what is decoded is no larger than what came");
            assert_eq!(Frame::decode(&again).as_ref(), Ok(&frame), "a frame survives its encoding");
            for item in &frame.items {
                let (weight, size) = (item.weight(), codec::encode(item).len());
                assert!(weight * 5 >= size * 4 && weight <= size * 4, "{size} bytes weigh {weight}");
            }
            true
        }
        Err(_) => false,
    }
}

pub fn pbft_message(bytes: &[u8]) -> bool {
    accepted(bytes, Message::decode(bytes, &Sizes::of(&known_epoch())), |message| match message {
        Message::Request(request) => {
            assert!(request.operations.iter().map(<[u8]>::len).sum::<usize>() <= request.operations.as_bytes().len());
        }
        Message::PrePrepare(pre_prepare) => {
            assert_eq!(pre_prepare.batch.is_null(), pre_prepare.batch.requests.is_empty())
        }
        Message::ViewChange(change) => assert_eq!(change.change.digest(), change.change.clone().digest()),
        Message::Stable(end) => drop(end.summary.config.check()),
        _ => {}
    })
}

pub fn pbft_evidence(bytes: &[u8]) -> bool {
    accepted(bytes, codec::decode_canonical::<Evidence>(bytes, Evidence::LIMIT), |evidence| {
        let convicted = evidence.verify(&known_genesis().network_id(), &known_epoch());
        assert!(convicted.is_none_or(|node| known_epoch().replica_of(&node) == Some(evidence.replica)));
    })
}

/// A payload for envelopes and leaves, as those of the protocols are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note(pub String);

impl Payload for Note {
    const DOMAIN: Domain = Domain::Announcement;
    const LIMIT: usize = 1024;
}

/// When the samples of the tests are good.
pub const NOW: Wall = Wall(1_800_000_000_000);

/// The network of the samples, so that fuzzing goes beyond the check of the network.
#[must_use]
pub fn known_genesis() -> Genesis {
    let maker = SecretKey::from_bytes(&[1; 32]).node_id();
    Genesis {
        name: "sample".to_owned().try_into().expect("a lawful name"),
        nonce: [0x11; 32],
        maker,
        engine: Engine::Pbft,
        open: false,
        created: Wall(1_790_000_000_000),
        committee: Founders::alone(maker),
    }
}

/// The committee of the samples: keys 1 to 4.
#[must_use]
pub fn known_epoch() -> EpochConfig {
    let members = (1..=4).map(|number| SecretKey::from_bytes(&[number; 32]).node_id());
    EpochConfig::genesis(members).expect("a lawful epoch")
}

fn check_credential(credential: &Credential) {
    let genesis = known_genesis();
    let node = credential.node();
    for standing in [Standing::Known, Standing::Newcomer] {
        if let Ok(member) = credential.verify_peer(&genesis, node, standing, NOW) {
            assert_eq!((member.node, member.role), (node, credential.role()));
        }
    }
}

fn accepted<T: Serialize>(bytes: &[u8], decoded: Result<T, DecodeError>, then: impl FnOnce(T)) -> bool {
    match decoded {
        Ok(value) => {
            assert_eq!(codec::encode(&value), bytes, "an accepted value encodes to the bytes it came from");
            then(value);
            true
        }
        Err(_) => false,
    }
}
