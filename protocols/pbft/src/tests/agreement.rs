//! The three phases.

use super::bench::*;
use crate::{Config, Effect, Fact, Rejection};
use mesh_proto::{
    id::Digest,
    pbft::{Batch, EpochConfig, Message},
    time::Wall,
};
use std::{sync::Arc, time::Duration};

const V0: mesh_proto::pbft::View = mesh_proto::pbft::View::ZERO;

fn prepares(bench: &Bench) -> usize {
    bench.broadcasts().iter().filter(|message| matches!(message, Message::Prepare(_))).count()
}

fn commits(bench: &Bench) -> usize {
    bench.broadcasts().iter().filter(|message| matches!(message, Message::Commit(_))).count()
}

/// Checklist item 8: the primary's, of this view, in the window, one for each number.
#[test]
fn a_proposal_is_accepted_from_the_primary_once() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(1)).unwrap();
    let batch = batch(&[request(1)]);
    // Replica 2 is no primary of view 0.
    let message = bench.pre_prepare((V0, seq(1)), &batch);
    assert!(matches!(bench.give(2, message.clone()), Err(No::Refused(_))));
    // Nor is view 1 active.
    let early = bench.pre_prepare((view(1), seq(1)), &batch);
    let wrong_view = Rejection::View { message: view(1), own: view(0) };
    bench.me = 2;
    assert_eq!(bench.give(1, early), Err(No::Rejected(wrong_view)));
    bench.me = 1;
    bench.give(0, message.clone()).unwrap();
    assert_eq!(prepares(&bench), 1);
    assert_eq!(bench.give(0, message), Err(No::Rejected(Rejection::Duplicate)));
    let other = bench.pre_prepare((V0, seq(1)), &Batch::null());
    assert_eq!(bench.give(0, other), Err(No::Rejected(Rejection::Conflict)));
    assert_eq!(prepares(&bench), 1, "one prepare for a number");
}

/// Checklist item 9: no prepare before all bodies are here, and on the disk.
#[test]
fn a_prepare_waits_for_the_bodies() {
    let mut bench = Bench::new(1, 4);
    let (first, second) = (request(1), request(2));
    bench.ask(&first).unwrap();
    let batch = batch(&[Arc::clone(&first), Arc::clone(&second)]);
    bench.give(0, bench.pre_prepare((V0, seq(1)), &batch)).unwrap();
    assert_eq!(prepares(&bench), 0);
    // It asks the primary after a moment, for what is missing.
    bench.wait(Duration::from_millis(15));
    let primary = bench.node(0);
    let asked = mesh_proto::pbft::Fetch::Requests { digests: vec![second.digest()] };
    assert!(bench.sent_to(primary).contains(&&Message::Fetch(asked)));
    bench.give(0, Message::Requests(vec![Arc::clone(&second)])).unwrap();
    assert_eq!(prepares(&bench), 1);
    let Some(Fact::Accepted { bodies, .. }) = bench.facts.last() else { panic!("{:?}", bench.facts) };
    assert_eq!(bodies.len(), 2, "both bodies are with the fact");
}

/// Checklist item 9: a body that comes by itself, late, does as well.
#[test]
fn a_late_body_completes_a_proposal() {
    let mut bench = Bench::new(1, 4);
    let late = request(1);
    bench.give(0, bench.pre_prepare((V0, seq(1)), &batch(&[Arc::clone(&late)]))).unwrap();
    assert_eq!(prepares(&bench), 0);
    bench.ask(&late).unwrap();
    assert_eq!(prepares(&bench), 1);
    assert_eq!(bench.give(0, Message::Requests(vec![late])), Err(No::Rejected(Rejection::Unasked)));
}

/// Checklist items 5 and 10: the proposal and prepares of q - 1 others; the primary's own prepare is not counted.
#[test]
fn a_batch_prepares_with_a_quorum_of_distinct_replicas() {
    let mut bench = Bench::new(1, 4);
    let digest = batch(&[request(1)]).digest();
    bench.ask(&request(1)).unwrap();
    bench.give(0, bench.pre_prepare((V0, seq(1)), &batch(&[request(1)]))).unwrap();
    bench.give(0, bench.prepare(0, (V0, seq(1)), digest)).unwrap();
    bench.give(2, bench.prepare(2, (V0, seq(1)), Digest::from_bytes([9; 32]))).unwrap();
    assert_eq!(commits(&bench), 0, "own, the primary's twice, and one for another digest");
    bench.give(3, bench.prepare(3, (V0, seq(1)), digest)).unwrap();
    assert_eq!(commits(&bench), 1);
    let certificates = bench.facts.iter().filter(|fact| matches!(fact, Fact::Prepared { .. }));
    assert_eq!(certificates.count(), 1);
}

