//! What a task that waits takes in memory: there may be a million of one job.

use mesh_proto::{
    capability::{Capabilities, Requirements, WorkerKind},
    codec,
    id::{JobId, LogPosition, NetworkId, NodeId, StoreId},
    task::{
        Ballot, Birth, Holder, Item, OnIsolation, Payload, Priority, Program, Register, Spec, State, Strategy, TaskKey,
        WorkerSpec,
    },
    time::{Mono, Now, Wall},
};
use mesh_tasks::{Config, Context, Tasks};
use rand::SeedableRng as _;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Counts what is taken and not given back.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);
const START: Wall = Wall(1_800_000_000_000);

fn members() -> Vec<Holder> {
    (1..=5u8).map(|n| Holder { node: NodeId::from_bytes([n; 32]), store: StoreId(u64::from(n) << 40) }).collect()
}

/// An item of a job for workers of which there are none.
fn item(index: u64) -> Spec {
    let kind: WorkerKind = "words".parse().expect("a kind");
    let requirements = kind.requiring(&Requirements::default()).expect("one");
    let argv = vec![format!("/srv/files/{index}")];
    Spec {
        principal: "local".into(),
        key: TaskKey::Item(vec![b'k'; 32], index),
        born: START,
        program: Program::Worker(WorkerSpec { kind, argv, outputs: Vec::new() }),
        input: Payload::empty(),
        files: Vec::new(),
        priority: Priority::Medium,
        time_limit_ms: 3_600_000,
        deadline: None,
        retries: 2,
        job: Some((JobId::from_bytes([5; 32]), index)),
        unique: false,
        requirements,
        strategy: Strategy::default(),
        on_isolation: OnIsolation::default(),
        redundancy: 1,
        after: Vec::new(),
        trace: [7; 16],
    }
}

/// One node of five, that holds three of five tasks and drives one of them.
struct Node {
    tasks: Tasks,
    now: Now,
    rng: rand_chacha::ChaCha8Rng,
    position: LogPosition,
}

impl Node {
    fn new() -> Self {
        let [me, ..] = members()[..] else { panic!("five") };
        let mut node = Self {
            // The story is paid once.
            tasks: Tasks::new(
                Config { story_max: 16, ..Config::default() },
                NETWORK,
                me,
                true,
                &Capabilities::default(),
            ),
            now: Now { mono: Mono(1_000_000), wall: START },
            rng: rand_chacha::ChaCha8Rng::seed_from_u64(1),
            position: LogPosition::START,
        };
        for other in &members()[1..] {
            node.call(|tasks, cx| {
                tasks.member(cx, other.node, other.store, true);
                tasks.up(cx, other.node);
            });
        }
        node
    }

    fn call(&mut self, f: impl FnOnce(&mut Tasks, &mut Context<'_>)) {
        let mut effects = Vec::new();
        let mut cx = Context { now: self.now, rng: &mut self.rng, effects: &mut effects, position: self.position };
        f(&mut self.tasks, &mut cx);
        self.position = cx.position;
        drop(self.tasks.take_items());
    }

    /// The item as its gateway places it, if this node is to hold it.
    fn place(&mut self, index: u64) {
        let spec = item(index);
        let task = spec.id(&NETWORK);
        let home = self.tasks.roster().home(&task, 5);
        let gateway = members()[4].node;
        if !home[..3].contains(&members()[0]) {
            return;
        }
        let ballot = Ballot { term: 0, driver: home[0].node, nonce: index };
        let register = Register {
            holders: home[..3].to_vec(),
            joint: Some(home.clone()),
            passed_by: Vec::new(),
            state: State::Waiting,
            failed: Vec::new(),
        };
        let birth = Birth { task, spec: codec::encode(&spec).into(), born: START, gateway, placed: START, home };
        let item = Item::Place { birth: Arc::new(birth), ballot, register: Arc::new(register), supersedes: None };
        // As it comes over the wire, which nothing of it shares.
        let item: Item = codec::decode(&codec::encode(&item), usize::MAX).expect("it is one");
        self.call(|tasks, cx| tasks.items(cx, gateway, vec![item, Item::Born { task, ballot }]));
    }

    fn place_all(&mut self, indices: std::ops::Range<u64>) {
        for index in indices {
            self.place(index);
            if index % 256 == 0 {
                self.settle();
            }
        }
        self.settle();
    }

    /// Does what is due, and gives the store what it lacks.
    fn settle(&mut self) {
        self.now =
            Now { mono: self.now.mono + Duration::from_millis(20), wall: self.now.wall + Duration::from_millis(20) };
        while self.tasks.deadline().is_some_and(|due| due <= self.now.mono) {
            self.call(|tasks, cx| tasks.handle_deadline(cx));
        }
        self.tasks.take_changes(|_, _| {});
    }
}

#[test]
fn a_copy_of_a_task_that_waits_takes_less_than_a_kibibyte() {
    let mut node = Node::new();
    node.place_all(0..20_000);
    let (before, held) = (TAKEN.load(Ordering::Relaxed), node.tasks.shelf().copies_len());
    node.place_all(20_000..40_000);
    let (after, more) = (TAKEN.load(Ordering::Relaxed), node.tasks.shelf().copies_len() - held);
    assert!(more > 11_000 && node.tasks.shelf().live().len() == held + more, "{more}");
    let each = (after - before) / more;
    assert!(each < BYTES, "{each} bytes");
}

/// With what its driver keeps, who is one of its three holders; and so much below a kibibyte that the allocator's rounding
/// has room.
const BYTES: usize = 800;
