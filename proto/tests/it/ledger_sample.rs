//! One command of each kind, each outcome, and what else of the ledger has a wire form.

use crate::{
    pbft_sample,
    sample::{DAY, Sample, invited_credential, key, network, sample},
};
use mesh_proto::{
    agreement::{AllRan, Ran},
    codec::encode,
    domain::Epoch,
    fuzz::{NOW, known_genesis},
    id::{Digest, NodeId, StoreId, TaskId},
    ledger::{
        Answer, Auto, Body, Branch, Bundle, Certified, Change, Child, Choice, Claim, Claimed, Command, CommandId,
        Committee, Decision, DecisionProof, Done, Electorate, Entry, Evidence, Expect, Fence, FetchNodes, FetchedNode,
        FetchedNodes, Inclusion, Index, MemoryItem, Motion, Node, NodePath, Outcome, Pending, Proposal, ProposalState,
        Propose, Query, Rejection, Row, Seat, SignedMotion, SignedSupport, SignedVote, Standing, Support, Tally,
        Threshold, Vote,
    },
    role::Role,
    task::Octets,
};
use std::sync::Arc;

pub fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (name, body) in bodies() {
        samples.push(sample(name, "ledger-command", "ledger_command", &command(body)));
    }
    for (name, outcome) in outcomes() {
        samples.push(sample(name, "ledger-ran", "all_ran", &AllRan(vec![Ran::Outcome(outcome)])));
    }
    for (name, query) in queries() {
        samples.push(sample(name, "ledger-query", "ledger_query", &query));
    }
    for (name, rows) in answers() {
        let answer = Answer { index: Index(1000), time: NOW, rows, more: true };
        samples.push(sample(name, "ledger-answer", "ledger_answer", &answer));
    }
    samples.push(sample("ledger-node-page", "ledger-node", "ledger_node", &page()));
    samples.push(sample("ledger-node-branch", "ledger-node", "ledger_node", &branch()));
    let paths = vec![NodePath::default(), NodePath(octets(&[0, 16, 5]))];
    let nodes = [page(), branch()].map(|node| encode(&node).into());
    let nodes = paths.iter().cloned().zip(nodes).map(|(path, bytes)| FetchedNode { path, bytes }).collect();
    let root = branch().digest();
    let fetch = FetchNodes { root, paths, levels: 2, known: octets(&[9; 16]) };
    samples.push(sample("ledger-fetch", "ledger-fetch", "ledger_fetch", &fetch));
    samples.push(sample("ledger-fetched", "ledger-fetched", "ledger_fetched", &FetchedNodes { root, nodes }));
    samples.push(sample("ledger-proof", "ledger-proof", "ledger_proof", &proof()));
    samples.push(sample(
        "ledger-proof-votes",
        "ledger-proof",
        "ledger_proof",
        &DecisionProof { inclusion: None, ..proof() },
    ));
    let (end, certified) = (Arc::new(pbft_sample::certificate()), certified());
    let without = Certified { proof: None, ..certified.clone() };
    for (name, ends, certified) in [("ledger-bundle", vec![end], certified), ("ledger-bundle-first", vec![], without)] {
        let bundle = Bundle { genesis: known_genesis(), ends, certified };
        samples.push(sample(name, "ledger-bundle", "ledger_bundle", &bundle));
    }
    samples
}

