//! What users ask of a committee, through any node, while members come, go and come back.

use crate::council::{Council, key, node};
use mesh_coordinator::{Accused, Answer, Command, Fact, Refusal, agreement};
use mesh_ledger::Audit;
use mesh_proto::{
    agreement::{Operation, Ran},
    domain::Epoch,
    id::{Digest, StoreId},
    ledger::{
        self, Body, Bundle, Change, Choice, CommandId, Decision, Done, Electorate, Index, MemoryKey, Motion, Namespace,
        Outcome, ProposalId, Propose, Query, Row, Seat, SignedMotion, SignedVote, Threshold, Vote,
    },
    pbft::{self, Sequence},
};
use std::collections::BTreeSet;

fn command(user_key: u64, body: Body) -> Operation {
    let id = CommandId {
        principal: "test".parse().unwrap(),
        key: user_key.to_le_bytes().as_slice().into(),
        born: Index::GENESIS,
    };
    Operation::Command(Box::new(ledger::Command { id, body }))
}

fn put(user_key: u64, memory_key: &str, value: &[u8]) -> Operation {
    let (namespace, key) = (namespace(), memory_key.parse().unwrap());
    command(user_key, Body::MemoryPut { namespace, key, value: value.into(), ttl_ms: None })
}

fn get(memory_key: &str) -> Query {
    Query::Get { namespace: namespace(), key: memory_key.parse::<MemoryKey>().unwrap() }
}

fn namespace() -> Namespace {
    "shared".parse().unwrap()
}

/// Asks, and waits for what comes of it.
fn order(council: &mut Council, at: usize, request: u64, operation: Operation) -> Ran {
    council.ask(at, request, Command::Order { operations: vec![operation] });
    council.run_until(20_000, |council| !council.answers(at, request).is_empty());
    match council.answers(at, request).as_slice() {
        [Answer::Ordered { index: 0, ran, .. }, Answer::Finished] => ran.clone(),
        answers => panic!("{answers:?}"),
    }
}

fn value(ran: &Ran) -> Vec<u8> {
    match ran {
        Ran::Answer(answer) => match answer.rows.as_slice() {
            [Row::Memory { item, .. }] => item.value.to_vec(),
            rows => panic!("{rows:?}"),
        },
        ran => panic!("{ran:?}"),
    }
}

fn executed(council: &Council, at: usize) -> Sequence {
    standing(council, at).executed
}

fn standing(council: &Council, at: usize) -> mesh_proto::agreement::ReplicaStanding {
    council.brain(at).agreement().unwrap().standing().replica.unwrap()
}

/// Checklist item 40: one that says two things of one place is named to people by whoever has both, and by all that
/// execute the proof.
#[test]
fn who_contradicts_itself_is_named_where_it_is_caught_and_where_the_proof_is_kept() {
    let mut council = Council::new(5, 4);
    order(&mut council, 4, 1, put(1, "a", b"one"));
    // Members are numbered in the order of their ids. The last is no primary of the first views.
    let named = *council.brain(0).agreement().unwrap().committee().last().unwrap();
    let liar = (0..4).find(|at| node(*at) == named).unwrap();
    contradict(&mut council, liar, (liar + 1) % 4);
    council.run_until(20_000, |council| council.accused.len() == 5);
    let (caught, kept): (Vec<&_>, Vec<&_>) =
        council.accused.iter().partition(|(_, _, how)| matches!(how, Accused::Caught { kind: "commits" }));
    assert!(caught.len() == 1 && caught[0].0 == (liar + 1) % 4, "{:?}", council.accused);
    assert!(council.accused.iter().all(|(_, accused, _)| *accused == named), "{:?}", council.accused);
    let who: BTreeSet<usize> = kept.iter().map(|(at, ..)| *at).collect();
    assert_eq!(who, BTreeSet::from([0, 1, 2, 3]));
    let kept = council.brain(0).agreement().unwrap().look(&Query::Evidence(named)).unwrap();
    assert_eq!(kept.rows.len(), 1);
}

