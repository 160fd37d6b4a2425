//! Results that their executors signed, of one task that was given to several of them.

use super::{Outcome, Payload, Status};
use crate::{
    bounded, codec,
    domain::{Domain, Epoch, Statement},
    id::{Digest, NetworkId, NodeId, TaskId},
    key::{self, BadSignature, SecretKey, Signature},
    limits,
};
use serde::{Deserialize, Serialize};

/// What a result is of: a task, and what it has its executors run. Whoever is a member can submit something else in the name of a
/// replica, and have others run and sign it: by that it is seen to be something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealable {
    pub task: TaskId,
    /// [`super::Spec::work`].
    pub work: Digest,
}

/// What one executor says came of its replica of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    #[serde(rename = "n")]
    pub node: NodeId,
    /// Of [`Outcome::result`].
    #[serde(rename = "r")]
    pub result: Digest,
    #[serde(rename = "s")]
    pub seal: Signature,
}

/// What was said by those that were asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How many were asked, with those that said nothing. At most [`limits::REPLICAS`].
    #[serde(rename = "a")]
    pub asked: u8,
    /// Those first whose result it is.
    #[serde(rename = "s", deserialize_with = "bounded::list::<_, _, { limits::REPLICAS }>")]
    pub said: Vec<Sealed>,
}

impl Sealed {
    /// Whether its node said so, of a replica of this task.
    pub fn verify(&self, network: &NetworkId, of: &Sealable) -> Result<(), BadSignature> {
        key::verify(self.node, &statement(network, of, self.node, &self.result), &self.seal)
    }
}

impl Outcome {
    /// What the program did, by which two executions agree: how it ended, what it wrote to its output, and its files. Not what
    /// it wrote to its error output, where times and places are, nor how long it took.
    pub fn result(&self) -> Digest {
        let status = match &self.status {
            Status::Exit(code) => ("exit", *code, None),
            Status::Signal(signal) => ("signal", *signal, None),
            // Messages are for people.
            Status::Failed(failure) => ("failed", 0, Some(failure.kind)),
        };
        let files: Vec<(&str, Digest)> =
            self.files.iter().map(|(name, payload)| (name.as_str(), content(payload))).collect();
        let written = codec::encode(&(status, content(&self.stdout), files));
        Digest::of("meshd 2026 task result", &[&written])
    }

    /// Signed by its executor, which ran a replica of `of`.
    pub fn seal(&mut self, key: &SecretKey, network: &NetworkId, of: &Sealable) {
        let signature = key.sign(&statement(network, of, key.node_id(), &self.result()));
        self.seal = Some(signature);
    }

    /// What `node` says came of its replica, if it signed just this.
    pub fn sealed(&self, network: &NetworkId, of: &Sealable, node: NodeId) -> Option<Sealed> {
        let sealed = Sealed { node, result: self.result(), seal: self.seal? };
        sealed.verify(network, of).ok().map(|()| sealed)
    }
}

fn statement(network: &NetworkId, of: &Sealable, node: NodeId, result: &Digest) -> Statement {
    Statement::new(Domain::Task, network, Epoch(0), &codec::encode(&("replica", of.task, of.work, node, result)))
}

/// The same for the same bytes, in the record or in a blob.
fn content(payload: &Payload) -> Digest {
    let hash = match payload {
        Payload::Inline(bytes) => blake3::hash(bytes),
        Payload::Blob(blob) => blake3::Hash::from_bytes(*blob.id.as_bytes()),
        Payload::Path(path) => return Digest::of("meshd 2026 shared path", &[path.as_bytes()]),
    };
    Digest::from_bytes(*hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::BlobId,
        task::{BlobRef, FailureKind},
    };

    const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);
    const OF: Sealable = Sealable { task: TaskId::from_bytes([2; 32]), work: Digest::from_bytes([3; 32]) };

    fn outcome(output: &[u8]) -> Outcome {
        Outcome {
            status: Status::Exit(0),
            stdout: Payload::Inline(output.to_vec().into()),
            ..Outcome::failed(FailureKind::Lost, "")
        }
    }

    #[test]
    fn executions_agree_by_what_they_did_and_not_by_how() {
        let one = outcome(b"42");
        let other =
            Outcome { cpu_us: 7, wall_us: 9, stderr: Payload::Inline(b"at 12:00".to_vec().into()), ..one.clone() };
        assert_eq!(one.result(), other.result());
        let id = BlobId::from_bytes(*blake3::hash(b"42").as_bytes());
        let blob = Payload::Blob(BlobRef { id, size: 2, nodes: vec![] });
        assert_eq!(one.result(), Outcome { stdout: blob, ..one.clone() }.result());
        let file = ("out".to_owned(), Payload::empty());
        for different in [
            outcome(b"43"),
            Outcome { status: Status::Exit(1), ..one.clone() },
            Outcome { status: Status::Signal(0), ..one.clone() },
            Outcome { files: vec![file], ..one.clone() },
            Outcome::failed(FailureKind::TimeLimit, "42"),
        ] {
            assert_ne!(one.result(), different.result(), "{different:?}");
        }
        let failed = |kind, message| Outcome::failed(kind, message).result();
        assert_eq!(failed(FailureKind::TimeLimit, "after 1 s"), failed(FailureKind::TimeLimit, "after 2 s"));
        assert_ne!(failed(FailureKind::TimeLimit, ""), failed(FailureKind::BadOutput, ""));
    }

    #[test]
    fn a_seal_is_of_one_node_and_of_one_task_and_of_one_result() {
        let (key, other) = (SecretKey::from_bytes(&[3; 32]), SecretKey::from_bytes(&[4; 32]));
        let mut outcome = outcome(b"42");
        assert_eq!(outcome.sealed(&NETWORK, &OF, key.node_id()), None);
        outcome.seal(&key, &NETWORK, &OF);
        let sealed = outcome.sealed(&NETWORK, &OF, key.node_id()).unwrap();
        assert_eq!(sealed.result, outcome.result());
        assert_eq!(outcome.sealed(&NETWORK, &OF, other.node_id()), None);
        let (task, work) = (TaskId::from_bytes([9; 32]), Digest::from_bytes([9; 32]));
        assert_eq!(outcome.sealed(&NETWORK, &Sealable { task, ..OF }, key.node_id()), None);
        assert_eq!(outcome.sealed(&NETWORK, &Sealable { work, ..OF }, key.node_id()), None);
        assert_eq!(outcome.sealed(&NetworkId::from_bytes([9; 32]), &OF, key.node_id()), None);
        outcome.stdout = Payload::Inline(b"43".to_vec().into());
        assert_eq!(outcome.sealed(&NETWORK, &OF, key.node_id()), None);
    }
}