pub fn bodies() -> Vec<(&'static str, Body)> {
    let (namespace, key) = ("swarm".parse().unwrap(), "plan/step 1".parse().unwrap());
    let put = |ttl_ms| Body::MemoryPut {
        namespace: "swarm".parse().unwrap(),
        key: "a".parse().unwrap(),
        value: octets(b"{\"n\":1}"),
        ttl_ms,
    };
    let swap = |expect, value| Body::MemoryCompareAndSwap {
        namespace: "swarm".parse().unwrap(),
        key: "a".parse().unwrap(),
        expect,
        value,
        ttl_ms: None,
    };
    let motion = |change| Body::Motion(signed_motion(change));
    let inviter = |uses, until, governs| Change::InviterAdd { key: node(9), uses, until, governs };
    let evidence = Evidence { accused: node(4), proof: octets(b"one thing and another") };
    let support = Support { version: 2, store: StoreId(7), at: Index(990) };
    vec![
        ("ledger-propose", Body::Propose(propose(Electorate::Committee))),
        ("ledger-propose-all", Body::Propose(propose(Electorate::All))),
        ("ledger-propose-ids", Body::Propose(propose(Electorate::Ids(vec![node(2), node(3)])))),
        ("ledger-vote", Body::Vote(vote(2, Choice::Approve))),
        ("ledger-close", Body::Close(proposal().id(&network()))),
        ("ledger-put", put(None)),
        ("ledger-put-for", put(Some(60_000))),
        ("ledger-delete", Body::MemoryDelete { namespace, key }),
        ("ledger-swap-absent", swap(Expect::Absent, Some(octets(b"v")))),
        ("ledger-swap-version", swap(Expect::Version(65_536), Some(octets(b"v")))),
        ("ledger-swap-value", swap(Expect::Value(Digest::from_bytes([0x44; 32])), None)),
        ("ledger-admit", Body::Admit(Box::new(invited_credential(2)))),
        ("ledger-revoke", motion(Change::Revoke(node(4)))),
        ("ledger-inviter-add", motion(inviter(None, None, true))),
        ("ledger-inviter-add-limited", motion(inviter(Some(10), Some(NOW + DAY), false))),
        ("ledger-inviter-remove", motion(Change::InviterRemove(node(9)))),
        ("ledger-committee-add", motion(Change::CommitteeAdd(seat(5)))),
        ("ledger-committee-remove", motion(Change::CommitteeRemove(node(5)))),
        ("ledger-committee-auto", motion(Change::CommitteeAuto(Auto { on: true, max: 7 }))),
        ("ledger-evidence", Body::Evidence(evidence)),
        ("ledger-support", Body::Support(SignedSupport::report(&key_of(2), &network(), support))),
        ("ledger-activate", Body::ActivateVersion(2)),
        ("ledger-award", Body::Award { task: task(), to: node(3), lease_ms: 30_000 }),
        ("ledger-lock", Body::Lock { name: "deploy".parse().unwrap(), holder: node(3), lease_ms: 30_000 }),
        ("ledger-renew", Body::Renew { claim: Claim::Task(task()), fence: Fence(12), lease_ms: 30_000 }),
        ("ledger-unlock", Body::Unlock { claim: lock(), fence: Fence(12) }),
        ("ledger-tick", Body::Tick),
    ]
}

fn outcomes() -> Vec<(&'static str, Outcome)> {
    let done = |name, done| (name, Outcome::Done(done));
    let rejected = |name, rejection| (name, Outcome::Rejected(rejection));
    vec![
        done("ledger-done-kept", Done::Kept),
        done("ledger-done-written", Done::Written { version: 65_536_000 }),
        done("ledger-done-deleted", Done::Deleted { found: true }),
        done("ledger-done-proposed", Done::Proposed(proposal().id(&network()))),
        done("ledger-done-voted", Done::Voted(ProposalState::Open)),
        done("ledger-done-decided", Done::Voted(decided())),
        done("ledger-done-granted", Done::Granted { fence: Fence(12), expires: NOW + DAY }),
        done("ledger-done-released", Done::Released),
        done("ledger-done-seconded", Done::Seconded { signed: 1, needed: 2 }),
        done("ledger-done-moved", Done::Moved { from: Index(1025) }),
        rejected("ledger-rejected-invalid", Rejection::Invalid),
        rejected("ledger-rejected-not-active", Rejection::NotActive { since: 2, active: 1 }),
        rejected("ledger-rejected-stale", Rejection::Stale { floor: Index(500) }),
        rejected("ledger-rejected-ahead", Rejection::Ahead),
        rejected("ledger-rejected-reused", Rejection::Reused),
        rejected("ledger-rejected-full", Rejection::Full),
        rejected("ledger-rejected-too-many", Rejection::TooMany),
        rejected("ledger-rejected-absent", Rejection::Mismatch { version: None }),
        rejected("ledger-rejected-mismatch", Rejection::Mismatch { version: Some(65_536) }),
        rejected("ledger-rejected-unknown", Rejection::Unknown),
        rejected("ledger-rejected-decided", Rejection::Decided),
        rejected("ledger-rejected-wrong-round", Rejection::WrongRound { round: 2 }),
        rejected("ledger-rejected-not-elector", Rejection::NotElector),
        rejected("ledger-rejected-already-voted", Rejection::AlreadyVoted),
        rejected("ledger-rejected-electorate", Rejection::Electorate),
        rejected("ledger-rejected-not-owner", Rejection::NotOwner),
        rejected("ledger-rejected-held", Rejection::Held(claimed())),
        rejected("ledger-rejected-not-held", Rejection::NotHeld),
        rejected("ledger-rejected-not-inviter", Rejection::NotInviter),
        rejected("ledger-rejected-expired", Rejection::Expired),
        rejected("ledger-rejected-revoked", Rejection::Revoked { at: NOW }),
        rejected("ledger-rejected-not-entitled", Rejection::NotEntitled),
        rejected("ledger-rejected-overtaken", Rejection::Overtaken { serial: 4 }),
        rejected("ledger-rejected-pending", Rejection::Pending),
        rejected("ledger-rejected-already", Rejection::Already),
        rejected("ledger-rejected-not-member", Rejection::NotMember),
        rejected("ledger-rejected-second-identity", Rejection::SecondIdentity),
        rejected("ledger-rejected-last-seat", Rejection::LastSeat),
        rejected("ledger-rejected-unsupported", Rejection::Unsupported),
    ]
}

