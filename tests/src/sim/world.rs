//! One world: all its machines, users and faults, and the one loop that makes time pass.

use super::{
    bidder,
    check::{Checks, Rule, Violation, agreed::Words},
    client::{Clients, Doors, Reach},
    clock::Clock,
    council,
    count::{Count, Counts},
    crook::Crook,
    describe,
    dice::Dice,
    event::{Event, Queue, Slab},
    execution::Course,
    mint::Mint,
    mutation::Past,
    needs::draw_capabilities,
    nemesis::Cure,
    network::Network,
    node::{Node, Place},
    options::{Options, WARM_UP},
    patron::Patrons,
    pin::Pin,
    report::Report,
    scale::Meter,
    signatures::Shared,
    steward::Steward,
    storage::{Medium, draw_clock},
    trace::{NOBODY, Trace},
};
use mesh_coordinator::{Effect, Fact, Message, agreement};
use mesh_ledger::Map;
use mesh_membership::{Member, Role, Standing};
use mesh_proto::{
    genesis::Genesis,
    id::{LogPosition, NetworkId, NodeId, StoreId, TaskId},
    key::SecretKey,
    ledger::Index,
    pbft::Sequence,
    task::Octets,
    time::Wall,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// A world between two events.
pub struct World {
    pub(super) at: u64,
    pub(super) options: Options,
    pub(super) genesis: Genesis,
    pub(super) network_id: NetworkId,
    pub(super) signatures: Shared,
    pub(super) queue: Queue,
    pub(super) nodes: Vec<Node>,
    pub(super) by_id: BTreeMap<NodeId, usize>,
    pub(super) network: Network,
    pub(super) clients: Clients,
    pub(super) patrons: Patrons,
    pub(super) checks: Checks,
    pub(super) counts: Counts,
    pub(super) trace: Trace,
    /// What bodies draw.
    pub(super) dice: Dice,
    /// What machines have.
    pub(super) needs: Dice,
    /// What faults draw.
    pub(super) fate: Dice,
    pub(super) cures: Slab<Cure>,
    /// Gossip on its way.
    pub(super) rumours: Slab<Member>,
    /// How executions in progress will end.
    pub(super) ends: Slab<End>,
    /// States whose digests are being found.
    pub(super) sums: Slab<(Sequence, Map)>,
    /// What liars have kept back.
    pub(super) whispers: Slab<Message>,
    /// What each liar that changes its words has said.
    pub(super) pasts: BTreeMap<usize, Past>,
    /// Of members that make up gateways, and of such that hold on to states.
    pub(super) mints: BTreeMap<usize, Mint>,
    pub(super) pins: BTreeMap<usize, Pin>,
    /// Gateways that lie.
    pub(super) crooks: BTreeMap<usize, Crook>,
    /// Of requests that the users of those make.
    pub(super) crooked_requests: u64,
    /// Second machines of members, and whose they are.
    pub(super) twins: BTreeMap<usize, usize>,
    /// What both machines of one key have signed.
    pub(super) double_words: Words,
    pub(super) steward: Steward,
    /// Of the member that is cut off at one of them.
    pub(super) writes: u64,
    /// In a large world: what crosses its network.
    pub(super) meter: Option<Meter>,
    /// Members of the committee that are not to be counted on any more: they lie, or have lost what they said.
    pub(super) faulty: BTreeSet<usize>,
    /// Where the order was at each look at a healed world.
    pub(super) ordered: VecDeque<(u64, Index)>,
    /// Since when somebody was busy at each look.
    pub(super) busy_since: Option<u64>,
    /// Of executions, so that no two results are alike.
    pub(super) serial: u64,
    pub(super) healed: Option<u64>,
    /// Kept between events for its memory.
    pub(super) effects: Vec<Effect>,
    finished: bool,
}

/// How an execution will end.
pub struct End {
    pub task: TaskId,
    pub attempt: u32,
    pub course: Course,
}

impl World {
    pub fn new(options: Options, trace: Trace) -> Self {
        let mut dice = Dice::new(options.seed, 3);
        let mut needs = Dice::new(options.seed, 10);
        let nodes: Vec<Node> =
            (0..options.nodes_max).map(|index| make_node(index, &options, &mut dice, &mut needs)).collect();
        let size = options.council.as_ref().map_or(1, |council| council.size);
        let genesis = council::genesis(options.seed, nodes[..size].iter().map(|node| node.id).collect());
        let network_id = genesis.network_id();
        let ids: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
        let sizes = options.council.as_ref().map(|council| council.sizes(&genesis, &ids));
        let steward = options.council.as_ref().map(|council| Steward::new(council.size, council.epoch(&genesis)));
        let liars = options.council.iter().flat_map(|council| &council.liars);
        let faulty = liars.map(|(node, _)| *node).chain(council_crooks(&options)).collect();
        let twins = options.council.as_ref().map_or(0, |council| council.twins().count());
        let crooks = options.council.iter().flat_map(|council| &council.crooks);
        let crooks = crooks.map(|node| (*node, Crook::default())).collect();
        let keys = nodes.iter().map(|node| Arc::clone(&node.key)).collect();
        let mut world = Self {
            at: 0,
            network_id,
            signatures: Shared::default(),
            queue: Queue::default(),
            by_id: nodes.iter().map(|node| (node.id, node.index)).collect(),
            network: Network::new(nodes.len() + twins, &options, sizes),
            clients: Clients::new(network_id, &options),
            patrons: Patrons::new(&options, network_id, keys),
            checks: Checks::new(options.strict, options.forgetful, options.fabricators),
            counts: Counts::default(),
            trace,
            dice,
            needs,
            fate: Dice::new(options.seed, 4),
            cures: Slab::default(),
            rumours: Slab::default(),
            ends: Slab::default(),
            sums: Slab::default(),
            whispers: Slab::default(),
            pasts: BTreeMap::new(),
            mints: BTreeMap::new(),
            pins: BTreeMap::new(),
            crooks,
            crooked_requests: 0,
            twins: BTreeMap::new(),
            double_words: Words::default(),
            steward: steward.unwrap_or_default(),
            writes: 0,
            meter: options.plan.map(|_| Meter::default()),
            faulty,
            ordered: VecDeque::new(),
            busy_since: None,
            serial: 0,
            healed: None,
            effects: Vec::new(),
            finished: false,
            nodes,
            genesis,
            options,
        };
        if let Some(council) = &world.options.council {
            world.checks.agreed.words.begin(council.epoch(&world.genesis));
            world.double_words.begin(council.epoch(&world.genesis));
            world.checks.agreed.roll.begin(council.epoch(&world.genesis));
        }
        world.make_twins();
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        if let Some(plan) = self.options.plan {
            return self.prepare_plan(plan);
        }
        for node in 0..self.options.nodes {
            self.nodes[node].place = Place::Member;
            let at = self.dice.range(0..=200_000);
            self.queue.push(at, Event::Start { node: node as u16, life: 0 });
        }
        self.queue.push(WARM_UP, Event::Submit);
        self.queue.push(WARM_UP, Event::Fault);
        self.queue.push(WARM_UP, Event::Curious);
        if let Some(council) = &self.options.council {
            // Who founds a network has this on its disk: it was never in another state.
            for founder in &mut self.nodes[1..council.size] {
                let fact = Fact::Agreement(agreement::Fact::Follows);
                founder.durable = founder.medium.begin(founder.me.store, &fact).expect("an empty disk takes a record");
            }
            self.queue.push(WARM_UP, Event::Order);
            if council.changes {
                self.queue.push(2 * WARM_UP, Event::Steer);
            }
        }
        self.queue.push(self.options.heals_at(), Event::Heal);
    }

    /// Runs it to its end, or to the first thing that must not be.
    pub fn run(mut self) -> Report {
        while !self.finished && self.checks.found().is_none() {
            let Some((at, event)) = self.queue.pop() else { break };
            debug_assert!(at >= self.at, "time passes forwards");
            self.at = at;
            self.step(event);
        }
        if self.options.plan.is_some() {
            self.count_losses();
        }
        for node in &self.nodes {
            if let Some(body) = &node.body {
                self.counts.life(&body.brain);
            }
        }
        let named = self.checks.found().map(|found| Violation::new(found.rule, self.named(&found.what)));
        Report {
            violation: named,
            options: self.options,
            counts: self.counts,
            hash: self.trace.hash(),
            events: self.trace.events(),
            virtual_time: self.at,
            tasks: self.clients.submitted() as u64,
            writes: self.writes,
            meter: self.meter,
        }
    }

    /// With short names for nodes.
    fn named(&self, text: &str) -> String {
        self.nodes.iter().fold(text.to_owned(), |text, node| {
            let name = format!("n{}", node.index);
            text.replace(&node.id.to_string(), &name).replace(&format!("{:?}", node.id), &name)
        })
    }

    fn step(&mut self, event: Event) {
        self.note(&event);
        match event {
            Event::Wake { node, life }
            | Event::Timer { node, life }
            | Event::Commit { node, life }
            | Event::Executed { node, life, .. }
            | Event::SummedUp { node, life, .. }
            | Event::Whisper { from: node, life, .. }
            | Event::Absorb { node, life } => self.local(node as usize, life, event),
            Event::Frame { from, to, .. } => self.frame(from as usize, to as usize, event),
            Event::Closed { from, to, .. } => {
                if self.network.close_arrives(event) {
                    self.went_down(to as usize, from as usize);
                }
            }
            Event::Dialed { from, to, life } => self.dialed(from as usize, to as usize, life),
            Event::Bootstrap { node, to, life } => self.bootstrap(node as usize, to as usize, life),
            Event::Announced { node, slot } => self.announced(node as usize, slot),
            Event::Request { node, slot } => self.request(node as usize, slot),
            Event::Submit => self.submit(),
            Event::Order => self.order(),
            Event::Steer => self.steer(),
            Event::Petition { node, slot } => self.petition(node as usize, slot),
            Event::Patron { want, step } => self.with_patrons(|patrons, reach| patrons.step(want, step, reach)),
            Event::Client { task, step } => self.with_clients(|clients, reach| clients.step(task, step, reach)),
            Event::Curious => {
                self.with_clients(|clients, reach| clients.be_curious(reach));
                let next = self.at + self.dice.range(500_000..=4_000_000);
                self.queue.push(next, Event::Curious);
            }
            Event::Fault => self.fault(),
            Event::Cure { slot } => self.cure(slot),
            Event::Start { node, life } => self.start(node as usize, life),
            Event::Crash { node, life } => {
                if self.healed.is_none() && self.nodes[node as usize].life == life {
                    self.crash(node as usize, false);
                    self.restart_later(node as usize);
                }
            }
            Event::Rest => self.rest(),
            Event::Work => self.work(),
            Event::Death => self.death(),
            Event::Heal => self.heal(),
            Event::Inspect => self.finished = self.inspect(),
        }
    }

    fn note(&mut self, event: &Event) {
        let (kind, node) = describe::kind(event);
        let reads = self.trace.reads() && describe::is_worth_a_line(event);
        match reads {
            true => self.trace.event(self.at, kind, node, || format!("{event:?}")),
            false => {
                self.trace.count();
                self.trace.mix(self.at);
                self.trace.mix(kind << 8 | node);
            }
        }
    }

    fn submit(&mut self) {
        let mut many = 0;
        self.with_clients(|clients, reach| many = clients.submit_new(reach));
        let until = self.healed.map_or(u64::MAX, |healed| healed + SUBMITS_HEALED);
        if self.at < until {
            let mean = many * 1_000_000 / self.options.rate_at(self.at);
            let next = self.at + self.dice.range(mean / 2..=mean * 3 / 2);
            self.queue.push(next, Event::Submit);
        }
    }

    /// Lends the users what they use of the world.
    pub(super) fn with_clients(&mut self, f: impl FnOnce(&mut Clients, &mut Reach<'_>)) {
        let Self { at, queue, counts, checks, clients, nodes, .. } = self;
        let doors = Doors { nodes, shunned: None };
        f(clients, &mut Reach { at: *at, doors, queue, counts, checks });
    }

    /// Lends the users of the ledger what they use of the world.
    pub(super) fn with_patrons(&mut self, f: impl FnOnce(&mut Patrons, &mut Reach<'_>)) {
        if self.options.council.is_none() {
            return;
        }
        let Self { at, queue, counts, checks, patrons, nodes, crooks, .. } = self;
        let doors = Doors { nodes, shunned: Some(crooks) };
        f(patrons, &mut Reach { at: *at, doors, queue, counts, checks });
    }

    pub(super) fn fail(&mut self, rule: Rule, what: impl Into<String>) {
        self.checks.note(Err(Violation::new(rule, what)));
    }

    pub(super) fn count(&mut self, count: Count) {
        self.counts.add(count);
    }

    pub(super) fn say(&mut self, node: usize, line: impl FnOnce() -> String) {
        self.trace.say(self.at, node, line);
    }

    pub(super) fn say_all(&mut self, line: impl FnOnce() -> String) {
        self.trace.say(self.at, NOBODY as usize, line);
    }

    /// Machines of joined members.
    pub(super) fn members(&self) -> Vec<usize> {
        self.nodes.iter().filter(|node| node.counts()).map(|node| node.index).collect()
    }

    /// Machines that run, of members or of such that leave.
    pub(super) fn running(&self) -> Vec<usize> {
        self.nodes.iter().filter(|node| node.is_running()).map(|node| node.index).collect()
    }
}

/// Users go on to submit for so long after the faults, to see that the mesh takes tasks.
const SUBMITS_HEALED: u64 = 10_000_000;

/// Gateways that lie and are members of the committee.
fn council_crooks(options: &Options) -> impl Iterator<Item = usize> {
    let council = options.council.iter();
    council.flat_map(|council| council.crooks.iter().copied().filter(|node| *node < council.size))
}

fn make_node(index: usize, options: &Options, dice: &mut Dice, needs: &mut Dice) -> Node {
    let mut key = [0; 32];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&dice.next().to_le_bytes());
    }
    let key = Arc::new(SecretKey::from_bytes(&key));
    let id = key.node_id();
    let clock: Clock = draw_clock(dice, options);
    Node {
        index,
        id,
        key,
        me: Member {
            node: id,
            store: StoreId(dice.next()),
            role: if dice.chance(300) { Role::Worker } else { Role::Full },
            standing: Standing::Joined,
            dated: Wall::default(),
            incarnation: 0,
            addresses: vec![format!("/memory/{}", index + 1)],
            name: None,
            zone: None,
            drains: false,
            capabilities: draw_capabilities(needs),
            // Stands for the signed entry, which is checked before a brain sees it.
            entry: Octets::from(vec![1]),
        },
        clock,
        medium: Medium::new(options),
        life: 0,
        durable: LogPosition::START,
        body: None,
        frozen: None,
        slow_disk: 1,
        full_disk: 0,
        place: Place::Spare,
        slots: options.slots,
        claims: options.bidders.iter().any(|(bidder, _)| *bidder == index).then(bidder::everything),
    }
}
