//! A bundle proves what it says, and no other does.

use super::world::{INTERVAL, World, key, node};
use crate::{
    Audit, AuditError, Ledger,
    audit::{LinkError, Step, roots},
};
use mesh_proto::{
    domain::Epoch,
    genesis::Engine,
    id::{Digest, NetworkId},
    key::BadSignature,
    ledger::{Bundle, Certified, Choice, Decision, InclusionError, Index, ProofError, ProposalId},
    pbft::{
        Ballots, Checkpoint, EpochCertificate, EpochConfig, ReplicaId, RequestNumber, Roots, Sequence, Stable, Summary,
    },
};
use std::sync::Arc;

/// The keys of the committee in its epochs.
const FIRST: [u8; 4] = [1, 2, 3, 4];
const SECOND: [u8; 5] = [1, 2, 3, 4, 5];

struct Sample {
    bundle: Bundle,
    network: NetworkId,
    id: ProposalId,
}

fn epoch(number: u64, start: u64, members: &[u8]) -> EpochConfig {
    let config = EpochConfig::genesis(members.iter().copied().map(node)).unwrap();
    let (interval, window) = (INTERVAL as u32, 2 * INTERVAL as u32);
    EpochConfig { epoch: Epoch(number), start: Sequence::new(start), interval, window, fewest: 1, ..config }
}

/// Of a state with this root behind `sequence`, signed in the epoch of `signed` by these keys.
fn certify(
    network: &NetworkId,
    (signed, by): (&EpochConfig, &[u8]),
    next: &EpochConfig,
    (sequence, root): (u64, &Digest),
) -> Arc<EpochCertificate> {
    let sequence = Sequence::new(sequence);
    let summary = Summary {
        sequence,
        time: super::world::START,
        state: roots(root),
        clients: Roots::EMPTY,
        floor: RequestNumber::ZERO,
        config: next.clone(),
    };
    let digest = summary.digest();
    let mut ballots: Vec<_> = by.iter().map(|number| ballot(network, signed, *number, sequence, digest)).collect();
    ballots.sort_unstable();
    let votes = Ballots::new(ballots).unwrap();
    let certificate = Stable { epoch: signed.epoch, sequence, digest, votes };
    Arc::new(EpochCertificate { summary, certificate })
}

fn ballot(
    network: &NetworkId,
    config: &EpochConfig,
    number: u8,
    sequence: Sequence,
    digest: Digest,
) -> (ReplicaId, mesh_proto::key::Signature) {
    let replica = config.replica_of(&node(number)).unwrap_or(ReplicaId::new(30));
    let vote = Checkpoint::sign(&key(number), network, (config.epoch, replica), sequence, digest);
    (replica, vote.signature)
}

/// Four founders take in a fifth, and the five decide.
fn sample() -> Sample {
    let mut world = World::of(4);
    let network = world.genesis.network_id();
    world.seat(5);
    let start = world.ledger.index().0;
    let (first, second) = (epoch(0, 0, &FIRST), epoch(1, start, &SECOND));
    let end = certify(&network, (&first, &[1, 2, 4]), &second, (start, &world.ledger.root()));
    let id = world.propose(|_| {});
    for number in [1, 2, 3, 5] {
        world.vote(number, id, Choice::Approve);
    }
    world.fill();
    let (index, snapshot) = (world.ledger.index().0, world.ledger.snapshot());
    let root = snapshot.root();
    let checkpoint = certify(&network, (&second, &[1, 3, 4, 5]), &second, (index, &root));
    let proof = Some(Box::new(Ledger::proof(&snapshot, &id).unwrap()));
    let certified = Certified { checkpoint, root, proof };
    Sample { bundle: Bundle { genesis: world.genesis.clone(), ends: vec![end], certified }, network, id }
}

fn changed(change: impl FnOnce(&mut Bundle)) -> Result<Audit, AuditError> {
    let Sample { mut bundle, network, .. } = sample();
    change(&mut bundle);
    Audit::of(&bundle, &network)
}

