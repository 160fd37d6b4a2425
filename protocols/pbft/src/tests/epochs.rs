//! One committee after the other.

use super::bench::*;
use crate::{Config, Effect, Event, Fact, Membership, changed};
use mesh_proto::{
    domain::Epoch,
    pbft::{Batch, EpochCertificate, Message, Status, Summary},
};
use std::{sync::Arc, time::Duration};

/// Executes, at number 2, a change that the application reports.
fn change(bench: &mut Bench, change: Membership) {
    bench.order((view(0), seq(1)), &[request(1)]);
    bench.change = Some(change);
    bench.order((view(0), seq(2)), &[request(2)]);
}

fn nulls(bench: &Bench) -> Vec<u64> {
    let proposals = bench.broadcasts().into_iter().filter_map(|message| match message {
        Message::PrePrepare(pre_prepare) if pre_prepare.batch.is_null() => Some(pre_prepare.sequence.get()),
        _ => None,
    });
    proposals.collect()
}

fn lone(config: Config) -> Bench {
    let mut small = epoch(4);
    small.members.truncate(1);
    small.fewest = 1;
    Bench::with(0, small, config, Vec::new(), false)
}

/// Checklist item 36: behind a change the primary fills up to the boundary, so that an idle network changes at once; the
/// boundary is not passed before its checkpoint is stable.
#[test]
fn null_batches_fill_up_to_the_boundary() {
    let mut bench = Bench::new(0, 4);
    bench.ask(&request(1)).unwrap();
    bench.change = Some(Membership::Remove(bench.node(3)));
    let proposal = |bench: &Bench, at: u64| {
        let proposals = bench.broadcasts().into_iter().find_map(|message| match message {
            Message::PrePrepare(pre_prepare) if pre_prepare.sequence == seq(at) => Some(pre_prepare.batch.digest()),
            _ => None,
        });
        proposals.expect("it was proposed")
    };
    // `fewest` is 4 in the replica's own configuration: the change comes to nothing.
    let agree = |bench: &mut Bench, at: u64| {
        let digest = proposal(bench, at);
        for replica in [1, 2] {
            bench.give(replica, bench.prepare(replica, (view(0), seq(at)), digest)).unwrap();
            bench.give(replica, bench.commit(replica, (view(0), seq(at)), digest)).unwrap();
        }
        bench.serve();
    };
    agree(&mut bench, 1);
    assert!(nulls(&bench).is_empty(), "an impossible change is no change");
    bench.change = Some(Membership::Add(bench.node(4)));
    bench.ask(&request(2)).unwrap();
    agree(&mut bench, 2);
    assert_eq!(nulls(&bench), (3..=8).collect::<Vec<_>>());
    (3..=8).for_each(|at| agree(&mut bench, at));
    let summary = bench.own_checkpoint(seq(8));
    assert_eq!((summary.config.epoch, summary.config.members.len()), (Epoch(1), 5));
    bench.take();
    bench.ask(&request(3)).unwrap();
    bench.wait(Duration::from_millis(5));
    assert!(!bench.broadcasts().iter().any(|message| matches!(message, Message::PrePrepare(_))));
    // A fresh proposal above the boundary finds no taker either.
    bench.stabilize(seq(8));
    let began = bench.effects.iter().any(|effect| matches!(effect, Effect::Event(Event::EpochBegan(_))));
    assert!(began);
    assert_eq!(bench.replica.standing().config.epoch, Epoch(1));
    assert_eq!(bench.replica.standing().low, seq(8));
    assert_eq!(bench.view(), view(0));
}

/// Checklist item 36: a backup accepts nothing above a boundary that ends the epoch.
#[test]
fn nothing_above_the_boundary_is_accepted() {
    let mut bench = Bench::new(1, 4);
    let newcomer = bench.node(4);
    change(&mut bench, Membership::Add(newcomer));
    for at in 3..=8 {
        bench.order((view(0), seq(at)), &[]);
    }
    bench.take();
    bench.give(0, bench.pre_prepare((view(0), seq(9)), &Batch::null())).unwrap();
    bench.give(2, bench.decided(&[0, 2, 3], (view(0), seq(9)), &Batch::null())).unwrap();
    assert!(bench.broadcasts().is_empty());
    assert_eq!(bench.replica.executed(), seq(8), "not even with a certificate, which f + 1 liars must have made");
}