/// Checklist item 40: without a quorum nothing can be brought against anybody in the ledger, and the operator sees it all the
/// same, as that of this node alone.
#[test]
fn what_is_caught_without_a_quorum_is_shown_until_the_ledger_keeps_it() {
    let mut council = Council::new(4, 4);
    order(&mut council, 0, 1, put(1, "a", b"one"));
    let named = *council.brain(0).agreement().unwrap().committee().last().unwrap();
    let liar = (0..4).find(|at| node(*at) == named).unwrap();
    let (at, others) = ((liar + 1) % 4, [(liar + 2) % 4, (liar + 3) % 4]);
    let caught = |council: &Council| council.brain(at).agreement().unwrap().view().caught;
    assert!(caught(&council).is_empty());
    others.iter().for_each(|other| council.kill(*other));
    contradict(&mut council, liar, at);
    council.run(5_000);
    let shown = caught(&council);
    assert_eq!((shown.len(), shown[0].0, shown[0].1.conflict.kind()), (1, named, "commits"));
    others.iter().for_each(|other| council.start(*other));
    council.run_until(60_000, |council| caught(council).is_empty());
    let kept = council.brain(at).agreement().unwrap().look(&Query::Evidence(named)).unwrap();
    assert_eq!(kept.rows.len(), 1);
}

/// A member votes for two batches under one number.
fn contradict(council: &mut Council, liar: usize, to: usize) {
    for said in [1, 2] {
        let place = (pbft::View::ZERO, Sequence::new(12));
        let who = (Epoch(0), pbft::ReplicaId::new(3));
        let digest = Digest::from_bytes([said; 32]);
        let vote = pbft::Vote::sign(&key(liar), &council.network(), pbft::Phase::Commit, who, place, digest);
        council.say(liar, to, &pbft::Message::Commit(vote));
    }
}

#[test]
fn what_is_put_through_one_node_is_read_through_another() {
    for (n, founders) in [(1, 1), (3, 1), (5, 4), (9, 7)] {
        let mut council = Council::new(n, founders);
        let written = order(&mut council, 0, 1, put(1, "a", b"one"));
        assert!(matches!(written, Ran::Outcome(Outcome::Done(Done::Written { .. }))), "{n} nodes: {written:?}");
        let read = order(&mut council, n - 1, 2, Operation::Query(get("a")));
        assert_eq!(value(&read), b"one", "{n} nodes");
        // A repeat through another node is the same command.
        let repeated = order(&mut council, n / 2, 3, put(1, "a", b"one"));
        assert_eq!(repeated, written);
        council.ask(n - 1, 4, Command::Look { query: get("a") });
        council.run(50);
        assert!(matches!(&council.answers(n - 1, 4)[0], Answer::Looked(Some(answer)) if answer.rows.len() == 1));
        assert!(council.halted.is_empty(), "{:?}", council.halted);
    }
}

