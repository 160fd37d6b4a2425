use super::{
    super::{Agreement, PortInput, Setup, keeper::Keeper},
    *,
};
use mesh_ledger::Rules;
use mesh_pbft::{ClientConfig, Snapshot, Verifier};
use mesh_proto::{
    agreement::{AllRan, Ran},
    codec,
    credential::Credential,
    genesis::{Engine, Founders},
    id::{NetworkId, NodeId, StoreId},
    key::SecretKey,
    ledger::{
        Change, Choice, CommandId, Evidence, Index, Motion, Outcome, ProposalId, Query, Rejection, SignedMotion,
        SignedSupport, SignedVote, Support, Vote,
    },
    pbft::{EpochConfig, Message, Operations, Request, RequestNumber, Sequence},
    time::{Mono, Now, Wall},
};

const NOW: Wall = Wall(1_800_000_000_000);
const STRANGE: NetworkId = NetworkId::from_bytes([9; 32]);

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn node(n: u8) -> NodeId {
    key(n).node_id()
}

fn genesis(engine: Engine) -> Genesis {
    Genesis {
        name: "judged".parse().unwrap(),
        nonce: [7; 32],
        maker: node(1),
        engine,
        open: false,
        created: NOW,
        committee: Founders::new(vec![node(1)]).unwrap(),
    }
}

fn command(n: u32, body: Body) -> Operation {
    let id =
        CommandId { principal: "user".parse().unwrap(), key: n.to_le_bytes().as_slice().into(), born: Index::GENESIS };
    Operation::Command(Box::new(Command { id, body }))
}

/// On no proposal: that is found out behind the signature.
fn vote(n: u32, network: &NetworkId) -> Operation {
    let proposal = ProposalId(Digest::of("of the test", &[&n.to_le_bytes()]));
    command(n, Body::Vote(SignedVote::cast(&key(3), network, Vote { proposal, round: 1, choice: Choice::Approve })))
}

/// One of each kind that bears a signature, for this network.
fn signed(network: &NetworkId, genesis: &Genesis) -> Vec<Operation> {
    let change = Change::Revoke(node(2));
    let support = Support { version: 1, store: StoreId(1), at: Index::GENESIS };
    let bodies = [
        Body::Motion(SignedMotion::sign(&key(1), network, Motion { serial: 0, change })),
        Body::Support(SignedSupport::report(&key(1), network, support)),
        Body::Admit(Box::new(Credential::of_maker(&key(1), genesis, NOW))),
    ];
    let others = (10..).zip(bodies).map(|(n, body)| command(n, body));
    std::iter::once(vote(1, network)).chain(others).collect()
}

fn put(n: u32) -> Operation {
    let (namespace, key) = ("app".parse().unwrap(), "k".parse().unwrap());
    command(n, Body::MemoryPut { namespace, key, value: b"value".as_slice().into(), ttl_ms: None })
}

fn evidence(n: u32) -> Operation {
    command(n, Body::Evidence(Evidence { accused: node(1), proof: b"nothing".as_slice().into() }))
}

fn packed(operations: &[Operation]) -> Operations {
    let bytes: Vec<Vec<u8>> = operations.iter().map(Operation::encode).collect();
    Operations::pack(bytes.iter().map(|bytes| &bytes[..])).unwrap()
}

fn message(genesis: &Genesis, from: u8, requests: &[Operations], fetched: bool) -> Verified {
    let network = genesis.network_id();
    let epoch = EpochConfig { request_bytes: 1 << 20, ..EpochConfig::genesis([node(1)]).unwrap() };
    let mut verifier = Verifier::new(Arc::new(Snapshot::of_epoch(network, Arc::new(epoch))));
    let number = RequestNumber::starting(NOW);
    let requests = requests.iter().map(|operations| Request::sign(&key(5), &network, number, operations.clone()));
    let mut requests: Vec<Arc<Request>> = requests.map(Arc::new).collect();
    let message = if fetched { Message::Requests(requests) } else { Message::Request(requests.remove(0)) };
    verifier.verify(node(from), message).unwrap()
}

/// A verdict that is not so.
fn wrong(operation: &Operation) -> Verdict {
    Verdict { operation: name(&operation.encode()), holds: true }
}

fn keeper(genesis: &Genesis, verdicts: &[Verdict]) -> Keeper {
    let mut keeper = Keeper::new(genesis.clone(), Rules::default());
    keeper.judged(verdicts);
    keeper
}

fn ran(outcome: &[u8]) -> Vec<Ran> {
    codec::decode::<AllRan>(outcome, 1 << 24).unwrap().0
}

fn run(keeper: &mut Keeper, sequence: u64, operations: &[Operation]) -> Vec<Ran> {
    let executed = keeper.order(Sequence::new(sequence), NOW, &[packed(operations)]).unwrap();
    ran(&executed.outcomes[0])
}

fn rejected(why: Rejection) -> Ran {
    Ran::Outcome(Outcome::Rejected(why))
}

