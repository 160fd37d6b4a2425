//! Members that contradict themselves.

use super::bench::*;
use crate::{Config, Effect, Event, Fact};
use mesh_proto::{
    domain::Epoch,
    id::Digest,
    pbft::{Batch, EpochConfig, Evidence, Message, Summary},
};
use std::sync::Arc;

fn caught(bench: &Bench) -> Vec<Arc<Evidence>> {
    let events = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Event(Event::Caught(evidence)) => Some(Arc::clone(evidence)),
        _ => None,
    });
    events.collect()
}

/// Checklist item 40: every kind of contradiction is kept with its bytes, and convicts by the epoch's configuration.
#[test]
fn contradictions_are_caught_and_convict() {
    let mut bench = Bench::new(3, 4);
    let [a, b] = [1, 2].map(|n| Digest::from_bytes([n; 32]));
    bench.give(0, bench.pre_prepare((view(0), seq(1)), &Batch::null())).unwrap();
    drop(bench.give(0, bench.pre_prepare((view(0), seq(1)), &batch(&[request(1)]))));
    for digest in [a, b] {
        drop(bench.give(1, bench.prepare(1, (view(0), seq(1)), digest)));
        drop(bench.give(1, bench.commit(1, (view(0), seq(1)), digest)));
        drop(bench.give(2, bench.checkpoint(2, seq(8), digest)));
    }
    let known = bench.prepared((view(0), seq(1)), a);
    for prepared in [vec![], vec![known]] {
        let change = bench.view_change(2, view(1), prepared);
        drop(bench.give(2, Message::ViewChange(change)));
    }
    let evidence = caught(&bench);
    let who: Vec<usize> = evidence.iter().map(|evidence| evidence.replica.index()).collect();
    assert_eq!(who, [0, 1, 1, 2, 2]);
    for evidence in &evidence {
        let convicted = evidence.verify(&NETWORK, &bench.epoch);
        assert_eq!(convicted, bench.epoch.member(evidence.replica), "{evidence:?}");
    }
    let kept = bench.facts.iter().filter(|fact| matches!(fact, Fact::Evidence { .. })).count();
    assert_eq!((kept, bench.replica.evidence().count()), (5, 5));
    assert_eq!(bench.restart().replica.evidence().count(), 5);
    assert_eq!(bench.replica.standing().config.members.len(), 4, "nobody is removed by it");
}

/// Checklist item 40: two new views for one view.
#[test]
fn two_new_views_convict_their_primary() {
    let mut bench = Bench::new(3, 4);
    let changes: Vec<_> = [0, 1, 2].map(|replica| bench.view_change(replica, view(1), Vec::new())).into();
    let other: Vec<_> =
        [Arc::clone(&changes[0]), Arc::clone(&changes[1]), bench.view_change(3, view(1), Vec::new())].into();
    bench.give(1, Message::NewView(Arc::new(bench.new_view(&changes)))).unwrap();
    drop(bench.give(1, Message::NewView(Arc::new(bench.new_view(&other)))));
    let evidence = caught(&bench);
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0].verify(&NETWORK, &bench.epoch), Some(bench.node(1)));
}

/// Checklist item 40: a fixed count for each member.
#[test]
fn evidence_is_bounded() {
    let mut bench = Bench::new(3, 4);
    for n in 1..=8 {
        for digest in [1, 2, 3].map(|n| Digest::from_bytes([n; 32])) {
            drop(bench.give(1, bench.prepare(1, (view(0), seq(n)), digest)));
            drop(bench.give(2, bench.prepare(2, (view(0), seq(1)), digest)));
        }
    }
    let of = |replica: usize| bench.replica.evidence().filter(|evidence| evidence.replica.index() == replica).count();
    assert_eq!((of(1), of(2)), (4, 1), "four at most; one for one place");
}

/// Checklist item 40: what is said twice alike is no contradiction.
#[test]
fn a_repeat_convicts_nobody() {
    let mut bench = Bench::new(3, 4);
    for _ in 0..2 {
        drop(bench.give(1, bench.prepare(1, (view(0), seq(1)), Batch::null().digest())));
        drop(bench.give(0, bench.pre_prepare((view(0), seq(1)), &Batch::null())));
    }
    assert!(caught(&bench).is_empty());
}

/// Checklist item 40: of an epoch that nobody judges any more nothing is kept, nor told again.
#[test]
fn evidence_of_old_epochs_is_let_go_of() {
    let mut bench = Bench::new(3, 4);
    for digest in [1, 2].map(|n| Digest::from_bytes([n; 32])) {
        drop(bench.give(1, bench.commit(1, (view(0), seq(1)), digest)));
    }
    let ends = [1, 2].map(|number| {
        let config = EpochConfig { epoch: Epoch(number), start: seq(8 * number), ..bench.epoch.clone() };
        Arc::new(bench.certificate(&Summary { config, ..bench.summary(seq(8 * number)) }))
    });
    let mut facts = bench.facts.clone();
    for (end, left) in ends.into_iter().zip([1, 0]) {
        facts.push(Fact::Epochs { certificates: vec![end] });
        let replica = Bench::with(3, bench.epoch.clone(), Config::default(), facts.clone(), false).replica;
        assert_eq!(replica.evidence().count(), left);
        assert_eq!(replica.retell().iter().filter(|fact| matches!(fact, Fact::Evidence { .. })).count(), left);
    }
}
