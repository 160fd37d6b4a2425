//! Records of the log: their bytes are kept on disks, so they must not change.

use crate::draw::{any_member, any_task_fact};
use mesh_coordinator::Fact;
use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    capability::Capabilities,
    codec::{DecodeError, decode, encode},
    id::{NodeId, StoreId, TaskId},
    task::{
        Attempt, Ballot, Birth, Ending, FailedAttempt, Failure, FailureKind, Fault, Holder, How, Octets, Outcome,
        Payload, Register, State, Status, Version,
    },
    time::Wall,
};
use mesh_tasks::Fact as TaskFact;
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #[test]
    fn a_record_survives_its_encoding(fact in prop_oneof![any_task_fact().prop_map(Fact::Task), any_member().prop_map(Fact::Member), Just(Fact::Introduced)]) {
        let bytes = encode(&fact);
        let decoded = decode::<Fact>(&bytes, Fact::LIMIT);
        prop_assert_eq!(decoded.as_ref(), Ok(&fact));
        let cut = decode::<Fact>(&bytes[..bytes.len() - 1], Fact::LIMIT);
        prop_assert!(matches!(cut, Err(DecodeError::Malformed(_))), "{:?}", cut);
        let longer = [bytes.as_slice(), &[0]].concat();
        prop_assert_eq!(decode::<Fact>(&longer, Fact::LIMIT), Err(DecodeError::Trailing(1)));
    }
}

/// `MESH_REGENERATE=1 cargo test -p mesh-coordinator record`, twice, writes them anew. A difference means that a node
/// cannot read the log of its earlier version: that needs a new format of the log.
#[test]
fn bytes_are_as_they_were() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.txt");
    let text: String = samples().iter().map(|(name, fact)| format!("{name}\n{}", lines(&encode(fact)))).collect();
    if std::env::var_os("MESH_REGENERATE").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a test, not the machine")]
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

/// 32 bytes a line, so that a difference shows where it is.
fn lines(bytes: &[u8]) -> String {
    let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(32).map(|line| format!("    {}\n", hex(line))).collect()
}

const NOW: Wall = Wall(1_800_000_000_000);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn samples() -> Vec<(&'static str, Fact)> {
    let task = TaskId::from_bytes([0x44; 32]);
    let holder = |n| Holder { node: node(n), store: StoreId(u64::from(n) << 40) };
    let home: Vec<Holder> = (1..=5).map(holder).collect();
    let birth = Arc::new(Birth {
        task,
        spec: Octets::from([0xa0].as_slice()),
        born: NOW,
        gateway: node(5),
        placed: Wall(NOW.0 + 1),
        home: home.clone(),
    });
    let attempt = |number| Attempt { number, executor: node(2), granted: NOW };
    let register = Arc::new(Register {
        holders: home[..3].to_vec(),
        joint: Some(home),
        passed_by: vec![],
        state: State::Assigned(attempt(1)),
        failed: Vec::new(),
    });
    let failure = Failure { kind: FailureKind::Cancelled, message: "because".into() };
    let inline = Payload::Inline(Octets::from(b"out".as_slice()));
    let outcome = Outcome {
        status: Status::Failed(failure),
        stdout: inline.clone(),
        stderr: Payload::empty(),
        files: vec![("a".into(), inline)],
        cpu_us: 1,
        wall_us: 2,
        seal: None,
        count: None,
    };
    let ending = Ending { how: How::Failed, by: Some((2, node(2))), outcome: Some(outcome.clone()), at: NOW };
    let why = "its executor is gone".into();
    let ended = Arc::new(Register {
        joint: None,
        passed_by: vec![],
        state: State::Ended(ending),
        failed: vec![FailedAttempt { attempt: attempt(1), at: NOW, why, fault: Fault::Program }],
        ..Register::clone(&register)
    });
    let ballot = Ballot { term: 0, nonce: 1 << 62, driver: node(1) };
    let (version, outcome) = (Version(3), Arc::new(outcome));
    let member = Member {
        node: node(2),
        store: StoreId(7),
        role: Role::Worker,
        standing: Standing::Left,
        dated: Wall(NOW.0 - 5),
        incarnation: 9,
        addresses: vec!["/ip4/192.0.2.1/udp/7440/quic-v1".into()],
        name: None,
        zone: None,
        drains: false,
        capabilities: Capabilities::default(),
        entry: Octets::from([1, 2, 3].as_slice()),
    };
    let of_task = |name, fact| (name, Fact::Task(fact));
    vec![
        of_task("held", TaskFact::Held { birth, ballot, version: Version::BIRTH, register }),
        of_task("written", TaskFact::Written { task, ballot, version, register: ended }),
        of_task("promised", TaskFact::Promised { task, ballot, at: NOW }),
        of_task("dropped", TaskFact::Dropped { tasks: vec![task] }),
        of_task("outlived", TaskFact::Outlived { task, at: NOW }),
        of_task("floor", TaskFact::Floor { floor: NOW }),
        of_task("kept", TaskFact::Kept { task, attempt: 2, outcome, holders: vec![node(1)] }),
        of_task("settled", TaskFact::Settled { task, attempt: 2 }),
        ("member", Fact::Member(member)),
        ("introduced", Fact::Introduced),
    ]
}
