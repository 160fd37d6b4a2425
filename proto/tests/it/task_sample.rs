//! One specification of each kind of program, and one frame for each item there is.

use crate::sample::{Sample, key, requirements, sample};
use mesh_proto::{
    capability::Requirements,
    fuzz::{NOW, known_genesis},
    id::{BlobId, NodeId, StoreId, TaskId},
    task::{
        Announcement, Attempt, Ballot, Bid, Birth, BlobRef, Count, Dependency, Ending, ExecSpec, FailedAttempt,
        Failure, FailureKind, Fault, Frame, Held, Holder, How, InputFile, Item, Known, Octets, OnIsolation, Outcome,
        Part, Payload, Place, Priority, Program, Register, Sealable, Spec, State, Status, Strategy, Take, TaskKey,
        Version, WasmSpec, WorkerSpec, job_id,
    },
    time::Wall,
};
use std::sync::Arc;

pub fn specs() -> Vec<Sample> {
    let exec = ExecSpec {
        argv: vec!["sort".into(), "-n".into()],
        env: vec![("LANG".into(), "C.UTF-8".into())],
        outputs: vec!["out/sorted".into()],
        in_place: false,
    };
    let wasm = WasmSpec {
        module: Payload::Blob(blob()),
        argv: vec!["wc.wasm".into(), "data/a".into()],
        env: exec.env.clone(),
        outputs: exec.outputs.clone(),
        deterministic: true,
    };
    let worker = WorkerSpec {
        kind: "thumbnail".parse().unwrap(),
        argv: vec!["--width".into(), "64".into()],
        outputs: exec.outputs.clone(),
    };
    let worker = Spec { program: Program::Worker(worker), ..spec() };
    let in_place = ExecSpec { in_place: true, ..exec.clone() };
    let files = vec![
        InputFile { name: "data/a".into(), content: inline(b"3\n1\n2\n") },
        InputFile { name: "data/b".into(), content: Payload::Blob(blob()) },
    ];
    let job = Some((job_id(&known_genesis().network_id(), "ada", b"job"), 41));
    let manifest = Program::Manifest { name: "squares".into(), count: 1_000_000 };
    let exec = Spec {
        key: TaskKey::Item(b"job".to_vec(), 41),
        program: Program::Exec(exec),
        input: Payload::Path("/shared/input".into()),
        files,
        priority: Priority::Critical,
        deadline: Some(Wall(NOW.0 + 60_000)),
        retries: 3,
        job,
        ..spec()
    };
    [
        ("task-spec", spec()),
        ("task-spec-sleep", Spec { program: Program::Sleep { ms: 250 }, priority: Priority::Low, ..spec() }),
        ("task-spec-hash", Spec { program: Program::Sha256, priority: Priority::High, ..spec() }),
        ("task-spec-exec", exec),
        ("task-spec-in-place", Spec { program: Program::Exec(in_place), ..spec() }),
        ("task-spec-wasm", Spec { program: Program::Wasm(wasm), ..spec() }),
        ("task-spec-worker", Spec { requirements: "worker.thumbnail".parse().unwrap(), ..worker }),
        ("task-spec-requiring", Spec { requirements: requirements(), ..spec() }),
        ("task-spec-auction", Spec { strategy: Strategy::Auction, ..spec() }),
        ("task-spec-stops", Spec { on_isolation: OnIsolation::Stop, ..spec() }),
        ("task-spec-redundant", Spec { redundancy: 5, ..spec() }),
        ("task-spec-replica", Spec { key: TaskKey::Replica(task(), node(3)), ..spec() }),
        ("task-spec-replica-again", Spec { key: TaskKey::Again(task(), node(3), 2), ..spec() }),
        ("task-spec-after", Spec { input: Payload::empty(), after: after(), ..spec() }),
        ("task-spec-manifest", Spec { key: TaskKey::Manifest(b"job".to_vec()), program: manifest, ..spec() }),
    ]
    .map(|(name, spec)| sample(name, "task-spec", "task_spec", &spec))
    .into()
}

/// The samples of items, each in a frame of its own, and all in one.
pub fn frames() -> Vec<Sample> {
    let items = items();
    let all = Frame { items: items.iter().map(|(_, item)| item.clone()).collect() };
    let mut samples = vec![sample("task-frame", "task-frame", "task_frame", &all)];
    for (name, item) in items {
        samples.push(sample(name, "task-frame", "task_frame", &Frame { items: vec![item] }));
    }
    samples
}