#[test]
fn what_bears_a_signature_is_judged_wherever_it_comes_from() {
    let genesis = genesis(Engine::Pbft);
    let good = signed(&genesis.network_id(), &genesis);
    let stranger = Genesis { nonce: [8; 32], ..genesis.clone() };
    let bad = signed(&STRANGE, &stranger);
    let mut operations = [good.clone(), bad.clone()].concat();
    let expected: Vec<Verdict> = good
        .iter()
        .map(|good| (good, true))
        .chain(bad.iter().map(|bad| (bad, false)))
        .map(|(operation, holds)| Verdict { operation: name(&operation.encode()), holds })
        .collect();
    operations.extend([put(20), evidence(21), command(22, Body::Tick), Operation::Query(Query::Committee)]);
    assert_eq!(judge(&genesis, &operations), expected, "of this node's own users");
    let (first, second) = operations.split_at(3);
    // From the gateway, relayed by a member, and fetched from one.
    for (from, requests, fetched) in [
        (5, vec![packed(&operations)], false),
        (1, vec![packed(&operations)], false),
        (1, vec![packed(first), packed(second)], true),
    ] {
        let mut judge = Judge::new(Arc::new(genesis.clone()));
        let message = message(&genesis, from, &requests, fetched);
        assert_eq!(judge.requests(&message), expected);
        assert_eq!(judge.requests(&message), expected, "said again");
    }
    let garbage = Operations::pack([&b"garbage"[..], b""]).unwrap();
    let message = message(&genesis, 5, &[garbage], false);
    assert_eq!(Judge::new(Arc::new(genesis)).requests(&message), []);
}

#[test]
fn what_was_judged_is_not_checked_where_it_is_executed() {
    let genesis = genesis(Engine::Pbft);
    let forged = vote(1, &STRANGE);
    let mut keeper = keeper(&genesis, &[wrong(&forged)]);
    assert_eq!(run(&mut keeper, 1, &[forged]), [rejected(Rejection::Unknown)], "its signature was not looked at");
    // The other way round: what was found not to hold is refused.
    let good = vote(2, &genesis.network_id());
    keeper.judged(&[Verdict { holds: false, ..wrong(&good) }]);
    assert_eq!(run(&mut keeper, 2, &[good]), [rejected(Rejection::Invalid)]);
}

/// All members come to the same, whatever each was told, and when.
#[test]
fn outcomes_are_the_same_with_and_without_verdicts() {
    let genesis = genesis(Engine::Pbft);
    let stranger = Genesis { nonce: [8; 32], ..genesis.clone() };
    let mut operations = signed(&genesis.network_id(), &genesis);
    operations.extend(signed(&STRANGE, &stranger));
    operations.extend([put(20), evidence(21), vote(22, &STRANGE), vote(23, &genesis.network_id())]);
    let verdicts = judge(&genesis, &operations);
    assert_eq!(verdicts.len(), 10);
    let mut without = keeper(&genesis, &[]);
    let outcome = run(&mut without, 1, &operations);
    assert_eq!(outcome.iter().filter(|ran| **ran == rejected(Rejection::Invalid)).count(), 6, "{outcome:?}");
    for some in [&verdicts[..], &verdicts[..4], &verdicts[3..7], &verdicts[9..]] {
        let mut with = keeper(&genesis, some);
        assert_eq!(run(&mut with, 1, &operations), outcome);
        assert_eq!(with.ledger().root(), without.ledger().root());
    }
}

#[test]
fn a_verdict_that_gave_way_to_others_is_not_missed() {
    let genesis = genesis(Engine::Pbft);
    let forged = vote(1, &STRANGE);
    let mut keeper = keeper(&genesis, &[wrong(&forged)]);
    let others = (0..super::super::keeper::VERDICTS as u64)
        .map(|n| Verdict { operation: Digest::of("other", &[&n.to_le_bytes()]), holds: true });
    keeper.judged(&others.collect::<Vec<_>>());
    assert_eq!(run(&mut keeper, 1, &[forged]), [rejected(Rejection::Invalid)]);
}

#[test]
fn the_oldest_verdict_gives_way() {
    let mut verdicts = Verdicts::new(2);
    let of = |n: u8| Digest::from_bytes([n; 32]);
    for n in [1, 2, 1, 1, 3] {
        verdicts.note(Verdict { operation: of(n), holds: n != 2 });
    }
    assert_eq!([1, 2, 3].map(|n| verdicts.of(&of(n))), [None, Some(false), Some(true)]);
    assert_eq!((verdicts.held.len(), verdicts.order.len()), (2, 2));
}

#[test]
fn evidence_is_judged_where_it_is_executed() {
    let genesis = genesis(Engine::Pbft);
    let evidence = evidence(1);
    let mut keeper = keeper(&genesis, &[wrong(&evidence)]);
    assert_eq!(run(&mut keeper, 1, &[evidence]), [rejected(Rejection::Invalid)]);
}

/// Of a replica, and of an engine in the body.
#[test]
fn verdicts_reach_the_ledger_whoever_makes_the_order() {
    let agreement = |engine| {
        let (replica, client) = (mesh_pbft::Config::default(), ClientConfig::default());
        let (genesis, key, rules) = (genesis(engine), Arc::new(key(1)), Rules::default());
        Agreement::new(Setup { genesis, key, replica, client, rules }, StoreId(1)).unwrap()
    };
    let forged = vote(1, &STRANGE);
    let mut of_replica = agreement(Engine::Pbft);
    of_replica.judged(&[wrong(&forged)]);
    let keeper = &mut of_replica.seat.as_mut().unwrap().keeper;
    assert_eq!(run(keeper, 1, std::slice::from_ref(&forged)), [rejected(Rejection::Unknown)]);

    let mut of_engine = agreement(Engine::Raft);
    // Nothing to keep them yet.
    of_engine.judged(&[wrong(&forged)]);
    let now = Now { mono: Mono(1), wall: NOW };
    of_engine.port(now, PortInput::Install(None), &mut Vec::new());
    of_engine.judged(&[wrong(&forged)]);
    let keeper = of_engine.port.as_mut().unwrap().keeper_mut().unwrap();
    assert_eq!(run(keeper, 1, &[forged]), [rejected(Rejection::Unknown)]);
}
