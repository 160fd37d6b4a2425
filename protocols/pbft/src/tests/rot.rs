//! Bit rot in what a replica has written down.
//!
//! A replica believes its own disk: it checks nothing that it signed or checked before. That a record is damaged is for the
//! log to find, under whose checksum each one is: `a_flipped_bit_is_never_wrong_data_and_never_loses_a_sealed_record` of
//! meshd (`node/src/log/tests/rot.rs`). What is tried here is that facts are covered by themselves as well. Whichever byte
//! is hit, it is no fact any more, or one that does not hold by its own signatures and digests, so that nobody else would
//! take what is made of it: never another valid one.

use super::bench::*;
use crate::{Alarm, Effect, Fact, Membership, Snapshot, Verifier, changed, table::Table};
use mesh_proto::{
    codec,
    domain::Statement,
    id::{Digest, NodeId},
    key::{self, Signature},
    pbft::{Change, Checkpoint, ClientEntry, Message, Phase, Request, Sequence, Summary, View, Vote},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The replica that writes: the primary of view 1.
const ME: u8 = 1;
const LIMIT: usize = 1 << 20;

/// Of a life in which it orders, makes a checkpoint, catches others at lies, leaves view 0 for its own, loses its memory,
/// hears of another committee, and stops; and of how its store tells the middle of it. Every kind is there.
fn facts() -> Vec<Fact> {
    let mut bench = Bench::new(ME, 4);
    bench.order((view(0), seq(1)), &[request(1), request_of(101, 1)]);
    bench.order_up_to(seq(8));
    bench.stabilize(seq(8));
    let at = (view(0), seq(9));
    for digest in [1, 2].map(|n| Digest::from_bytes([n; 32])) {
        drop(bench.give(2, bench.prepare(2, at, digest)));
        drop(bench.give(3, bench.checkpoint(3, seq(16), digest)));
        let prepared = vec![bench.prepared(at, digest)];
        drop(bench.give(3, Message::ViewChange(bench.view_change(3, view(3), prepared))));
    }
    let batch = batch(&[request(3)]);
    bench.ask(&request(3)).unwrap();
    bench.give(0, bench.pre_prepare(at, &batch)).unwrap();
    bench.give(3, bench.prepare(3, at, batch.digest())).unwrap();
    bench.wait(Duration::from_millis(900));
    let proof = Some(bench.certificate(&bench.own_checkpoint(seq(8))).certificate);
    for replica in [0, 2] {
        let change = bench.change(replica, view(1), vec![bench.prepared(at, batch.digest())]);
        let change = bench.sign_change(Change { stable: seq(8), proof: proof.clone(), ..change });
        bench.give(replica, Message::ViewChange(change)).unwrap();
    }
    assert!(bench.is_active() && bench.view() == view(1));
    let told = bench.replica.retell();
    bench.replica.lose_memory(&mut bench.effects);
    let config = changed(&bench.epoch, Membership::Add(bench.node(4)), seq(16)).unwrap();
    let end = bench.certificate(&Summary { config, ..bench.summary(seq(16)) });
    bench.give(0, Message::Epochs(vec![Arc::new(end)])).unwrap();
    let written = bench.take().into_iter().filter_map(|effect| match effect {
        Effect::Persist(fact) => Some(fact),
        _ => None,
    });
    let digest = Digest::from_bytes([1; 32]);
    let alarm = Alarm::Diverged { sequence: seq(8), own: digest, stable: digest };
    written.chain(told).chain([Fact::Halted { alarm }]).collect()
}

fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Accepted { .. } => "accepted",
        Fact::Prepared { .. } => "prepared",
        Fact::Left { .. } => "left",
        Fact::Entered { .. } => "entered",
        Fact::Checkpoint { .. } => "checkpoint",
        Fact::Stable { .. } => "stable",
        Fact::Installed { .. } => "installed",
        Fact::Epochs { .. } => "epochs",
        Fact::Evidence { .. } => "evidence",
        Fact::Amnesia => "amnesia",
        Fact::Halted { .. } => "halted",
    }
}

