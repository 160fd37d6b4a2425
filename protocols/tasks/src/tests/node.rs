use super::told::Told;
use crate::{Config, Context, Effect, Fact, Roster, Tasks};
use mesh_proto::{
    capability::{Capabilities, Requirements, WorkerKind},
    codec,
    id::{LogPosition, NetworkId, NodeId, StoreId, TaskId},
    task::{
        Attempt, Ballot, Birth, Ending, Failure, FailureKind, Held, Holder, How, Item, Octets, OnIsolation, Outcome,
        Payload, Priority, Program, Register, Spec, State, Status, Strategy, TaskKey, Version, WorkerSpec,
    },
    time::{Mono, Now, Wall},
};
use std::{convert::Infallible, sync::Arc, time::Duration};

pub const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);

/// When a test begins, and when the keys of its tasks were drawn.
pub const START: Wall = Wall(1_800_000_000_000);

/// The task of most tests.
pub fn task() -> TaskId {
    spec().id(&NETWORK)
}

/// Sleeps: what holds a slot.
pub fn spec() -> Spec {
    Spec {
        principal: "ada".into(),
        key: TaskKey::Own(vec![1]),
        born: START,
        program: Program::Sleep { ms: 5 },
        input: Payload::empty(),
        files: Vec::new(),
        priority: Priority::Medium,
        time_limit_ms: 1000,
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

/// For a worker of kind `x`, under a key of its own.
pub fn for_worker(key: u8) -> Spec {
    let kind: WorkerKind = "x".parse().expect("a kind");
    let requirements = kind.requiring(&Requirements::default()).expect("one");
    let program = Program::Worker(WorkerSpec { kind, argv: Vec::new(), outputs: Vec::new() });
    Spec { key: TaskKey::Own(vec![key]), program, requirements, ..spec() }
}

pub fn encoded(spec: &Spec) -> Octets {
    codec::encode(spec).into()
}

/// The five members, closest to the task first.
pub fn home() -> Vec<Holder> {
    let members = (1..=5u8).map(|n| Holder { node: NodeId::from_bytes([n; 32]), store: StoreId(u64::from(n)) });
    let mut roster = Roster::new(members.clone().next().expect("five"), true);
    members.for_each(|member| roster.admit(member.node, member.store, true));
    roster.home(&task(), 5)
}

pub fn holder(rank: usize) -> Holder {
    home()[rank]
}

pub fn at(rank: usize) -> NodeId {
    home()[rank].node
}

/// The members of these ranks.
pub fn holders(ranks: &[usize]) -> Vec<Holder> {
    ranks.iter().map(|rank| holder(*rank)).collect()
}

/// As placed by the last of the home list.
pub fn birth_of(spec: &Spec) -> Arc<Birth> {
    let spec_bytes = encoded(spec);
    let task = spec.id(&NETWORK);
    Arc::new(Birth { task, spec: spec_bytes, born: spec.born, gateway: at(4), placed: START, home: home() })
}

pub fn birth() -> Arc<Birth> {
    birth_of(&spec())
}

/// Of the birth that the first of the ranks drives.
pub fn birth_ballot(driver: usize, nonce: u64) -> Ballot {
    Ballot { term: 0, nonce, driver: at(driver) }
}

/// Of a later driver.
pub fn ballot(term: u32, driver: usize) -> Ballot {
    Ballot { term, nonce: holder(driver).store.0, driver: at(driver) }
}

pub fn attempt(number: u32, executor: usize) -> Attempt {
    Attempt { number, executor: at(executor), granted: START }
}

/// A birth's, held by these, run by that one.
pub fn first_register(ranks: &[usize], executor: usize) -> Register {
    Register {
        holders: holders(ranks),
        joint: Some(home()),
        passed_by: vec![],
        state: State::Assigned(attempt(1, executor)),
        failed: Vec::new(),
    }
}

pub fn ended(at_wall: Wall) -> Register {
    let ending = Ending { how: How::Done, by: Some((1, at(1))), outcome: Some(exit(0)), at: at_wall };
    Register { joint: None, passed_by: vec![], state: State::Ended(ending), ..first_register(&[0, 1, 2], 1) }
}

pub fn held(birth: &Arc<Birth>, ballot: Ballot, register: &Register) -> Held {
    Held { birth: birth.clone(), ballot, version: Version::BIRTH, register: Arc::new(register.clone()) }
}

pub fn place(birth: &Arc<Birth>, ballot: Ballot, register: &Register, supersedes: Option<Ballot>) -> Item {
    Item::Place { birth: birth.clone(), ballot, register: Arc::new(register.clone()), supersedes }
}

pub fn exit(code: i32) -> Outcome {
    outcome(Status::Exit(code))
}

pub fn failure(kind: FailureKind) -> Outcome {
    outcome(Status::Failed(Failure { kind, message: "because".into() }))
}

fn outcome(status: Status) -> Outcome {
    let (stdout, stderr) = (Payload::empty(), Payload::empty());
    Outcome { status, stdout, stderr, cpu_us: 1, wall_us: 2, ..Outcome::failed(FailureKind::Lost, "") }
}

/// The node under test, connected to the other four.
pub struct Node {
    pub tasks: Tasks,
    pub now: Now,
    /// Of the last fact.
    pub position: LogPosition,
    /// On what the last execution rests.
    pub rested_on: Option<LogPosition>,
}

impl Node {
    /// The member of this rank on the task's home list.
    pub fn new(rank: usize) -> Self {
        Self::with(rank, Config { slots: 1, ..Config::default() })
    }

    pub fn with(rank: usize, config: Config) -> Self {
        let now = Now { mono: Mono(1_000_000), wall: START };
        let mut node = Self {
            tasks: Tasks::new(config, NETWORK, holder(rank), true, &Capabilities::default()),
            now,
            position: LogPosition::START,
            rested_on: None,
        };
        for other in home().into_iter().filter(|other| other.node != at(rank)) {
            node.call(|tasks, cx| tasks.member(cx, other.node, other.store, true));
            node.call(|tasks, cx| tasks.up(cx, other.node));
        }
        // The first tick is over.
        assert_eq!(node.pass(Duration::ZERO), Told::nothing());
        node
    }

    /// Holding the task as it was placed: on the first three, run by the second.
    pub fn holding(rank: usize, spec: &Spec) -> Self {
        let mut node = Self::new(rank);
        node.hear(4, place(&birth_of(spec), birth_ballot(0, 7), &first_register(&[0, 1, 2], 1), None));
        node
    }

    /// [`Self::holding`], and told that all of them have it.
    pub fn born(rank: usize, spec: &Spec) -> Self {
        let mut node = Self::holding(rank, spec);
        node.hear(4, Item::Born { task: spec.id(&NETWORK), ballot: birth_ballot(0, 7) });
        node
    }

    /// One item from another node.
    pub fn hear(&mut self, from: usize, item: Item) -> Told {
        self.call(|tasks, cx| tasks.items(cx, at(from), vec![item]))
    }

    /// Time passes, at the end of which what is due is done.
    pub fn pass(&mut self, time: Duration) -> Told {
        self.now = Now { mono: self.now.mono + time, wall: self.now.wall + time };
        self.call(|tasks, cx| tasks.handle_deadline(cx))
    }

    pub fn pass_ms(&mut self, ms: u64) -> Told {
        self.pass(Duration::from_millis(ms))
    }

    pub fn call(&mut self, call: impl FnOnce(&mut Tasks, &mut Context<'_>)) -> Told {
        let mut effects = Vec::new();
        let mut rng = Zeros;
        let cx = &mut Context { now: self.now, rng: &mut rng, effects: &mut effects, position: self.position };
        call(&mut self.tasks, cx);
        self.position = cx.position;
        let mut told = Told::default();
        for effect in effects {
            if let Effect::Execute { after, .. } = &effect {
                self.rested_on = Some(*after);
            }
            told.add(effect);
        }
        let home = home();
        for (to, items) in self.tasks.take_items() {
            let rank = home.iter().position(|holder| holder.node == to).expect("one of the five");
            told.sent.extend(items.into_iter().map(|item| (rank, item)));
        }
        told.sent.sort_by_key(|(rank, _)| *rank);
        told
    }

    /// What it holds: the stamp and the register.
    pub fn copy(&self) -> Option<((Ballot, Version), Register)> {
        let copy = self.tasks.shelf().copy(&task())?;
        Some((copy.stamp(), Register::clone(&copy.register)))
    }

    pub fn promised(&self) -> Option<Ballot> {
        self.tasks.shelf().promised(&task())
    }
}

/// What a holder writes down when it takes a placement.
pub fn fact_held(birth: &Arc<Birth>, ballot: Ballot, register: &Register) -> Fact {
    Fact::Held { birth: birth.clone(), ballot, version: Version::BIRTH, register: Arc::new(register.clone()) }
}

/// Draws the least of every range.
struct Zeros;

impl rand::TryRng for Zeros {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}
