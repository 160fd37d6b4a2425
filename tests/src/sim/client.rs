//! Users: each wants some tasks done, through whichever nodes are there, and does not give up.

use super::{
    after::Known,
    check::{Causes, Checks, Rule, TaskMap, Violation},
    count::{Count, Counts},
    crook::Crook,
    dice::Dice,
    event::{Event, Queue, Slab},
    flood::Flood,
    node::Node,
    options::Options,
    wish::Wish,
};
use mesh_coordinator::{Answer, Command, ListFilter, Refusal, RequestId};
use mesh_proto::{
    capability::Requirements,
    id::{BlobId, Digest, NetworkId, TaskId},
    task::{Octets, Spec},
};
use std::collections::BTreeMap;

/// All users of a world.
pub struct Clients {
    network: NetworkId,
    tasks: Vec<Task>,
    by_id: TaskMap<u32>,
    /// What was asked and is not finished.
    open: BTreeMap<RequestId, Open>,
    /// Requests on their way to a node.
    travelling: Slab<(RequestId, Command)>,
    requests: u64,
    dice: Dice,
    /// Of what tasks ask of their nodes.
    needs: Dice,
    /// Of what tasks are to start after.
    known: Known,
    /// What is urgent while there is a flood.
    flood: Option<Flood>,
    rush: Dice,
    forgetful: bool,
    pub healed: Option<u64>,
}

struct Task {
    wish: Wish,
    /// Submits the rival from now on.
    rival: bool,
    submitted: u64,
    acknowledged: Option<u64>,
    state: State,
    /// Counts what was planned for it; a plan that is not the last is void.
    step: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Wanted,
    /// The user knows how it ended.
    Ended,
    /// It was refused for good, or its end is forgotten.
    Over,
}

struct Open {
    gateway: usize,
    /// Of the tasks asked about: which, and whether the rival was submitted.
    tasks: Vec<(u32, bool)>,
    garbage: bool,
}

/// What users use of the world.
pub struct Reach<'a> {
    pub at: u64,
    pub doors: Doors<'a>,
    pub queue: &'a mut Queue,
    pub counts: &'a mut Counts,
    pub checks: &'a mut Checks,
}

/// Where users may knock. Found out anew by whoever does, as it takes a look at all nodes.
#[derive(Clone, Copy)]
pub struct Doors<'a> {
    pub nodes: &'a [Node],
    /// Through these users are told what their gateway likes.
    pub shunned: Option<&'a BTreeMap<usize, Crook>>,
}

impl Doors<'_> {
    /// Nodes that a user may know of.
    pub fn gateways(&self) -> Vec<usize> {
        let is_shunned = |node: &usize| self.shunned.is_some_and(|shunned| shunned.contains_key(node));
        let members = || self.nodes.iter().filter(|node| node.counts() && !is_shunned(&node.index));
        // Users do not mostly run against nodes that are down: those that are up are there twice.
        let up = members().filter(|node| node.is_running());
        members().chain(up).map(|node| node.index).collect()
    }
}

impl Clients {
    pub fn new(network: NetworkId, options: &Options) -> Self {
        Self {
            network,
            tasks: Vec::new(),
            by_id: TaskMap::default(),
            open: BTreeMap::new(),
            travelling: Slab::default(),
            requests: 0,
            dice: Dice::new(options.seed, 2),
            needs: Dice::new(options.seed, 9),
            known: Known::new(Dice::new(options.seed, 11)),
            flood: options.flood.clone(),
            rush: Dice::new(options.seed, 18),
            forgetful: options.forgetful,
            healed: None,
        }
    }