pub fn items() -> Vec<(&'static str, Item)> {
    let (task, ballot, version) = (task(), ballot(), Version(3));
    let higher = Ballot { term: 2, nonce: u64::MAX, driver: node(4) };
    let birth = Arc::new(birth());
    let waiting = Register { state: State::Waiting, ..register() };
    let [first, changed, ended, waiting] = [register(), changed(), ended(), waiting].map(Arc::new);
    let known = Known { digest: birth.digest(), holders: vec![node(2), node(3), node(4)], confirmed: true };
    let held = held();
    let attempt = Attempt { number: 2, executor: node(3), granted: NOW };
    vec![
        ("task-place", Item::Place { birth: birth.clone(), ballot, register: first.clone(), supersedes: None }),
        (
            "task-place-again",
            Item::Place {
                birth: birth.clone(),
                ballot: Ballot { nonce: ballot.nonce + 1, ..ballot },
                register: first.clone(),
                supersedes: Some(ballot),
            },
        ),
        ("task-place-waiting", Item::Place { birth: birth.clone(), ballot, register: waiting, supersedes: None }),
        ("task-placed", Item::Placed { task, ballot }),
        ("task-taken", Item::Taken { task, known: known.clone() }),
        ("task-not-mine", Item::NotMine { task, home: vec![node(5), node(6)] }),
        ("task-busy", Item::Busy { task, retry_ms: 1000 }),
        ("task-too-old", Item::TooOld { task, floor: NOW, ended: Some(NOW) }),
        ("task-born", Item::Born { task, ballot }),
        ("task-abandon", Item::Abandon { task, ballot }),
        ("task-prepare", Item::Prepare { task, ballot: higher, born: NOW }),
        ("task-promise", Item::Promise { task, ballot: higher, held: Some(held) }),
        ("task-promise-bare", Item::Promise { task, ballot: higher, held: None }),
        ("task-refused", Item::Refused { task, ballot, promised: higher }),
        ("task-write", Item::Write { task, ballot, version, register: changed, birth: None }),
        (
            "task-write-birth",
            Item::Write { task, ballot, version, register: ended.clone(), birth: Some(birth.clone()) },
        ),
        ("task-wrote", Item::Wrote { task, ballot, version }),
        ("task-lacks-birth", Item::LacksBirth { task, ballot }),
        ("task-pull", Item::Pull { task, ballot, version }),
        ("task-not-driven", Item::NotDriven { task, ballot }),
        ("task-in-force", Item::InForce { task, ballot, version, complete: true }),
        ("task-assign", Item::Assign { task, attempt, birth: birth.clone() }),
        ("task-ask", Item::Ask { task, attempt: 2, age_ms: 9_000 }),
        ("task-running", Item::Running { task, attempt: 2 }),
        ("task-not-running", Item::NotRunning { task, attempt: 2, why: "its queue is full".into() }),
        ("task-report", Item::Report { task, attempt: 2, outcome: Arc::new(outcome()) }),
        ("task-report-failed", Item::Report { task, attempt: 2, outcome: Arc::new(failed_outcome()) }),
        ("task-report-replica", Item::Report { task, attempt: 2, outcome: Arc::new(sealed_outcome()) }),
        ("task-report-counted", Item::Report { task, attempt: 2, outcome: Arc::new(counted_outcome()) }),
        ("task-settled", Item::Settled { task, attempt: 2 }),
        ("task-driven-by", Item::DrivenBy { task, driver: node(2) }),
        ("task-follow", Item::Follow { task }),
        ("task-needed", Item::Needed { task, still: true }),
        ("task-following", Item::Following { task, known }),
        ("task-unknown", Item::Unknown { task }),
        ("task-ended", Item::Ended { task, digest: birth.digest(), register: ended }),
        ("task-cancel", Item::Cancel { task }),
        ("task-steal", Item::Steal { most: 256 }),
        ("task-yielded", Item::Yielded { count: 3 }),
        ("task-retract", Item::Retract { task, attempt: 2, thief: node(3) }),
        ("task-handed", Item::Handed { task, attempt: 2 }),
        ("task-keep", Item::Keep { task, attempt: 2 }),
        ("task-announce", Item::Announce(Announcement { auction: 7, count: 40, requirements: None, closes_ms: 250 })),
        (
            "task-announce-requiring",
            Item::Announce(Announcement { auction: 8, count: 1, requirements: Some(requirements()), closes_ms: 250 }),
        ),
        ("task-bid", Item::Bid { auction: 7, bid: Some(Bid { slots: 8, busy: 3, free_ppm: 512_000 }) }),
        ("task-no-bid", Item::Bid { auction: 8, bid: None }),
        ("task-closed", Item::Closed { auction: 7, won: 12 }),
    ]
}

