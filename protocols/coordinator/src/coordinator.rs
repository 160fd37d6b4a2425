use crate::{
    Answer, Command, ControlMessage, Effect, Fact, Input, Message, Refusal, RequestId,
    agreement::{self, Agreement, Pages},
    crowding::Crowding,
    effect::rests_on_nothing,
    frames,
    lists::Listing,
    queries::{Queries, Question},
    read_only::Cut,
    requests::Requests,
    scan::Scans,
    tables::{PassOn, holding},
};
use mesh_gossip::Aggregations;
use mesh_membership::{Member, Members, Standing};
use mesh_proto::{
    aggregate::AggregateId,
    codec::DecodeError,
    id::{Digest, LogPosition, NetworkId, NodeId, StoreId},
    task::{Frame, Holder, Octets},
    time::{Mono, Now},
};
use mesh_tasks::{Tasks, Waiter};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// What a brain is made with.
#[derive(Clone, Debug)]
pub struct Config {
    pub network: NetworkId,
    /// Of the one generator that all machines draw from.
    pub seed: u64,
    /// This node as a member: its id, its store, its role.
    pub me: Member,
    /// This node made the network and has met nobody since: it may begin alone. Any other with a fresh disk has to hear
    /// first who else there is.
    pub alone: bool,
    /// None where there is nothing to agree on: a network without a ledger.
    pub agreement: Option<agreement::Setup>,
    pub membership: mesh_membership::Config,
    pub aggregation: mesh_gossip::Config,
    pub tasks: mesh_tasks::Config,
}

/// Entries of the store, by key; no value is a removal.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The brain. Holds machines and wires; no rules of its own.
pub struct Coordinator {
    pub(crate) config: Config,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) members: Members,
    pub(crate) tasks: Tasks,
    pub(crate) queries: Queries,
    pub(crate) scans: Scans,
    pub(crate) aggregations: Aggregations,
    /// Who waits for those that began here.
    pub(crate) askers: BTreeMap<AggregateId, RequestId>,
    pub(crate) requests: Requests,
    pub(crate) position: LogPosition,
    /// Members whose entries changed since the last snapshot.
    changed_members: BTreeSet<NodeId>,
    /// Control messages of this flush.
    pub(crate) control: Vec<(NodeId, ControlMessage)>,
    /// Entries to announce with this flush.
    news: BTreeMap<NodeId, Member>,
    /// The store does not know yet that this node is introduced.
    newly_introduced: bool,
    pub(crate) has_room: bool,
    /// How busy this node said that it is, and when.
    pub(crate) told: (Crowding, Mono),
    /// Motions in force, as those say that are connected: [`crate::StatusView::serials`].
    pub(crate) serials: BTreeMap<NodeId, u64>,
    pub(crate) agreement: Option<Agreement>,
    pub(crate) cut: Cut,
    /// Of agreement, as the store gave them back.
    pub(crate) pages: Vec<(Digest, Octets)>,
    pub(crate) agreement_facts: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many of its facts the store has.
    pub(crate) stored_facts: u32,
}

impl Coordinator {
    pub fn new(config: Config) -> Self {
        let me = Holder { node: config.me.node, store: config.me.store };
        Self {
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            members: Members::new(config.membership.clone(), config.me.clone()),
            tasks: Tasks::new(
                config.tasks.clone(),
                config.network,
                me,
                config.me.holds_tasks(),
                &config.me.capabilities,
            ),
            queries: Queries::default(),
            scans: Scans::default(),
            aggregations: Aggregations::new(config.aggregation.clone(), me.node),
            askers: BTreeMap::new(),
            requests: Requests::default(),
            position: LogPosition::START,
            changed_members: BTreeSet::new(),
            control: Vec::new(),
            news: BTreeMap::new(),
            newly_introduced: false,
            told: (Crowding::default(), Mono::default()),
            has_room: true,
            serials: BTreeMap::new(),
            // A genesis with founders that no committee can have is refused before it becomes a network.
            agreement: config.agreement.clone().and_then(|setup| Agreement::new(setup, config.me.store).ok()),
            cut: Cut::default(),
            pages: Vec::new(),
            agreement_facts: Vec::new(),
            stored_facts: 0,
            config,
        }
    }