/// Checklist items 5 and 10: commits of other views and digests do not count together.
#[test]
fn a_batch_commits_with_a_quorum_of_one_view() {
    let mut bench = Bench::new(1, 4);
    let digest = batch(&[request(1)]).digest();
    bench.ask(&request(1)).unwrap();
    bench.give(0, bench.pre_prepare((V0, seq(1)), &batch(&[request(1)]))).unwrap();
    bench.give(2, bench.prepare(2, (V0, seq(1)), digest)).unwrap();
    bench.give(2, bench.commit(2, (V0, seq(1)), digest)).unwrap();
    bench.give(3, bench.commit(3, (view(1), seq(1)), digest)).unwrap();
    assert_eq!(bench.executions().len(), 0);
    bench.give(0, bench.commit(0, (V0, seq(1)), digest)).unwrap();
    assert_eq!(bench.executions().len(), 1);
}

/// Checklist item 10: a certificate of commits is by itself enough to execute, once the bodies are here.
#[test]
fn a_commit_certificate_alone_is_enough() {
    let mut bench = Bench::new(1, 4);
    let batch = batch(&[request(1)]);
    bench.give(3, bench.decided(&[0, 2, 3], (V0, seq(1)), &batch)).unwrap();
    assert_eq!(bench.executions().len(), 0, "the body is missing");
    bench.wait(Duration::from_millis(15));
    bench.give(0, Message::Requests(vec![request(1)])).unwrap();
    assert_eq!(bench.executions().len(), 1);
    assert_eq!(prepares(&bench) + commits(&bench), 0);
}

/// Checklist item 11: in order, without gaps, each once, while later numbers are agreed on.
#[test]
fn batches_execute_in_order_and_once() {
    let mut bench = Bench::new(1, 4);
    for n in [3, 2] {
        bench.order((V0, seq(n)), &[request(n)]);
    }
    assert_eq!(bench.executions().len(), 0, "agreed, and waiting for number 1");
    bench.order((V0, seq(1)), &[request(1)]);
    let order: Vec<u64> = bench.executions().iter().map(|execution| execution.sequence.get()).collect();
    assert_eq!(order, [1, 2, 3]);
    bench.take();
    drop(bench.give(2, bench.decided(&[0, 2, 3], (V0, seq(2)), &batch(&[request(2)]))));
    assert_eq!(bench.executions().len(), 0);
    assert_eq!(bench.replica.executed(), seq(3));
}

/// Checklist item 11: two decisions for one number stop the replica; so does the caller that loses count.
#[test]
fn two_decisions_stop_the_replica() {
    let mut bench = Bench::new(1, 4);
    bench.order((V0, seq(1)), &[request(1)]);
    // More than f lie: three commit to something else.
    bench.give(2, bench.decided(&[0, 2, 3], (view(1), seq(1)), &Batch::null())).unwrap();
    assert!(matches!(bench.effects.last(), Some(Effect::Halt(crate::Alarm::TwoCommitted { .. }))));
    bench.take();
    assert!(matches!(bench.ask(&request(2)), Err(No::Rejected(Rejection::Halted(_)))));
    assert!(bench.effects.is_empty() && bench.replica.deadline().is_none());
}

/// Checklist item 12: limits of a batch are the epoch's.
#[test]
fn a_batch_beyond_the_limits_is_not_prepared() {
    let mut bench = Bench::new(1, 4);
    let five: Vec<_> = (1..=5).map(request).collect();
    assert!(matches!(bench.give(0, bench.pre_prepare((V0, seq(1)), &batch(&five))), Err(No::Refused(_))));
    let twice = batch(&[request(1), request(1)]);
    let refused = Err(No::Rejected(Rejection::BatchLimits));
    assert_eq!(bench.give(0, bench.pre_prepare((V0, seq(1)), &twice)), refused);
    // Of bytes it is known when the bodies are here.
    let mut epoch = epoch(4);
    (epoch.batch_bytes, epoch.request_bytes) = (20, 20);
    let mut bench = Bench::with(1, epoch, Config::default(), Vec::new(), false);
    (1..=2).for_each(|n| bench.ask(&request(n)).unwrap());
    bench.give(0, bench.pre_prepare((V0, seq(1)), &batch(&[request(1), request(2)]))).unwrap();
    assert_eq!(prepares(&bench), 0);
}

/// Checklist item 13: a fresh proposal's time is near the clock.
#[test]
fn a_fresh_proposal_is_timely() {
    let mut bench = Bench::new(1, 4);
    bench.ask(&request(1)).unwrap();
    for (time, is_good) in [(START.0 + 60_000, false), (START.0 - 60_000, false), (START.0 + 5_000, true)] {
        let batch = Batch { time: Wall(time), ..batch(&[request(1)]) };
        let given = bench.give(0, bench.pre_prepare((V0, seq(1)), &batch));
        assert_eq!(given.is_ok(), is_good, "{given:?}");
    }
}