/// A record in the middle of its life.
pub fn held() -> Held {
    Held { birth: birth().into(), ballot: ballot(), version: Version(3), register: changed().into() }
}

/// Echo, with its input in the record.
pub fn spec() -> Spec {
    Spec {
        principal: "ada".into(),
        key: TaskKey::Own(b"a key".to_vec()),
        born: NOW,
        program: Program::Echo,
        input: inline(b"hello"),
        files: Vec::new(),
        priority: Priority::Medium,
        time_limit_ms: 60_000,
        deadline: None,
        retries: 0,
        job: None,
        unique: false,
        requirements: Requirements::default(),
        strategy: Strategy::default(),
        on_isolation: OnIsolation::default(),
        redundancy: 1,
        after: Vec::new(),
        trace: [0x22; 16],
    }
}

/// One task, and what comes of another.
fn after() -> Vec<Dependency> {
    let takes = vec![
        Take { part: Part::Output, place: Place::Input },
        Take { part: Part::File("out/sorted".into()), place: Place::File("in".into()) },
    ];
    let other = TaskId::from_bytes([0x44; 32]);
    vec![Dependency { task: task(), takes: Vec::new() }, Dependency { task: other, takes }]
}

pub fn task() -> TaskId {
    spec().id(&known_genesis().network_id())
}

pub fn node(number: u8) -> NodeId {
    key(number).node_id()
}

fn holder(number: u8) -> Holder {
    Holder { node: node(number), store: StoreId(u64::from(number)) }
}

fn ballot() -> Ballot {
    Ballot { term: 0, nonce: 0x0123_4567_89ab_cdef, driver: node(2) }
}

fn inline(bytes: &[u8]) -> Payload {
    Payload::Inline(Octets::from(bytes))
}

fn blob() -> BlobRef {
    BlobRef { id: BlobId::from_bytes([0x33; 32]), size: 1 << 33, nodes: vec![node(2), node(3)] }
}

pub fn birth() -> Birth {
    let spec = mesh_proto::codec::encode(&spec()).into();
    Birth {
        task: task(),
        spec,
        born: NOW,
        gateway: node(1),
        placed: Wall(NOW.0 + 5),
        home: (2..=6).map(holder).collect(),
    }
}

fn register() -> Register {
    Register {
        holders: (2..=4).map(holder).collect(),
        joint: Some(birth().home),
        passed_by: vec![],
        state: State::Assigned(Attempt { number: 1, executor: node(2), granted: NOW }),
        failed: Vec::new(),
    }
}

/// The second attempt, after the loss of the first.
fn changed() -> Register {
    let attempt = Attempt { number: 1, executor: node(2), granted: NOW };
    let why = "its executor is gone".into();
    Register {
        passed_by: vec![vec![holder(2), holder(5), holder(6)]],
        state: State::Assigned(Attempt { number: 2, executor: node(3), granted: Wall(NOW.0 + 700) }),
        failed: vec![FailedAttempt { attempt, at: Wall(NOW.0 + 600), why, fault: Fault::Node }],
        ..register()
    }
}

fn ended() -> Register {
    let ending = Ending { how: How::Done, by: Some((2, node(3))), outcome: Some(outcome()), at: Wall(NOW.0 + 900) };
    Register { state: State::Ended(ending), ..changed() }
}

fn outcome() -> Outcome {
    Outcome {
        status: Status::Exit(0),
        stdout: inline(b"1\n2\n3\n"),
        stderr: Payload::empty(),
        files: vec![("out/sorted".into(), Payload::Blob(blob()))],
        cpu_us: 1500,
        wall_us: 2500,
        seal: None,
        count: None,
    }
}

fn sealable() -> Sealable {
    Sealable { task: task(), work: spec().work() }
}

fn sealed_outcome() -> Outcome {
    let mut outcome = outcome();
    outcome.seal(&key(3), &known_genesis().network_id(), &sealable());
    outcome
}

fn counted_outcome() -> Outcome {
    let sealed = |number| {
        let mut outcome = outcome();
        outcome.seal(&key(number), &known_genesis().network_id(), &sealable());
        outcome.sealed(&known_genesis().network_id(), &sealable(), node(number)).expect("it is sealed")
    };
    Outcome { count: Some(Count { asked: 3, said: vec![sealed(2), sealed(3)] }), ..outcome() }
}

fn failed_outcome() -> Outcome {
    Outcome {
        status: Status::Failed(Failure { kind: FailureKind::TimeLimit, message: "ran longer than 60 s".into() }),
        files: Vec::new(),
        ..outcome()
    }
}
