//! What the verifier lets through.

use super::bench::*;
use crate::{Config, Refusal, Signatures, Verifier};
use mesh_proto::{
    domain::{Epoch, Statement},
    id::{Digest, NodeId},
    key::{BadSignature, Keys, Signature},
    pbft::{Ballots, Change, Checkpoint, EpochConfig, Message, Phase, ReplicaId, Sequence, ViewChange, Vote},
};
use std::sync::Arc;

fn at(sequence: u64) -> (mesh_proto::pbft::View, Sequence) {
    (view(0), seq(sequence))
}

/// Checklist item 6: what fails before the signature costs none. The signatures here are void, so that a check of them
/// would say so.
#[test]
fn cheap_checks_come_before_signatures() {
    let mut bench = Bench::new(1, 4);
    let void = Signature::from_bytes([0; 64]);
    let vote = Vote { signature: void, ..bench.vote(Phase::Prepare, 2, at(1), Digest::from_bytes([1; 32])) };
    let refused = |bench: &mut Bench, from: u8, vote: Vote| match bench.give(from, Message::Prepare(vote)) {
        Err(No::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let outsider = bench.node(4);
    assert_eq!(refused(&mut bench, 4, vote.clone()), Refusal::Member(outsider));
    let third = bench.node(3);
    assert_eq!(refused(&mut bench, 3, vote.clone()), Refusal::Member(third), "speaks for another");
    let other_epoch = Vote { epoch: Epoch(1), ..vote.clone() };
    assert_eq!(refused(&mut bench, 2, other_epoch), Refusal::Epoch { found: Epoch(1), own: Epoch(0) });
    let far = Vote { sequence: seq(17), ..vote.clone() };
    assert_eq!(refused(&mut bench, 2, far), Refusal::Window(seq(17)));
    let low = Vote { sequence: seq(0), ..vote.clone() };
    assert_eq!(refused(&mut bench, 2, low), Refusal::Window(seq(0)));
    assert!(matches!(refused(&mut bench, 2, vote), Refusal::Signature(_)), "only then the signature");
}

/// Checklist item 6: what was checked is not checked again, and another signature of the same costs nothing.
#[test]
fn a_second_signature_of_a_statement_is_refused_unchecked() {
    let mut bench = Bench::new(1, 4);
    let vote = bench.vote(Phase::Prepare, 2, at(1), Digest::from_bytes([1; 32]));
    bench.give(2, Message::Prepare(vote.clone())).unwrap();
    let other = Vote { signature: Signature::from_bytes([0; 64]), ..vote };
    assert_eq!(bench.give(2, Message::Prepare(other)), Err(No::Refused(Refusal::Duplicate)));
}

/// Signatures that are counted.
#[derive(Default)]
struct Counted(usize, Keys);

impl Signatures for Counted {
    fn verify(&mut self, signer: NodeId, statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
        self.0 += 1;
        self.1.verify(signer, statement, signature)
    }
}

/// Checklist item 6: a VIEW-CHANGE that comes again costs one hash, however many certificates it has. A committee of 13
/// once came to rest in views that it never entered: it checked them all day.
#[test]
fn a_view_change_that_comes_again_is_not_checked_again() {
    let bench = Bench::new(1, 4);
    let mut verifier = Verifier::with(Arc::clone(bench.replica.snapshot()), Counted::default());
    let certificates = (1..=16).map(|n| bench.prepared(at(n), Digest::from_bytes([n as u8; 32]))).collect();
    let message = Message::ViewChange(bench.view_change(2, view(1), certificates));
    verifier.verify(bench.node(2), message.clone()).unwrap();
    assert_eq!(verifier.signatures().0, 1 + 16 * 3);
    // More than it remembers of signatures.
    for n in 0..2000u32 {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&n.to_le_bytes());
        verifier.verify(bench.node(3), bench.prepare(3, at(1), Digest::from_bytes(digest))).unwrap();
    }
    let before = verifier.signatures().0;
    verifier.verify(bench.node(2), message).unwrap();
    assert!(verifier.signatures().0 - before <= 1, "the sender's alone");
}

/// Checklist item 6: what is remembered is enough for all members, also those that came later.
#[test]
fn a_larger_committee_is_remembered_whole() {
    let large = EpochConfig { interval: 16, window: 32, ..epoch(31) };
    let (small, large) = (Bench::new(0, 4), Bench::with(1, large, Config::default(), Vec::new(), false));
    let mut verifier = Verifier::with(Arc::clone(small.replica.snapshot()), Counted::default());
    verifier.update(Arc::clone(large.replica.snapshot()));
    let digest = |n: u64| Digest::from_bytes([n as u8; 32]);
    let votes = |verifier: &mut Verifier<Counted>| {
        for replica in 2..31 {
            for n in 1..=32 {
                verifier.verify(large.node(replica), large.prepare(replica, at(n), digest(n))).unwrap();
                verifier.verify(large.node(replica), large.commit(replica, at(n), digest(n))).unwrap();
            }
        }
    };
    (0..3).for_each(|_| votes(&mut verifier));
    assert_eq!(verifier.signatures().0, 29 * 32 * 2, "more than what four members need");
}

/// Checklist items 6 and 39: who sends bad signatures is not listened to for a while, others are.
#[test]
fn a_peer_with_bad_signatures_is_muted() {
    let mut bench = Bench::new(1, 4);
    let bad = |bench: &Bench, n: u8| {
        let vote = bench.vote(Phase::Prepare, 2, at(1), Digest::from_bytes([n; 32]));
        Message::Prepare(Vote { signature: Signature::from_bytes([1; 64]), ..vote })
    };
    for n in 0..16 {
        assert!(matches!(bench.give(2, bad(&bench, n)), Err(No::Refused(Refusal::Signature(_)))));
    }
    let good = bench.prepare(2, at(1), Digest::from_bytes([1; 32]));
    assert_eq!(bench.give(2, good), Err(No::Refused(Refusal::Muted)));
    let good = bench.prepare(3, at(1), Digest::from_bytes([1; 32]));
    assert_eq!(bench.give(3, good), Ok(()));
}

/// Checklist item 2: a signature of another phase, epoch or network does not hold.
#[test]
fn signatures_do_not_move_between_phases() {
    let mut bench = Bench::new(1, 4);
    let commit = bench.vote(Phase::Commit, 2, at(1), Digest::from_bytes([1; 32]));
    assert!(matches!(bench.give(2, Message::Prepare(commit)), Err(No::Refused(Refusal::Signature(_)))));
}

/// Checklist item 4: strict verification, by which nobody makes a second signature of another's: s + L is refused.
#[test]
fn a_malleable_signature_is_refused() {
    let mut bench = Bench::new(1, 4);
    let vote = bench.vote(Phase::Prepare, 2, at(1), Digest::from_bytes([1; 32]));
    let mut bytes = *vote.signature.as_bytes();
    // The order of the group, little endian.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0u16;
    for (place, byte) in order.iter().enumerate() {
        let sum = u16::from(bytes[32 + place]) + u16::from(*byte) + carry;
        bytes[32 + place] = sum as u8;
        carry = sum >> 8;
    }
    let other = Vote { signature: Signature::from_bytes(bytes), ..vote };
    assert!(matches!(bench.give(2, Message::Prepare(other)), Err(No::Refused(Refusal::Signature(_)))));
}

/// Checklist item 7: a request that its gateway did not sign goes nowhere, whoever brings it.
#[test]
fn a_request_that_its_gateway_did_not_sign_is_refused() {
    let mut bench = Bench::new(1, 4);
    let mut forged = request(1).as_ref().clone();
    forged.gateway = gateway_key(101).node_id();
    let message = Message::Request(Arc::new(forged.clone()));
    assert!(matches!(bench.give_from(forged.gateway, message.clone()), Err(No::Refused(Refusal::Signature(_)))));
    assert!(matches!(bench.give(0, message), Err(No::Refused(Refusal::Signature(_)))));
    let fetched = Message::Requests(vec![Arc::new(forged)]);
    assert!(matches!(bench.give(0, fetched), Err(No::Refused(Refusal::Signature(_)))));
}

/// Checklist item 10: a commit certificate needs a quorum of distinct members, and the batch that it is about.
#[test]
fn a_commit_certificate_is_of_a_quorum() {
    let mut bench = Bench::new(1, 4);
    let batch = batch(&[request(1)]);
    let two = bench.decided(&[0, 2], at(1), &batch);
    let few = Refusal::TooFewSignatures { found: 2, needed: 3 };
    assert_eq!(bench.give(3, two), Err(No::Refused(few)));
    let Message::Decided(mut other) = bench.decided(&[0, 2, 3], at(1), &batch) else { panic!() };
    other.batch = Arc::new(mesh_proto::pbft::Batch::null());
    assert_eq!(bench.give(3, Message::Decided(other)), Err(No::Refused(Refusal::Certificate)));
    let good = bench.decided(&[0, 2, 3], at(1), &batch);
    assert_eq!(bench.give(3, good), Ok(()));
}

/// A view change of replica 2 for view 2, with a certificate for number 1 and a stable checkpoint at 8.
fn good_change(bench: &Bench) -> Change {
    let summary = bench.summary(seq(8));
    Change {
        stable: seq(8),
        proof: Some(bench.certificate(&summary).certificate),
        ..bench.change(
            2,
            view(2),
            vec![
                bench.prepared((view(1), seq(9)), Digest::from_bytes([1; 32])),
                bench.prepared((view(0), seq(11)), Digest::from_bytes([2; 32])),
            ],
        )
    }
}

/// Checklist items 25 and 32: one bad part refuses the whole, whatever it is, though its sender signed it.
#[test]
fn a_view_change_with_one_bad_part_is_refused_whole() {
    let mut bench = Bench::new(1, 4);
    let good = good_change(&bench);
    let other_digest = Digest::from_bytes([7; 32]);
    let void = Signature::from_bytes([3; 64]);
    type Damage<'a> = (&'a str, Box<dyn Fn(&mut Change) + 'a>);
    let first =
        |damage: fn(&mut mesh_proto::pbft::Prepared)| move |change: &mut Change| damage(&mut change.prepared[0]);
    // These hold by themselves: nothing but the rule that is broken refuses them.
    let (one, two) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
    let (of_its_view, at_h) = (bench.prepared((view(2), seq(9)), one), bench.prepared((view(1), seq(8)), one));
    let beyond = bench.prepared((view(0), seq(25)), two);
    let by_primary = bench.vote(Phase::Prepare, 0, (view(0), seq(11)), two).signature;
    let mut of_epoch_3 = bench.certificate(&bench.summary(seq(8))).certificate;
    of_epoch_3.epoch = Epoch(3);
    let statement = Checkpoint::statement(&NETWORK, Epoch(3), seq(8), &of_epoch_3.digest);
    let votes = (0..3).map(|replica| (ReplicaId::new(replica), bench.keys[replica as usize].sign(&statement)));
    of_epoch_3.votes = Ballots::new(votes.collect()).unwrap();
    let damages: Vec<Damage<'_>> = vec![
        ("epoch", Box::new(|change| change.epoch = Epoch(1))),
        ("view 0", Box::new(|change| (change.view, change.prepared) = (view(0), Vec::new()))),
        ("no member", Box::new(|change| change.replica = ReplicaId::new(9))),
        ("of another", Box::new(|change| change.replica = ReplicaId::new(3))),
        ("no checkpoint", Box::new(|change| change.stable = seq(9))),
        ("another checkpoint", Box::new(|change| change.stable = seq(16))),
        ("no proof", Box::new(|change| change.proof = None)),
        ("a proof of the start", Box::new(|change| change.stable = seq(0))),
        ("proof of another digest", Box::new(move |change| change.proof.as_mut().unwrap().digest = other_digest)),
        ("proof of another epoch", Box::new(move |change| change.proof = Some(of_epoch_3.clone()))),
        (
            "proof of few",
            Box::new(|change| {
                let proof = change.proof.as_mut().unwrap();
                proof.votes = Ballots::new(proof.votes[..2].to_vec()).unwrap();
            }),
        ),
        ("certificate of its own view", Box::new(move |change| change.prepared[0] = of_its_view.clone())),
        ("certificate of another view", Box::new(first(|prepared| prepared.view = view(0)))),
        ("number at h", Box::new(move |change| change.prepared[0] = at_h.clone())),
        ("number above h + L", Box::new(move |change| change.prepared[1] = beyond.clone())),
        ("two for one number", Box::new(|change| change.prepared[1] = change.prepared[0].clone())),
        ("out of order", Box::new(|change| change.prepared.reverse())),
        ("another digest", Box::new(move |change| change.prepared[0].digest = other_digest)),
        ("a void proposal", Box::new(move |change| change.prepared[0].proposal = void)),
        (
            "few prepares",
            Box::new(first(|prepared| {
                prepared.prepares = Ballots::new(prepared.prepares[..1].to_vec()).unwrap();
            })),
        ),
        (
            "a void prepare",
            Box::new(move |change| {
                let mut ballots = change.prepared[0].prepares.to_vec();
                ballots[1].1 = void;
                change.prepared[0].prepares = Ballots::new(ballots).unwrap();
            }),
        ),
        (
            "the primary among the prepares",
            Box::new(move |change| {
                // View 0's primary is replica 0: named, it would count twice.
                let mut ballots = change.prepared[1].prepares.to_vec();
                ballots[0] = (ReplicaId::new(0), by_primary);
                change.prepared[1].prepares = Ballots::new(ballots).unwrap();
            }),
        ),
    ];
    for (what, damage) in &damages {
        let mut change = good.clone();
        damage(&mut change);
        // Signed by replica 2, who is the liar.
        let forged = ViewChange::sign(&bench.keys[2], &NETWORK, change);
        let given = bench.give(2, Message::ViewChange(Arc::new(forged)));
        assert!(matches!(given, Err(No::Refused(_))), "{what}: {given:?}");
        bench.verifier = crate::Verifier::new(Arc::clone(bench.replica.snapshot()));
    }
    // And it shadows no valid one.
    let good = bench.sign_change(good);
    assert_eq!(bench.give(2, Message::ViewChange(good)), Ok(()));
}

/// Checklist item 29: a new view is of its primary, names a quorum, and signs what it proposes.
#[test]
fn a_new_view_that_is_not_its_primarys_is_refused() {
    let mut bench = Bench::new(3, 4);
    let changes: Vec<_> = [0, 1, 2].map(|replica| bench.view_change(replica, view(1), Vec::new())).into();
    let good = bench.new_view(&changes);
    let by_another = good.clone().signed(&bench.keys[2], &NETWORK);
    assert!(matches!(bench.give(2, Message::NewView(Arc::new(by_another))), Err(No::Refused(Refusal::Signature(_)))));
    let mut few = good.clone();
    few.changes.pop();
    let few = few.signed(&bench.keys[1], &NETWORK);
    assert_eq!(bench.give(1, Message::NewView(Arc::new(few))), Err(No::Refused(Refusal::Certificate)));
    let mut twice = good;
    twice.changes[1] = twice.changes[0];
    let twice = twice.signed(&bench.keys[1], &NETWORK);
    assert_eq!(bench.give(1, Message::NewView(Arc::new(twice))), Err(No::Refused(Refusal::Certificate)));
}