/// Whether all that is in it is as its signatures and digests say.
fn holds(bench: &Bench, fact: &Fact) -> bool {
    let is_good = |message| {
        let snapshot = Snapshot::of_epoch(NETWORK, Arc::new(bench.epoch.clone()));
        Verifier::new(Arc::new(snapshot)).verify(bench.node(0), message).is_ok()
    };
    let is_signed =
        |by: NodeId, statement: &Statement, signature: &Signature| key::verify(by, statement, signature).is_ok();
    let epoch = bench.epoch.epoch;
    let is_vote = |phase, by: NodeId, at: (View, Sequence), digest: &Digest, signature: &Signature| {
        is_signed(by, &Vote::statement(phase, &NETWORK, epoch, at, digest), signature)
    };
    let me = bench.node(ME);
    match fact {
        Fact::Accepted { view, sequence, digest, proposal, batch, bodies, prepare } => {
            let (at, primary) = ((*view, *sequence), bench.node(bench.epoch.primary(*view).index() as u8));
            let is_body = |(digest, body): &(Digest, Arc<Request>)| {
                let statement = Request::statement(&NETWORK, digest);
                body.digest() == *digest && is_signed(body.gateway, &statement, &body.signature)
            };
            is_vote(Phase::PrePrepare, primary, at, digest, proposal)
                && batch.as_ref().is_none_or(|batch| batch.digest() == *digest)
                && bodies.iter().all(is_body)
                && prepare.is_none_or(|prepare| is_vote(Phase::Prepare, me, at, digest, &prepare))
        }
        Fact::Prepared { certificate, commit } => {
            let at = (certificate.view, certificate.sequence);
            let change = bench.change(ME, certificate.view.next(), vec![certificate.as_ref().clone()]);
            is_vote(Phase::Commit, me, at, &certificate.digest, commit)
                && is_good(Message::ViewChange(bench.sign_change(change)))
        }
        Fact::Left { message } => is_good(Message::ViewChange(Arc::clone(message))),
        Fact::Entered { message, changes } => {
            let named = changes.iter().map(|change| (change.change.replica, change.change.digest()));
            is_good(Message::NewView(Arc::clone(message)))
                && message.changes.iter().copied().eq(named)
                && changes.iter().all(|change| is_good(Message::ViewChange(Arc::clone(change))))
        }
        Fact::Checkpoint { summary, clients, vote } => {
            let statement = Checkpoint::statement(&NETWORK, epoch, summary.sequence, &summary.digest());
            vote.is_none_or(|vote| is_signed(me, &statement, &vote)) && are_of(clients, summary)
        }
        Fact::Stable { certificate } => is_good(Message::Stable(Arc::clone(certificate))),
        Fact::Installed { certificate, clients } => {
            is_good(Message::Stable(Arc::clone(certificate))) && are_of(clients, &certificate.summary)
        }
        Fact::Epochs { certificates } => is_good(Message::Epochs(certificates.clone())),
        Fact::Evidence { evidence } => evidence.verify(&NETWORK, &bench.epoch).is_some(),
        Fact::Amnesia | Fact::Halted { .. } => true,
    }
}

/// The first checkpoint of a life, or one that was taken over: all of the client table is there.
fn are_of(clients: &[ClientEntry], summary: &Summary) -> bool {
    Table::from_entries(clients, summary.floor).roots() == summary.clients
}

/// Checklist items 20 and 21.
#[test]
fn a_damaged_fact_is_no_other_fact_that_holds() {
    let bench = Bench::new(ME, 4);
    let mut kinds = BTreeMap::<&str, usize>::new();
    for fact in facts() {
        let bytes = codec::encode(&fact);
        assert_eq!(codec::decode::<Fact>(&bytes, LIMIT).as_ref(), Ok(&fact));
        assert!(holds(&bench, &fact), "{fact:?}");
        for byte in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[byte] ^= 1 << (byte % 8);
            // Most of it can be read: keys, digests, signatures are as good as any.
            if let Ok(found) = codec::decode::<Fact>(&damaged, LIMIT)
                && found != fact
            {
                // It stops the replica all the same.
                if matches!((&fact, &found), (Fact::Halted { .. }, Fact::Halted { .. })) {
                    continue;
                }
                assert!(!holds(&bench, &found), "byte {byte} of {fact:#?}\nmakes it {found:#?}");
                *kinds.entry(kind(&fact)).or_default() += 1;
            }
        }
    }
    // One bit makes no other name of the last, which has nothing else in it.
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    assert!(kinds.values().all(|tried| *tried > 200) && !kinds.contains_key("amnesia"), "{kinds:?}");
}
