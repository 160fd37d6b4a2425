//! What the fuzzers call: each decoder, and behind it what is done with a value that decodes. Not part of the API.
//!
//! A target says whether it accepted the bytes, so that the test that replays a corpus can tell that some of it is.
//!
//! # Panics
//! A target panics where a decoder breaks its word: a value that was accepted must encode to the bytes it came from.

use crate::{
    admit::{AdmitReply, AdmitRequest},
    agreement::{AllRan, Operation},
    batch::SignedLeaf,
    blob,
    capability::{Capabilities, Requirements},
    codec::{self, DecodeError},
    control::ControlMessage,
    credential::{Credential, Standing},
    domain::Domain,
    envelope::{Envelope, Payload},
    genesis::{Engine, Founders, Genesis},
    id::Digest,
    key::SecretKey,
    ledger::{Answer, Bundle, Checked, Command, DecisionProof, FetchNodes, FetchedNodes, Node, Query},
    limits,
    logs::Question,
    member::{MemberEntry, merge},
    merkle::Leaf,
    pbft::{EpochConfig, Evidence, Message, Sizes},
    task::{Frame, Spec},
    time::Wall,
    token::Token,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt::Debug};

/// A decoder, by the name of its fuzz target and of its corpus.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: [Target; 29] = [
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
    ("control_message", control_message),
    ("blob_request", blob_request),
    ("blob_reply", blob_reply),
    ("logs_question", logs_question),
    ("ledger_command", ledger_command),
    ("ledger_query", ledger_query),
    ("operation", operation),
    ("all_ran", all_ran),
    ("ledger_answer", ledger_answer),
    ("ledger_node", ledger_node),
    ("ledger_fetch", ledger_fetch),
    ("ledger_fetched", ledger_fetched),
    ("ledger_proof", ledger_proof),
    ("ledger_bundle", ledger_bundle),
    ("pbft_message", pbft_message),
    ("pbft_evidence", pbft_evidence),
    ("capabilities", capabilities),
    ("requirements", requirements),
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
                assert!(weight * 5 >= size * 4 && weight <= (size * 4).max(40), "{size} bytes weigh {weight}");
            }
            true
        }
        Err(_) => false,
    }
}

/// The larger of its two limits is that of replies.
pub fn control_message(bytes: &[u8]) -> bool {
    survives(ControlMessage::decode_reply(bytes), ControlMessage::decode_reply)
}

pub fn blob_request(bytes: &[u8]) -> bool {
    survives(blob::Request::decode(bytes), blob::Request::decode)
}

pub fn blob_reply(bytes: &[u8]) -> bool {
    survives(blob::Reply::decode(bytes), blob::Reply::decode)
}

pub fn logs_question(bytes: &[u8]) -> bool {
    survives(Question::decode(bytes), Question::decode)
}

/// Not canonical, like a frame of tasks: but each encoding is of one value.
fn survives<T: Serialize + PartialEq + Debug>(
    decoded: Result<T, DecodeError>,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
) -> bool {
    match decoded {
        Ok(value) => {
            match decode(&codec::encode(&value)) {
                // What may be left out is written out, so what was within the limit by a hair need not be again.
                Err(DecodeError::TooLarge { .. }) => {}
                again => assert_eq!(again.as_ref(), Ok(&value), "a message survives its encoding"),
            }
            true
        }
        Err(_) => false,
    }
}

pub fn ledger_command(bytes: &[u8]) -> bool {
    accepted(bytes, Command::decode(bytes), |command| {
        if let Ok(checked) = Checked::check(command.clone(), &known_genesis(), |_| true) {
            assert_eq!(checked.get(), &command);
        }
    })
}

pub fn ledger_query(bytes: &[u8]) -> bool {
    accepted(bytes, Query::decode(bytes), drop)
}

pub fn operation(bytes: &[u8]) -> bool {
    accepted(bytes, Operation::decode(bytes), drop)
}

pub fn all_ran(bytes: &[u8]) -> bool {
    accepted(bytes, AllRan::decode(bytes), drop)
}

pub fn ledger_answer(bytes: &[u8]) -> bool {
    accepted(bytes, Answer::decode(bytes), drop)
}

/// A node is taken under its own digest and no other.
pub fn ledger_node(bytes: &[u8]) -> bool {
    let Ok(node) = codec::decode_canonical::<Node>(bytes, limits::NODE_BYTES) else {
        return false;
    };
    let other = Digest::from_bytes([0; 32]);
    assert!(Node::decode(bytes, &other).is_err(), "another's digest");
    match Node::decode(bytes, &node.digest()) {
        Ok(again) => {
            assert_eq!(codec::encode(&again), bytes, "an accepted value encodes to the bytes it came from");
            true
        }
        Err(_) => false,
    }
}

pub fn ledger_fetch(bytes: &[u8]) -> bool {
    accepted(bytes, FetchNodes::decode(bytes), drop)
}

pub fn ledger_fetched(bytes: &[u8]) -> bool {
    accepted(bytes, FetchedNodes::decode(bytes), drop)
}

pub fn ledger_proof(bytes: &[u8]) -> bool {
    accepted(bytes, DecisionProof::decode(bytes), |proof| {
        let network = known_genesis().network_id();
        if let Ok((id, _)) = proof.verify(&network) {
            assert_eq!(id, proof.proposal.id(&network));
        }
        let root = Digest::from_bytes([0; 32]);
        assert!(proof.verify_recorded(&network, &root).is_err(), "nothing is under this root");
    })
}

pub fn ledger_bundle(bytes: &[u8]) -> bool {
    accepted(bytes, Bundle::decode(bytes), |bundle| {
        let again = Bundle::decode(&bundle.encode()).map(|again| again.genesis.network_id());
        assert_eq!(again, Ok(bundle.genesis.network_id()));
    })
}

/// What is done with a message of each kind.
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

/// The text within is what people write as well.
pub fn capabilities(bytes: &[u8]) -> bool {
    let decoded = codec::decode_canonical::<Capabilities>(bytes, 2 * limits::CAPABILITIES_BYTES);
    accepted(bytes, decoded, |capabilities| {
        let texts: Vec<String> = capabilities.texts().collect();
        assert_eq!(Capabilities::parse(texts.iter().map(String::as_str)), Ok(capabilities));
    })
}

pub fn requirements(bytes: &[u8]) -> bool {
    let limit = (limits::REQUIREMENT_BYTES + 3) * limits::REQUIREMENTS + 3;
    accepted(bytes, codec::decode_canonical::<Requirements>(bytes, limit), |requirements| {
        assert_eq!(requirements.to_string().parse(), Ok(requirements));
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
    for standing in [Standing::Known, Standing::Newcomer, Standing::Forgotten { at: NOW }] {
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