    /// New tasks, one mostly, sometimes some at once.
    pub fn submit_new(&mut self, reach: &mut Reach<'_>) -> u64 {
        let many = if self.dice.chance(100) { self.dice.range(2..=15) } else { 1 };
        let first = self.tasks.len();
        for _ in 0..many {
            let (dice, needs, known) = (&mut self.dice, &mut self.needs, &mut self.known);
            let flood = self.flood.as_ref().filter(|flood| flood.is_on(reach.at));
            let rush = flood.map(|flood| flood.rush(&mut self.rush));
            let (at, number) = (reach.at, self.tasks.len() as u64);
            let wish = Wish::draw((at, number), &self.network, dice, needs, known, rush);
            if rush.is_some() {
                reach.counts.add(Count::Rushed);
            }
            self.want(wish, reach);
        }
        self.known.count(reach.counts);
        let fresh: Vec<(u32, bool)> = (first..self.tasks.len()).map(|task| (task as u32, false)).collect();
        for (task, _) in &fresh {
            self.look_after(*task, reach);
        }
        if self.dice.chance(50) {
            reach.counts.add(Count::SubmittedTwice);
            self.submit(fresh.clone(), reach);
        }
        let rivals: Vec<(u32, bool)> =
            fresh.iter().map(|(task, _)| (*task, true)).filter(|(task, _)| self.has_rival(*task)).collect();
        if !rivals.is_empty() {
            reach.counts.add(Count::SubmittedRival);
            self.submit(rivals, reach);
        }
        if self.dice.chance(50) {
            self.plan_cancel(&fresh, reach);
        }
        self.submit(fresh, reach);
        many
    }

    /// Somebody wants this from now on.
    pub(super) fn want(&mut self, wish: Wish, reach: &mut Reach<'_>) -> u32 {
        let (has_deadline, is_manifest, has_rival) = (wish.has_deadline, wish.is_manifest, wish.rival.is_some());
        let redundancy = wish.redundancy;
        let causes = Causes { cancel_wanted: false, has_deadline, is_manifest, has_rival, redundancy };
        reach.checks.users.wants(wish.id, causes);
        let task = self.tasks.len() as u32;
        self.by_id.insert(wish.id, task);
        let rival = false;
        let (submitted, acknowledged, state) = (reach.at, None, State::Wanted);
        self.tasks.push(Task { wish, rival, submitted, acknowledged, state, step: 0 });
        task
    }

    /// A first one, through some node; its user waits for the end.
    pub(super) fn submit_one(&mut self, task: u32, reach: &mut Reach<'_>) {
        self.look_after(task, reach);
        let specs = vec![self.tasks[task as usize].spec(false)];
        reach.counts.add(Count::Submitted);
        self.ask(Command::Submit { specs, follow: true }, vec![(task, false)], false, reach);
    }

    fn look_after(&mut self, task: u32, reach: &mut Reach<'_>) {
        let patience = self.patience(task);
        self.plan(task, patience, reach);
    }

    fn has_rival(&self, task: u32) -> bool {
        self.tasks[task as usize].wish.rival.is_some()
    }

    fn submit(&mut self, which: Vec<(u32, bool)>, reach: &mut Reach<'_>) {
        let garbage = self.dice.chance(3);
        let mut specs: Vec<Octets> =
            which.iter().map(|(task, rival)| self.tasks[*task as usize].spec(*rival)).collect();
        if garbage {
            specs.push(Octets::from(vec![0xff, 1, 2]));
        }
        let follow = !self.dice.chance(200);
        reach.counts.add(Count::Submitted);
        self.ask(Command::Submit { specs, follow }, which, garbage, reach);
    }

    fn ask(&mut self, command: Command, tasks: Vec<(u32, bool)>, garbage: bool, reach: &mut Reach<'_>) {
        let gateways = reach.doors.gateways();
        if gateways.is_empty() {
            return;
        }
        let gateway = *self.dice.pick(&gateways);
        self.requests += 1;
        let request = RequestId(self.requests);
        self.open.insert(request, Open { gateway, tasks, garbage });
        self.travel(request, command, gateway, reach);
    }

    fn travel(&mut self, request: RequestId, command: Command, gateway: usize, reach: &mut Reach<'_>) {
        let slot = self.travelling.put((request, command));
        let arrives = reach.at + self.dice.spread(50..=20_000);
        reach.queue.push(arrives, Event::Request { node: gateway as u16, slot });
    }

    /// The request has arrived at its node.
    pub fn arrived(&mut self, slot: u32) -> Option<(RequestId, Command)> {
        self.travelling.take(slot)
    }

    fn plan_cancel(&mut self, which: &[(u32, bool)], reach: &mut Reach<'_>) {
        reach.counts.add(Count::CancelWanted);
        let tasks: Vec<TaskId> = which.iter().map(|(task, _)| self.tasks[*task as usize].wish.id).collect();
        for task in &tasks {
            reach.checks.users.wants_end(*task);
        }
        let later = reach.at + self.dice.spread(1_000..=5_000_000);
        let mut reach = Reach { at: later, ..reborrow(reach) };
        self.ask(Command::Cancel { tasks }, which.to_vec(), false, &mut reach);
    }

