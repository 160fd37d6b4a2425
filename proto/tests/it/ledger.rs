//! Commands and their signatures, the bounds of all that the ledger sends, and proofs that hold and that do not.

use crate::{
    ledger_sample::{bodies, branch, command, page, proof, proposal, propose, signed_motion, vote},
    sample::{DAY, invitation, invited_credential, key, network},
};
use mesh_proto::{
    codec::encode,
    credential::Credential,
    fuzz::{NOW, known_genesis},
    id::{Digest, NetworkId, NodeId, StoreId},
    key::BadSignature,
    ledger::{
        Body, Branch, Change, CheckError, Checked, Child, Choice, Command, Decision, DecisionProof, Electorate, Entry,
        Evidence, InclusionError, Index, Motion, Node, NodeError, ProofError, ProposalState, SignedMotion,
        SignedSupport, SignedVote, Standing, Support, Tally, Vote,
    },
    limits,
    role::Role,
    task::Octets,
};

fn check(body: Body) -> Result<Checked, CheckError> {
    Checked::check(command(body), &known_genesis(), |evidence| evidence.proof.starts_with(b"one thing"))
}

#[test]
fn the_samples_are_signed_by_whom_they_say() {
    for (name, body) in bodies() {
        assert!(check(body).is_ok(), "{name}");
    }
}

#[test]
fn what_is_signed_for_another_network_is_not_ordered() {
    let other = NetworkId::from_bytes([9; 32]);
    let cast = Vote { proposal: proposal().id(&network()), round: 1, choice: Choice::Approve };
    let motion = Motion { serial: 3, change: Change::Revoke(key(4).node_id()) };
    let support = Support { version: 1, store: StoreId(1), at: Index(1) };
    for body in [
        Body::Vote(SignedVote::cast(&key(2), &other, cast)),
        Body::Motion(SignedMotion::sign(&key(2), &other, motion)),
        Body::Support(SignedSupport::report(&key(2), &other, support)),
    ] {
        assert_eq!(check(body), Err(CheckError::Signature(BadSignature(key(2).node_id()))));
    }
}

#[test]
fn a_signature_of_another_is_not_ordered() {
    let by = |mut signed: SignedVote| {
        signed.voter = key(3).node_id();
        Body::Vote(signed)
    };
    assert!(check(by(vote(2, Choice::Approve))).is_err());
    let mut motion = signed_motion(Change::Revoke(key(4).node_id()));
    motion.by = key(3).node_id();
    assert!(check(Body::Motion(motion)).is_err());
}

#[test]
fn evidence_that_proves_nothing_is_not_ordered() {
    let accused = key(4).node_id();
    let evidence = Evidence { accused, proof: Octets::from(&b"nothing"[..]) };
    assert_eq!(check(Body::Evidence(evidence)), Err(CheckError::ProvesNothing(accused)));
}

/// The ledger knows who may invite, and what time it is; the signatures hold without.
#[test]
fn a_credential_of_any_inviter_is_ordered_if_it_is_signed() {
    let admit = |credential| check(Body::Admit(Box::new(credential)));
    assert!(admit(invited_credential(2)).is_ok());
    let mut by_another = invitation(None).unverified().clone();
    by_another.inviter = key(7).node_id();
    let issued = by_another.issued;
    let certificate = mesh_proto::certificate::Certificate::issue(&key(7), &network(), by_another.clone());
    let forged = mesh_proto::certificate::Certificate::issue(&key(8), &network(), by_another);
    let (node, role) = (key(2).node_id(), Role::Worker);
    let with = |certificate| Credential::by_invitation(certificate, &key(100), &known_genesis(), node, role, issued);
    assert!(admit(with(certificate)).is_ok());
    assert!(matches!(admit(with(forged)), Err(CheckError::Credential(_))));
    let risen = Credential::by_invitation(invitation(None), &key(100), &known_genesis(), node, Role::Full, issued);
    assert!(admit(risen).is_err());
    let late = Credential::by_invitation(invitation(None), &key(100), &known_genesis(), node, role, NOW + DAY * 3);
    assert!(admit(late).is_err());
}

