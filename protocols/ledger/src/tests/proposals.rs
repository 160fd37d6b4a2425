use super::world::{START, World, done, index, key, node, propose, rejected};
use crate::{Event, Ledger, Rules};
use mesh_proto::{
    ledger::{
        Body, Change, Choice, Decision, Done, Electorate, Outcome, ProposalState, Rejection, Standing, Tally, Threshold,
    },
    limits,
    role::Role,
    time::Wall,
};
use proptest::{collection::vec, prelude::*};
use std::time::Duration;

fn decided(world: &World, decision: Decision) -> ProposalState {
    ProposalState::Decided { decision, index: world.ledger.index(), at: world.now }
}

#[test]
fn three_of_four_decide() {
    let mut world = World::of(4);
    let id = world.propose(|_| {});
    assert_eq!(world.events, vec![Event::Opened(id)]);
    assert_eq!(world.ledger.next_expiry(), Some(START + Duration::from_secs(60)));
    let open = done(Done::Voted(ProposalState::Open));
    assert_eq!(world.vote(1, id, Choice::Approve), open);
    assert_eq!(world.vote(2, id, Choice::Reject), open);
    assert_eq!(world.vote(2, id, Choice::Approve), rejected(Rejection::AlreadyVoted));
    assert_eq!(world.vote(5, id, Choice::Approve), rejected(Rejection::NotElector));
    assert_eq!(world.vote_in(3, id, 2, Choice::Approve), rejected(Rejection::WrongRound { round: 1 }));
    assert_eq!(world.vote(3, id, Choice::Approve), open);
    let outcome = world.vote(4, id, Choice::Approve);
    assert_eq!(outcome, done(Done::Voted(decided(&world, Decision::Accepted))));
    assert_eq!(world.events, vec![Event::Decided { proposal: id, decision: Decision::Accepted }]);
    assert_eq!(world.ledger.next_expiry(), None);
    assert_eq!(world.vote(4, id, Choice::Approve), rejected(Rejection::Decided));
    assert_eq!(world.run(Body::Close(id)), rejected(Rejection::Decided));
    world.pass(100_000);
    assert!(world.tick().is_empty(), "what is decided stays so");
}

#[test]
fn it_is_rejected_as_soon_as_it_cannot_be_accepted() {
    let mut world = World::of(4);
    let id = world.propose(|_| {});
    world.vote(1, id, Choice::Abstain);
    let outcome = world.vote(2, id, Choice::Reject);
    assert_eq!(outcome, done(Done::Voted(decided(&world, Decision::Rejected))));
}

#[test]
fn a_round_that_decides_nothing_is_followed_by_the_next() {
    let mut world = World::of(4);
    let id = world.propose(|propose| propose.rounds = 2);
    world.vote(1, id, Choice::Approve);
    world.pass(60_000);
    // The vote comes too late for the first round, and the second has not been signed for.
    assert_eq!(world.vote_in(2, id, 1, Choice::Approve), rejected(Rejection::WrongRound { round: 2 }));
    assert_eq!(world.events, vec![Event::Reopened { proposal: id, round: 2 }]);
    let standing = Standing {
        round: 2,
        deadline: world.now + Duration::from_secs(60),
        tally: Tally::default(),
        state: ProposalState::Open,
    };
    assert_eq!(world.standing(&id), Some(standing));
    assert_eq!(world.vote(1, id, Choice::Approve), done(Done::Voted(ProposalState::Open)), "it votes anew");
    world.pass(60_000);
    assert_eq!(world.tick(), vec![Event::Decided { proposal: id, decision: Decision::Expired }]);
    assert_eq!(world.ledger.next_expiry(), None);
}

#[test]
fn only_the_proposer_closes() {
    let mut world = World::of(4);
    let id = world.propose(|_| {});
    assert_eq!(world.run_as("bob", Body::Close(id)), rejected(Rejection::NotOwner));
    let outcome = world.run(Body::Close(id));
    assert_eq!(outcome, done(Done::Voted(decided(&world, Decision::Withdrawn))));
    assert_eq!(world.vote(1, id, Choice::Approve), rejected(Rejection::Decided));
    let other = mesh_proto::ledger::ProposalId(mesh_proto::id::Digest::from_bytes([9; 32]));
    assert_eq!(world.run(Body::Close(other)), rejected(Rejection::Unknown));
    assert_eq!(world.vote(1, other, Choice::Approve), rejected(Rejection::Unknown));
}

