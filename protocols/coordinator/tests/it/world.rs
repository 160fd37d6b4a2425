use mesh_coordinator::{Answer, Command, Config, Coordinator, Effect, Fact, Input, Message, RequestId};
use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    capability::{Capabilities, Requirements},
    codec,
    id::{NetworkId, NodeId, StoreId, TaskId},
    task::{Octets, OnIsolation, Outcome, Payload, Priority, Program, Spec, Status, Strategy, TaskKey},
    time::{Mono, Now, Wall},
};
use std::{collections::BTreeMap, sync::Arc};

pub struct World {
    members: Vec<Member>,
    nodes: Vec<Option<Coordinator>>,
    /// What each node has on its disk.
    logs: Vec<Vec<Fact>>,
    inboxes: Vec<Vec<Input>>,
    answers: BTreeMap<(usize, u64), Vec<Answer>>,
    facts: Vec<Fact>,
    now: u64,
    pub hold_executions: bool,
    held: Vec<(usize, TaskId, u32)>,
    pub executions: usize,
    /// Executions of each node.
    pub executed: Vec<usize>,
    pub last_executor: Option<usize>,
}

const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);

pub fn node(n: usize) -> NodeId {
    NodeId::from_bytes([n as u8 + 1; 32])
}

pub fn spec(key: u8, program: Program) -> Octets {
    spec_of(&[key], program)
}

pub fn spec_of(key: &[u8], program: Program) -> Octets {
    codec::encode(&Spec {
        principal: "test".into(),
        key: TaskKey::Own(key.to_vec()),
        born: Wall(1_000_000),
        program,
        input: Payload::Inline(Octets::from(b"hello".as_slice())),
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
    })
    .into()
}

fn brain(me: &Member) -> Coordinator {
    Coordinator::new(Config {
        network: NETWORK,
        seed: me.store.0,
        me: me.clone(),
        alone: true,
        agreement: None,
        membership: mesh_membership::Config::default(),
        aggregation: mesh_gossip::Config::default(),
        tasks: mesh_tasks::Config::default(),
    })
}

impl World {
    pub fn new(n: usize) -> Self {
        let members: Vec<Member> = (0..n)
            .map(|i| Member {
                node: node(i),
                store: StoreId(i as u64),
                role: Role::Full,
                standing: Standing::Joined,
                dated: Wall(0),
                incarnation: 1,
                addresses: vec![format!("/memory/{}", i + 1)],
                name: None,
                zone: None,
                drains: false,
                capabilities: Capabilities::default(),
                entry: Octets::default(),
            })
            .collect();
        let nodes = members.iter().map(|me| Some(brain(me))).collect();
        let mut world = Self {
            nodes,
            logs: vec![Vec::new(); n],
            executed: vec![0; n],
            inboxes: vec![vec![Input::Restarted]; n],
            answers: BTreeMap::new(),
            facts: Vec::new(),
            now: 0,
            hold_executions: false,
            held: Vec::new(),
            executions: 0,
            last_executor: None,
            members,
        };
        for i in 0..n {
            for j in (0..n).filter(|j| *j != i) {
                world.inboxes[i].push(Input::Member(world.members[j].clone()));
                world.inboxes[i].push(Input::Up { node: node(j), store: StoreId(j as u64) });
            }
        }
        world.run(10);
        world.facts.clear();
        world
    }

    pub fn ask(&mut self, at: usize, request: u64, command: Command) {
        self.inboxes[at].push(Input::Command { request: RequestId(request), command });
    }

    pub fn kill(&mut self, at: usize) {
        self.nodes[at] = None;
        for inbox in &mut self.inboxes {
            inbox.push(Input::Down { node: node(at) });
        }
    }

