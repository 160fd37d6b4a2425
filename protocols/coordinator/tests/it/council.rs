//! Brains with keys and a committee, in a world without faults but those that a test makes.

use mesh_coordinator::{
    Accused, Answer, Changes, Command, Config, Coordinator, Effect, Fact, Input, Message, RequestId,
    agreement::{Judge, Pages, Setup, judge},
};
use mesh_ledger::Rules;
use mesh_membership::{Member, Role, Standing};
use mesh_pbft::{ClientConfig, Verifier};
use mesh_proto::{
    capability::Capabilities,
    certificate::Certificate,
    codec,
    credential::{Credential, Invitation},
    genesis::{Engine, Founders, Genesis},
    id::{Digest, LogPosition, NetworkId, NodeId, StoreId},
    key::SecretKey,
    pbft,
    task::Octets,
    time::{Mono, Now, Wall},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What the world begins at, in milliseconds.
const BEGIN: u64 = 1_800_000_000_000;

pub struct Council {
    genesis: Genesis,
    nodes: Vec<Option<Coordinator>>,
    verifiers: Vec<Option<Verifier>>,
    /// Of those whose brains need not check signatures in commands.
    judges: BTreeMap<usize, Judge>,
    disks: Vec<Disk>,
    inboxes: Vec<Vec<Input>>,
    /// Frames that wait for a verifier.
    frames: Vec<Vec<(NodeId, Vec<u8>)>>,
    answers: BTreeMap<(usize, u64), Vec<Answer>>,
    pub halted: Vec<(usize, String)>,
    /// Who heard of whom that it contradicted itself.
    pub accused: Vec<(usize, NodeId, Accused)>,
    /// Messages of the ordering protocol that were refused at the door.
    pub refused: usize,
    /// How long it takes to sum up a state.
    pub sum_up_ms: u64,
    /// What is being summed up, and when that is done.
    summing: Vec<(u64, usize, Input)>,
    /// Nodes that are far from all others, and how long a message takes there and from there.
    pub far: BTreeMap<usize, u64>,
    underway: Vec<(u64, usize, NodeId, Message)>,
    /// Those that hear nothing of the others, nor these of them.
    apart: BTreeSet<usize>,
    now: u64,
}

#[derive(Default)]
struct Disk {
    store: BTreeMap<Vec<u8>, Vec<u8>>,
    at: LogPosition,
    /// Behind the store.
    log: Vec<Fact>,
    /// Other than the node's first.
    store_id: Option<StoreId>,
}

pub fn key(n: usize) -> SecretKey {
    SecretKey::from_bytes(&[n as u8 + 1; 32])
}

pub fn node(n: usize) -> NodeId {
    key(n).node_id()
}

impl Council {
    /// So many nodes, of which the first `founders` are the committee.
    pub fn new(n: usize, founders: usize) -> Self {
        let genesis = Genesis {
            name: "council".parse().unwrap(),
            nonce: [7; 32],
            maker: node(0),
            engine: Engine::Pbft,
            open: false,
            created: Wall(BEGIN),
            committee: Founders::new((0..founders).map(node).collect()).unwrap(),
        };
        let mut council = Self {
            nodes: Vec::new(),
            verifiers: (0..n).map(|_| None).collect(),
            // Of every other one the brain does, and all must come to the same.
            judges: (0..n).step_by(2).map(|at| (at, Judge::new(Arc::new(genesis.clone())))).collect(),
            genesis,
            disks: (0..n).map(|_| Disk::default()).collect(),
            inboxes: vec![Vec::new(); n],
            frames: vec![Vec::new(); n],
            answers: BTreeMap::new(),
            halted: Vec::new(),
            accused: Vec::new(),
            refused: 0,
            sum_up_ms: 0,
            summing: Vec::new(),
            far: BTreeMap::new(),
            underway: Vec::new(),
            apart: BTreeSet::new(),
            now: 0,
        };
        council.nodes = (0..n).map(|_| None).collect();
        (0..n).for_each(|at| council.start(at));
        council.run(10);
        council
    }

    /// By an invitation of the maker.
    pub fn credential(&self, at: usize) -> Credential {
        let issued = Wall(BEGIN);
        let invitation = Invitation {
            key: node(200),
            inviter: node(0),
            role: mesh_proto::role::Role::Full,
            issued,
            expires: Wall(BEGIN + 3_600_000),
            member_until: None,
        };
        let invitation = Certificate::issue(&key(0), &self.genesis.network_id(), invitation);
        Credential::by_invitation(invitation, &key(200), &self.genesis, node(at), mesh_proto::role::Role::Full, issued)
    }

    fn store(&self, at: usize) -> StoreId {
        self.disks.get(at).and_then(|disk| disk.store_id).unwrap_or(StoreId(at as u64))
    }

    fn member(&self, at: usize) -> Member {
        Member {
            node: node(at),
            store: self.store(at),
            role: Role::Full,
            standing: Standing::Joined,
            dated: Wall(0),
            incarnation: 1,
            addresses: vec![format!("/memory/{}", at + 1)],
            name: None,
            zone: None,
            drains: false,
            capabilities: Capabilities::default(),
            entry: Octets::default(),
        }
    }

    /// As its disk has it.
    pub fn read(&self, at: usize) -> Coordinator {
        let rules = Rules { checkpoint_interval: 8, ..Rules::default() };
        let (replica, client) = (mesh_pbft::Config::default(), ClientConfig::default());
        let setup = Setup { genesis: self.genesis.clone(), key: Arc::new(key(at)), replica, client, rules };
        let mut brain = Coordinator::new(Config {
            network: self.genesis.network_id(),
            seed: at as u64,
            me: self.member(at),
            alone: true,
            agreement: Some(setup),
            membership: mesh_membership::Config::default(),
            aggregation: mesh_gossip::Config::default(),
            tasks: mesh_tasks::Config::default(),
        });
        let disk = &self.disks[at];
        disk.store.iter().for_each(|(key, value)| brain.load(key, value).unwrap());
        brain.loaded(disk.at);
        disk.log.iter().for_each(|fact| brain.apply(fact.clone()));
        assert_eq!(brain.broken(), None, "n{at}");
        brain
    }

    /// Starts with what is on its disk, and connects to all others.
    pub fn start(&mut self, at: usize) {
        self.nodes[at] = Some(self.read(at));
        self.verifiers[at] = None;
        self.frames[at].clear();
        self.inboxes[at] = vec![Input::Restarted];
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            let other_member = self.member(other);
            self.inboxes[at].push(Input::Member(other_member));
            if self.nodes[other].is_some() {
                let (ours, theirs) = (self.store(at), self.store(other));
                self.inboxes[at].push(Input::Up { node: node(other), store: theirs });
                self.inboxes[other].push(Input::Up { node: node(at), store: ours });
            }
        }
    }

    /// The entry of a node comes to all; it need not be of this world.
    pub fn introduce(&mut self, at: usize) {
        let member = self.member(at);
        self.inboxes.iter_mut().for_each(|inbox| inbox.push(Input::Member(member.clone())));
    }

    /// Its disk, too: it comes back with another.
    pub fn lose(&mut self, at: usize) {
        self.disks[at] = Disk { store_id: Some(StoreId(1000 + at as u64)), ..Disk::default() };
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn now(&self) -> u64 {
        self.now
    }

    pub fn kill(&mut self, at: usize) {
        self.nodes[at] = None;
        self.summing.retain(|(_, of, _)| *of != at);
        for inbox in &mut self.inboxes {
            inbox.push(Input::Down { node: node(at) });
        }
    }

    /// All connections between these and the others are closed.
    pub fn cut(&mut self, side: &[usize]) {
        self.apart = side.iter().copied().collect();
        for (at, other) in self.across() {
            self.inboxes[at].push(Input::Down { node: node(other) });
        }
    }

    /// They are there again.
    pub fn join(&mut self) {
        for (at, other) in self.across() {
            let store = self.store(other);
            self.inboxes[at].push(Input::Up { node: node(other), store });
        }
        self.apart.clear();
    }

    fn across(&self) -> Vec<(usize, usize)> {
        let is_apart = |at: usize| self.apart.contains(&at);
        let others = |at| (0..self.nodes.len()).map(move |other| (at, other));
        (0..self.nodes.len()).flat_map(others).filter(|(at, other)| is_apart(*at) != is_apart(*other)).collect()
    }

    /// The store takes in what is in the log.
    pub fn absorb(&mut self, at: usize) {
        let brain = self.nodes[at].as_mut().unwrap();
        let (position, changes, pages): (LogPosition, Changes, Pages) = brain.take_changes();
        let disk = &mut self.disks[at];
        for (key, value) in changes.into_iter().chain(pages.changes()) {
            match value {
                Some(value) => drop(disk.store.insert(key, value)),
                None => drop(disk.store.remove(&key)),
            }
        }
        disk.at = position;
        disk.log.clear();
    }

    pub fn ask(&mut self, at: usize, request: u64, command: Command) {
        if let Command::Order { operations } = &command
            && self.judges.contains_key(&at)
        {
            self.inboxes[at].push(Input::Judged(judge(&self.genesis, operations)));
        }
        self.inboxes[at].push(Input::Command { request: RequestId(request), command });
    }

    pub fn answers(&self, at: usize, request: u64) -> Vec<Answer> {
        self.answers.get(&(at, request)).cloned().unwrap_or_default()
    }

    pub fn log(&self, at: usize) -> &[Fact] {
        &self.disks[at].log
    }

    pub fn brain(&self, at: usize) -> &Coordinator {
        self.nodes[at].as_ref().unwrap()
    }

    /// So many milliseconds.
    pub fn network(&self) -> NetworkId {
        self.genesis.network_id()
    }

    /// What a node says that lies: none here does by itself.
    pub fn say(&mut self, from: usize, to: usize, message: &pbft::Message) {
        self.frames[to].push((node(from), pbft::Message::encode(message)));
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1;
            let due = self.underway.extract_if(.., |(due, ..)| *due <= self.now).collect::<Vec<_>>();
            due.into_iter().for_each(|(_, to, from, message)| self.arrive(to, from, message));
            (0..self.nodes.len()).for_each(|at| self.step(at));
        }
    }

    /// Until this holds; so many milliseconds at most.
    pub fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) {
        for _ in 0..ms {
            if done(self) {
                return;
            }
            self.run(1);
        }
        panic!("not within {ms} ms; halted: {:?}", self.halted);
    }

    fn step(&mut self, at: usize) {
        let now = Now { mono: Mono((self.now + 1000) * 1000), wall: Wall(BEGIN + self.now) };
        let mut inputs = std::mem::take(&mut self.inboxes[at]);
        let summed = self.summing.extract_if(.., |(due, of, _)| *of == at && *due < self.now);
        inputs.extend(summed.map(|(_, _, input)| input));
        if let Some(verifier) = &mut self.verifiers[at] {
            for (from, bytes) in std::mem::take(&mut self.frames[at]) {
                match verifier.decode(from, &bytes) {
                    Ok(verified) => {
                        let verdicts = self.judges.get_mut(&at).map(|judge| judge.requests(&verified));
                        inputs.extend(verdicts.map(Input::Judged));
                        inputs.push(Input::Consensus(Box::new(verified)));
                    }
                    Err(_) => self.refused += 1,
                }
            }
        }
        let Some(brain) = self.nodes[at].as_mut() else { return };
        let mut effects = Vec::new();
        for input in inputs {
            brain.handle(now, input, &mut effects);
        }
        if brain.deadline().is_some_and(|deadline| deadline <= now.mono) {
            brain.handle_deadline(now, &mut effects);
        }
        brain.flush(now, &mut effects);
        effects.into_iter().for_each(|effect| self.carry_out(at, effect));
    }

    fn arrive(&mut self, to: usize, from: NodeId, message: Message) {
        if self.nodes[to].is_none() {
            return;
        }
        match message {
            Message::Task(frame) => self.inboxes[to].push(Input::Task { from, frame }),
            Message::Control(message) => self.inboxes[to].push(Input::Control { from, message }),
            Message::Consensus(message) => self.frames[to].push((from, pbft::Message::encode(&message))),
        }
    }

    fn carry_out(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Persist(fact) => {
                assert_eq!(codec::decode::<Fact>(&codec::encode(&fact), Fact::LIMIT).as_ref(), Ok(&fact));
                self.disks[at].log.push(fact);
            }
            Effect::Send { to, message, .. } => {
                // Gateways that a test makes up hear no reply.
                let Some(to) = (0..self.nodes.len()).find(|n| node(*n) == to) else {
                    return assert!(matches!(message, Message::Consensus(_)), "{to} is not of this world");
                };
                if self.apart.contains(&at) != self.apart.contains(&to) {
                    return;
                }
                let far = [at, to].into_iter().filter_map(|node| self.far.get(&node)).max();
                match far.copied() {
                    Some(ms) => self.underway.push((self.now + ms, to, node(at), message)),
                    None => self.arrive(to, node(at), message),
                }
            }
            Effect::Answer { request, answers, .. } => {
                self.answers.entry((at, request.0)).or_default().extend(answers);
            }
            Effect::SumUp { sequence, state } => {
                let root: Digest = state.root();
                self.summing.push((self.now + self.sum_up_ms, at, Input::SummedUp { sequence, root }));
            }
            Effect::Verify(snapshot) => match &mut self.verifiers[at] {
                Some(verifier) => verifier.update(snapshot),
                none => *none = Some(Verifier::new(snapshot)),
            },
            Effect::Halted(why) => self.halted.push((at, why)),
            Effect::Accused { accused, how } => self.accused.push((at, accused, how)),
            Effect::Port(_)
            | Effect::Execute { .. }
            | Effect::Cancel { .. }
            | Effect::Dial { .. }
            | Effect::Measure { .. }
            | Effect::Disconnect { .. }
            | Effect::Announce { .. }
            | Effect::Speak { .. } => {}
        }
    }
}
