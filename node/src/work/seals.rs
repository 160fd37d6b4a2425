//! Signing what came of replicas: by whom a result is counted has nothing but that to go by.

use mesh_proto::{
    id::{NetworkId, NodeId, TaskId},
    key::SecretKey,
    task::{FailureKind, Outcome, Sealable, Spec, Status},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The replicas that run here, and the key that their results are signed with.
pub struct Seals {
    key: SecretKey,
    network: NetworkId,
    /// By attempt: which task it is a replica of, and what it runs.
    of: Mutex<BTreeMap<(TaskId, u32), Sealable>>,
}

impl Seals {
    pub fn new(key: SecretKey, network: NetworkId) -> Self {
        Self { key, network, of: Mutex::default() }
    }

    /// Who signs.
    pub fn node(&self) -> NodeId {
        self.key.node_id()
    }

    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// An attempt begins.
    pub fn expect(&self, attempt: (TaskId, u32), spec: &Spec) {
        if let Some((task, _)) = spec.replica_of() {
            self.of().insert(attempt, Sealable { task, work: spec.work() });
        }
    }

    /// Nothing will come of it.
    pub fn forget(&self, attempt: (TaskId, u32)) {
        self.of().remove(&attempt);
    }

    /// Signs what came of a replica, if it says anything of the program.
    pub fn seal(&self, attempt: (TaskId, u32), outcome: &mut Outcome) {
        let of = self.of().remove(&attempt);
        let is_stopped = matches!(&outcome.status, Status::Failed(failure) if failure.kind == FailureKind::Cancelled);
        if let Some(of) = of.filter(|_| !is_stopped && !outcome.is_of_the_node()) {
            outcome.seal(&self.key, &self.network, &of);
        }
    }

    fn of(&self) -> MutexGuard<'_, BTreeMap<(TaskId, u32), Sealable>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        capability::Requirements,
        task::{OnIsolation, Payload, Priority, Program, Strategy, TaskKey},
        time::Wall,
    };

    const NETWORK: NetworkId = NetworkId::from_bytes([1; 32]);
    const OF: TaskId = TaskId::from_bytes([2; 32]);
    const ATTEMPT: (TaskId, u32) = (TaskId::from_bytes([3; 32]), 1);

    fn spec(key: TaskKey) -> Spec {
        Spec {
            principal: "ada".into(),
            key,
            born: Wall(1),
            program: Program::Sha256,
            input: Payload::empty(),
            files: Vec::new(),
            priority: Priority::Medium,
            time_limit_ms: 1,
            deadline: None,
            retries: 0,
            job: None,
            unique: false,
            requirements: Requirements::default(),
            strategy: Strategy::default(),
            on_isolation: OnIsolation::default(),
            redundancy: 1,
            after: Vec::new(),
            trace: [0; 16],
        }
    }

    #[test]
    fn what_a_replica_did_is_signed_once_and_nothing_else_is() {
        let key = || SecretKey::from_bytes(&[7; 32]);
        let (node, seals) = (key().node_id(), Seals::new(key(), NETWORK));
        let sealed = |key: TaskKey, status: Status| {
            seals.expect(ATTEMPT, &spec(key));
            let mut outcome = Outcome { status, ..Outcome::failed(FailureKind::Lost, "") };
            seals.seal(ATTEMPT, &mut outcome);
            assert!(seals.of().is_empty());
            outcome.sealed(&NETWORK, &Sealable { task: OF, work: spec(TaskKey::Own(vec![])).work() }, node).is_some()
        };
        let failed = |kind| Outcome::failed(kind, "").status;
        let replica = || TaskKey::Replica(OF, node);
        assert!(sealed(replica(), Status::Exit(0)) && sealed(replica(), Status::Exit(1)));
        assert!(sealed(replica(), failed(FailureKind::TimeLimit)));
        assert!(!sealed(replica(), failed(FailureKind::NotAllowed)));
        assert!(!sealed(replica(), failed(FailureKind::Cancelled)));
        assert!(!sealed(TaskKey::Own(vec![1]), Status::Exit(0)));
    }
}