    /// It comes back with what it has on its disk, and connects to all others.
    pub fn restart(&mut self, at: usize) {
        let mut brain = brain(&self.members[at]);
        self.logs[at].iter().for_each(|fact| brain.apply(fact.clone()));
        self.nodes[at] = Some(brain);
        self.inboxes[at] = vec![Input::Restarted];
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            self.inboxes[at].push(Input::Up { node: node(other), store: StoreId(other as u64) });
            self.inboxes[other].push(Input::Up { node: node(at), store: StoreId(at as u64) });
        }
    }

    /// It comes back with what it has on its disk, and nobody else is there.
    pub fn restart_alone(&mut self, at: usize) {
        self.restart(at);
        self.inboxes.iter_mut().for_each(|inbox| inbox.retain(|input| !matches!(input, Input::Up { .. })));
    }

    /// A counter of the task layer, over all nodes that run.
    pub fn counted(&self, name: &str) -> u64 {
        let counters = self.nodes.iter().flatten().flat_map(|brain| brain.tasks().counters().iter());
        counters.filter(|(counter, _)| *counter == name).map(|(_, count)| count).sum()
    }

    /// How many attempts wait for a slot at a node, as another one knows.
    pub fn queued_at(&self, of: usize, by: usize) -> u32 {
        let brain = self.nodes[by].as_ref().expect("it runs");
        brain.tasks().roster().seat(&node(of)).map_or(0, |seat| seat.load.queued)
    }

    /// Copies of tasks that have not ended, over all nodes that run.
    pub fn copies_live(&self) -> usize {
        self.nodes.iter().flatten().map(|brain| brain.tasks().shelf().live().len()).sum()
    }

    pub fn driven_by(&self, at: usize) -> usize {
        self.nodes[at].as_ref().map_or(0, |brain| brain.tasks().totals().driving)
    }

    /// So many milliseconds.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1;
            if !self.hold_executions {
                for (at, task, attempt) in std::mem::take(&mut self.held) {
                    self.finish(at, task, attempt);
                }
            }
            for at in 0..self.nodes.len() {
                self.step(at);
            }
        }
    }

    fn step(&mut self, at: usize) {
        let now = Now { mono: Mono(self.now * 1000), wall: Wall(1_000_000 + self.now) };
        let inputs = std::mem::take(&mut self.inboxes[at]);
        let Some(brain) = self.nodes[at].as_mut() else { return };
        let mut effects = Vec::new();
        for input in inputs {
            brain.handle(now, input, &mut effects);
        }
        if brain.deadline().is_some_and(|deadline| deadline <= now.mono) {
            brain.handle_deadline(now, &mut effects);
        }
        brain.flush(now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Persist(fact) => {
                    assert_eq!(codec::decode::<Fact>(&codec::encode(&fact), Fact::LIMIT).as_ref(), Ok(&fact));
                    self.logs[at].push(fact.clone());
                    self.facts.push(fact);
                }
                Effect::Send { to, message, .. } => {
                    let to = (0..self.nodes.len()).find(|i| node(*i) == to).expect("a node of this world");
                    let from = node(at);
                    self.inboxes[to].push(match message {
                        Message::Task(frame) => {
                            let bytes = codec::encode(&frame);
                            assert_eq!(codec::decode(&bytes, mesh_proto::task::FRAME_LIMIT).as_ref(), Ok(&frame));
                            Input::Task { from, frame }
                        }
                        Message::Control(message) => Input::Control { from, message },
                        Message::Consensus(_) => unreachable!("nothing is agreed on in this world"),
                    });
                }
                Effect::Answer { request, answers, .. } => {
                    self.answers.entry((at, request.0)).or_default().extend(answers);
                }
                Effect::Execute { birth, attempt, .. } => {
                    self.executions += 1;
                    self.executed[at] += 1;
                    self.last_executor = Some(at);
                    match self.hold_executions {
                        true => self.held.push((at, birth.task, attempt)),
                        false => self.finish(at, birth.task, attempt),
                    }
                }
                Effect::Cancel { .. }
                | Effect::Dial { .. }
                | Effect::Measure { .. }
                | Effect::Disconnect { .. }
                | Effect::Announce { .. }
                | Effect::SumUp { .. }
                | Effect::Verify(_)
                | Effect::Port(_)
                | Effect::Halted(_)
                | Effect::Accused { .. }
                | Effect::Speak { .. } => {}
            }
        }
    }

    fn finish(&mut self, at: usize, task: TaskId, attempt: u32) {
        let outcome = Outcome {
            status: Status::Exit(0),
            stdout: Payload::empty(),
            stderr: Payload::empty(),
            files: Vec::new(),
            cpu_us: 1,
            wall_us: 1,
            seal: None,
            count: None,
        };
        self.inboxes[at].push(Input::Executed { task, attempt, outcome: Arc::new(outcome) });
    }

    pub fn answers(&self, at: usize, request: u64) -> Vec<Answer> {
        self.answers.get(&(at, request)).cloned().unwrap_or_default()
    }

    pub fn task_of(&self, key: u8) -> TaskId {
        mesh_proto::task::task_id(&NETWORK, "test", &TaskKey::Own(vec![key]))
    }

    pub fn copies_ended(&self) -> usize {
        let copies = self
            .nodes
            .iter()
            .flatten()
            .flat_map(|brain| brain.tasks().shelf().copies(std::ops::Bound::Unbounded).map(|(_, copy)| copy));
        copies.filter(|copy| !copy.is_live()).count()
    }

    pub fn facts_about_tasks(&self) -> usize {
        self.facts.iter().filter(|fact| matches!(fact, Fact::Task(_))).count()
    }
}