    // Restoring.

    /// One entry of the store, in any order, before the log.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        if let Some(rest) = key.strip_prefix(MEMBER_KEY) {
            if rest.len() == 32 {
                self.members.restore(mesh_proto::codec::decode(value, Fact::LIMIT)?);
            }
            return Ok(());
        }
        if key == INTRODUCED_KEY {
            self.members.introduce();
            return Ok(());
        }
        if key.first() == Some(&AGREEMENT) {
            return self.load_agreement(key, value);
        }
        self.tasks.load(key, value).map(|_| ())
    }

    /// The store is at this position: the facts that follow are numbered from the next.
    pub fn loaded(&mut self, position: LogPosition) {
        self.position = position;
        self.agreement_loaded();
    }

    /// One fact of the log, in order: reads no time, draws nothing, emits nothing.
    pub fn apply(&mut self, fact: Fact) {
        self.position = self.position.next();
        match fact {
            Fact::Task(fact) => self.tasks.apply(fact),
            Fact::Member(member) => {
                self.changed_members.insert(member.node);
                self.members.restore(member);
            }
            Fact::Introduced => {
                self.members.introduce();
                self.newly_introduced = true;
            }
            Fact::Agreement(fact) => {
                if let Some(agreement) = &mut self.agreement {
                    agreement.apply(fact);
                }
            }
        }
    }

    // Living.

    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Restarted => self.restarted(now, effects),
            Input::Paused { .. } => self.members.paused(now),
            Input::Up { node, store } => self.up(now, node, store, effects),
            Input::Down { node } => {
                let changed = self.members.down(now, node);
                self.aggregations.down(&node);
                self.queries.gone(node);
                self.serials.remove(&node);
                self.with_tasks(now, effects, |tasks, cx| {
                    tasks.down(cx, node);
                    if let Some(member) = changed {
                        tasks.member(cx, node, member.store, holding(&member));
                    }
                });
            }
            Input::Full { node } => self.tasks.full(node),
            Input::Writable { node } => self.with_tasks(now, effects, |tasks, cx| tasks.writable(cx, node)),
            Input::Me(member) => self.speak(now, member, effects),
            Input::Member(member) => self.learn(now, member, PassOn::Yes, effects),
            Input::Announced(member) => self.learn(now, member, PassOn::No, effects),
            Input::Task { from, frame } => {
                self.members.heard(now, from);
                if self.members.is_connected(&from) {
                    self.with_tasks(now, effects, |tasks, cx| tasks.items(cx, from, frame.items));
                }
            }
            Input::Control { from, message } => self.control(now, from, message, effects),
            Input::Consensus(verified) => {
                self.members.heard(now, verified.from());
                // Who speaks for itself was let in. Of the others one that lies could make as many keys as there are lanes.
                if verified.relayed_for().is_some_and(|gateway| !self.is_of_network(&gateway)) {
                    return;
                }
                self.consensus(now, *verified, effects);
            }
            Input::Judged(verdicts) => self.with_agreement(effects, |agreement, _| agreement.judged(&verdicts)),
            Input::SummedUp { sequence, root } => {
                self.with_agreement(effects, |agreement, asked| agreement.summed_up(now, sequence, &root, asked));
            }
            Input::Port(input) => self.with_agreement(effects, |agreement, asked| agreement.port(now, input, asked)),
            Input::Command { request, command } => self.command(now, request, command, effects),
            Input::Executed { task, attempt, outcome } => {
                self.with_tasks(now, effects, |tasks, cx| tasks.executed(cx, task, attempt, outcome));
            }
            Input::Measured { id, values } => self.measured(now, &id, values.as_deref()),
            Input::Memory { free_ppm } => self.tasks.memory(free_ppm),
            Input::Disk { room } => {
                self.has_room = room;
                self.tasks.disk(room);
            }
        }
    }

    /// The node stops in good order: what is queued or runs here is given back, so that others take it at once.
    pub fn stop(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.with_tasks(now, effects, |tasks, cx| tasks.release_ends(cx));
        self.tasks.give_back();
        self.flush(now, effects);
    }

    /// Due timers.
    pub fn handle_deadline(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.handle_control_deadline(now, effects);
        if self.agreement.as_ref().and_then(Agreement::deadline).is_some_and(|due| due <= now.mono) {
            self.with_agreement(effects, |agreement, asked| agreement.handle_deadline(now, asked));
        }
        self.with_tasks(now, effects, |tasks, cx| tasks.handle_deadline(cx));
    }

    /// Due timers of what goes on although the disk is slow: heartbeats, and who is silent. Makes few facts.
    pub fn handle_control_deadline(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.load_due().is_some_and(|due| due <= now.mono) {
            let heartbeat = self.heartbeat();
            self.say_load(now, heartbeat);
        }
        if self.members.deadline() <= now.mono {
            let mut asked = Vec::new();
            self.members.handle_deadline(now, &mut self.rng, &mut asked);
            self.carry_out(now, asked, effects);
            self.look_at_quorum(now);
        }
        self.aggregation_rounds(now, effects);
        self.answer_overdue(now);
        self.scan(now);
    }

    /// When to call [`Self::handle_control_deadline`] next.
    pub fn control_deadline(&self) -> Option<Mono> {
        let aggregations = self.aggregations.deadline();
        [Some(self.members.deadline()), self.queries.deadline(), self.load_due(), aggregations]
            .into_iter()
            .flatten()
            .min()
    }

    /// When to call [`Self::handle_deadline`] next.
    pub fn deadline(&self) -> Option<Mono> {
        let scans = (!self.scans.is_empty()).then(Mono::default);
        let agreement = self.agreement.as_ref().and_then(Agreement::deadline);
        [self.control_deadline(), self.tasks.deadline(), agreement, scans].into_iter().flatten().min()
    }

    /// What the last events had to say, one frame a destination (more, where one would be too large).
    pub fn flush(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.with_agreement(effects, |agreement, asked| agreement.flush(now, asked));
        let after = self.position;
        for (node, member) in std::mem::take(&mut self.news) {
            // Another's word is signed by it, and rests on nothing here; this node's own must not be forgotten.
            let after = if node == self.config.me.node { after } else { LogPosition::START };
            effects.push(Effect::Announce { member, after });
        }
        for (to, message) in self.control.drain(..) {
            let after = if rests_on_nothing(&message) { LogPosition::START } else { after };
            effects.push(Effect::Send { to, message: Message::Control(message), after });
        }
        for (to, items) in self.tasks.take_items() {
            for items in frames::cut(items) {
                effects.push(Effect::Send { to, message: Message::Task(Frame { items }), after });
            }
        }
        for (request, answers) in self.requests.take() {
            effects.push(Effect::Answer { request, answers, after });
        }
    }

    /// Why this node must not go on with what its disk says; looked at once, behind the facts.
    pub fn broken(&self) -> Option<String> {
        self.agreement.as_ref().and_then(Agreement::broken)
    }

    // For the body.

    /// How many entries [`Self::take_changes`] would give.
    pub fn changes_len(&self) -> usize {
        self.changed_members.len() + usize::from(self.newly_introduced) + self.tasks.shelf().changed_len()
    }

    /// Batches of the committee's order that [`Self::take_changes`] would give once more, as large as they are: few right
    /// behind a stable checkpoint. None on a node that has no replica.
    pub fn retold_batches(&self) -> Option<usize> {
        self.agreement.as_ref().and_then(Agreement::retold)
    }

    /// The entries of the store that changed since the last call, for position [`Self::position`]: `None` is a removal. To
    /// be written together with those that the pages come to, which take a while to find.
    pub fn take_changes(&mut self) -> (LogPosition, Changes, Pages) {
        let mut changes = Vec::new();
        for node in std::mem::take(&mut self.changed_members) {
            let key = [MEMBER_KEY, node.as_bytes().as_slice()].concat();
            changes.push((key, self.members.told_entry(&node).map(|member| mesh_proto::codec::encode(&member))));
        }
        if std::mem::take(&mut self.newly_introduced) {
            changes.push((INTRODUCED_KEY.to_vec(), Some(Vec::new())));
        }
        self.tasks.take_changes(|key, value| changes.push((key, value)));
        let pages = self.take_agreement(&mut changes);
        (self.position, changes, pages)
    }

    /// Of the last fact persisted or applied.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    pub fn node(&self) -> NodeId {
        self.config.me.node
    }

    pub fn store(&self) -> StoreId {
        self.config.me.store
    }

    pub fn network(&self) -> NetworkId {
        self.config.network
    }

    /// The machines, to look at.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub fn agreement(&self) -> Option<&Agreement> {
        self.agreement.as_ref()
    }

    pub fn members(&self) -> &Members {
        &self.members
    }

    // Wires.

    pub(crate) fn is_of_network(&self, node: &NodeId) -> bool {
        self.members.get(node).is_some_and(|member| member.standing != Standing::Forgotten)
    }

    fn restarted(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let known: Vec<Member> = self.members.others().cloned().collect();
        for member in known {
            self.with_tasks(now, effects, |tasks, cx| {
                tasks.member(cx, member.node, member.store, holding(&member));
                tasks.has(member.node, &member.capabilities);
            });
        }
        // As it last said of itself, with the disk that is there.
        let (node, store, own) = (self.node(), self.store(), holding(self.members.me()));
        self.with_tasks(now, effects, |tasks, cx| tasks.member(cx, node, store, own));
        self.members.paused(now);
        self.with_tasks(now, effects, |tasks, cx| tasks.restarted(cx));
        let alone = self.config.alone;
        self.with_agreement(effects, |agreement, asked| agreement.restarted(now, alone, asked));
        if self.config.alone {
            self.introduced(effects);
        }
    }

    /// The entry becomes a fact.
    pub(crate) fn keep(&mut self, member: Member, effects: &mut Vec<Effect>) {
        self.changed_members.insert(member.node);
        self.position = self.position.next();
        effects.push(Effect::Persist(Fact::Member(member)));
    }

    /// This node has had a member's table, or is the first of its network.
    pub(crate) fn introduced(&mut self, effects: &mut Vec<Effect>) {
        if !self.members.is_introduced() {
            self.members.introduce();
            self.newly_introduced = true;
            self.position = self.position.next();
            effects.push(Effect::Persist(Fact::Introduced));
        }
    }

    /// To be announced with this flush; the latest word of each.
    pub(crate) fn announce(&mut self, member: Member) {
        self.news.insert(member.node, member);
    }

    fn command(&mut self, now: Now, request: RequestId, command: Command, effects: &mut Vec<Effect>) {
        if let Some(items) = self.refused_items(&command) {
            self.requests.refuse(request, items, &Refusal::Unintroduced { retry_ms: 1000 });
            return;
        }
        if self.is_refused_here(request, &command) {
            return;
        }
        let waiter = |index: usize| Waiter { request: request.0, index: u32::try_from(index).unwrap_or(u32::MAX) };
        match command {
            Command::Submit { specs, follow } => {
                self.requests.open(request, specs.len(), follow);
                for (index, spec) in specs.into_iter().enumerate() {
                    self.with_tasks(now, effects, |tasks, cx| tasks.submit(cx, waiter(index), spec, follow));
                }
            }
            Command::Follow { tasks } => {
                self.requests.open(request, tasks.len(), false);
                for (index, task) in tasks.into_iter().enumerate() {
                    self.with_tasks(now, effects, |tasks, cx| tasks.follow(cx, waiter(index), task));
                }
            }
            Command::Cancel { tasks } => {
                self.requests.open(request, tasks.len(), false);
                for (index, task) in tasks.into_iter().enumerate() {
                    self.with_tasks(now, effects, |tasks, cx| tasks.cancel(cx, waiter(index), task));
                }
            }
            Command::Leave { request } => {
                self.requests.close(request);
                self.queries.leave(request);
                self.leave_aggregation(now, request, effects);
                if let Some(agreement) = &mut self.agreement {
                    agreement.leave(request);
                }
                self.tasks.leave(request.0);
            }
            Command::Show { task } => self.ask_all(now, request, Question::Show(task)),
            Command::List { filter } => self.ask_all(now, request, Question::List(Box::new(Listing::new(filter)))),
            Command::Resolve { prefix } => self.ask_all(now, request, Question::Resolve(prefix)),
            Command::Referenced { blobs } => {
                let (naming, me) = (self.tasks.shelf().naming(), self.node());
                let found = blobs.into_iter().filter(|blob| naming.is_named(*blob, me)).collect();
                self.requests.only(request, Answer::Referenced(found));
            }
            Command::Named { after, limit } => {
                let page = self.tasks.shelf().naming().page(after, limit.min(NAMED_MAX));
                self.requests.only(request, Answer::Named(page));
            }
            Command::Order { operations } => self.order(request, &operations),
            Command::Look { query } => self.look_at_ledger(now, request, query),
            Command::Certified { behind, proposal, but } => self.certify(now, request, (behind, proposal), &but),
            Command::Agreement => self.ask_committee(now, request),
            Command::Recruit { node } => self.recruit(now, request, node, effects),
            Command::StopRunning => {
                self.with_tasks(now, effects, |tasks, cx| tasks.stop_running(cx));
                let status = Answer::Status(Box::new(self.status()));
                self.requests.only(request, status);
            }
            Command::Aggregate { asked } => self.aggregate(now, request, asked, effects),
            Command::Status => {
                let status = Answer::Status(Box::new(self.status()));
                self.requests.only(request, status);
            }
            Command::Members => {
                let members = Answer::Members(self.member_views(now));
                self.requests.only(request, members);
            }
        }
    }

    pub(crate) fn answer_only(&mut self, request: RequestId, answer: Answer) {
        self.requests.only(request, answer);
    }

    /// Lends the task layer what it needs, and turns what it asks for into effects.
    pub(crate) fn with_tasks(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
        call: impl FnOnce(&mut Tasks, &mut mesh_tasks::Context<'_>),
    ) {
        let mut asked = Vec::new();
        let (rng, position) = (&mut self.rng, self.position);
        call(&mut self.tasks, &mut mesh_tasks::Context { now, rng, effects: &mut asked, position });
        for effect in asked {
            match effect {
                mesh_tasks::Effect::Persist(fact) => {
                    self.position = self.position.next();
                    effects.push(Effect::Persist(Fact::Task(fact)));
                }
                mesh_tasks::Effect::Execute { birth, attempt, after } => {
                    effects.push(Effect::Execute { birth, attempt, after });
                }
                mesh_tasks::Effect::Cancel { task, attempt } => effects.push(Effect::Cancel { task, attempt }),
                mesh_tasks::Effect::Answer(answer) => self.requests.answer(answer),
            }
        }
    }
}

/// Blobs of which one answer tells: the brain has other things to do.
const NAMED_MAX: usize = 1024;

/// What keys of agreement begin with.
pub(crate) const AGREEMENT: u8 = b'a';
/// The id of questions that no user waits for.
pub(crate) const UNASKED: u64 = u64::MAX;
const MEMBER_KEY: &[u8] = b"mm";
const INTRODUCED_KEY: &[u8] = b"mi";
