//! The world: time, the network, disks, crashes, gateways.

use crate::{
    app::App,
    checker::Checker,
    dice::Dice,
    gateways::Gateway,
    liar::{Liar, Lie},
    node::{Node, key},
    signatures::Shared,
};
use mesh_pbft::{Config, Effect, Event as Told, Input, Recipient, Verifier};
use mesh_proto::{
    id::NodeId,
    pbft::{EpochConfig, Message, Sequence},
    task::Octets,
    time::{Mono, Now, Wall},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

pub const START_MS: u64 = 1_800_000_000_000;
pub const MS: u64 = 1000;

/// What is due may bring about what is due at once, so many times in a row. A body calls without a pause until nothing is.
const IN_VAIN: u32 = 3;

pub enum Event {
    Deliver { to: usize, life: u32, from: NodeId, message: Arc<Message> },
    DeliverGateway { to: usize, from: NodeId, message: Arc<Message> },
    Sync { node: usize, life: u32, upto: usize },
    Work { node: usize, life: u32 },
    Wake { node: usize, life: u32 },
    WakeGateway { gateway: usize },
}

pub struct World {
    pub now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    order: u64,
    pub dice: Dice,
    pub nodes: Vec<Node>,
    pub gateways: Vec<Gateway>,
    pub checker: Checker,
    pub loss: u64,
    pub duplicates: u64,
    pub delay: (u64, u64),
    /// Pairs that do not hear each other.
    pub cuts: BTreeSet<(usize, usize)>,
    pub halted: Vec<usize>,
    /// Work of the disk, in microseconds, at most.
    pub slow_disk: u64,
    pub events: BTreeMap<String, u64>,
    /// Members know who the gateways are, and say so to their replicas.
    pub knows_gateways: bool,
    /// This node dies when it has written so many facts, with exactly those on its disk.
    pub trap: Option<(usize, usize)>,
}

/// Time-outs that suit a network of milliseconds, a small window, so that everything happens often.
pub fn config() -> Config {
    Config {
        timeout: Duration::from_millis(300),
        timeout_max: Duration::from_secs(3),
        status_busy: Duration::from_millis(60),
        status_idle: Duration::from_millis(400),
        answer_every: Duration::from_millis(15),
        stall: Duration::from_millis(200),
        transfer_timeout: Duration::from_millis(100),
        relay_after: Duration::from_millis(40),
        fetch_again: Duration::from_millis(30),
        ..Config::default()
    }
}

pub fn epoch(seeds: impl IntoIterator<Item = u8>) -> EpochConfig {
    let members = seeds.into_iter().map(|seed| key(seed).node_id());
    let mut config = EpochConfig::genesis(members).unwrap();
    (config.interval, config.window, config.batch_requests) = (8, 16, 4);
    (config.clients, config.client_window, config.fewest) = (4, 16, 1);
    config
}

impl World {
    /// `n` members, of which those of `lies` lie, and some gateways.
    pub fn new(seed: u64, n: u8, gateways: u8) -> Self {
        Self::with(seed, epoch(1..=n), 1..=n, gateways, config())
    }

    pub fn with(
        seed: u64,
        trusted: EpochConfig,
        nodes: impl IntoIterator<Item = u8>,
        gateways: u8,
        config: Config,
    ) -> Self {
        let mut dice = Dice::new(seed);
        let nodes = nodes.into_iter().map(|seed| {
            let mut node = Node::new(seed, config.clone(), trusted.clone());
            node.skew = dice.below(50);
            node
        });
        let nodes: Vec<Node> = nodes.collect();
        let epoch = Arc::new(trusted);
        let gateways = (0..gateways).map(|number| Gateway::new(number, &epoch));
        let gateways = gateways.collect();
        let mut world = Self {
            now: 1_000_000,
            queue: BTreeMap::new(),
            order: 0,
            dice,
            nodes,
            gateways,
            checker: Checker::default(),
            loss: 0,
            duplicates: 0,
            delay: (200, 2000),
            cuts: BTreeSet::new(),
            halted: Vec::new(),
            slow_disk: 1500,
            events: BTreeMap::new(),
            knows_gateways: false,
            trap: None,
        };
        for node in 0..world.nodes.len() {
            world.begin(node);
        }
        world
    }

    /// Makes a member lie from now on. A twin is another node with its key.
    pub fn corrupt(&mut self, node: usize, lie: Lie) {
        let seed = self.nodes[node].seed;
        self.nodes[node].liar = Some(Liar { lie, seed });
        if lie == Lie::Twin {
            let mut twin = Node::new(seed, self.nodes[node].config.clone(), self.nodes[node].trusted.clone());
            twin.liar = Some(Liar { lie, seed });
            self.nodes.push(twin);
            self.begin(self.nodes.len() - 1);
        }
    }

    pub fn clock(&self, node: usize) -> Now {
        Now { mono: Mono(self.now), wall: Wall(START_MS + self.now / MS + self.nodes[node].skew) }
    }

    /// A fresh process on whatever its disk holds.
    pub fn begin(&mut self, node: usize) {
        let now = self.clock(node);
        let mut effects = Vec::new();
        let one = &mut self.nodes[node];
        one.start();
        let replica = one.replica.as_mut().unwrap();
        replica.restarted(now, &mut effects);
        one.load_state();
        one.verifier = Verifier::with(Arc::clone(one.replica.as_ref().unwrap().snapshot()), Shared);
        self.carry_out(node, effects);
    }

    pub fn crash(&mut self, node: usize) {
        let unsynced = self.nodes[node].disk.facts.len() - self.nodes[node].disk.synced;
        let kept = self.dice.below(unsynced as u64 + 1) as usize;
        self.nodes[node].crash(kept);
        self.count("crash");
    }

    pub fn is_up(&self, node: usize) -> bool {
        self.nodes[node].replica.is_some()
    }

    /// Lets `ms` milliseconds go by.
    pub fn run(&mut self, ms: u64) {
        let until = self.now + ms * MS;
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = at.max(self.now);
            self.happen(event);
        }
        self.now = until;
    }

    /// Lets time go by until this holds; `false` if it does not within `ms` milliseconds.
    pub fn run_until(&mut self, ms: u64, holds: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..ms.div_ceil(20) {
            if holds(self) {
                return true;
            }
            self.run(20);
        }
        holds(self)
    }

    /// All correct members of the latest epoch have executed the same, and all that gateways asked for.
    pub fn is_settled(&self) -> bool {
        let states: Vec<&App> = self.voters().map(|node| &node.app).collect();
        let same = states.windows(2).all(|pair| pair[0].operations == pair[1].operations);
        let acknowledged = self.checker.acknowledged.keys();
        let mut all = acknowledged.map(|operation| states.iter().all(|app| app.operations.contains(operation)));
        let mut voters = self.voters().filter(|node| !node.lost).filter_map(|node| node.replica.as_ref());
        let voting = voters.all(|replica| replica.standing().is_voting);
        self.waiting() == 0 && same && voting && all.all(|there| there)
    }

    /// Correct members of the latest epoch that are up.
    pub fn voters(&self) -> impl Iterator<Item = &Node> {
        let latest = self.nodes.iter().filter(|node| node.is_correct()).filter_map(|node| node.replica.as_ref());
        let latest = latest.map(|replica| replica.standing().config).max_by_key(|config| config.epoch).unwrap();
        self.nodes
            .iter()
            .filter(move |node| node.is_correct() && node.replica.is_some() && latest.members.contains(&node.id))
    }

    pub fn executed(&self, node: usize) -> Sequence {
        self.nodes[node].replica.as_ref().map_or(Sequence::ZERO, |replica| replica.executed())
    }

    /// Where everybody stands, for a failure's message.
    pub fn report(&self) -> String {
        let mut lines = vec![format!("{:?}", self.events), format!("waiting {}", self.waiting())];
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(replica) = &node.replica else { continue };
            let standing = replica.standing();
            lines.push(format!(
                "{place} {:?} view {} active {} voting {} [{}, {}] executed {} waiting {} epoch {:?} ops {} {:?}",
                node.liar,
                standing.view,
                standing.is_active,
                standing.is_voting,
                standing.low,
                standing.high,
                standing.executed,
                standing.waiting,
                standing.config.epoch,
                node.app.operations.len(),
                replica.counters().iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
            ));
        }
        lines.join("\n")
    }

    pub fn count(&mut self, what: &str) {
        *self.events.entry(what.to_owned()).or_default() += 1;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { to, life, from, message } if self.nodes[to].life == life => {
                self.deliver(to, from, &message);
            }
            Event::Sync { node, life, upto } if self.nodes[node].life == life => self.sync(node, upto),
            Event::Work { node, life } if self.nodes[node].life == life => self.work(node),
            Event::Wake { node, life } if self.nodes[node].life == life => self.wake(node),
            Event::DeliverGateway { to, from, message } => self.deliver_gateway(to, from, &message),
            Event::WakeGateway { gateway } => self.wake_gateway(gateway),
            Event::Deliver { .. } | Event::Sync { .. } | Event::Work { .. } | Event::Wake { .. } => {}
        }
    }

    fn deliver(&mut self, to: usize, from: NodeId, message: &Message) {
        if self.nodes[to].liar.as_ref().is_some_and(|liar| liar.is_deaf_to(message)) {
            return self.count("starved");
        }
        let node = &mut self.nodes[to];
        let Some(replica) = &node.replica else { return };
        node.verifier.update(Arc::clone(replica.snapshot()));
        // Through bytes, now and then: what is sent is what is read.
        let verified = match self.order % 16 {
            0 => node.verifier.decode(from, &message.encode()),
            _ => node.verifier.verify(from, message.clone()),
        };
        if let Ok(verified) = verified {
            let brought = verified.requests().iter().map(|body| body.request.gateway);
            let is_known = |gateway: &NodeId| self.knows_gateways && self.gateways.iter().any(|one| one.id == *gateway);
            let known: Vec<NodeId> = brought.filter(is_known).collect();
            known.into_iter().for_each(|gateway| self.handle(to, Input::Known(gateway)));
            self.handle(to, Input::Message(verified));
        }
    }

    pub fn handle(&mut self, node: usize, input: Input) {
        let now = self.clock(node);
        let mut effects = Vec::new();
        let Some(replica) = &mut self.nodes[node].replica else { return };
        if replica.handle(now, input, &mut effects).is_err() {
            assert!(!effects.iter().any(|effect| matches!(effect, Effect::Execute(_))), "refused, and executed");
        }
        self.carry_out(node, effects);
    }

    fn wake(&mut self, node: usize) {
        let now = self.clock(node);
        self.nodes[node].wake = None;
        let mut effects = Vec::new();
        let Some(replica) = &mut self.nodes[node].replica else { return };
        if replica.deadline().is_some_and(|due| due <= now.mono) {
            replica.handle_deadline(now, &mut effects);
            let is_done = replica.deadline().is_none_or(|due| due > now.mono);
            let node = &mut self.nodes[node];
            node.in_vain = if is_done { 0 } else { node.in_vain + 1 };
            assert!(node.in_vain <= IN_VAIN, "{} is never done with what is due", node.id);
        }
        self.carry_out(node, effects);
    }

    fn carry_out(&mut self, node: usize, effects: Vec<Effect>) {
        let mut inputs = VecDeque::new();
        for effect in effects {
            match effect {
                Effect::Persist(fact) => self.nodes[node].disk.facts.push(fact),
                Effect::Send { .. } | Effect::Release { .. } => {
                    let after = self.nodes[node].disk.facts.len();
                    self.nodes[node].gated.push_back((after, effect));
                }
                Effect::ReadPiece { to, sequence, index } => {
                    let snapshot = self.nodes[node].disk.snapshots.get(&sequence);
                    if let Some((bytes, path)) = snapshot.and_then(|snapshot| snapshot.piece(index)) {
                        inputs.push_back(Input::Piece { to, sequence, index, bytes, path });
                    }
                }
                Effect::StorePiece { sequence, index, bytes } => {
                    self.nodes[node].disk.pieces.insert((sequence, index), bytes);
                }
                Effect::Event(told) => self.told(node, &told),
                Effect::Halt(alarm) => {
                    assert!(
                        !self.nodes[node].is_correct() || self.halted.contains(&usize::MAX),
                        "node {node}: {alarm}"
                    );
                    self.halted.push(node);
                }
                Effect::Execute(_) | Effect::TakeCheckpoint { .. } | Effect::Install { .. } => {
                    self.nodes[node].jobs.push_back(effect);
                }
            }
        }
        if let Some((_, after)) =
            self.trap.filter(|(of, after)| *of == node && self.nodes[node].disk.facts.len() >= *after)
        {
            self.trap = None;
            let kept = after.saturating_sub(self.nodes[node].disk.synced);
            self.nodes[node].crash(kept);
            self.count("crash");
            return;
        }
        self.flush(node);
        let (life, now) = (self.nodes[node].life, self.now);
        if self.nodes[node].disk.synced < self.nodes[node].disk.facts.len() && !self.nodes[node].is_syncing {
            self.nodes[node].is_syncing = true;
            let upto = self.nodes[node].disk.facts.len();
            let at = now + 50 + self.dice.below(self.slow_disk);
            self.schedule(at, Event::Sync { node, life, upto });
        }
        if !self.nodes[node].jobs.is_empty() && !self.nodes[node].is_working {
            self.nodes[node].is_working = true;
            let at = now + self.dice.below(300);
            self.schedule(at, Event::Work { node, life });
        }
        let due = self.nodes[node].replica.as_ref().and_then(|replica| replica.deadline());
        if let Some(due) = due.map(|due| due.0.max(now + 1))
            && self.nodes[node].wake.is_none_or(|wake| due < wake)
        {
            self.nodes[node].wake = Some(due);
            self.schedule(due, Event::Wake { node, life });
        }
        for input in inputs {
            self.handle(node, input);
        }
    }

    fn told(&mut self, node: usize, told: &Told) {
        let name = format!("{told:?}");
        let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
        self.count(&name);
        if let Told::EpochBegan(config) = told
            && self.nodes[node].is_correct()
        {
            self.tell_gateways(config);
        }
    }

    /// What rests on nothing that is still to be synced leaves.
    fn flush(&mut self, node: usize) {
        let synced = self.nodes[node].disk.synced;
        while let Some((_, execution)) = self.nodes[node].unseen.pop_front_if(|(after, _)| *after <= synced) {
            self.checker.executed(&execution);
        }
        while let Some((_, effect)) = self.nodes[node].gated.pop_front_if(|(after, _)| *after <= synced) {
            match effect {
                Effect::Send { to, message } => self.send(node, to, &message),
                Effect::Release { below, except } => {
                    let keep = |sequence: &Sequence| *sequence >= below || except.contains(sequence);
                    self.nodes[node].disk.snapshots.retain(|sequence, _| keep(sequence));
                }
                _ => {}
            }
        }
    }

    fn sync(&mut self, node: usize, upto: usize) {
        self.nodes[node].is_syncing = false;
        self.nodes[node].disk.synced = upto;
        self.carry_out(node, Vec::new());
    }

    fn work(&mut self, node: usize) {
        self.nodes[node].is_working = false;
        let is_correct = self.nodes[node].is_correct();
        let one = &mut self.nodes[node];
        let Some(job) = one.jobs.pop_front() else { return };
        let input = match job {
            Effect::Execute(execution) => {
                if is_correct {
                    // Nobody sees it before all that came before is durable: until then a crash may undo it.
                    one.unseen.push_back((one.disk.facts.len(), execution.clone()));
                }
                let (outcomes, change) = one.app.execute(&execution);
                Input::Executed { sequence: execution.sequence, outcomes, change }
            }
            Effect::TakeCheckpoint { sequence } => {
                // Taken at once, and summed up behind what was given out since.
                if !one.jobs.is_empty() && one.summing != Some(sequence) {
                    one.disk.snapshots.insert(sequence, one.app.clone());
                    one.summing = Some(sequence);
                    one.jobs.push_back(Effect::TakeCheckpoint { sequence });
                    return self.carry_out(node, Vec::new());
                }
                if one.summing.take() != Some(sequence) {
                    one.disk.snapshots.insert(sequence, one.app.clone());
                }
                Input::Checkpointed { sequence, state: one.disk.snapshots[&sequence].roots() }
            }
            Effect::Install { summary } => {
                let count = summary.state.count;
                let pieces: Vec<Octets> =
                    (0..count).filter_map(|index| one.disk.pieces.remove(&(summary.sequence, index))).collect();
                let app = App::from_pieces(&pieces).expect("proved pieces are a state");
                one.disk.snapshots.insert(summary.sequence, app.clone());
                one.app = app;
                Input::Installed { sequence: summary.sequence, state: one.app.roots() }
            }
            _ => return,
        };
        self.handle(node, input);
        self.carry_out(node, Vec::new());
    }

    fn send(&mut self, node: usize, to: Recipient, message: &Arc<Message>) {
        let from = self.nodes[node].id;
        if self.nodes[node].is_correct() {
            self.checker.said(from, message);
            self.check_views(node, message);
        }
        let config = self.nodes[node].replica.as_ref().map(|replica| replica.standing().config);
        let targets: Vec<NodeId> = match (to, config) {
            (Recipient::Node(one), _) => vec![one],
            (Recipient::Members, Some(config)) => config.members.iter().copied().filter(|one| *one != from).collect(),
            (Recipient::Members, None) => Vec::new(),
        };
        for target in targets {
            for (place, gateway) in self.gateways.iter().enumerate() {
                if gateway.id == target {
                    let at = self.now + self.delay.0;
                    let message = Arc::clone(message);
                    self.schedule(at, Event::DeliverGateway { to: place, from, message });
                    break;
                }
            }
            let instances: Vec<usize> = (0..self.nodes.len()).filter(|one| self.nodes[*one].id == target).collect();
            for instance in instances.into_iter().filter(|instance| *instance != node) {
                let twisted = match self.nodes[node].liar.clone() {
                    Some(liar) => liar.twist(&mut self.dice, instance, message),
                    None => vec![(0, Arc::clone(message))],
                };
                for (late, message) in twisted {
                    self.transmit(Some(node), instance, from, late, message);
                }
            }
        }
    }

    fn check_views(&mut self, node: usize, message: &Message) {
        let from = self.nodes[node].id;
        let config = self.nodes[node].replica.as_ref().unwrap().standing().config;
        match message {
            Message::ViewChange(m) if config.member(m.change.replica) == Some(from) => {
                let (epoch, view) = (m.change.epoch.0, m.change.view.get());
                self.checker.said_of_views(from, 4, epoch, view, m.change.digest());
            }
            Message::NewView(m) if config.member(config.primary(m.view)) == Some(from) => {
                let digest = mesh_proto::id::Digest::of("new view", &[&mesh_proto::codec::encode(m)]);
                self.checker.said_of_views(from, 5, m.epoch.0, m.view.get(), digest);
            }
            _ => {}
        }
    }

    pub fn transmit(&mut self, node: Option<usize>, to: usize, from: NodeId, late: u64, message: Arc<Message>) {
        if node.is_some_and(|node| self.cuts.contains(&(node, to))) || self.dice.percent(self.loss) {
            return;
        }
        let copies = 1 + u64::from(self.dice.percent(self.duplicates));
        for _ in 0..copies {
            let delay = self.delay.0 + self.dice.below(self.delay.1 - self.delay.0 + 1);
            let (at, life) = (self.now + delay + late * MS, self.nodes[to].life);
            self.schedule(at, Event::Deliver { to, life, from, message: Arc::clone(&message) });
        }
    }

    pub fn schedule(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.insert((at, self.order), event);
    }
}