#[test]
fn a_command_within_its_limits_is_read_and_one_beyond_is_not() {
    let read = |body| Command::decode(&command(body).encode()).is_ok();
    let put = |length| Body::MemoryPut {
        namespace: "n".repeat(limits::NAMESPACE_BYTES).parse().unwrap(),
        key: "k".repeat(limits::MEMORY_KEY_BYTES).parse().unwrap(),
        value: vec![0; length].into(),
        ttl_ms: Some(u64::MAX),
    };
    let with_body = |length| {
        let ids = Electorate::Ids(vec![NodeId::from_bytes([9; 32]); limits::ELECTORATE]);
        let mut propose = propose(ids);
        propose.body = "b".repeat(length);
        Body::Propose(propose)
    };
    let with_ids = |count| Body::Propose(propose(Electorate::Ids(vec![NodeId::from_bytes([9; 32]); count])));
    let evidence =
        |length: usize| Body::Evidence(Evidence { accused: key(4).node_id(), proof: vec![0; length].into() });
    type Make<'a> = &'a dyn Fn(usize) -> Body;
    let bounds: [(&str, usize, Make<'_>); 4] = [
        ("value", limits::MEMORY_VALUE_BYTES, &put),
        ("body", limits::PROPOSAL_BODY_BYTES, &with_body),
        ("electorate", limits::ELECTORATE, &with_ids),
        ("evidence", limits::EVIDENCE_BYTES, &evidence),
    ];
    for (what, bound, body) in bounds {
        assert!(read(body(bound)), "{what}: {bound}");
        assert!(!read(body(bound + 1)), "{what}: {}", bound + 1);
    }
}

#[test]
fn a_node_is_in_order_and_in_shape() {
    let decode = |node: &Node| Node::decode(&encode(node), &node.digest());
    for node in [page(), branch(), Node::Page(vec![])] {
        assert_eq!(decode(&node).as_ref(), Ok(&node));
        let other = Digest::from_bytes([1; 32]);
        let refused = NodeError::Digest { expected: other, found: node.digest() };
        assert_eq!(Node::decode(&encode(&node), &other), Err(refused));
    }
    let entry = |key: &[u8], length: usize| Entry::new(key, &[&vec![0; length]]);
    let page = |entries: &[Entry]| decode(&Node::Page(entries.to_vec()));
    assert_eq!(page(&[entry(b"b", 1), entry(b"a", 1)]), Err(NodeError::Order));
    assert_eq!(page(&[entry(b"a", 1), entry(b"a", 1)]), Err(NodeError::Order));
    assert!(page(&[entry(b"a", limits::ENTRY_BYTES)]).is_ok());
    assert_eq!(page(&[entry(b"a", 1), entry(b"b", limits::PAGE_BYTES as usize)]), Err(NodeError::Shape));
    let many: Vec<Entry> = (0..=limits::PAGE_ENTRIES as u8).map(|n| entry(&[n], 1)).collect();
    assert!(page(&many[1..]).is_ok());
    assert!(matches!(page(&many), Err(NodeError::Decode(_))));
    let child = |slot| Child { slot, digest: Digest::from_bytes([1; 32]), entries: 1, bytes: 1 };
    let branch = |slots: &[u8]| {
        let children = slots.iter().map(|slot| child(*slot)).collect();
        decode(&Node::Branch(Branch { depth: 0, children }))
    };
    assert!(branch(&[0, 16]).is_ok());
    assert_eq!(branch(&[0]), Err(NodeError::Shape));
    assert_eq!(branch(&[0, 17]), Err(NodeError::Shape));
    assert_eq!(branch(&[1, 0]), Err(NodeError::Order));
}

fn root_of(proof: &DecisionProof) -> Digest {
    let key = proof.proposal.id(&network()).standing_key();
    Node::Page(vec![Entry::new(&key, &[&encode(&proof.standing)])]).digest()
}

#[test]
fn a_proof_holds_by_its_votes_and_by_the_state() {
    let proof = proof();
    let id = proof.proposal.id(&network());
    assert_eq!(proof.verify(&network()), Ok((id, Decision::Accepted)));
    assert_eq!(proof.verify_recorded(&network(), &root_of(&proof)), Ok((id, Decision::Accepted)));
    assert_eq!(DecisionProof::decode(&encode(&proof)), Ok(proof));
}

#[test]
fn a_proof_that_says_more_than_its_votes_does_not_hold() {
    let changed = |change: &dyn Fn(&mut DecisionProof)| {
        let mut proof = proof();
        change(&mut proof);
        proof.verify(&network()).unwrap_err()
    };
    let signer = |number| BadSignature(key(number).node_id());
    // Anything else in the proposal is another proposal, on which nobody voted.
    let other = |error| matches!(error, ProofError::OtherVote(_));
    assert!(other(changed(&|proof| proof.proposal.body = "{}".into())));
    assert!(other(changed(&|proof| proof.proposal.electorate.truncate(3))));
    assert!(other(changed(&|proof| proof.proposal.threshold = mesh_proto::ledger::Threshold::new(1).unwrap())));
    assert!(other(changed(&|proof| proof.standing.round = 2)));
    assert_eq!(changed(&|proof| proof.proposal.electorate.reverse()), ProofError::Electorate);
    assert_eq!(changed(&|proof| proof.votes[1].voter = key(5).node_id()), signer(5).into());
    assert_eq!(changed(&|proof| proof.votes[0] = vote(6, Choice::Approve)), ProofError::NotElector(key(6).node_id()));
    let twice = proof().votes[0].voter;
    assert_eq!(changed(&|proof| proof.votes[1] = proof.votes[0].clone()), ProofError::Twice(twice));
    assert!(matches!(changed(&|proof| proof.votes.truncate(2)), ProofError::Count { .. }));
    let two = Tally { approve: 2, reject: 0, abstain: 0 };
    let undecided = changed(&|proof| {
        proof.votes.pop();
        proof.standing.tally = two;
    });
    assert!(matches!(undecided, ProofError::Undecided { votes: None, .. }));
    let open = changed(&|proof| proof.standing.state = ProposalState::Open);
    assert!(matches!(open, ProofError::Undecided { votes: Some(Decision::Accepted), .. }));
    let decided = |decision| ProposalState::Decided { decision, index: Index(1001), at: NOW };
    let rejected = changed(&|proof| proof.standing.state = decided(Decision::Rejected));
    assert!(matches!(rejected, ProofError::Undecided { votes: Some(Decision::Accepted), .. }));
    assert!(proof().verify(&NetworkId::from_bytes([9; 32])).is_err());
}

#[test]
fn what_time_decided_only_the_state_proves() {
    let mut late = proof();
    late.votes.pop();
    let state = ProposalState::Decided { decision: Decision::Expired, index: Index(1001), at: NOW };
    late.standing = Standing { tally: Tally { approve: 2, reject: 0, abstain: 0 }, state, ..late.standing };
    assert_eq!(late.verify(&network()), Err(ProofError::NeedsState(Decision::Expired)));
    let stale = late.verify_recorded(&network(), &root_of(&late));
    assert_eq!(
        stale,
        Err(ProofError::Inclusion(InclusionError::Node(NodeError::Digest {
            expected: root_of(&late),
            found: root_of(&proof()),
        })))
    );
    let id = late.proposal.id(&network());
    let page = Node::Page(vec![Entry::new(&id.standing_key(), &[&encode(&late.standing)])]);
    late.inclusion = Some(mesh_proto::ledger::Inclusion::new(vec![encode(&page).into()]));
    assert_eq!(late.verify_recorded(&network(), &page.digest()), Ok((id, Decision::Expired)));
    // Under the root of a state that says otherwise.
    let other = Node::Page(vec![Entry::new(&id.standing_key(), &[&encode(&proof().standing)])]);
    late.inclusion = Some(mesh_proto::ledger::Inclusion::new(vec![encode(&other).into()]));
    assert_eq!(late.verify_recorded(&network(), &other.digest()), Err(ProofError::OtherState));
    late.inclusion = None;
    let missing = ProofError::Inclusion(InclusionError::Missing);
    assert_eq!(late.verify_recorded(&network(), &other.digest()), Err(missing));
}