    /// When the user looks after it next, if nothing happens.
    fn patience(&mut self, task: u32) -> u64 {
        let acknowledged = self.tasks[task as usize].acknowledged.is_some();
        match (self.healed.is_some(), acknowledged) {
            (false, false) => self.dice.range(5_500_000..=10_000_000),
            (false, true) => self.dice.range(12_000_000..=40_000_000),
            (true, _) => self.dice.range(5_500_000..=8_000_000),
        }
    }

    fn plan(&mut self, task: u32, after: u64, reach: &mut Reach<'_>) {
        let entry = &mut self.tasks[task as usize];
        entry.step += 1;
        reach.queue.push(reach.at + after, Event::Client { task, step: entry.step });
    }

    /// A user looks after a task.
    pub fn step(&mut self, task: u32, step: u32, reach: &mut Reach<'_>) {
        let entry = &self.tasks[task as usize];
        if entry.step != step || entry.state != State::Wanted {
            return;
        }
        let (id, rival) = (entry.wish.id, entry.rival);
        if entry.acknowledged.is_some() {
            reach.counts.add(Count::Followed);
            self.ask(Command::Follow { tasks: vec![id] }, vec![(task, rival)], false, reach);
        } else {
            reach.counts.add(Count::Retried);
            self.submit(vec![(task, rival)], reach);
        }
        let patience = self.patience(task);
        self.plan(task, patience, reach);
    }

    /// The node that these requests were made to is not there any more.
    pub fn gateway_lost(&mut self, gateway: usize, reach: &mut Reach<'_>) {
        let lost: Vec<RequestId> =
            self.open.iter().filter(|(_, open)| open.gateway == gateway).map(|(request, _)| *request).collect();
        for request in lost {
            self.request_lost(request, reach);
        }
    }

    /// Nobody will answer this.
    pub fn request_lost(&mut self, request: RequestId, reach: &mut Reach<'_>) {
        let Some(open) = self.open.remove(&request) else { return };
        reach.counts.add(Count::GatewayLost);
        for (task, _) in open.tasks {
            if self.tasks[task as usize].state == State::Wanted {
                let soon = self.dice.spread(20_000..=2_000_000);
                self.plan(task, soon, reach);
            }
        }
    }

    /// Nothing goes wrong any more: everybody asks again.
    pub fn heal(&mut self, reach: &mut Reach<'_>) {
        self.healed = Some(reach.at);
        for task in 0..self.tasks.len() as u32 {
            if self.tasks[task as usize].state == State::Wanted {
                let soon = self.dice.range(100_000..=3_000_000);
                self.plan(task, soon, reach);
            }
        }
    }

    /// A node answers.
    pub fn answered(&mut self, request: RequestId, answers: &[Answer], reach: &mut Reach<'_>) {
        if !self.open.contains_key(&request) {
            for answer in answers {
                // Nobody waits; what it says must be true all the same.
                if !matches!(answer, Answer::Placed { .. }) {
                    reach.checks.answered(None, answer, reach.counts);
                }
            }
            return;
        }
        for answer in answers {
            self.take(request, answer, reach);
        }
    }

