//! pBFT's messages: one encoding, sizes before decoding, and signatures that hold for one purpose.

use crate::{
    pbft_sample::{
        AT, all, batch, certificate, checkpoint, conflicts, member, pre_prepare, reply, request, view_change,
    },
    sample::network,
};
use mesh_proto::{
    codec::{DecodeError, encode},
    domain::Epoch,
    fuzz::known_epoch,
    id::{Digest, NetworkId},
    key::{Signature, verify},
    limits,
    pbft::{
        Answered, Ballots, Batch, Checkpoint, ClientEntry, EpochConfig, Evidence, Executed, Kind, Message, Operations,
        Outcome, Phase, Prepared, ReplicaId, Reply, Request, RequestNumber, Sequence, Sizes, Stable, View, ViewChange,
        Vote,
    },
};
use std::{collections::BTreeSet, sync::Arc};

fn sizes() -> Sizes {
    Sizes::of(&known_epoch())
}

#[test]
fn each_kind_is_told_from_its_first_bytes() {
    let kinds: BTreeSet<Kind> = all().iter().map(|(_, message)| Kind::of(&message.encode()).unwrap()).collect();
    assert_eq!(kinds.len(), Kind::ALL.len());
    assert_eq!(Kind::of(&[0xa1, 0x61, b'z', 0]), None);
    assert!(matches!(Message::decode(&[0xa1, 0x61], &sizes()), Err(DecodeError::Malformed(_))));
}

/// Checklist item 3: one valid byte form.
#[test]
fn a_message_has_one_encoding() {
    for (name, message) in all() {
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes, &sizes()).as_ref(), Ok(&message), "{name}");
        // The first key behind the head, its length in two bytes.
        if let Some(at) = bytes.iter().skip(3).position(|byte| *byte == 0x61).map(|at| at + 3) {
            let long = [&bytes[..at], &[0x78, 1], &bytes[at + 1..]].concat();
            assert!(Message::decode(&long, &sizes()).is_err(), "{name}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Message::decode(&longer, &sizes()), Err(DecodeError::Trailing(1)), "{name}");
    }
}

/// Checklist items 6 and 38: sizes follow from n and L, and are checked before anything is decoded.
#[test]
fn what_is_too_large_is_refused_unread() {
    for (name, message) in all() {
        let head = &message.encode()[..3];
        let limit = sizes().limit(Kind::of(head).unwrap());
        let mut junk = vec![0xff; limit + 1];
        junk[..3].copy_from_slice(head);
        let refused = Err(DecodeError::TooLarge { size: limit + 1, limit });
        assert_eq!(Message::decode(&junk, &sizes()), refused, "{name}");
    }
}

fn ballots(count: usize) -> Ballots {
    let ballot = |replica| (ReplicaId::new(replica as u8), Signature::from_bytes([0xff; 64]));
    Ballots::new((0..count).map(ballot).collect()).unwrap()
}

/// Checklist item 38: the largest that a correct member sends is within its limit, and the limit is not far above it.
#[test]
fn the_largest_view_changes_fit() {
    for (members, window, about) in [(4usize, 256u32, 130_000), (13, 256, 390_000), (31, 4096, 10_000_000)] {
        let nodes = (0..members).map(|n| mesh_proto::id::NodeId::from_bytes([n as u8; 32]));
        let config = EpochConfig { window, interval: window / 2, ..EpochConfig::genesis(nodes).unwrap() };
        let largest = u64::MAX - u64::from(window);
        let digest = Digest::from_bytes([1; 32]);
        let prepared = |place: u32| Prepared {
            view: View::new(u64::MAX),
            sequence: Sequence::new(largest + u64::from(place)),
            digest,
            proposal: Signature::from_bytes([1; 64]),
            prepares: ballots(members),
        };
        let proof =
            Stable { epoch: Epoch(u64::MAX), sequence: Sequence::new(largest), digest, votes: ballots(members) };
        let mut change = view_change((0..window).map(prepared).collect()).change;
        (change.epoch, change.view) = (Epoch(u64::MAX), View::new(u64::MAX));
        (change.stable, change.proof) = (Sequence::new(largest), Some(proof));
        let message = Message::ViewChange(Arc::new(ViewChange { change, signature: Signature::from_bytes([1; 64]) }));
        let (size, limit) = (message.encode().len(), Sizes::of(&config).limit(Kind::ViewChange));
        assert!(size <= limit && limit < size * 11 / 10, "{members}: {size} of {limit}");
        assert!(limit < about * 2, "{members}: {limit}");
        assert_eq!(Message::decode(&message.encode(), &Sizes::of(&config)), Ok(message));
    }
}