#[test]
fn the_electorate_is_who_it_was_when_it_was_opened() {
    let mut world = World::of(1);
    for number in [2, 3] {
        world.admit(number, Role::Worker);
    }
    let committee = world.propose(|_| {});
    let all = world.propose(|propose| propose.electorate = Electorate::All);
    let ids = world.propose(|propose| propose.electorate = Electorate::Ids(vec![node(9), node(2), node(9)]));
    world.admit(4, Role::Worker);
    for (id, may) in [(committee, vec![1]), (all, vec![1, 2, 3]), (ids, vec![2, 9])] {
        let proposal = Ledger::proof(&world.ledger.snapshot(), &id).unwrap().proposal;
        let mut expected: Vec<_> = may.into_iter().map(node).collect();
        expected.sort();
        assert_eq!(proposal.electorate, expected);
        assert_eq!(world.vote(4, id, Choice::Approve), rejected(Rejection::NotElector));
    }
}

#[test]
fn who_is_revoked_counts_in_the_size_and_votes_no_more() {
    let mut world = World::of(4);
    let id = world.propose(|_| {});
    world.govern(Change::Revoke(node(4)));
    let at = world.now;
    assert_eq!(world.vote(4, id, Choice::Approve), rejected(Rejection::Revoked { at }));
    world.vote(1, id, Choice::Approve);
    assert_eq!(world.vote(2, id, Choice::Approve), done(Done::Voted(ProposalState::Open)));
}

#[test]
fn an_electorate_has_its_bounds() {
    let mut world = World::of(1);
    let ids = |count: u16| {
        let ids = (0..count).map(|n| {
            let mut bytes = [7; 32];
            bytes[..2].copy_from_slice(&n.to_be_bytes());
            mesh_proto::id::NodeId::from_bytes(bytes)
        });
        Body::Propose(propose(|propose| propose.electorate = Electorate::Ids(ids.collect())))
    };
    let most = limits::ELECTORATE as u16;
    assert!(matches!(world.run(ids(most)), Outcome::Done(Done::Proposed(_))));
    assert_eq!(world.run(ids(most + 1)), rejected(Rejection::Invalid));
    assert_eq!(world.run(ids(0)), rejected(Rejection::Invalid));
}