/// Checklist items 22 and 36: many members on few machines take longer than a time-out to come to the checkpoint. As long
/// as they get on the primary is not left, though not for ever.
#[test]
fn a_change_that_gets_on_is_waited_for() {
    let begun = |pause: u64| {
        let config = Config { change_patience: Duration::from_millis(3200), ..Config::default() };
        let mut bench = Bench::with(1, epoch(4), config, Vec::new(), false);
        let newcomer = bench.node(4);
        change(&mut bench, Membership::Add(newcomer));
        for number in 3..8 {
            bench.wait(Duration::from_millis(pause));
            if bench.view() != view(0) {
                return (number, bench);
            }
            bench.order((view(0), seq(number)), &[]);
        }
        bench.wait(Duration::from_millis(pause));
        (8, bench)
    };
    let (last, bench) = begun(530);
    assert_eq!((last, bench.view()), (8, view(0)), "3180 ms, and never 800 without progress");
    assert_eq!(begun(810).0, 3, "it stood still");
    let (last, bench) = begun(790);
    assert_eq!((last, bench.view()), (7, view(1)), "3200 ms are enough");
}

/// Checklist item 36: a change that is under way survives a restart at the boundary.
#[test]
fn a_change_survives_a_restart() {
    let mut bench = Bench::new(1, 4);
    let newcomer = bench.node(4);
    change(&mut bench, Membership::Add(newcomer));
    for at in 3..=8 {
        bench.order((view(0), seq(at)), &[]);
    }
    let mut again = bench.restart();
    again.take();
    again.give(0, again.pre_prepare((view(0), seq(9)), &Batch::null())).unwrap();
    assert!(!again.broadcasts().iter().any(|message| matches!(message, Message::Prepare(_))));
    again.stabilize(seq(8));
    assert_eq!(again.replica.standing().config.epoch, Epoch(1));
}

/// Checklist items 20 and 36: the others are in the next epoch already, and the digest of the boundary's state is still
/// being found here. What was executed since the last checkpoint is read again from facts of this epoch, so it ends with
/// the own checkpoint and not before, and the word about that is of this epoch.
#[test]
fn an_epoch_does_not_end_while_the_boundary_is_summed_up() {
    let up_to_the_boundary = |is_summing_up| {
        let mut bench = Bench::new(1, 4);
        let newcomer = bench.node(4);
        change(&mut bench, Membership::Add(newcomer));
        bench.is_summing_up = is_summing_up;
        for at in 3..=8 {
            bench.order((view(0), seq(at)), &[]);
        }
        bench
    };
    let others = up_to_the_boundary(false);
    let end = Message::Epochs(vec![Arc::new(others.certificate(&others.own_checkpoint(seq(8))))]);
    let mut bench = up_to_the_boundary(true);
    assert_eq!(bench.give(0, end.clone()), Err(No::Rejected(crate::Rejection::OutOfTurn(seq(8)))));
    assert_eq!(bench.replica.standing().config.epoch, Epoch(0));
    bench.is_summing_up = false;
    bench.serve();
    let held = bench.facts.iter().position(|fact| matches!(fact, Fact::Checkpoint { .. })).unwrap();
    let before = Bench::with(1, bench.epoch.clone(), Config::default(), bench.facts[..held].to_vec(), false);
    assert!(before.replica.kept(&request(1).digest()).is_some(), "it is executed again when that checkpoint is read");
    let vote = bench.broadcasts().into_iter().find_map(|message| match message {
        Message::Checkpoint(vote) => Some(vote.epoch),
        _ => None,
    });
    assert_eq!(vote, Some(Epoch(0)));
    bench.give(0, end).unwrap();
    assert_eq!(bench.replica.standing().config.epoch, Epoch(1));
    assert!(matches!(bench.facts.last(), Some(Fact::Stable { .. })));
}

