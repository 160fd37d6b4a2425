//! Small records for the checkers' own tests.

use mesh_proto::{
    capability::Requirements,
    id::{NodeId, StoreId, TaskId},
    task::{
        Attempt, Ballot, Birth, Ending, Holder, How, Octets, OnIsolation, Outcome, Payload, Priority, Program,
        Register, Spec, State, Status, Strategy, TaskKey,
    },
    time::Wall,
};
use std::sync::Arc;

pub fn task(n: u8) -> TaskId {
    TaskId::from_bytes([n; 32])
}

pub fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

pub fn ballot(term: u32, driver: u8) -> Ballot {
    Ballot { term, driver: node(driver), nonce: 0 }
}

/// Node `n` with store `n`.
pub fn holders(of: &[u8]) -> Vec<Holder> {
    of.iter().map(|&n| Holder { node: node(n), store: StoreId(u64::from(n)) }).collect()
}

pub fn spec() -> Spec {
    Spec {
        principal: "user".into(),
        key: TaskKey::Own(vec![1]),
        born: Wall(1),
        program: Program::Echo,
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

pub fn birth(n: u8) -> Arc<Birth> {
    Arc::new(Birth {
        task: task(n),
        spec: Octets::default(),
        gateway: node(0),
        placed: Wall(1),
        born: Wall(1),
        home: holders(&[0, 1, 2]),
    })
}

pub fn register(of: &[u8], attempt: u32) -> Arc<Register> {
    let attempt = Attempt { number: attempt, executor: node(of[0]), granted: Wall(1) };
    Arc::new(Register {
        holders: holders(of),
        joint: None,
        passed_by: vec![],
        state: State::Assigned(attempt),
        failed: Vec::new(),
    })
}

/// Ended by the first holder's attempt 1; the outcome, where there is one, says `mark`.
pub fn ended(of: &[u8], how: How, mark: u8) -> Arc<Register> {
    let ran = matches!(how, How::Done | How::Failed);
    let ending = Ending {
        how,
        by: ran.then(|| (1, node(of[0]))),
        outcome: ran.then(|| outcome(i32::from(how == How::Failed), mark)),
        at: Wall(2),
    };
    Arc::new(Register {
        holders: holders(of),
        joint: None,
        passed_by: vec![],
        state: State::Ended(ending),
        failed: Vec::new(),
    })
}

pub fn outcome(code: i32, mark: u8) -> Outcome {
    Outcome {
        status: Status::Exit(code),
        stdout: Payload::Inline(vec![mark].into()),
        stderr: Payload::empty(),
        files: Vec::new(),
        cpu_us: 0,
        wall_us: 0,
        seal: None,
        count: None,
    }
}