    fn take(&mut self, request: RequestId, answer: &Answer, reach: &mut Reach<'_>) {
        match answer {
            Answer::Placed { index, task, .. } => {
                let asked = self.open.get(&request).and_then(|open| open.tasks.get(*index as usize)).copied();
                let Some((place, rival)) = asked else {
                    return reach.checks.note(stray(answer));
                };
                let entry = &mut self.tasks[place as usize];
                if entry.wish.id != *task {
                    return reach.checks.note(stray(answer));
                }
                entry.rival = rival;
                let first = entry.acknowledged.is_none();
                entry.acknowledged.get_or_insert(reach.at);
                let digest = entry.digest(rival);
                reach.checks.answered(Some(digest), answer, reach.counts);
                if first {
                    let patience = self.patience(place);
                    self.plan(place, patience, reach);
                }
            }
            Answer::Refused { index, why, .. } => {
                reach.checks.answered(None, answer, reach.counts);
                self.refused(request, *index, why, reach);
            }
            Answer::Ended { task, .. } => {
                reach.checks.answered(None, answer, reach.counts);
                if let Some(place) = self.by_id.get(task) {
                    self.tasks[*place as usize].state = State::Ended;
                }
            }
            Answer::Missing { task } => {
                reach.checks.answered(None, answer, reach.counts);
                self.missing(task, reach);
            }
            Answer::Finished => {
                reach.checks.answered(None, answer, reach.counts);
                self.open.remove(&request);
            }
            Answer::CancelAsked { .. }
            | Answer::Task(_)
            | Answer::Tasks(_)
            | Answer::Matches(_)
            | Answer::Status(_)
            | Answer::Referenced(_)
            | Answer::Named(_)
            | Answer::Ordered { .. }
            | Answer::Looked(_)
            | Answer::Certified(_)
            | Answer::Agreement(_)
            | Answer::Recruited(_)
            | Answer::Aggregate { .. }
            | Answer::Members(_) => reach.checks.answered(None, answer, reach.counts),
        }
    }

    fn refused(&mut self, request: RequestId, index: u32, why: &Refusal, reach: &mut Reach<'_>) {
        let Some(open) = self.open.get(&request) else { return };
        if let Refusal::Unintroduced { .. } = why {
            // Whatever was asked: of tasks the user asks again, or another node.
            let soon = self.dice.spread(20_000..=2_000_000);
            if let Some(&(place, _)) = open.tasks.get(index as usize)
                && self.tasks[place as usize].state == State::Wanted
            {
                self.plan(place, soon, reach);
            }
            return;
        }
        let Some(&(place, rival)) = open.tasks.get(index as usize) else {
            let garbage = open.garbage && index as usize == open.tasks.len();
            // Who takes nothing has not looked at it.
            if !(garbage && matches!(why, Refusal::Malformed(_) | Refusal::ReadOnly { .. })) {
                let what = format!("item {index} of a request without it refused: {why}");
                reach.checks.note(Err(Violation::new(Rule::AcknowledgedIsHeld, what)));
            }
            return;
        };
        let entry = &mut self.tasks[place as usize];
        if entry.acknowledged.is_some() || entry.state != State::Wanted {
            return;
        }
        match why {
            Refusal::Conflict if entry.wish.rival.is_none() => {
                let what = format!("{}: refused for another content, and there is none", entry.wish.id);
                reach.checks.note(Err(Violation::new(Rule::AcknowledgedIsHeld, what)));
            }
            Refusal::Conflict => {
                // Which of the two it is may still be open: the other is tried.
                entry.rival = !rival;
                let later = self.dice.range(500_000..=2_000_000);
                self.plan(place, later, reach);
            }
            Refusal::TooOld { .. } if self.forgetful => entry.state = State::Over,
            Refusal::TooOld { .. } => {
                let later = self.dice.range(500_000..=2_000_000);
                self.plan(place, later, reach);
            }
            Refusal::Unavailable { retry_ms, .. } | Refusal::ReadOnly { retry_ms, .. } | Refusal::Busy { retry_ms } => {
                let later = u64::from(*retry_ms) * 1000 + self.dice.range(0..=300_000);
                self.plan(place, later, reach);
            }
            Refusal::Unintroduced { .. } => {}
            Refusal::NoAgreement | Refusal::ClockAhead | Refusal::Forgotten | Refusal::NoAggregation(_) => {
                let what = format!("{}: refused as what it is not: {why}", entry.wish.id);
                reach.checks.note(Err(Violation::new(Rule::AcknowledgedIsHeld, what)));
            }
            Refusal::Malformed(what) => {
                let what = format!("{}: refused as malformed: {what}", entry.wish.id);
                reach.checks.note(Err(Violation::new(Rule::AcknowledgedIsHeld, what)));
            }
        }
    }

    fn missing(&mut self, task: &TaskId, reach: &mut Reach<'_>) {
        let Some(&place) = self.by_id.get(task) else { return };
        let entry = &mut self.tasks[place as usize];
        if self.forgetful && reach.checks.registers.chosen(task).is_some() {
            entry.state = State::Over;
        }
        if entry.state == State::Wanted && entry.acknowledged.is_some() {
            let later = self.dice.range(500_000..=2_000_000);
            self.plan(place, later, reach);
        }
    }