fn queries() -> Vec<(&'static str, Query)> {
    let (namespace, key) = ("swarm".parse().unwrap(), "plan/step 1".parse().unwrap());
    let list = |prefix, after| Query::List { namespace: "swarm".parse().unwrap(), prefix, after, limit: 10 };
    let pattern = "plan*failed".parse().unwrap();
    let search =
        Query::Search { namespace: "swarm".parse().unwrap(), pattern, after: Some("plan".parse().unwrap()), limit: 10 };
    let id = proposal().id(&network());
    vec![
        ("ledger-query-get", Query::Get { namespace, key }),
        ("ledger-query-list", list(None, None)),
        ("ledger-query-list-on", list(Some("plan/".parse().unwrap()), Some("plan/a".parse().unwrap()))),
        ("ledger-query-search", search),
        ("ledger-query-proposal", Query::Proposal(id)),
        ("ledger-query-proposals", Query::Proposals { after: Some(id), limit: 10 }),
        ("ledger-query-votes", Query::Votes(id)),
        ("ledger-query-claim", Query::Claim(lock())),
        ("ledger-query-locks", Query::Locks { after: Some("deploy".parse().unwrap()), limit: 10 }),
        ("ledger-query-awards", Query::Awards { after: Some(task()), limit: 10 }),
        ("ledger-query-committee", Query::Committee),
        ("ledger-query-members", Query::Members { after: None, limit: 10 }),
        ("ledger-query-member", Query::Member(node(2))),
        ("ledger-query-inviters", Query::Inviters { after: Some(node(1)), limit: 10 }),
        ("ledger-query-evidence", Query::Evidence(node(4))),
    ]
}

fn answers() -> Vec<(&'static str, Vec<Row>)> {
    let item = MemoryItem { version: 65_536, written: NOW, expires: Some(NOW + DAY), value: octets(b"{\"n\":1}") };
    let committee = Committee {
        epoch: Epoch(3),
        since: Index(896),
        seats: vec![Seat { node: node(1), store: None }, seat(2)],
        auto: Auto { on: false, max: 4 },
        pending: Some(Pending::Add(seat(5))),
    };
    let removing = Committee { pending: Some(Pending::Remove(node(2))), ..committee.clone() };
    let raising = Committee { pending: Some(Pending::Version(2)), ..committee.clone() };
    let committee = |committee| Row::Committee { committee, version: 1, serial: 3 };
    let member = |until, revoked, seated| {
        let (node, role, invited) = (node(2), Role::Full, NOW);
        Row::Member { node, role, invited, until, revoked, seated }
    };
    let inviter = |uses, until, governs| Row::Inviter { key: node(1), uses, until, governs };
    let evidence = Evidence { accused: node(4), proof: octets(b"one thing and another") };
    let opened =
        Row::Proposal { id: proposal().id(&network()), proposal: Box::new(proposal()), standing: proof().standing };
    vec![
        ("ledger-answer-nothing", vec![]),
        (
            "ledger-answer-memory",
            vec![Row::Memory { key: "a".parse().unwrap(), item }, Row::Looked("b".parse().unwrap())],
        ),
        ("ledger-answer-proposal", vec![opened]),
        ("ledger-answer-votes", vec![Row::Vote(vote(2, Choice::Reject)), Row::Vote(vote(3, Choice::Abstain))]),
        ("ledger-answer-claims", vec![Row::Claim { claim: lock(), held: claimed() }]),
        ("ledger-answer-committee", vec![committee(removing), committee(raising)]),
        ("ledger-answer-members", vec![member(None, None, true), member(Some(NOW), Some(NOW), false)]),
        ("ledger-answer-inviters", vec![inviter(None, None, true), inviter(Some(3), Some(NOW), false)]),
        ("ledger-answer-evidence", vec![Row::Evidence(evidence)]),
    ]
}