#[test]
fn many_operations_go_in_few_requests_and_each_is_answered() {
    let mut council = Council::new(5, 4);
    let operations = (0..1000).map(|n| put(n, &format!("key-{n}"), &[n as u8; 100])).collect();
    council.ask(4, 1, Command::Order { operations });
    council.run_until(5000, |council| council.answers(4, 1).len() == 1001);
    let mut indexes: Vec<u32> = Vec::new();
    for answer in council.answers(4, 1) {
        match answer {
            Answer::Ordered { index, ran: Ran::Outcome(Outcome::Done(Done::Written { .. })), .. } => {
                indexes.push(index)
            }
            Answer::Finished => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(indexes, (0..1000).collect::<Vec<_>>());
    assert!(executed(&council, 0) < Sequence::new(20));
}

/// The state is not written: a replay executes again what led to the last checkpoint, and others tell the rest.
#[test]
fn members_that_restart_have_what_they_had() {
    for absorbs in [false, true] {
        let mut council = Council::new(5, 4);
        let mut ran = Vec::new();
        for n in 0..30 {
            let put = put(n, &format!("key-{}", n % 7), &n.to_le_bytes());
            ran.push(order(&mut council, (n % 5) as usize, n + 1, put));
            if absorbs && n % 9 == 0 {
                (0..5).for_each(|at| council.absorb(at));
            }
        }
        let before = executed(&council, 0);
        (0..5).for_each(|at| council.kill(at));
        (0..5).for_each(|at| council.start(at));
        council.run(1);
        let held = executed(&council, 0);
        assert!(held.get().is_multiple_of(8) && before.above(held) < 16, "{held} of {before}");
        let read = order(&mut council, 2, 100, Operation::Query(get("key-1")));
        assert_eq!(value(&read), 29u64.to_le_bytes());
        // What ran before the restart is known still.
        let repeated = order(&mut council, 4, 101, put(3, "key-3", &3u64.to_le_bytes()));
        assert_eq!(repeated, ran[3]);
        council.run(3000);
        let root = |at: usize| council.brain(at).agreement().unwrap().ledger().unwrap().root();
        assert!((1..4).all(|at| root(at) == root(0)), "absorbs: {absorbs}");
        assert!(council.halted.is_empty(), "{:?}", council.halted);
    }
}

/// Also between a checkpoint and the word of the others that makes it stable, while its state is summed up and others
/// are executed behind it, and whatever the store has taken in.
#[test]
fn a_disk_can_be_read_at_any_time() {
    for sum_up_ms in [0, 25] {
        let mut council = Council::new(5, 4);
        council.sum_up_ms = sum_up_ms;
        let mut is_ahead = false;
        for n in 0..20 {
            council.ask(4, n, Command::Order { operations: vec![put(n, "a", &n.to_le_bytes())] });
            for _ in 0..8 {
                council.run(1);
                (0..4).for_each(|at| {
                    let held = council.read(at).agreement().unwrap().index();
                    is_ahead |= executed(&council, at).get() > (held.0 / 8 + 1) * 8;
                });
                let at = (n % 4) as usize;
                council.absorb(at);
                drop(council.read(at));
            }
        }
        assert_eq!(is_ahead, sum_up_ms > 0, "a checkpoint that is executed, and not held");
        assert!(executed(&council, 0) > Sequence::new(16));
    }
}

#[test]
fn one_of_four_may_be_down_and_catches_up_from_a_state_that_is_not_in_anybodys_log() {
    let mut council = Council::new(5, 4);
    order(&mut council, 4, 1, put(1, "a", b"one"));
    council.kill(0);
    for n in 2..60 {
        order(&mut council, 4, n, put(n, &format!("key-{n}"), &[7; 300]));
    }
    let ahead = executed(&council, 1);
    assert!(ahead > Sequence::new(48));
    council.start(0);
    council.run_until(20_000, |council| executed(council, 0) >= ahead);
    council.run(2000);
    let read = council.brain(0).agreement().unwrap().look(&get("key-59")).unwrap();
    assert_eq!(read.rows.len(), 1);
    // The state that came is on its disk.
    for absorbs in [false, true] {
        council.kill(0);
        if absorbs {
            council.start(0);
            council.run(1);
            council.absorb(0);
            council.kill(0);
        }
        council.start(0);
        council.run(1);
        assert!(executed(&council, 0) > Sequence::new(40), "{}", executed(&council, 0));
    }
    order(&mut council, 0, 1000, put(1000, "b", b"two"));
    assert!(council.halted.is_empty(), "{:?}", council.halted);
}

/// Checklist item 35: a state takes some round trips, and checkpoints come faster than that. Whoever was away has the next
/// one soon all the same, and then goes on by batches.
#[test]
fn who_is_far_away_keeps_up_with_a_busy_committee() {
    let mut council = Council::new(6, 4);
    for n in 0..8 {
        let puts = (0..100).map(|m| put(n * 100 + m, &format!("a/long/name/of/{m}/key-{n}"), &[7; 300]));
        council.ask(4, n, Command::Order { operations: puts.collect() });
        council.run_until(20_000, |council| !council.answers(4, n).is_empty());
    }
    council.far.insert(5, 35);
    council.ask(1, 99, Command::Recruit { node: node(5) });
    let lag = |council: &Council| {
        let replica = council.brain(5).agreement().unwrap().standing().replica;
        let ahead = (0..4).map(|at| executed(council, at)).max().unwrap().get();
        ahead - replica.map_or(0, |replica| replica.executed.get())
    };
    let mut lags = Vec::new();
    for n in 0..400 {
        council.ask(4, 100 + n, Command::Order { operations: vec![put(1000 + n, &format!("key-{n}"), b"x")] });
        council.run(20);
        lags.push(lag(&council));
    }
    let ran = (0..4).map(|at| executed(&council, at)).max().unwrap().get();
    assert!(ran > 300, "a batch each time: {ran}");
    let (early, late) = lags.split_at(150);
    // Now and then a transfer takes some round trips more; without batches below the stable checkpoint, and with a
    // round trip for each of them, it is further behind each time.
    assert!(late.iter().all(|lag| *lag <= 80), "always the next state: {early:?}, {late:?}");
    assert!(late.iter().any(|lag| *lag <= 8), "{early:?}, {late:?}");
    assert!(council.halted.is_empty(), "{:?}", council.halted);
}

/// Signed by the maker, ordered through the last node.
fn move_to(council: &mut Council, change: Change) {
    let request = 10_000 + council.now();
    let committee = order(council, 1, request, Operation::Query(Query::Committee));
    let Ran::Answer(answer) = committee else { panic!("{committee:?}") };
    let [Row::Committee { serial, .. }] = answer.rows.as_slice() else { panic!("{answer:?}") };
    let network = council.brain(1).network();
    let motion = SignedMotion::sign(&key(0), &network, Motion { serial: *serial, change });
    let ran = order(council, council.len() - 1, request + 1, command(request, Body::Motion(motion)));
    assert!(matches!(ran, Ran::Outcome(Outcome::Done(Done::Moved { .. }))), "{ran:?}");
}

/// From one to so many, one after the other, each a follower first.
fn grow(council: &mut Council, members: usize) {
    for at in 1..members {
        let credential = Box::new(council.credential(at));
        let admitted = order(council, at, 500, command(500 + at as u64, Body::Admit(credential)));
        assert_eq!(admitted, Ran::Outcome(Outcome::Done(Done::Kept)));
        council.ask(0, 100 + at as u64, Command::Recruit { node: node(at) });
        council.run_until(20_000, |council| {
            let follows = council.brain(at).agreement().unwrap().standing().replica;
            let is_near = follows.is_some_and(|follows| executed(council, 0).above(follows.executed) < 8);
            is_near && !council.answers(0, 100 + at as u64).is_empty()
        });
        assert!(matches!(
            council.answers(0, 100 + at as u64).as_slice(),
            [Answer::Recruited(Some(standing)), Answer::Finished] if standing.store == StoreId(at as u64)
        ));
        move_to(council, Change::CommitteeAdd(Seat { node: node(at), store: Some(StoreId(at as u64)) }));
        let n = council.len();
        let is_known = |council: &Council, n| council.brain(n).agreement().unwrap().committee().len() == at + 1;
        council.run_until(20_000, |council| (0..n).all(|n| is_known(council, n)));
        council.run_until(20_000, |council| standing(council, at).voting);
    }
}

/// Checklist item 37: that a newcomer is near is seen to by whoever proposes it, and a member that is not can be proposed
/// all the same. It costs the committee at most a vote until it has the state, which it fetches from the moment that it
/// hears of its seat.
#[test]
fn who_is_given_a_seat_without_having_followed_takes_it() {
    let mut council = Council::new(6, 1);
    for n in 0..60 {
        order(&mut council, 5, n, put(n, &format!("key-{}", n % 7), &[7; 300]));
    }
    for at in 1..5 {
        let credential = Box::new(council.credential(at));
        order(&mut council, 0, 500 + at as u64, command(500 + at as u64, Body::Admit(credential)));
        assert_eq!(council.brain(at).agreement().unwrap().standing().replica, None, "it does not follow");
        move_to(&mut council, Change::CommitteeAdd(Seat { node: node(at), store: Some(StoreId(at as u64)) }));
        council.run_until(20_000, |council| {
            council.brain(at).agreement().unwrap().standing().replica.is_some_and(|standing| standing.voting)
        });
    }
    // Of five, four are enough: all but the last one are newcomers.
    council.kill(0);
    let read = order(&mut council, 5, 1000, Operation::Query(get("key-1")));
    assert_eq!(value(&read), [7; 300]);
    assert!(council.halted.is_empty(), "{:?}", council.halted);
}

/// Checklist item 37: a follower becomes a member; the committee of one grows to four while it serves, and shrinks
/// again.
#[test]
fn a_committee_grows_and_shrinks() {
    let mut council = Council::new(6, 1);
    order(&mut council, 5, 1, put(1, "a", b"one"));
    grow(&mut council, 4);
    council.kill(2);
    let read = order(&mut council, 5, 2, Operation::Query(get("a")));
    assert_eq!(value(&read), b"one");
    // All at once: each finds its committee on its disk, or asks for it.
    council.absorb(1);
    (0..6).filter(|at| *at != 2).for_each(|at| council.kill(at));
    (0..6).for_each(|at| council.start(at));
    let read = order(&mut council, 5, 4, Operation::Query(get("a")));
    assert_eq!(value(&read), b"one");
    move_to(&mut council, Change::CommitteeRemove(node(3)));
    council.run_until(20_000, |council| (0..6).all(|n| council.brain(n).agreement().unwrap().committee().len() == 3));
    assert!(!standing(&council, 3).voting);
    order(&mut council, 4, 3, put(3, "a", b"two"));
    council.ask(4, 5, Command::Agreement);
    council.run(1100);
    let Answer::Agreement(view) = &council.answers(4, 5)[0] else { panic!("{:?}", council.answers(4, 5)) };
    assert_eq!((view.epoch.epoch.0, view.faults_tolerated, view.members.len()), (4, 0, 3));
    // Two are a quorum of three: one may stop, and none may lie.
    assert_eq!((view.reachable, view.faults_left()), (3, 1));
    assert!(view.members.iter().all(|(_, standing)| standing.is_some_and(|standing| standing.replica.is_some())));
    assert!(council.halted.is_empty(), "{:?}", council.halted);
}

#[test]
fn a_lock_lapses_in_agreed_time_though_nobody_asks_for_anything() {
    let mut council = Council::new(5, 4);
    let lock =
        |user_key| command(user_key, Body::Lock { name: "one".parse().unwrap(), holder: node(4), lease_ms: 2000 });
    let ran = order(&mut council, 4, 1, lock(1));
    assert!(matches!(ran, Ran::Outcome(Outcome::Done(Done::Granted { .. }))), "{ran:?}");
    let locks = |council: &Council| {
        let query = Query::Locks { after: None, limit: 10 };
        council.brain(0).agreement().unwrap().look(&query).unwrap().rows.len()
    };
    council.run(20);
    assert_eq!(locks(&council), 1);
    council.run(1500);
    assert_eq!(locks(&council), 1);
    council.run_until(2000, |council| locks(council) == 0);
    let quiet = executed(&council, 0);
    council.run(5000);
    assert_eq!(executed(&council, 0), quiet, "with nothing that ends nothing is written");
}

#[test]
fn a_network_without_agreement_says_so() {
    let mut world = crate::world::World::new(3);
    world.ask(0, 1, Command::Order { operations: vec![put(1, "a", b"one")] });
    world.run(10);
    let answers = world.answers(0, 1);
    assert!(matches!(
        answers.as_slice(),
        [Answer::Refused { index: 0, why: Refusal::NoAgreement, .. }, Answer::Finished]
    ));
}

/// The client table of a checkpoint is more than one record of a log holds.
#[test]
fn a_fact_that_no_record_holds_is_in_several() {
    let mut council = Council::new(5, 4);
    order(&mut council, 0, 1, put(1, "a", &[7; 60_000]));
    for round in 0..3 {
        for at in 0..5 {
            council.ask(at, 10 + round, Command::Order { operations: vec![Operation::Query(get("a"))] });
        }
        council.run_until(5000, |council| (0..5).all(|at| !council.answers(at, 10 + round).is_empty()));
    }
    for n in 100..120 {
        order(&mut council, 4, n, put(n, "b", b"two"));
    }
    let pieces = |fact: &&Fact| matches!(fact, Fact::Agreement(agreement::Fact::Piece { .. }));
    assert!(council.log(0).iter().filter(pieces).count() >= 2);
    let held = executed(&council, 0).get() / 8 * 8;
    for absorbs in [false, true] {
        if absorbs {
            council.absorb(0);
        }
        council.kill(0);
        council.start(0);
        council.run(1);
        assert!(executed(&council, 0).get() >= held);
    }
    assert_eq!(value(&order(&mut council, 0, 200, Operation::Query(get("a")))).len(), 60_000);
    assert!(council.halted.is_empty(), "{:?}", council.halted);
}

/// Checklist item 37: the end of a checkpoint may be the very batch in which a change is ordered.
#[test]
fn a_change_in_any_batch_of_a_checkpoint_reaches_both_ledger_and_order() {
    for place in 0..8 {
        let mut council = Council::new(3, 1);
        let credential = Box::new(council.credential(1));
        order(&mut council, 1, 1, command(1, Body::Admit(credential)));
        council.ask(0, 2, Command::Recruit { node: node(1) });
        council.run(500);
        while executed(&council, 0).get() % 8 != place {
            let n = 100 + executed(&council, 0).get();
            order(&mut council, 2, n, put(n, "a", b"x"));
            council.run(50);
        }
        let seat = Seat { node: node(1), store: Some(StoreId(1)) };
        let motion = Motion { serial: 0, change: Change::CommitteeAdd(seat) };
        let motion = SignedMotion::sign(&key(0), &council.brain(0).network(), motion);
        let ran = order(&mut council, 2, 50, command(50, Body::Motion(motion)));
        assert!(matches!(ran, Ran::Outcome(Outcome::Done(Done::Moved { .. }))), "{place}: {ran:?}");
        council.run_until(20_000, |council| council.brain(2).agreement().unwrap().committee().len() == 2);
        council.run_until(20_000, |council| standing(council, 1).voting);
        order(&mut council, 2, 51, put(51, "b", b"y"));
        let ledger = council.brain(0).agreement().unwrap().ledger().unwrap();
        assert_eq!(ledger.committee().epoch.0, 1, "{place}");
        assert!(council.halted.is_empty(), "{:?}", council.halted);
    }
}

/// Checklist item 21: a seat is of a disk: who comes back with another one follows, and never votes.
#[test]
fn a_member_that_lost_its_disk_follows_and_votes_no_more() {
    let mut council = Council::new(6, 1);
    grow(&mut council, 4);
    for n in 100..120 {
        order(&mut council, 5, n, put(n, &format!("key-{n}"), b"x"));
    }
    council.kill(3);
    council.lose(3);
    council.start(3);
    // It hears that it has a seat, and of which disk.
    council.run(2000);
    order(&mut council, 5, 200, put(200, "a", b"one"));
    let ahead = executed(&council, 0);
    council.run_until(20_000, |council| {
        let replica = council.brain(3).agreement().unwrap().standing().replica;
        replica.is_some_and(|replica| replica.executed >= ahead)
    });
    council.run(3000);
    assert!(!standing(&council, 3).voting);
    order(&mut council, 5, 202, put(202, "a", b"two"));
    assert!(council.halted.is_empty(), "{:?}", council.halted);
}

/// Checklist item 37: who begins to follow when the founders are gone finds the committee of today.
#[test]
fn a_follower_finds_a_committee_without_the_founder() {
    let mut council = Council::new(7, 1);
    grow(&mut council, 5);
    move_to(&mut council, Change::CommitteeRemove(node(0)));
    council.run_until(20_000, |council| (0..7).all(|n| council.brain(n).agreement().unwrap().committee().len() == 4));
    council.kill(0);
    council.ask(1, 300, Command::Recruit { node: node(5) });
    order(&mut council, 6, 301, put(301, "a", b"one"));
    let ahead = executed(&council, 1);
    council.run_until(20_000, |council| {
        let replica = council.brain(5).agreement().unwrap().standing().replica;
        replica.is_some_and(|replica| replica.executed >= ahead)
    });
    order(&mut council, 5, 302, put(302, "a", b"two"));
    assert!(council.halted.is_empty(), "{:?}", council.halted);
}

/// Put to the vote and accepted by the committee of four: its id, and the batch that decided it.
fn decide(council: &mut Council) -> (ProposalId, Index) {
    let propose = Propose {
        title: "upgrade".parse().unwrap(),
        body: r#"{"to":"0.2"}"#.into(),
        electorate: Electorate::Committee,
        threshold: Threshold::DEFAULT,
        round_ms: 60_000,
        rounds: 1,
    };
    let Ran::Outcome(Outcome::Done(Done::Proposed(proposal))) =
        order(council, 5, 20_000, command(20_000, Body::Propose(propose)))
    else {
        panic!("not proposed");
    };
    let network = council.brain(0).network();
    for voter in 0..3 {
        let vote = Vote { proposal, round: 1, choice: Choice::Approve };
        let vote = Body::Vote(SignedVote::cast(&key(voter), &network, vote));
        let number = 20_001 + voter as u64;
        let ran = order(council, voter, number, command(number, vote));
        assert!(matches!(ran, Ran::Outcome(Outcome::Done(Done::Voted(_)))), "{ran:?}");
    }
    (proposal, council.brain(0).agreement().unwrap().index())
}

fn certified(council: &mut Council, at: usize, behind: Index, proposal: Option<ProposalId>) -> Option<Box<Bundle>> {
    let request = 30_000 + council.now() * 10;
    council.ask(at, request, Command::Certified { behind, proposal, but: BTreeSet::new() });
    council.run_until(2_000, |council| !council.answers(at, request).is_empty());
    match council.answers(at, request).remove(0) {
        Answer::Certified(shown) => shown.map(|(_, bundle)| bundle),
        answer => panic!("{answer:?}"),
    }
}

/// Whoever knows the network's id trusts none of the nodes, and is shown why.
#[test]
fn what_was_agreed_on_is_proved_through_any_node() {
    let mut council = Council::new(6, 1);
    let network = council.brain(0).network();
    assert_eq!(certified(&mut council, 5, Index(1), None), None, "there is no checkpoint yet");
    grow(&mut council, 4);
    let (proposal, decided) = decide(&mut council);
    assert_eq!(certified(&mut council, 5, Index(decided.0 + 100), None), None, "it is not there yet");
    let mut number = 0;
    while council.brain(5).agreement().unwrap().index() < Index(decided.0.next_multiple_of(8)) {
        number += 1;
        order(&mut council, 5, 21_000 + number, Operation::Query(get("a")));
    }
    council.run(200);
    // A member, and one that has no ledger; then from their disks.
    for restarted in [false, true] {
        if restarted {
            (0..6).for_each(|at| council.absorb(at));
            (0..6).for_each(|at| council.kill(at));
            (0..6).for_each(|at| council.start(at));
            council.run(2_000);
        }
        for at in [0, 3, 5] {
            let bundle = certified(&mut council, at, decided, Some(proposal)).expect("certified");
            let audit = Audit::of(&bundle, &network).unwrap();
            assert_eq!(audit.decision, Some((proposal, Decision::Accepted)), "n{at}");
            assert_eq!((audit.epoch.0, audit.members.len(), bundle.ends.len()), (3, 4, 3), "n{at}");
            assert!(audit.index >= decided, "n{at}");
            assert_eq!(Bundle::decode(&bundle.encode()).as_ref(), Ok(&*bundle));
        }
        let other = ProposalId(mesh_proto::id::Digest::from_bytes([9; 32]));
        assert_eq!(certified(&mut council, 5, decided, Some(other)), None, "nobody put that to the vote");
    }
}

/// Two crates that do not know each other count alike.
#[test]
fn who_audits_asks_for_the_quorum_that_orders() {
    for members in 1..=31 {
        let quorums = mesh_pbft::Quorums::of(members);
        assert_eq!(mesh_ledger::strong(members), quorums.quorum(), "{members}");
        assert_eq!(mesh_ledger::weak(mesh_proto::genesis::Engine::Pbft, members), quorums.weak(), "{members}");
    }
}
