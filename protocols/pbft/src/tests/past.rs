//! Batches below the stable checkpoint, for who is a little behind it. Checklist item 35.

use super::bench::*;
use crate::{Config, Membership};
use mesh_proto::pbft::{Fetch, Message, Status};
use std::time::Duration;

/// What one that has executed so much is told to have been decided.
fn told(bench: &mut Bench, executed: u64) -> Vec<Message> {
    bench.wait(Duration::from_millis(50));
    bench.take();
    let status = Status {
        epoch: bench.epoch.epoch,
        view: bench.view(),
        active: true,
        leaves: false,
        stable: seq(executed / 8 * 8),
        executed: seq(executed),
        wants: false,
        changes: Vec::new(),
    };
    let node = bench.node(2);
    bench.give_from(node, Message::Status(status)).unwrap();
    let sent = bench.sent_to(node).into_iter().filter(|message| matches!(message, Message::Decided(_)));
    sent.cloned().collect()
}

fn numbers(decided: &[Message]) -> Vec<u64> {
    let number = |message: &Message| match message {
        Message::Decided(decided) => decided.certificate.sequence.get(),
        other => panic!("{other:?}"),
    };
    decided.iter().map(number).collect()
}

fn ahead(config: Config) -> Bench {
    let mut bench = Bench::with(1, epoch(4), config, Vec::new(), false);
    for number in 1..=8 {
        bench.order((view(0), seq(number)), &[request(number)]);
    }
    bench.stabilize(seq(8));
    bench
}

/// Checklist item 35.
#[test]
fn who_is_a_little_behind_the_stable_checkpoint_goes_on_by_batches() {
    let mut ahead = ahead(Config::default());
    ahead.order_up_to(seq(10));
    let mut behind = Bench::new(2, 4);
    for number in 1..=3 {
        behind.order((view(0), seq(number)), &[request(number)]);
    }
    let decided = told(&mut ahead, 3);
    assert_eq!(numbers(&decided), (4..=10).collect::<Vec<_>>());
    for message in decided {
        behind.give(1, message).unwrap();
    }
    // It has the digests, and asks for the bodies.
    for number in 4..=8 {
        ahead.take();
        let (asker, digests) = (ahead.node(2), vec![request(number).digest()]);
        ahead.give_from(asker, Message::Fetch(Fetch::Requests { digests })).unwrap();
        let bodies = ahead.sent_to(asker).into_iter().next().cloned();
        behind.give(1, bodies.expect("the bodies are there, too")).unwrap();
        behind.serve();
    }
    assert_eq!((behind.replica.executed(), behind.counters().transfers), (seq(10), 0));
    assert_eq!(behind.own_checkpoint(seq(8)).digest(), ahead.own_checkpoint(seq(8)).digest());
}

/// While a body is missing each vote that comes would else look over all that is decided behind it again.
#[test]
fn what_is_whole_behind_a_missing_body_is_looked_at_once() {
    let mut bench = Bench::new(1, 4);
    let decided = |bench: &Bench, n| bench.decided(&[0, 2, 3], (view(0), seq(n)), &batch(&[request(n)]));
    bench.give(2, decided(&bench, 1)).unwrap();
    (2..=5).for_each(|number| bench.order((view(0), seq(number)), &[request(number)]));
    let before = bench.replica.looked_behind();
    assert!(before > 0);
    for replica in [2, 3] {
        let (at, digest) = ((view(0), seq(6)), request(6).digest());
        bench.give(replica, bench.prepare(replica, at, digest)).unwrap();
        bench.give(replica, bench.commit(replica, at, digest)).unwrap();
    }
    assert_eq!(bench.replica.looked_behind(), before);
    // What is decided since is looked at, and its body asked for along with the first.
    bench.give(2, decided(&bench, 6)).unwrap();
    bench.wait(Duration::from_millis(15));
    for number in [1, 6] {
        let asked = Fetch::Requests { digests: vec![request(number).digest()] };
        assert!(bench.sent_to(bench.node(0)).contains(&&Message::Fetch(asked)));
    }
    for number in [6, 1] {
        bench.give(0, Message::Requests(vec![request(number)])).unwrap();
    }
    bench.serve();
    assert_eq!(bench.replica.executed(), seq(6));
}

/// Checklist item 35: no more than whoever is helped by them could take, and never with a gap.
#[test]
fn of_batches_below_the_stable_checkpoint_a_window_is_kept() {
    let mut bench = ahead(Config::default());
    for stable in [16, 24, 32] {
        bench.order_up_to(seq(stable));
        bench.stabilize(seq(stable));
    }
    let window = u64::from(bench.epoch.window);
    assert_eq!(numbers(&told(&mut bench, 32 - window)), (33 - window..=32).collect::<Vec<_>>());
    assert_eq!(numbers(&told(&mut bench, 31)), [32]);
    assert!(told(&mut bench, 31 - window).is_empty());
    let mut after = bench.restart();
    assert!(told(&mut after, 20).is_empty(), "nothing rests on them");
    // What was executed since is whole again.
    after.order_up_to(seq(40));
    after.stabilize(seq(40));
    assert!(told(&mut after, 31).is_empty());
    assert_eq!(numbers(&told(&mut after, 32)), (33..=40).collect::<Vec<_>>());
}

/// Checklist item 35.
#[test]
fn bytes_of_batches_below_the_stable_checkpoint_are_bounded() {
    let whole = ahead(Config::default()).replica.past_bytes();
    let most = whole / 2;
    let mut bench = ahead(Config { past_bytes: most, ..Config::default() });
    let kept = bench.replica.past_bytes();
    assert!(kept <= most && kept > most / 2, "{kept} bytes, of {whole}");
    assert_eq!(numbers(&told(&mut bench, 4)), (5..=8).collect::<Vec<_>>());
    assert!(told(&mut bench, 3).is_empty());
    let digests = [1, 8].map(|number| request(number).digest()).to_vec();
    let asker = bench.node(2);
    bench.give_from(asker, Message::Fetch(Fetch::Requests { digests })).unwrap();
    assert!(bench.sent_to(asker).contains(&&Message::Requests(vec![request(8)])), "the other went with its batch");
    let bench = ahead(Config { past_bytes: 0, ..Config::default() });
    assert_eq!(bench.replica.past_bytes(), 0);
}

/// Checklist item 35: nobody takes a certificate of another epoch than its own.
#[test]
fn with_an_epoch_its_batches_are_let_go_of() {
    let mut bench = Bench::new(1, 4);
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.change = Some(Membership::Add(bench.node(4)));
    bench.order((view(0), seq(2)), &[request(2)]);
    bench.change = None;
    bench.order_up_to(seq(8));
    bench.stabilize(seq(8));
    assert_eq!(bench.replica.standing().config.members.len(), 5);
    assert_eq!(bench.replica.past_bytes(), 0);
}