/// Checklist item 37: one change at a time: of two in one interval the first counts.
#[test]
fn one_change_is_in_flight() {
    let mut bench = Bench::new(1, 4);
    let newcomer = bench.node(4);
    change(&mut bench, Membership::Add(newcomer));
    bench.change = Some(Membership::Remove(bench.node(0)));
    bench.order((view(0), seq(3)), &[request(3)]);
    for at in 4..=8 {
        bench.order((view(0), seq(at)), &[]);
    }
    let config = &bench.own_checkpoint(seq(8)).config;
    assert_eq!((config.members.len(), config.epoch), (5, Epoch(1)));
}

/// Checklist item 37: votes of a member of the old epoch count for nothing in the new one, nor do old certificates.
#[test]
fn votes_of_another_epoch_are_refused() {
    let mut bench = Bench::new(1, 4);
    let newcomer = bench.node(4);
    change(&mut bench, Membership::Add(newcomer));
    for at in 3..=8 {
        bench.order((view(0), seq(at)), &[]);
    }
    bench.stabilize(seq(8));
    let old = bench.prepare(2, (view(0), seq(9)), Batch::null().digest());
    let given = bench.give(2, old);
    assert!(matches!(given, Err(No::Refused(crate::Refusal::Epoch { .. } | crate::Refusal::Member(_)))), "{given:?}");
    // It is shown the way to the new epoch.
    bench.take();
    let status = Status {
        epoch: Epoch(0),
        view: view(0),
        active: true,
        leaves: false,
        stable: seq(0),
        executed: seq(0),
        wants: true,
        changes: Vec::new(),
    };
    bench.give(2, Message::Status(status)).unwrap();
    let peer = bench.node(2);
    let epochs = bench.sent_to(peer).into_iter().find_map(|message| match message {
        Message::Epochs(chain) => Some(chain.clone()),
        _ => None,
    });
    assert_eq!(epochs.unwrap()[0].summary.config.epoch, Epoch(1));
}

/// A chain of two epochs above the first one: a fifth member comes, then a sixth.
fn chain(bench: &Bench) -> Vec<Arc<EpochCertificate>> {
    let first = changed(&bench.epoch, Membership::Add(bench.node(4)), seq(3)).unwrap();
    let summary = Summary { config: first.clone(), ..bench.summary(seq(8)) };
    let one = bench.certificate(&summary);
    // The second is signed by the committee of the first: the same keys, with other numbers.
    let sixth = gateway_key(98).node_id();
    let second = changed(&first, Membership::Add(sixth), seq(20)).unwrap();
    let summary = Summary { config: second, ..bench.summary(seq(24)) };
    let digest = summary.digest();
    let ballots = (0..4u8).map(|n| {
        let key = &bench.keys[n as usize];
        let by = (Epoch(1), first.replica_of(&key.node_id()).unwrap());
        let vote = mesh_proto::pbft::Checkpoint::sign(key, &NETWORK, by, seq(24), digest);
        (vote.replica, vote.signature)
    });
    let mut ballots: Vec<_> = ballots.collect();
    ballots.sort_unstable();
    let votes = mesh_proto::pbft::Ballots::new(ballots).unwrap();
    let certificate = mesh_proto::pbft::Stable { epoch: Epoch(1), sequence: seq(24), digest, votes };
    vec![Arc::new(one), Arc::new(EpochCertificate { summary, certificate })]
}

/// Checklist item 37: each epoch is verified with the committee of the one before; the newcomer votes once it has the
/// state that the epoch began with.
#[test]
fn a_newcomer_follows_the_chain_and_votes_when_it_has_the_state() {
    let mut bench = Bench::new(4, 4);
    assert_eq!(bench.replica.standing().id, None);
    let chain = chain(&bench);
    bench.give(0, Message::Epochs(chain.clone())).unwrap();
    let standing = bench.replica.standing();
    assert_eq!((standing.config.epoch, standing.config.members.len()), (Epoch(2), 6));
    assert!(standing.id.is_some() && !standing.is_voting, "a member without the state");
    assert_eq!(bench.replica.chain(), chain);
    let asked = bench.effects.iter().any(|effect| {
        is_sent(effect, |message| matches!(message, Message::Fetch(mesh_proto::pbft::Fetch::State { .. })))
    });
    assert!(asked, "it fetches the state at the last boundary");
    let again = bench.restart();
    assert_eq!(again.replica.standing().config.epoch, Epoch(2));
    assert!(!again.replica.standing().is_voting);
}