/// Checklist item 38: as above, of what gateways ask for.
#[test]
fn the_largest_requests_batches_and_entries_fit() {
    let config = known_epoch();
    let operation = vec![7; config.request_bytes as usize - 4];
    let operations = Operations::pack([operation.as_slice()]).unwrap();
    let request = Request::sign(&member(0), &network(), RequestNumber::new(u64::MAX), operations);
    let message = Message::Request(Arc::new(request));
    assert!(Message::decode(&message.encode(), &sizes()).is_ok());
    let mut largest = pre_prepare(&batch());
    let requests = vec![Digest::from_bytes([1; 32]); config.batch_requests as usize];
    largest.batch = Arc::new(Batch { time: mesh_proto::time::Wall(u64::MAX), requests });
    (largest.epoch, largest.view, largest.sequence) = (Epoch(u64::MAX), View::new(u64::MAX), Sequence::new(u64::MAX));
    let message = Message::PrePrepare(Arc::new(largest));
    assert!(Message::decode(&message.encode(), &sizes()).is_ok());
    let past = |number: u64| Executed {
        number: RequestNumber::new(u64::MAX - number),
        sequence: Sequence::new(u64::MAX),
        request: Digest::from_bytes([1; 32]),
        outcome: Outcome::Executed(vec![1; config.client_bytes as usize / config.client_window as usize].into()),
    };
    let executed = (0..u64::from(config.client_window)).rev().map(past).collect();
    let entry = encode(&ClientEntry { gateway: member(0).node_id(), executed });
    assert!(ClientEntry::decode(&entry, sizes().entry()).is_ok(), "{} of {}", entry.len(), sizes().entry());
}

/// Checklist item 38: a number for each request of a batch, each with the request's digest; whichever outcomes are longest.
#[test]
fn the_largest_replies_fit() {
    let config = EpochConfig { client_bytes: 64 * 1024, ..known_epoch() };
    let sizes = Sizes::of(&config);
    let answer = vec![1; (config.client_bytes / config.batch_requests) as usize];
    for outcome in [Outcome::Executed(answer.into()), Outcome::TooOld(RequestNumber::new(u64::MAX))] {
        let answered = |number: u64| Answered {
            number: RequestNumber::new(u64::MAX - number),
            request: Digest::from_bytes([1; 32]),
            outcome: outcome.clone(),
        };
        let outcomes = (0..u64::from(config.batch_requests)).map(answered).collect();
        let largest = Reply {
            epoch: Epoch(u64::MAX),
            view: View::new(u64::MAX),
            sequence: Sequence::new(u64::MAX),
            replica: ReplicaId::new(u8::MAX),
            outcomes,
            ..reply()
        };
        let message = Message::Reply(Arc::new(largest));
        let (size, limit) = (message.encode().len(), sizes.limit(Kind::Reply));
        assert!(size <= limit, "{size} of {limit}");
        assert_eq!(Message::decode(&message.encode(), &sizes), Ok(message));
    }
    let most = config.client_bytes as usize + config.batch_requests as usize * 64;
    assert!(sizes.limit(Kind::Reply) < most + 256, "not far above it");
}

/// Checklist item 2: what is signed for one type, epoch or network holds for no other, and every field counts.
#[test]
fn a_signature_holds_for_its_type_epoch_network_and_fields() {
    let digest = Digest::from_bytes([1; 32]);
    let mut statements = BTreeSet::new();
    let mut count = 0;
    for network in [network(), NetworkId::from_bytes([1; 32])] {
        for epoch in [Epoch(0), Epoch(1)] {
            for sequence in [Sequence::new(128), Sequence::new(129)] {
                for digest in [digest, Digest::from_bytes([2; 32])] {
                    for view in [View::new(0), View::new(1)] {
                        for phase in [Phase::PrePrepare, Phase::Prepare, Phase::Commit] {
                            let statement = Vote::statement(phase, &network, epoch, (view, sequence), &digest);
                            statements.insert(statement.as_bytes().to_vec());
                            count += 1;
                        }
                    }
                    let statement = Checkpoint::statement(&network, epoch, sequence, &digest);
                    statements.insert(statement.as_bytes().to_vec());
                    count += 1;
                }
            }
            for digest in [digest, Digest::from_bytes([2; 32])] {
                statements.insert(ViewChange::statement(&network, epoch, &digest).as_bytes().to_vec());
                count += 1;
            }
        }
    }
    assert_eq!(statements.len(), count);
    let vote = Vote::sign(&member(1), &network(), Phase::Prepare, (Epoch(0), ReplicaId::new(1)), AT, digest);
    let by = member(1).node_id();
    assert!(verify(by, &vote.own_statement(Phase::Prepare, &network()), &vote.signature).is_ok());
    assert!(verify(by, &vote.own_statement(Phase::Commit, &network()), &vote.signature).is_err());
}