    /// Somebody asks a node about something.
    pub fn be_curious(&mut self, reach: &mut Reach<'_>) {
        let some = match self.tasks.len() {
            0 => return,
            known => self.tasks[self.dice.below(known)].wish.id,
        };
        let command = match self.dice.below(9) {
            0 | 1 => Command::Status,
            2 => Command::Members,
            3 => Command::Show { task: some },
            4 => Command::List { filter: ListFilter { limit: 20, ..ListFilter::default() } },
            5 => Command::Resolve { prefix: some.to_string()[..6].to_owned() },
            6 => Command::Referenced { blobs: vec![BlobId::from_bytes([7; 32])] },
            7 => return self.resubmit(reach),
            _ => {
                let open: Vec<RequestId> = self.open.keys().copied().collect();
                if open.is_empty() {
                    return;
                }
                let request = *self.dice.pick(&open);
                let Some(gone) = self.open.remove(&request) else { return };
                reach.counts.add(Count::Walked);
                return self.travel(request, Command::Leave { request }, gone.gateway, reach);
            }
        };
        self.ask(command, Vec::new(), false, reach);
    }

    /// Somebody forgot that he knows the end of a task, and submits it again with its old key.
    fn resubmit(&mut self, reach: &mut Reach<'_>) {
        let place = self.dice.below(self.tasks.len());
        let entry = &self.tasks[place];
        if entry.state != State::Wanted && entry.acknowledged.is_some() {
            reach.counts.add(Count::Resubmitted);
            let again = vec![(place as u32, entry.rival)];
            self.submit(again, reach);
        }
    }

    /// Acknowledged tasks, each with whether its user still waits for its end.
    pub fn acknowledged(&self) -> impl Iterator<Item = (TaskId, bool)> {
        self.tasks
            .iter()
            .filter(|task| task.acknowledged.is_some())
            .map(|task| (task.wish.id, task.state == State::Wanted))
    }

    /// What a task asks of its node.
    /// What it runs, if it is one of theirs.
    pub fn work_of(&self, task: &TaskId) -> Option<Digest> {
        let place = self.by_id.get(task)?;
        Spec::decode(&self.tasks[*place as usize].wish.spec).ok().map(|spec| spec.work())
    }

    /// And by how many.
    pub fn requirements(&self, task: &TaskId) -> Option<(&Requirements, u8)> {
        let wish = self.by_id.get(task).map(|place| &self.tasks[*place as usize].wish);
        wish.map(|wish| (&wish.requirements, wish.redundancy))
    }

    /// What a task is to start after.
    pub fn after(&self, task: &TaskId) -> &[TaskId] {
        self.by_id.get(task).map_or(&[], |place| &self.tasks[*place as usize].wish.after)
    }

    /// Tasks of which a user does not know yet how they ended, or that they are refused for good.
    pub fn waited_for(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().filter(|task| task.state == State::Wanted).map(|task| task.wish.id)
    }

    /// Tasks that were submitted before `before`, and after all faults, and are not acknowledged.
    pub fn not_taken(&self, before: u64) -> impl Iterator<Item = TaskId> {
        let healed = self.healed.unwrap_or(u64::MAX);
        self.tasks
            .iter()
            .filter(move |task| task.submitted >= healed && task.submitted < before)
            .filter(|task| task.acknowledged.is_none() && task.state == State::Wanted)
            .map(|task| task.wish.id)
    }

    pub fn submitted(&self) -> usize {
        self.tasks.len()
    }
}

impl Task {
    fn spec(&self, rival: bool) -> Octets {
        match (&self.wish.rival, rival) {
            (Some((spec, _)), true) => spec.clone(),
            _ => self.wish.spec.clone(),
        }
    }

    fn digest(&self, rival: bool) -> Digest {
        match (&self.wish.rival, rival) {
            (Some((_, digest)), true) => *digest,
            _ => self.wish.digest,
        }
    }
}

fn reborrow<'a>(reach: &'a mut Reach<'_>) -> Reach<'a> {
    Reach { at: reach.at, doors: reach.doors, queue: reach.queue, counts: reach.counts, checks: reach.checks }
}

fn stray(answer: &Answer) -> Result<(), Violation> {
    Err(Violation::new(Rule::AcknowledgedIsHeld, format!("an answer to what was not asked: {answer:?}")))
}