pub fn command(body: Body) -> Command {
    Command { id: command_id(), body }
}

fn command_id() -> CommandId {
    CommandId { principal: "ada".parse().unwrap(), key: octets(b"a key"), born: Index(999) }
}

pub fn propose(electorate: Electorate) -> Propose {
    Propose {
        title: "who runs it".parse().unwrap(),
        body: r#"{"task_assignment":"auth-service","assigned_to":"node-3"}"#.into(),
        electorate,
        threshold: Threshold::DEFAULT,
        round_ms: 60_000,
        rounds: 2,
    }
}

/// Of nodes 2 to 5, in order.
pub fn proposal() -> Proposal {
    let Propose { title, body, threshold, round_ms, rounds, .. } = propose(Electorate::Committee);
    let CommandId { principal, key, .. } = command_id();
    let mut electorate: Vec<NodeId> = (2..=5).map(node).collect();
    electorate.sort();
    let (opened, at) = (Index(1000), NOW);
    Proposal { proposer: principal, key, title, body, electorate, threshold, round_ms, rounds, opened, at }
}

pub fn vote(number: u8, choice: Choice) -> SignedVote {
    let vote = Vote { proposal: proposal().id(&network()), round: 1, choice };
    SignedVote::cast(&key_of(number), &network(), vote)
}

/// Three of four approve, and the state that has it so is one page.
pub fn proof() -> DecisionProof {
    let tally = Tally { approve: 3, reject: 0, abstain: 0 };
    let standing = Standing { round: 1, deadline: NOW + DAY, tally, state: decided() };
    let proposal = proposal();
    let key = proposal.id(&network()).standing_key();
    let page = Node::Page(vec![Entry::new(&key, &[&encode(&standing)])]);
    let votes = (2..=4).map(|number| vote(number, Choice::Approve)).collect();
    let inclusion = Some(Inclusion::new(vec![encode(&page).into()]));
    DecisionProof { proposal: Box::new(proposal), standing, votes, inclusion }
}

/// With its proof.
pub fn certified() -> Certified {
    let checkpoint = Arc::new(pbft_sample::certificate());
    Certified { checkpoint, root: Digest::from_bytes([5; 32]), proof: Some(Box::new(proof())) }
}

fn decided() -> ProposalState {
    ProposalState::Decided { decision: Decision::Accepted, index: Index(1001), at: NOW }
}

pub fn signed_motion(change: Change) -> SignedMotion {
    SignedMotion::sign(&key_of(2), &network(), Motion { serial: 3, change })
}

pub fn page() -> Node {
    Node::Page(vec![Entry::new(b"a", &[b"1"]), Entry::new(b"a\0", &[]), Entry::new(b"b", &[b"2", b"3"])])
}

pub fn branch() -> Node {
    let child =
        |slot, seed, entries| Child { slot, digest: Digest::from_bytes([seed; 32]), entries, bytes: 70 * entries };
    Node::Branch(Branch { depth: 6, children: vec![child(0, 1, 1), child(3, 2, 40), child(16, 3, 1 << 33)] })
}

fn claimed() -> Claimed {
    Claimed { owner: "ada".parse().unwrap(), holder: node(3), fence: Fence(12), granted: NOW, expires: NOW + DAY }
}

fn lock() -> Claim {
    Claim::Lock("deploy".parse().unwrap())
}

fn task() -> TaskId {
    crate::task_sample::task()
}

fn seat(number: u8) -> Seat {
    Seat { node: node(number), store: Some(StoreId(u64::from(number))) }
}

fn node(number: u8) -> NodeId {
    key(number).node_id()
}

fn key_of(number: u8) -> mesh_proto::key::SecretKey {
    key(number)
}

fn octets(bytes: &[u8]) -> Octets {
    Octets::from(bytes)
}