/// Checklist items 2 and 7: gateway, number, operations and network are signed.
#[test]
fn a_request_is_signed_whole() {
    let good = request();
    let check = |request: &Request, network: &NetworkId| {
        verify(request.gateway, &Request::statement(network, &request.digest()), &request.signature)
    };
    assert_eq!(check(&good, &network()), Ok(()));
    let others = [
        Request { number: good.number.next(), ..good.clone() },
        Request { life: good.life.next(), ..good.clone() },
        Request { gateway: member(0).node_id(), ..good.clone() },
        Request { operations: Operations::pack([&b"put a 2"[..]]).unwrap(), ..good.clone() },
    ];
    for other in others {
        assert!(check(&other, &network()).is_err());
    }
    assert!(check(&good, &NetworkId::from_bytes([1; 32])).is_err());
}

/// Checklist item 2: every field that is acted on is signed.
#[test]
fn every_field_of_a_reply_and_a_summary_counts() {
    let good = reply();
    let holds = |reply: &mesh_proto::pbft::Reply| {
        verify(member(1).node_id(), &reply.statement(&network()), &reply.signature).is_ok()
    };
    assert!(holds(&good));
    let mut others: [_; 6] = std::array::from_fn(|_| good.clone());
    others[0].view = View::new(9);
    others[1].sequence = Sequence::new(9);
    others[2].gateway = member(0).node_id();
    others[3].epoch = Epoch(4);
    others[4].outcomes.pop();
    others[5].outcomes[0].request = Digest::from_bytes([9; 32]);
    assert!(!others.iter().any(holds));
    let summary = certificate().summary;
    let mut other = summary.clone();
    other.config.members.pop();
    assert_ne!(summary.digest(), other.digest());
}

/// Checklist item 40: a third party convicts with the epoch's configuration alone, and only whom it is about.
#[test]
fn evidence_convicts_whom_it_is_about() {
    for (name, conflict) in conflicts() {
        let evidence = Evidence { epoch: Epoch(0), replica: ReplicaId::new(1), conflict };
        let convicted = evidence.verify(&network(), &known_epoch());
        assert_eq!(convicted, Some(member(1).node_id()), "{name}");
        let other = Evidence { replica: ReplicaId::new(2), ..evidence.clone() };
        assert_eq!(other.verify(&network(), &known_epoch()), None, "{name}");
        let later = EpochConfig { epoch: Epoch(1), ..known_epoch() };
        assert_eq!(evidence.verify(&network(), &later), None, "{name}");
        assert_eq!(evidence.verify(&NetworkId::from_bytes([1; 32]), &known_epoch()), None, "{name}");
    }
}

/// Checklist item 40: saying the same twice convicts nobody.
#[test]
fn the_same_statement_twice_is_no_evidence() {
    let digest = Digest::from_bytes([1; 32]);
    let claim = (digest, checkpoint(1, digest).signature);
    let conflict = mesh_proto::pbft::Conflict::Checkpoints { sequence: Sequence::new(128), one: claim, other: claim };
    let evidence = Evidence { epoch: Epoch(0), replica: ReplicaId::new(1), conflict };
    assert_eq!(evidence.verify(&network(), &known_epoch()), None);
}

#[test]
fn limits_hold_for_the_largest_epoch() {
    assert!(limits::PBFT_WINDOW.is_power_of_two());
    let nodes = (0..31).map(|n| mesh_proto::id::NodeId::from_bytes([n; 32]));
    let config = EpochConfig::genesis(nodes).unwrap();
    assert!(Sizes::of(&config).largest() < 8 << 20, "{}", Sizes::of(&config).largest());
}
