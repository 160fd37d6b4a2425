//! What comes from a node that is wrong, and the largest that comes from one that is not.

use super::sample::{self, Sample, largest_append, largest_piece};
use crate::{Config, Request, Response, fuzz::TARGETS, log::READ_BYTES, message::Answer};
use mesh_proto::{codec::DecodeError, time::Wall};
use proptest::{collection::vec, prelude::*, sample::Index};

#[test]
fn what_is_too_large_is_refused_unread() {
    for (limit, refused) in [
        (Request::LIMIT, Request::decode(&vec![0x61; Request::LIMIT + 1]).err()),
        (Response::LIMIT, Response::decode(&vec![0x61; Response::LIMIT + 1]).err()),
    ] {
        assert_eq!(refused, Some(DecodeError::TooLarge { size: limit + 1, limit }));
    }
}

/// No limit refuses what would be sent: the last piece of a snapshot of the largest committee in a change of all its
/// members; entries that are read at once; one entry that is full, of one request and of the smallest that there are.
#[test]
fn the_largest_messages_fit() {
    let config = Config::new(|| Wall(1));
    let learners = u8::try_from(config.learners).unwrap();
    let entry = largest_append(2, 1, 5).encode().len() - largest_append(1, 1, 5).encode().len();
    for request in [
        largest_piece(config.piece_bytes, 31, learners),
        largest_append(READ_BYTES as usize / entry, 1, 5),
        largest_append(1, 1, config.request_bytes),
        largest_append(1, config.batch_bytes / 13, 5),
    ] {
        let bytes = request.encode();
        assert!(bytes.len() < Request::LIMIT && Request::decode(&bytes).is_ok(), "{}", bytes.len());
    }
    let outcome = vec![1; Response::LIMIT - 64];
    let answer = Response(Answer::Ordered(u64::MAX, outcome.into())).encode();
    assert!(Response::decode(&answer).is_ok());
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    // Arrays in arrays; and behind a key that nobody knows, whose value openraft's types pass over.
    let arrays = vec![0x81; 100_000];
    let skipped = [&[0xa1, 0x61, b'v', 0xa1, 0x61, b'z'], arrays.as_slice()].concat();
    let tags = vec![0xc1; 100_000];
    for bytes in [arrays, skipped, tags] {
        assert!(Request::decode(&bytes).is_err() && Response::decode(&bytes).is_err());
    }
}

/// A list that says of itself that it is long is not believed: nothing is made room for that did not come.
#[test]
fn a_length_without_its_bytes_is_refused() {
    let Sample { bytes, .. } = sample::all().into_iter().find(|sample| sample.name == "raft-append-nothing").unwrap();
    let key = b"entries";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    assert_eq!(bytes[at], 0x80);
    for head in [&[0x9a, 0xff, 0xff, 0xff, 0xff][..], &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0x9f]]
    {
        let longer = [&bytes[..at], head, &bytes[at + 1..]].concat();
        assert!(matches!(Request::decode(&longer), Err(DecodeError::Malformed(_))));
    }
}

#[test]
fn what_is_not_known_or_comes_twice_is_refused() {
    let whole = Request(crate::message::Ask::Vote(openraft::raft::VoteRequest::new(Default::default(), None))).encode();
    // {"v": {"vote": …, "last_log_id": null}}
    assert_eq!(whole[..4], [0xa1, 0x61, b'v', 0xa2]);
    let more = |entry: &[u8]| [&[0xa1, 0x61, b'v', 0xa3], &whole[4..], entry].concat();
    assert!(Request::decode(&more(&[0x62, b'z', b'z', 0xf6])).is_err());
    assert!(Request::decode(&more(b"\x6blast_log_id\xf6")).is_err());
    assert!(Request::decode(&whole).is_ok());
}

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    /// A stretch takes the place of another, or stands there twice.
    Copy(Index, Index, u8),
    /// It goes on as another message from the same place.
    Splice(Index, Index),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        // The first bytes of values: of each kind, with each form of a length.
        let head = prop::sample::select(vec![
            0x00, 0x18, 0x1b, 0x20, 0x3b, 0x40, 0x58, 0x5a, 0x5f, 0x60, 0x61, 0x7a, 0x7f, 0x80, 0x81, 0x9a, 0x9b, 0x9f,
            0xa0, 0xa1, 0xba, 0xbf, 0xc2, 0xd8, 0xf4, 0xf6, 0xf7, 0xf9, 0xfb, 0xff,
        ]);
        let byte = prop_oneof![any::<u8>(), head];
        let at = any::<Index>;
        prop_oneof![
            (at(), byte.clone()).prop_map(|(at, byte)| Self::Flip(at, byte)),
            (at(), byte).prop_map(|(at, byte)| Self::Insert(at, byte)),
            at().prop_map(Self::Remove),
            at().prop_map(Self::Cut),
            (at(), at(), any::<u8>()).prop_map(|(from, to, length)| Self::Copy(from, to, length)),
            (at(), at()).prop_map(|(other, at)| Self::Splice(other, at)),
        ]
    }

    fn make(&self, bytes: &mut Vec<u8>, samples: &[Sample]) {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Insert(at, byte) => bytes.insert(place(at, bytes), *byte),
            Self::Splice(other, at) => {
                let at = place(at, bytes);
                bytes.truncate(at);
                bytes.extend(samples[other.index(samples.len())].bytes.iter().skip(at));
            }
            _ if bytes.is_empty() => {}
            Self::Flip(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Copy(from, to, length) => {
                let from = from.index(bytes.len());
                let stretch = bytes[from..].iter().take(usize::from(*length)).copied().collect::<Vec<_>>();
                let to = place(to, bytes);
                let end = (to + stretch.len() / 2).min(bytes.len());
                bytes.splice(to..end, stretch);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// Both decoders hear it: they do not panic, and what they accept encodes to the bytes that came, which the targets
    /// check.
    #[test]
    fn no_damaged_message_panics(of in any::<Index>(), changes in vec(Change::any(), 1..6)) {
        let samples = sample::all();
        let mut bytes = samples[of.index(samples.len())].bytes.clone();
        for change in &changes {
            change.make(&mut bytes, &samples);
        }
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }
}