#[test]
fn a_body_has_a_shape() {
    let mut world = World::of(1);
    for (body, lawful) in [
        (r#"{"task_assignment":"auth-service","assigned_to":"node-3"}"#, true),
        (r#"{"action":"deploy","consensus_threshold":0.67}"#, true),
        (r#"{"consensus_threshold":1}"#, true),
        (r#"{"consensus_threshold":1.0}"#, true),
        (r#"{"task_assignment":"auth-service"}"#, false),
        (r#"{"assigned_to":"node-3"}"#, false),
        (r#"{"task_assignment":"","assigned_to":"node-3"}"#, false),
        (r#"{"task_assignment":"auth-service","assigned_to":3}"#, false),
        (r#"{"task_assignment":"a","assigned_to":"b","assigned_to":"c"}"#, false),
        (r#"{"task_assignmen\u0074":1}"#, false),
        (r#"{"consensus_threshold":0}"#, false),
        (r#"{"consensus_threshold":0.0}"#, false),
        (r#"{"consensus_threshold":1.01}"#, false),
        (r#"{"consensus_threshold":-0.5}"#, false),
        (r#"{"consensus_threshold":67}"#, false),
        (r#"{"consensus_threshold":"0.67"}"#, false),
        ("{}", false),
        ("[1]", false),
        ("deploy it", false),
    ] {
        let outcome = world.run(Body::Propose(propose(|propose| propose.body = body.into())));
        assert_eq!(matches!(outcome, Outcome::Done(_)), lawful, "{body}: {outcome:?}");
    }
    for (round_ms, rounds) in [(99, 1), (u64::MAX, 1), (1000, 0), (1000, 101)] {
        let change =
            |propose: &mut mesh_proto::ledger::Propose| (propose.round_ms, propose.rounds) = (round_ms, rounds);
        assert_eq!(world.run(Body::Propose(propose(change))), rejected(Rejection::Invalid));
    }
}

#[test]
fn the_oldest_decisions_go_with_their_votes() {
    let rules = Rules { open_proposals: 2, decided_proposals: 2, checkpoint_interval: 8, ..Rules::default() };
    let mut world = World::with(rules, 1);
    let ids: Vec<_> = (0..2).map(|_| world.propose(|_| {})).collect();
    assert_eq!(world.run(Body::Propose(propose(|_| {}))), rejected(Rejection::TooMany));
    for id in &ids {
        world.vote(1, *id, Choice::Approve);
    }
    let empty = |world: &World, tag: &[u8]| world.ledger.snapshot().below(tag, 100).len();
    let last = world.propose(|_| {});
    world.vote(1, last, Choice::Approve);
    assert_eq!(world.standing(&ids[0]), None);
    assert!(world.standing(&ids[1]).is_some() && world.standing(&last).is_some());
    for tag in [b"p", b"q", b"v", b"z"] {
        assert_eq!(empty(&world, tag), 2, "{}", tag.escape_ascii());
    }
}

#[test]
fn a_decision_is_proved_to_who_was_not_there() {
    let mut world = World::of(4);
    let network = world.genesis.network_id();
    let accepted = world.propose(|_| {});
    let late = world.propose(|propose| propose.round_ms = 1000);
    for number in [1, 3, 4] {
        world.vote(number, accepted, Choice::Approve);
    }
    world.vote(2, late, Choice::Approve);
    world.pass(1000).tick();
    let snapshot = world.ledger.snapshot();
    // What happens later does not matter.
    world.run(super::world::put("a", "1"));
    let proof = Ledger::proof(&snapshot, &accepted).unwrap();
    assert_eq!(proof.verify(&network), Ok((accepted, Decision::Accepted)));
    assert_eq!(proof.verify_recorded(&network, &snapshot.root()), Ok((accepted, Decision::Accepted)));
    assert!(proof.verify_recorded(&network, &world.ledger.root()).is_err());
    let proof = Ledger::proof(&snapshot, &late).unwrap();
    assert!(proof.verify(&network).is_err());
    assert_eq!(proof.verify_recorded(&network, &snapshot.root()), Ok((late, Decision::Expired)));
    assert_eq!(proof.votes.len(), 1);
    let unknown = mesh_proto::ledger::ProposalId(mesh_proto::id::Digest::from_bytes([9; 32]));
    assert!(Ledger::proof(&snapshot, &unknown).is_none());
}

/// What the rules of the vote say, with fractions instead of products.
fn plainly(votes: &[Choice], electorate: usize, threshold: u16) -> Option<Decision> {
    let count = |choice| votes.iter().filter(|vote| **vote == choice).count();
    let needed = (usize::from(threshold) * electorate).div_ceil(10_000);
    let left = electorate - votes.len();
    if count(Choice::Approve) >= needed {
        Some(Decision::Accepted)
    } else if count(Choice::Approve) + left < needed {
        Some(Decision::Rejected)
    } else {
        None
    }
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![3 => Just(Choice::Approve), 1 => Just(Choice::Reject), 1 => Just(Choice::Abstain)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn votes_decide_as_the_plain_model_does(
        size in 1..10u8,
        threshold in 1..=10_000u16,
        votes in vec((0..10u8, choice()), 0..14),
    ) {
        let mut world = World::of(1);
        let id = world.propose(|propose| {
            propose.threshold = Threshold::new(threshold).unwrap();
            propose.electorate = Electorate::Ids((0..size).map(|n| node(n + 50)).collect());
        });
        let (mut counted, mut voted, mut decision) = (Vec::new(), Vec::new(), None);
        for (voter, choice) in votes {
            let outcome = world.vote(voter + 50, id, choice);
            if decision.is_some() {
                prop_assert_eq!(outcome, rejected(Rejection::Decided));
            } else if voter >= size {
                prop_assert_eq!(outcome, rejected(Rejection::NotElector));
            } else if voted.contains(&voter) {
                prop_assert_eq!(outcome, rejected(Rejection::AlreadyVoted));
            } else {
                voted.push(voter);
                counted.push(choice);
                decision = plainly(&counted, usize::from(size), threshold);
                let state = decision.map_or(ProposalState::Open, |decision| decided(&world, decision));
                prop_assert_eq!(outcome, done(Done::Voted(state)));
            }
        }
        if let Some(decision) = decision {
            let proof = Ledger::proof(&world.ledger.snapshot(), &id).unwrap();
            prop_assert_eq!(proof.verify(&world.genesis.network_id()), Ok((id, decision)));
        }
    }
}

#[test]
fn an_id_is_of_all_that_was_put_to_the_vote() {
    let mut world = World::of(4);
    let first = world.propose(|_| {});
    let second = world.propose(|_| {});
    assert_ne!(first, second, "the same again is another proposal");
    let record = Ledger::proof(&world.ledger.snapshot(), &first).unwrap().proposal;
    let network = world.genesis.network_id();
    assert_eq!(record.id(&network), first);
    assert_eq!((record.opened, record.at), (index(1), START));
    let changed = [
        mesh_proto::ledger::Proposal { title: "other".parse().unwrap(), ..(*record).clone() },
        mesh_proto::ledger::Proposal { body: "{}".into(), ..(*record).clone() },
        mesh_proto::ledger::Proposal { electorate: vec![key(1).node_id()], ..(*record).clone() },
        mesh_proto::ledger::Proposal { threshold: Threshold::new(1).unwrap(), ..(*record).clone() },
        mesh_proto::ledger::Proposal { rounds: 9, ..(*record).clone() },
        mesh_proto::ledger::Proposal { round_ms: 9, ..(*record).clone() },
        mesh_proto::ledger::Proposal { at: Wall(9), ..(*record).clone() },
        mesh_proto::ledger::Proposal { opened: index(9), ..(*record).clone() },
        mesh_proto::ledger::Proposal { proposer: "eve".parse().unwrap(), ..(*record).clone() },
    ];
    for other in changed {
        assert_ne!(other.id(&network), first, "{other:?}");
    }
}
