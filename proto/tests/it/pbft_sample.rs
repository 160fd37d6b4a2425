//! One message of each kind, and one piece of evidence of each.

use crate::sample::{Sample, key, network, sample};
use mesh_proto::{
    domain::{Domain, Epoch},
    fuzz::{NOW, known_epoch},
    id::{Digest, NodeId},
    key::{SecretKey, Signature},
    merkle::{Leaf, Tree},
    pbft::{
        Answered, Ballots, Batch, Change, Checkpoint, Chunk, Committed, Conflict, Decided, EpochCertificate,
        EpochConfig, Evidence, Fetch, Message, NewView, Operations, Outcome, Part, Phase, PrePrepare, Prepared,
        ReplicaId, Reply, Reproposal, Request, RequestNumber, Roots, Sequence, Stable, Status, Summary, View,
        ViewChange, Vote, state_leaf,
    },
    task::Octets,
};
use std::sync::Arc;

pub const AT: (View, Sequence) = (View::new(5), Sequence::new(130));

pub fn messages() -> Vec<Sample> {
    let named = |(name, message): (&'static str, Message)| sample(name, "pbft-message", "pbft_message", &message);
    all().into_iter().map(named).collect()
}

pub fn all() -> Vec<(&'static str, Message)> {
    let vote = |phase| Vote::sign(&member(1), &network(), phase, (Epoch(0), ReplicaId::new(1)), AT, batch().digest());
    let status = Status {
        epoch: Epoch(0),
        view: View::new(5),
        active: true,
        leaves: true,
        stable: Sequence::new(128),
        executed: Sequence::new(130),
        wants: false,
        changes: vec![View::ZERO, View::new(3)],
    };
    let decided = Decided { epoch: Epoch(0), certificate: Arc::new(committed()), batch: Arc::new(batch()) };
    let fetch = Message::Fetch;
    vec![
        ("pbft-request", Message::Request(Arc::new(request()))),
        ("pbft-pre-prepare", Message::PrePrepare(Arc::new(pre_prepare(&batch())))),
        ("pbft-pre-prepare-null", Message::PrePrepare(Arc::new(pre_prepare(&Batch::null())))),
        ("pbft-prepare", Message::Prepare(vote(Phase::Prepare))),
        ("pbft-commit", Message::Commit(vote(Phase::Commit))),
        ("pbft-checkpoint", Message::Checkpoint(checkpoint(1, summary().digest()))),
        ("pbft-view-change", Message::ViewChange(Arc::new(view_change(vec![prepared()])))),
        ("pbft-view-change-first", Message::ViewChange(Arc::new(first_view_change()))),
        ("pbft-new-view", Message::NewView(Arc::new(new_view(batch().digest())))),
        ("pbft-status", Message::Status(status)),
        ("pbft-fetch-requests", fetch(Fetch::Requests { digests: vec![request().digest()] })),
        ("pbft-fetch-batch", fetch(Fetch::Batch { digest: batch().digest() })),
        (
            "pbft-fetch-view-change",
            fetch(Fetch::ViewChange { view: View::new(6), digest: Digest::from_bytes([3; 32]) }),
        ),
        ("pbft-fetch-epochs", fetch(Fetch::Epochs { above: Epoch(2) })),
        ("pbft-fetch-state", fetch(Fetch::State { sequence: Sequence::new(128), part: Part::State, index: 2 })),
        ("pbft-fetch-clients", fetch(Fetch::State { sequence: Sequence::new(128), part: Part::Clients, index: 0 })),
        ("pbft-requests", Message::Requests(vec![Arc::new(request())])),
        ("pbft-batch", Message::Batch(Arc::new(batch()))),
        ("pbft-decided", Message::Decided(decided)),
        ("pbft-stable", Message::Stable(Arc::new(certificate()))),
        ("pbft-epochs", Message::Epochs(vec![Arc::new(certificate())])),
        ("pbft-chunk", Message::Chunk(chunk())),
        ("pbft-reply", Message::Reply(Arc::new(reply()))),
    ]
}

pub fn evidence() -> Vec<Sample> {
    let evidence = |conflict| Evidence { epoch: Epoch(0), replica: ReplicaId::new(1), conflict };
    conflicts().map(|(name, conflict)| sample(name, "pbft-evidence", "pbft_evidence", &evidence(conflict))).into()
}

/// All against replica 1, which is the primary of view 5.
pub fn conflicts() -> [(&'static str, Conflict); 4] {
    let [one, other] = [1, 2].map(|n| Digest::from_bytes([n; 32]));
    let phase = Phase::Commit;
    let vote = |digest| {
        let vote = Vote::sign(&member(1), &network(), phase, (Epoch(0), ReplicaId::new(1)), AT, digest);
        (digest, vote.signature)
    };
    let claim = |digest| (digest, checkpoint(1, digest).signature);
    let sequence = Sequence::new(128);
    [
        (
            "pbft-evidence-votes",
            Conflict::Votes { phase, view: AT.0, sequence: AT.1, one: vote(one), other: vote(other) },
        ),
        ("pbft-evidence-checkpoints", Conflict::Checkpoints { sequence, one: claim(one), other: claim(other) }),
        (
            "pbft-evidence-view-changes",
            Conflict::ViewChanges {
                one: Arc::new(view_change(vec![prepared()])),
                other: Arc::new(view_change(Vec::new())),
            },
        ),
        (
            "pbft-evidence-new-views",
            Conflict::NewViews { one: Arc::new(new_view(one)), other: Arc::new(new_view(other)) },
        ),
    ]
}

/// The key of a member, by its number.
pub fn member(replica: u8) -> SecretKey {
    let node = known_epoch().member(ReplicaId::new(replica)).unwrap();
    let number = (1..=4).find(|number| key(*number).node_id() == node).unwrap();
    key(number)
}

pub fn request() -> Request {
    let operations = Operations::pack([&b"put a 1"[..], b"put b 2", b""]).unwrap();
    Request::sign(&key(9), &network(), RequestNumber::starting(NOW), operations)
}

pub fn batch() -> Batch {
    Batch { time: NOW, requests: vec![request().digest(), Digest::from_bytes([7; 32])] }
}

pub fn pre_prepare(batch: &Batch) -> PrePrepare {
    let signature = PrePrepare::sign_digest(&member(1), &network(), Epoch(0), AT, &batch.digest());
    PrePrepare { epoch: Epoch(0), view: AT.0, sequence: AT.1, batch: Arc::new(batch.clone()), signature }
}

fn ballots(phase: Phase, replicas: &[u8]) -> Ballots {
    let ballot = |replica: &u8| {
        let by = (Epoch(0), ReplicaId::new(*replica));
        let vote = Vote::sign(&member(*replica), &network(), phase, by, AT, batch().digest());
        (vote.replica, vote.signature)
    };
    Ballots::new(replicas.iter().map(ballot).collect()).unwrap()
}

pub fn prepared() -> Prepared {
    let (view, sequence) = AT;
    let proposal = pre_prepare(&batch()).signature;
    Prepared { view, sequence, digest: batch().digest(), proposal, prepares: ballots(Phase::Prepare, &[0, 2]) }
}

fn committed() -> Committed {
    let (view, sequence) = AT;
    Committed { view, sequence, digest: batch().digest(), commits: ballots(Phase::Commit, &[0, 1, 3]) }
}

pub fn checkpoint(replica: u8, digest: Digest) -> Checkpoint {
    let by = (Epoch(0), ReplicaId::new(replica));
    Checkpoint::sign(&member(replica), &network(), by, Sequence::new(128), digest)
}

/// The committee grows behind it.
pub fn summary() -> Summary {
    let mut members: Vec<NodeId> = known_epoch().members;
    members.push(key(5).node_id());
    members.sort_unstable();
    let config = EpochConfig { epoch: Epoch(1), start: Sequence::new(128), members, ..known_epoch() };
    Summary {
        sequence: Sequence::new(128),
        time: NOW,
        state: Roots { root: tree().root(), count: tree().count() },
        clients: Roots { root: Digest::from_bytes([4; 32]), count: 1 },
        floor: RequestNumber::new(3),
        config,
    }
}

pub fn certificate() -> EpochCertificate {
    let digest = summary().digest();
    let votes = [0, 1, 2].map(|replica| (ReplicaId::new(replica), checkpoint(replica, digest).signature));
    let votes = Ballots::new(votes.into()).unwrap();
    let certificate = Stable { epoch: Epoch(0), sequence: Sequence::new(128), digest, votes };
    EpochCertificate { summary: summary(), certificate }
}

pub fn view_change(prepared: Vec<Prepared>) -> ViewChange {
    let change = Change {
        epoch: Epoch(0),
        view: View::new(6),
        replica: ReplicaId::new(1),
        stable: Sequence::new(128),
        proof: Some(certificate().certificate),
        prepared,
    };
    ViewChange::sign(&member(1), &network(), change)
}

fn first_view_change() -> ViewChange {
    let change = Change { stable: Sequence::ZERO, proof: None, ..view_change(Vec::new()).change };
    ViewChange::sign(&member(1), &network(), change)
}

pub fn new_view(digest: Digest) -> NewView {
    let (view, sequence) = (AT.0, Sequence::new(129));
    let signature = PrePrepare::sign_digest(&member(1), &network(), Epoch(0), (view, sequence), &digest);
    let changes = [0, 1, 3].map(|replica| (ReplicaId::new(replica), Digest::from_bytes([replica; 32])));
    NewView {
        epoch: Epoch(0),
        view,
        changes: changes.into(),
        stable: Sequence::new(128),
        proposals: vec![Reproposal { digest, signature }],
        signature: Signature::from_bytes([0; 64]),
    }
    .signed(&member(1), &network())
}

fn tree() -> Tree {
    let leaves: Vec<Leaf> = [&b"one"[..], b"two", b"three"].into_iter().map(state_leaf).collect();
    assert_eq!(leaves[0], Leaf::new(Domain::PbftState, b"one"));
    Tree::new(&leaves).unwrap()
}

fn chunk() -> Chunk {
    let (bytes, path) = (Octets::from(&b"three"[..]), tree().path(2).unwrap());
    Chunk { sequence: Sequence::new(128), part: Part::State, index: 2, bytes, path }
}

pub fn reply() -> Reply {
    let number = RequestNumber::starting(NOW);
    let answered = |place: u8, outcome| {
        let (number, request) = (number.plus(u64::from(place)), Digest::from_bytes([place; 32]));
        Answered { number, request, outcome }
    };
    Reply {
        epoch: Epoch(0),
        view: AT.0,
        gateway: key(9).node_id(),
        sequence: AT.1,
        outcomes: vec![
            answered(0, Outcome::Executed(Octets::from(&b"ok"[..]))),
            answered(1, Outcome::Forgotten),
            answered(2, Outcome::TooOld(number)),
            answered(3, Outcome::TooNew),
        ],
        replica: ReplicaId::new(1),
        signature: Signature::from_bytes([0; 64]),
    }
    .signed(&member(1), &network())
}