#[test]
fn a_chain_from_the_genesis_proves_a_state_and_a_decision_in_it() {
    let Sample { bundle, network, id } = sample();
    assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle.clone()));
    let audit = Audit::of(&bundle, &network).unwrap();
    assert_eq!(audit.decision, Some((id, Decision::Accepted)));
    assert_eq!((audit.epoch, audit.members.len(), audit.index), (Epoch(1), 5, Index(2 * INTERVAL)));
    assert_eq!((audit.end_signatures, audit.checkpoint_signatures), (3, 4));
    assert_eq!((audit.network, audit.root), (network, bundle.certified.root));
}

/// A checkpoint at which an epoch ends is as good as any: behind it the next committee goes on.
#[test]
fn the_end_of_an_epoch_is_a_checkpoint_too() {
    let Sample { mut bundle, network, .. } = sample();
    let end = bundle.ends.remove(0);
    let mut world = World::of(4);
    world.seat(5);
    bundle.certified = Certified { checkpoint: end, root: world.ledger.root(), proof: None };
    let audit = Audit::of(&bundle, &network).unwrap();
    assert_eq!((audit.epoch, audit.members.len(), audit.index, audit.decision), (Epoch(1), 5, Index(INTERVAL), None));
}

/// One bit in any place: the bytes are no bundle any more, or it proves nothing.
#[test]
fn a_forged_byte_is_found_wherever_it_is() {
    let Sample { bundle, network, .. } = sample();
    let bytes = bundle.encode();
    assert!(bytes.len() > 3_000, "{}", bytes.len());
    for at in 0..bytes.len() {
        let mut forged = bytes.clone();
        forged[at] ^= 1 << (at % 8);
        if let Ok(bundle) = Bundle::decode(&forged) {
            assert!(Audit::of(&bundle, &network).is_err(), "byte {at} of {}", bytes.len());
        }
    }
    for length in 0..bytes.len() {
        assert!(Bundle::decode(&bytes[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn nothing_of_another_network_is_believed() {
    let Sample { bundle, network, .. } = sample();
    let other = NetworkId::from_bytes([7; 32]);
    let error = Audit::of(&bundle, &other).unwrap_err();
    assert_eq!(error, AuditError::Network { found: network, expected: other });
    // A forger's own genesis is another network, whatever it is called.
    let forged = changed(|bundle| bundle.genesis.committee = mesh_proto::genesis::Founders::alone(node(9)));
    assert!(matches!(forged, Err(AuditError::Network { .. })));
    let mut raft = bundle;
    raft.genesis.engine = Engine::Raft;
    let network = raft.genesis.network_id();
    assert_eq!(Audit::of(&raft, &network), Err(AuditError::Engine));
}

#[test]
fn an_end_that_the_committee_before_did_not_sign_breaks_the_chain() {
    let Sample { bundle, network, .. } = sample();
    let start = bundle.ends[0].summary.sequence.get();
    let (first, second) = (epoch(0, 0, &FIRST), epoch(1, start, &SECOND));
    let root = Digest::from_bytes([3; 32]);
    let end = |by: &[u8], next: &EpochConfig, at: u64| certify(&network, (&first, by), next, (at, &root));
    let why = |end: Arc<EpochCertificate>| match changed(|bundle| bundle.ends = vec![end]) {
        Err(AuditError::End { epoch: Epoch(0), why }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(end(&[1, 2], &second, start)), LinkError::TooFew { found: 2, needed: 3, members: 4 });
    assert_eq!(why(end(&[1, 2, 9], &second, start)), LinkError::Stranger(ReplicaId::new(30)));
    // More than a quorum, of whom one never signed.
    let mut forged = (*end(&[1, 2, 3], &second, start)).clone();
    let (_, signature) = ballot(&network, &first, 9, Sequence::new(start), forged.certificate.digest);
    let mut votes = forged.certificate.votes.to_vec();
    votes.push((first.replica_of(&node(4)).unwrap(), signature));
    votes.sort_unstable();
    forged.certificate.votes = Ballots::new(votes).unwrap();
    assert_eq!(why(Arc::new(forged.clone())), LinkError::Signature(BadSignature(node(4))));
    // Signed over one summary, shown with another.
    forged.summary = end(&[1, 2, 3], &epoch(1, start, &[1, 9]), start).summary.clone();
    assert_eq!(why(Arc::new(forged)), LinkError::Covers);
    assert_eq!(why(end(&[1, 2, 3], &epoch(2, start, &SECOND), start)), LinkError::Successor);
    assert_eq!(why(end(&[1, 2, 3], &epoch(1, start + INTERVAL, &SECOND), start)), LinkError::Successor);
    assert_eq!(why(end(&[1, 2, 3], &first, start)), LinkError::NoEnd);
    assert_eq!(why(end(&[1, 2, 3], &second, start + 1)), LinkError::Place(Sequence::new(start + 1)));
    assert_eq!(why(end(&[1, 2, 3], &second, 0)), LinkError::Place(Sequence::ZERO));
    let unlawful = EpochConfig { clients: 0, ..second.clone() };
    assert!(matches!(why(end(&[1, 2, 3], &unlawful, start)), LinkError::Config(_)));
    // By the next committee, which is not known before.
    let own = certify(&network, (&second, &SECOND), &second, (start, &root));
    assert_eq!(why(own), LinkError::Epoch { found: Epoch(1), known: Epoch(0) });
}

#[test]
fn a_checkpoint_is_certified_by_the_last_committee_and_covers_the_state() {
    let Sample { bundle, network, .. } = sample();
    let (first, second) = (epoch(0, 0, &FIRST), bundle.ends[0].summary.config.clone());
    let (index, root) = (2 * INTERVAL, bundle.certified.root);
    let why = |checkpoint| match changed(|bundle| bundle.certified.checkpoint = checkpoint) {
        Err(AuditError::Checkpoint { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let before = certify(&network, (&first, &FIRST), &first, (index, &root));
    assert_eq!(why(before), LinkError::Epoch { found: Epoch(0), known: Epoch(1) });
    let few = certify(&network, (&second, &[1, 2, 3]), &second, (index, &root));
    assert_eq!(why(few), LinkError::TooFew { found: 3, needed: 4, members: 5 });
    // A signature of this very checkpoint, for another network.
    let elsewhere = certify(&NetworkId::from_bytes([7; 32]), (&second, &SECOND), &second, (index, &root));
    assert!(matches!(why(elsewhere), LinkError::Signature(_)));
    let missing = changed(|bundle| bundle.ends.clear()).unwrap_err();
    assert_eq!(missing.step(), Step::Checkpoint);

    let root = Digest::from_bytes([3; 32]);
    assert_eq!(changed(|bundle| bundle.certified.root = root), Err(AuditError::State { root }));
}

#[test]
fn a_decision_is_what_the_state_and_the_votes_say() {
    let why = |change: &dyn Fn(&mut mesh_proto::ledger::DecisionProof)| {
        let audited = changed(|bundle| bundle.certified.proof.iter_mut().for_each(|proof| change(proof)));
        match audited {
            Err(AuditError::Decision(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(why(&|proof| proof.inclusion = None), ProofError::Inclusion(InclusionError::Missing));
    assert!(matches!(why(&|proof| proof.votes.truncate(3)), ProofError::Count { .. }));
    assert!(matches!(why(&|proof| proof.votes.push(proof.votes[0].clone())), ProofError::Twice(_)));
    // Of other content: nobody voted on that.
    assert!(matches!(why(&|proof| proof.proposal.body = r#"{"a":1}"#.into()), ProofError::OtherVote(_)));
    // The votes alone would do, but it is not on record like that.
    assert!(matches!(why(&|proof| proof.standing.deadline.0 += 1), ProofError::OtherState));
}

#[test]
fn what_is_still_voted_is_no_decision() {
    let mut world = World::of(4);
    let network = world.genesis.network_id();
    let id = world.propose(|_| {});
    world.vote(1, id, Choice::Approve);
    world.fill();
    let (snapshot, config) = (world.ledger.snapshot(), epoch(0, 0, &FIRST));
    let root = snapshot.root();
    let checkpoint = certify(&network, (&config, &[2, 3, 4]), &config, (world.ledger.index().0, &root));
    let proof = Ledger::proof(&snapshot, &id).map(Box::new);
    let certified = Certified { checkpoint, root, proof };
    let bundle = Bundle { genesis: world.genesis.clone(), ends: vec![], certified };
    let error = Audit::of(&bundle, &network).unwrap_err();
    assert!(matches!(error, AuditError::Decision(ProofError::Undecided { .. })), "{error}");
}