/// Checklist item 13: agreed time moves on, whatever the primaries' clocks say.
#[test]
fn agreed_time_never_stands_still() {
    let mut bench = Bench::new(1, 4);
    for n in 1..=3 {
        bench.order((V0, seq(n)), &[request(n)]);
    }
    let times: Vec<u64> = bench.executions().iter().map(|execution| execution.time.0).collect();
    assert_eq!(times, [START.0, START.0 + 1, START.0 + 2], "all three were proposed for the same time");
}

/// Checklist item 15: W in flight, and nothing above H or above a checkpoint that is not executed.
#[test]
fn the_primary_keeps_to_its_window() {
    let config = Config { in_flight: 3, batch_delay: Duration::ZERO, ..Config::default() };
    let mut bench = Bench::with(0, epoch(4), config, Vec::new(), false);
    for gateway in 100..104 {
        (1..=8).for_each(|n| bench.ask(&request_of(gateway, n)).unwrap());
    }
    let proposals = |bench: &Bench| {
        let proposals = bench.broadcasts().into_iter().filter(|message| matches!(message, Message::PrePrepare(_)));
        proposals.count()
    };
    bench.wait(Duration::from_millis(1));
    assert_eq!(proposals(&bench), 3);
    assert_eq!(bench.counters().proposed, 3);
    // A number far ahead is refused by backups.
    let mut backup = Bench::new(1, 4);
    let far = backup.pre_prepare((V0, seq(17)), &Batch::null());
    assert!(matches!(backup.give(0, far), Err(No::Refused(crate::Refusal::Window(_)))));
}

/// Peers prepare and commit all that was proposed.
fn finish(bench: &mut Bench) {
    let proposals = bench.take().into_iter().filter_map(|effect| match effect {
        Effect::Send { message, .. } => match message.as_ref() {
            Message::PrePrepare(proposal) => Some((proposal.sequence, proposal.batch.digest())),
            _ => None,
        },
        _ => None,
    });
    for (sequence, digest) in proposals {
        (1..3).for_each(|peer| bench.give(peer, bench.prepare(peer, (V0, sequence), digest)).unwrap());
        (1..3).for_each(|peer| bench.give(peer, bench.commit(peer, (V0, sequence), digest)).unwrap());
    }
    bench.serve();
}

/// Two requests that come together: the first is proposed at once, and the second when it has waited for as long as this
/// returns. Both are executed when the first has taken so long.
fn waited(bench: &mut Bench, took: Duration) -> Duration {
    let (proposed, begun) = (bench.counters().proposed, bench.now.mono);
    let step = Duration::from_micros(100);
    (1..=2).for_each(|next| bench.ask(&request(proposed + next)).unwrap());
    while bench.counters().proposed < proposed + 2 {
        assert_eq!(bench.counters().proposed, proposed + 1);
        bench.wait(step);
    }
    let waited = bench.now.mono.since(begun);
    bench.wait(took.saturating_sub(waited));
    finish(bench);
    assert_eq!(bench.replica.executed(), seq(proposed + 2));
    waited
}

/// Where batches take long, the primary waits for longer and makes larger ones.
#[test]
fn the_primary_waits_as_batches_take() {
    let epoch = EpochConfig { batch_requests: 64, interval: 200, window: 400, client_window: 64, ..epoch(4) };
    let mut bench = Bench::with(0, epoch, Config::default(), Vec::new(), false);
    let ms = Duration::from_millis;
    assert_eq!(waited(&mut bench, ms(2)), ms(2));
    for _ in 0..30 {
        waited(&mut bench, ms(12));
    }
    // Half of the mean of what the first and the second of each pair took.
    let longer = waited(&mut bench, ms(12));
    assert!(ms(3) < longer && longer < ms(6), "{longer:?}");
    for _ in 0..20 {
        waited(&mut bench, ms(200));
    }
    assert_eq!(waited(&mut bench, ms(200)), ms(8), "not for ever");
}

/// Checklist items 15 and 36: nothing above a checkpoint is accepted before the checkpoint's number was executed.
#[test]
fn nothing_is_accepted_above_a_checkpoint_that_is_not_executed() {
    let mut bench = Bench::new(1, 4);
    bench.order_up_to(seq(7));
    bench.take();
    bench.give(0, bench.pre_prepare((V0, seq(9)), &Batch::null())).unwrap();
    assert_eq!(prepares(&bench), 0);
    bench.order((V0, seq(8)), &[]);
    assert_eq!(prepares(&bench), 2, "8, and then 9 that waited");
}