/// Checklist item 37: a link that is not signed by the committee before it breaks the chain.
#[test]
fn a_broken_chain_is_refused() {
    let mut bench = Bench::new(4, 4);
    let good = chain(&bench);
    let damaged = |damage: &dyn Fn(&mut EpochCertificate, &mut EpochCertificate)| {
        let (mut one, mut two) = (good[0].as_ref().clone(), good[1].as_ref().clone());
        damage(&mut one, &mut two);
        Message::Epochs(vec![Arc::new(one), Arc::new(two)])
    };
    let bad = [
        Message::Epochs(vec![Arc::clone(&good[1])]),
        damaged(&|_, two| {
            two.certificate.votes = mesh_proto::pbft::Ballots::new(two.certificate.votes[..3].to_vec()).unwrap()
        }),
        damaged(&|one, _| one.summary.config.members.truncate(2)),
        damaged(&|_, two| two.certificate.epoch = Epoch(2)),
        damaged(&|one, two| two.certificate.votes = one.certificate.votes.clone()),
    ];
    for message in bad {
        let given = bench.give(0, message);
        assert!(matches!(given, Err(No::Refused(_))), "{given:?}");
    }
    assert_eq!(bench.replica.standing().config.epoch, Epoch(0));
}

/// Checklist item 37: growth from one: a committee of one orders alone, adds a second, and then needs it.
#[test]
fn a_committee_of_one_grows() {
    let mut bench = lone(Config::default());
    let second = bench.node(1);
    bench.ask(&request(1)).unwrap();
    bench.change = Some(Membership::Add(second));
    bench.serve();
    assert_eq!(bench.replica.executed(), seq(8), "filled up at once");
    let standing = bench.replica.standing();
    assert_eq!((standing.config.members.len(), standing.faults_tolerated), (2, 0));
    assert_eq!(bench.facts.iter().filter(|fact| matches!(fact, Fact::Stable { .. })).count(), 1);
    bench.take();
    bench.ask(&request(2)).unwrap();
    bench.serve();
    assert!(bench.executions().is_empty(), "of two, both are needed");
}

/// Checklist item 37: who was removed votes no more, and still serves: the chain, and the state that the new epoch begins
/// with.
#[test]
fn who_was_removed_serves_and_does_not_vote() {
    let mut small = epoch(4);
    small.fewest = 3;
    let mut bench = Bench::with(3, small, Config::default(), Vec::new(), false);
    let own = bench.node(3);
    change(&mut bench, Membership::Remove(own));
    for at in 3..=8 {
        bench.order((view(0), seq(at)), &[]);
    }
    bench.stabilize(seq(8));
    let standing = bench.replica.standing();
    assert_eq!((standing.config.epoch, standing.id, standing.is_voting), (Epoch(1), None, false));
    bench.take();
    bench.wait(Duration::from_secs(5));
    let said = bench.broadcasts().into_iter().filter(|message| !matches!(message, Message::Status(_)));
    assert_eq!(said.count(), 0);
    let question = mesh_proto::pbft::Fetch::State { sequence: seq(8), part: mesh_proto::pbft::Part::Clients, index: 0 };
    bench.give(0, Message::Fetch(question)).unwrap();
    let reader = bench.node(0);
    assert!(bench.sent_to(reader).iter().any(|message| matches!(message, Message::Chunk(_))));
}

/// Checklist item 34: who is behind by epochs hears it of a committee that has grown, whatever views that has come to.
#[test]
fn the_status_of_a_larger_committee_is_read() {
    let mut bench = lone(Config::default());
    let changes = vec![view(u64::MAX); 31];
    let status = Status {
        epoch: Epoch(30),
        view: view(u64::MAX),
        active: false,
        leaves: false,
        stable: seq(9),
        executed: seq(9),
        wants: true,
        changes,
    };
    let from = bench.node(3);
    let verified = bench.verifier.decode(from, &Message::Status(status).encode()).unwrap();
    bench.input(crate::Input::Message(verified)).unwrap();
    assert!(bench.sent_to(from).iter().any(|message| matches!(message, Message::Status(_))), "and asks");
}
