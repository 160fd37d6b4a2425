//! Running one task on several executors, and taking what most of them say: against executors that lie, or compute wrongly.
//!
//! Such a task has a record as any other, and an attempt of it is a **poll**: its executor runs nothing itself, but submits a
//! replica of the task for each of the members that are drawn for it, and waits for what they sign. So the one attempt that
//! is current, its driver, takeover, cancellation and deadline are those of every task, and replicas are tasks as well. A
//! poll holds no slot. It is soft: whoever is granted the next attempt finds the replicas by their ids, which are made of the
//! task's and of the member's, and what came of them.
//!
//! Who polls may lie too. What is counted is signed by those who ran it, and is counted again by the driver before it accepts
//! the result, and by the gateway before it shows it: see [`verify`].

mod again;
mod beside;
mod count;
mod draw;
mod replica;

pub use count::{CountError, verify};
pub use draw::{Drawable, Drawn, draw, drawable};
pub use replica::{NODE, named};

use crate::{
    Seat, capability,
    effect::{Answer, Context, Refusal, Waiter},
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use count::{is_none, tally};
use mesh_proto::{
    codec,
    id::{Digest, NodeId, TaskId},
    limits,
    task::{Count, FailureKind, How, Octets, Outcome, Sealable, Sealed, Spec},
    time::Mono,
};
use replica::replica_of;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// A poll looks after its replicas again after this.
const LOOK: Duration = Duration::from_secs(1);

/// Longer than the task may take, a replica that nobody queues behind may be under way for so long.
const LATE: Duration = Duration::from_secs(30);

/// So many times as long it is waited for where its node says that others are before it: nobody can check that.
const PATIENCE: u32 = 20;

/// After this a poll is told when its task has ended elsewhere.
const LONG: Duration = Duration::from_secs(10);

/// Polls at a time: each has its replicas in the mesh, which need room as well.
const OPEN: usize = 1_000;

/// All polls under way here.
#[derive(Debug, Default)]
pub struct Polls {
    open: BTreeMap<TaskId, Poll>,
    /// Whose answer it is, by the number that it was asked under.
    asked: BTreeMap<u32, (TaskId, NodeId)>,
    /// Of which poll a replica is, and who is to run it.
    replicas: BTreeMap<TaskId, (TaskId, NodeId)>,
    next: u32,
    /// What is of no use once a task has ended, by the number under which that is followed.
    dependent: BTreeMap<u32, Dependent>,
    /// The same, to be found.
    depends: BTreeSet<Dependent>,
    /// Have their places, and are begun when what is under way is done: a frame brings more than one.
    opening: BTreeMap<TaskId, u32>,
    /// Begun when one of those that have a place is over, in their order.
    waiting: BTreeMap<u64, (TaskId, u32)>,
    /// The same, to be found: one that is over before it was begun must not be begun after all.
    turns: BTreeMap<TaskId, u64>,
    turn: u64,
    /// What is done between two items, and not in the middle of one.
    todo: VecDeque<Todo>,
    busy: bool,
}

#[derive(Debug)]
enum Todo {
    Open(TaskId, u32),
    Answer(Answer),
    /// What its executor itself says came of a replica.
    Word(TaskId, Arc<Outcome>),
    /// It is followed no more.
    Leave(u32),
    /// Nor need it go on.
    Cancel(u32, TaskId),
    Follow(u32, TaskId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dependent {
    /// A replica driven here, whose member is away: who asked for it may have died since.
    Replica(TaskId),
    /// A poll that takes long: its task may have ended while nobody could say so here.
    Poll(TaskId),
}

#[derive(Debug)]
struct Poll {
    attempt: u32,
    begun: Mono,
    spec: Box<Spec>,
    /// Digest of what it has them run.
    work: Digest,
    /// How many are to say something.
    size: usize,
    replicas: Vec<Replica>,
    /// There are fewer able members than are to be asked.
    lacking: bool,
    /// When one more was last asked beside those that take long.
    widened: Option<Mono>,
}

#[derive(Debug)]
struct Replica {
    node: NodeId,
    /// As it was asked for last.
    task: TaskId,
    number: u32,
    since: Mono,
    state: State,
    /// Since when it could be placed and is not. Nothing once it is.
    unplaced: Option<Mono>,
    /// As it was asked for before: nothing came of these yet.
    before: Vec<TaskId>,
}

#[derive(Debug)]
enum State {
    Asked,
    /// It was not taken, and is submitted again then.
    Refused(Mono),
    Said(Sealed, Arc<Outcome>),
    /// It came to an end without one, or takes too long. Nobody else takes its place: only its own word is proof that it had
    /// nothing to say. Should that come yet, it counts.
    Absent,
    /// It is gone, and another is asked in its place, as long as it is.
    Gone,
}

impl Polls {
    /// Whether an attempt of it is polled here, or waits for its place.
    pub fn has(&self, task: &TaskId) -> bool {
        self.open.contains_key(task) || self.opening.contains_key(task) || self.turns.contains_key(task)
    }

    pub fn tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.open.keys()
    }

    pub fn count(&self) -> usize {
        self.open.len() + self.opening.len() + self.waiting.len()
    }

    /// Whether it is a poll's, and not a user's.
    pub fn takes(&mut self, answer: &Answer) -> bool {
        let is_polls = answer.to().request == Waiter::POLLS;
        if is_polls {
            self.todo.push_back(Todo::Answer(answer.clone()));
        }
        is_polls
    }

    /// What a member says came of a task, if that is its replica of one that is polled here. Whether it is.
    pub fn hears(&mut self, from: &NodeId, task: &TaskId, outcome: &Arc<Outcome>) -> bool {
        let is_polls = self.replicas.get(task).is_some_and(|(_, node)| node == from);
        if is_polls {
            self.todo.push_back(Todo::Word(*task, Arc::clone(outcome)));
        }
        is_polls
    }

    /// An attempt of a task for several executors is to begin.
    pub fn open(&mut self, task: TaskId, attempt: u32) {
        self.turn += 1;
        self.waiting.insert(self.turn, (task, attempt));
        self.turns.insert(task, self.turn);
        self.admit();
    }

    /// Places that are free are those of whoever has waited longest.
    fn admit(&mut self) {
        while self.open.len() + self.opening.len() < OPEN
            && let Some((_, (task, attempt))) = self.waiting.pop_first()
        {
            self.turns.remove(&task);
            self.opening.insert(task, attempt);
            self.todo.push_back(Todo::Open(task, attempt));
        }
    }

    /// What a word on the task is for, if it is for what depends on it.
    fn no_more(&mut self, answer: &Answer) -> Option<Dependent> {
        let is_end = matches!(answer, Answer::Ended { .. } | Answer::Missing { .. });
        let dependent = if is_end { self.dependent.remove(&answer.to().index) } else { None };
        if let Some(dependent) = &dependent {
            self.depends.remove(dependent);
        }
        dependent
    }

    /// It is of no use any more, or has its result; or it was never begun, and will not be.
    pub fn close(&mut self, task: &TaskId) {
        if let Some(turn) = self.turns.remove(task) {
            self.waiting.remove(&turn);
        }
        self.opening.remove(task);
        let poll = self.open.remove(task);
        for replica in poll.into_iter().flat_map(|poll| poll.replicas) {
            self.let_go(&replica);
        }
        self.admit();
    }

    /// The member that is to run this replica of that task is away.
    pub fn forsake(&mut self, replica: TaskId, of: TaskId) {
        self.depend(Dependent::Replica(replica), of);
    }

    fn depend(&mut self, dependent: Dependent, of: TaskId) {
        if self.depends.insert(dependent) {
            self.dependent.insert(self.next, dependent);
            self.todo.push_back(Todo::Follow(self.next, of));
            self.next = self.next.wrapping_add(1);
        }
    }

    /// What came of it does not matter any more.
    fn let_go(&mut self, replica: &Replica) {
        for task in replica.before.iter().chain([&replica.task]) {
            self.replicas.remove(task);
        }
        if self.asked.remove(&replica.number).is_some() {
            self.todo.push_back(match replica.state {
                // It has been run, and its record is about to say so.
                State::Said(..) => Todo::Leave(replica.number),
                _ => Todo::Cancel(replica.number, replica.task),
            });
        }
    }

    fn take(&mut self) -> Option<Todo> {
        let todo = if self.busy { None } else { self.todo.pop_front() };
        self.busy |= todo.is_some();
        todo
    }
}

impl Poll {
    fn new(attempt: u32, begun: Mono, spec: Box<Spec>) -> Self {
        let (size, work) = (usize::from(spec.redundancy), spec.work());
        Self { attempt, begun, size, spec, work, replicas: Vec::new(), lacking: false, widened: None }
    }

    fn said(&self) -> impl Iterator<Item = (&Sealed, &Arc<Outcome>)> {
        self.replicas.iter().filter_map(|replica| match &replica.state {
            State::Said(sealed, outcome) => Some((sealed, outcome)),
            State::Asked | State::Refused(_) | State::Absent | State::Gone => None,
        })
    }

    /// Who is asked, and not gone.
    fn asked(&self) -> usize {
        self.replicas.iter().filter(|replica| !matches!(replica.state, State::Gone)).count()
    }

    /// Who may yet say something.
    fn is_waiting(&self) -> bool {
        self.replicas.iter().any(|replica| matches!(replica.state, State::Asked | State::Refused(_)))
    }

    /// What a replica may take that nobody queues behind.
    fn limit(&self) -> Duration {
        Duration::from_millis(self.spec.time_limit_ms).saturating_add(LATE)
    }

    fn replica(&mut self, node: &NodeId) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.node == *node)
    }
}

impl Tasks {
    /// Of a task for several executors that is polled here: who was asked, and how far each is.
    pub fn replicas_of(&self, task: &TaskId) -> Vec<(NodeId, TaskId, &'static str)> {
        let replicas = self.polls.open.get(task).into_iter().flat_map(|poll| &poll.replicas);
        let standing = |state: &State| match state {
            State::Asked => "asked",
            State::Refused(_) => "has no room",
            State::Said(..) => "has said what came of it",
            State::Absent => "says nothing",
            State::Gone => "is gone",
        };
        replicas.map(|replica| (replica.node, replica.task, standing(&replica.state))).collect()
    }

    /// Does what has come up for polls, as long as there is something.
    pub(crate) fn poll_some(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(todo) = self.polls.take() else { return false };
        match todo {
            Todo::Open(task, attempt) => self.begin_poll(cx, task, attempt),
            Todo::Answer(answer) => match self.polls.no_more(&answer) {
                Some(Dependent::Replica(replica)) => self.end(cx, replica, How::Cancelled, None, None),
                Some(Dependent::Poll(task)) => {
                    if let Some(attempt) = self.polls.open.get(&task).map(|poll| poll.attempt) {
                        self.on_settled(cx, task, attempt);
                        // Whatever became of the attempt that it was begun for, nobody wants it any more.
                        self.polls.close(&task);
                        self.timers.clear(task, Kind::Poll);
                    }
                }
                None => self.replica_answered(cx, &answer),
            },
            Todo::Follow(number, of) => self.follow(cx, Waiter { request: Waiter::POLLS, index: number }, of),
            Todo::Word(replica, outcome) => self.replica_reported(cx, &replica, &outcome),
            Todo::Leave(number) => self.leave_one(Waiter { request: Waiter::POLLS, index: number }),
            Todo::Cancel(number, replica) => {
                let waiter = Waiter { request: Waiter::POLLS, index: number };
                self.leave_one(waiter);
                self.cancel(cx, waiter, replica);
            }
        }
        self.polls.busy = false;
        true
    }

    fn begin_poll(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) {
        // It was closed meanwhile, and its place is another's already.
        if self.polls.opening.get(&task) != Some(&attempt) {
            return;
        }
        self.polls.opening.remove(&task);
        let Some(spec) = self.executor.spec_to_poll(&task, attempt) else {
            // It was over before its turn came: the place is the next one's.
            self.polls.admit();
            return;
        };
        self.counters.polls += 1;
        self.polls.open.insert(task, Poll::new(attempt, cx.now.mono, Box::new(spec)));
        self.timers.set(task, Kind::Poll, cx.now.mono + LOOK);
        self.ask_replicas(cx, task);
    }

    /// The members that may yet be asked, in their order.
    fn others_for(&self, task: &TaskId, poll: &Poll) -> impl Iterator<Item = NodeId> {
        // Who was gone and is back is asked again: its replica is there still, or what came of it.
        let is_new = |one: &Drawn| {
            poll.replicas.iter().all(|replica| replica.node != one.node || matches!(replica.state, State::Gone))
        };
        let order = draw(task, &poll.spec.requirements, drawable(&self.roster));
        order.into_iter().filter(move |one| one.able && one.connected && is_new(one)).map(|one| one.node)
    }

    /// Draws as many as are still to be asked.
    fn ask_replicas(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(poll) = self.polls.open.get(&task) else { return };
        let missing = poll.size.saturating_sub(poll.asked());
        let others = self.others_for(&task, poll);
        let drawn: Vec<NodeId> = others.take(missing.min(limits::REPLICAS.saturating_sub(poll.asked()))).collect();
        let (is_lacking, size) = (drawn.len() < missing, poll.size);
        for node in drawn {
            let Some(poll) = self.polls.open.get_mut(&task) else { return };
            let before = poll.replica(&node).map_or(0, |replica| replica.times_before());
            let spec = replica_of(&poll.spec, &task, (node, before), cx.now.wall);
            let number = match poll.replica(&node) {
                Some(replica) => {
                    (replica.state, replica.since) = (State::Asked, cx.now.mono);
                    replica.unplaced = Some(cx.now.mono);
                    replica.number
                }
                None => {
                    let number = self.polls.next;
                    self.polls.next = self.polls.next.wrapping_add(1);
                    let (replica, state, since) = (spec.id(&self.network), State::Asked, cx.now.mono);
                    let (unplaced, before) = (Some(since), Vec::new());
                    poll.replicas.push(Replica { node, task: replica, number, since, state, unplaced, before });
                    self.polls.asked.insert(number, (task, node));
                    self.polls.replicas.insert(replica, (task, node));
                    self.counters.replicas += 1;
                    number
                }
            };
            self.submit(cx, Waiter { request: Waiter::POLLS, index: number }, encoded(&spec), true);
        }
        let Some(poll) = self.polls.open.get_mut(&task) else { return };
        if std::mem::replace(&mut poll.lacking, is_lacking) != is_lacking && is_lacking {
            let there = poll.asked();
            let why = format!("{size} members are to run it, and {there} are able and in reach");
            self.tell(cx.now, task, Event::Lacked { why });
        }
    }

    fn replica_answered(&mut self, cx: &mut Context<'_>, answer: &Answer) {
        let Some((task, node)) = self.polls.asked.get(&answer.to().index).copied() else { return };
        let state = match answer {
            Answer::Placed { .. } => return self.polls.placed(&task, &node),
            Answer::CancelAsked { .. } => return,
            Answer::Refused {
                why: why @ (Refusal::Busy { retry_ms } | Refusal::Unavailable { retry_ms, .. }), ..
            } => {
                if matches!(why, Refusal::Busy { .. }) {
                    self.polls.has_no_room(&task, &node, cx.now.mono);
                }
                State::Refused(cx.now.mono + Duration::from_millis(u64::from(*retry_ms)))
            }
            // Somebody has submitted another in its name. If that runs the same it is as good.
            Answer::Refused { to, task: Some(replica), why: Refusal::Conflict } => {
                self.polls.placed(&task, &node);
                return self.follow(cx, *to, *replica);
            }
            Answer::Refused { .. } | Answer::Missing { .. } => State::Absent,
            Answer::Ended { register, .. } => {
                let outcome = register.ending().and_then(|ending| ending.outcome.as_ref());
                match outcome.and_then(|outcome| Some((self.sealed_by(&task, node, outcome)?, outcome))) {
                    Some((sealed, outcome)) => State::Said(sealed, Arc::new(outcome.clone())),
                    None => State::Absent,
                }
            }
        };
        if matches!(state, State::Said(..) | State::Absent) {
            self.polls.asked.remove(&answer.to().index);
        }
        self.note_replica(cx, task, node, state);
    }

    /// Its executor says so itself: that is as good as the record, of which those that drive it may make what they like.
    fn replica_reported(&mut self, cx: &mut Context<'_>, replica: &TaskId, outcome: &Arc<Outcome>) {
        let Some((task, node)) = self.polls.replicas.get(replica).copied() else { return };
        if let Some(sealed) = self.sealed_by(&task, node, outcome) {
            self.polls.said_of(&task, &node, replica);
            self.note_replica(cx, task, node, State::Said(sealed, Arc::clone(outcome)));
        }
    }

    fn note_replica(&mut self, cx: &mut Context<'_>, task: TaskId, node: NodeId, state: State) {
        let Some(poll) = self.polls.open.get_mut(&task) else { return };
        let Some(replica) = poll.replica(&node) else { return };
        // Whatever its record says, or its executor once more.
        if matches!(replica.state, State::Said(..)) {
            return;
        }
        replica.state = state;
        // One that was gone and has come to an end all the same is one more.
        poll.size = poll.size.max(poll.asked());
        self.count_replicas(cx, task);
    }

    /// Whether that is what the member says came of its replica: its seal is proof, whoever shows it.
    fn sealed_by(&self, task: &TaskId, node: NodeId, outcome: &Outcome) -> Option<Sealed> {
        let work = self.polls.open.get(task)?.work;
        outcome.sealed(&self.network, &Sealable { task: *task, work }, node)
    }

    /// Ends the poll if most say the same; else asks more.
    fn count_replicas(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(poll) = self.polls.open.get_mut(&task) else { return };
        if let Some((result, most)) = tally(poll.said().map(|(sealed, _)| sealed))
            && most * 2 > poll.size
        {
            let winner = poll.said().find(|(sealed, _)| sealed.result == result);
            let outcome = winner.map(|(_, outcome)| Outcome::clone(outcome));
            let outcome = outcome.unwrap_or_else(|| Outcome::failed(FailureKind::NoMajority, "no outcome"));
            return self.end_poll(cx, task, outcome);
        }
        // All have spoken that will, and not enough of them agree.
        if !poll.is_waiting() && poll.asked() >= poll.size && poll.size < limits::REPLICAS {
            poll.size += 1;
        }
        self.ask_replicas(cx, task);
        let Some(poll) = self.polls.open.get(&task) else { return };
        let (asked, said, wanted) = (poll.asked(), poll.said().count(), usize::from(poll.spec.redundancy));
        let most = tally(poll.said().map(|(sealed, _)| sealed)).map_or(0, |(_, most)| most);
        if !poll.is_waiting() && asked >= wanted && poll.lacking {
            // That somebody has nothing to say nobody else can prove: who polls is not believed it, and others try.
            let kind = if is_none(most, said, wanted) { FailureKind::NoMajority } else { FailureKind::Lost };
            let text = format!(
                "of {asked} executors {said} said what came of it, no majority the same, and there is nobody else"
            );
            self.counters.polls_undecided += 1;
            self.end_poll(cx, task, Outcome::failed(kind, text));
        }
    }

    fn end_poll(&mut self, cx: &mut Context<'_>, task: TaskId, outcome: Outcome) {
        let Some(poll) = self.polls.open.get(&task) else { return };
        let result = outcome.result();
        let mut said: Vec<Sealed> = poll.said().map(|(sealed, _)| *sealed).collect();
        said.sort_by_key(|sealed| sealed.result != result);
        let asked = poll.size.min(limits::REPLICAS) as u8;
        // Nobody signs for it: each says what it likes, and one that says all there is must not end this node.
        let spent = poll.said().map(|(_, outcome)| outcome.cpu_us).fold(0, u64::saturating_add);
        let attempt = poll.attempt;
        self.polls.close(&task);
        let outcome = Outcome { seal: None, count: Some(Count { asked, said }), cpu_us: spent, ..outcome };
        self.executed(cx, task, attempt, Arc::new(outcome));
    }

    /// Members that are gone are replaced, and those that take too long are waited for no more.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(poll) = self.polls.open.get_mut(&task) else { return };
        self.timers.set(task, Kind::Poll, cx.now.mono + LOOK);
        if cx.now.mono.since(poll.begun) > LONG {
            self.polls.depend(Dependent::Poll(task), task);
            let again = cx.now.mono + LONG;
            if self.timers.due(&task, Kind::Follow).is_some_and(|due| due > again) {
                self.timers.set(task, Kind::Follow, again);
            }
        }
        self.ask_some_again(cx, task);
        let Some(poll) = self.polls.open.get_mut(&task) else { return };
        let limit = poll.limit();
        let is_late = |replica: &Replica| {
            // By its own word.
            let queues = self.roster.seat(&replica.node).is_some_and(|seat| seat.load.queued > 0);
            let limit = if queues { limit.saturating_mul(PATIENCE) } else { limit };
            cx.now.mono.since(replica.since) > limit
        };
        // One that has it no more, or drains, gives it back, and its replica waits.
        let is_lost = |node: &NodeId| {
            let has = |seat: &Seat| capability::rate(&poll.spec.requirements, &seat.capabilities).is_ok();
            self.roster.is_silent(node) || self.roster.drains(node) || !self.roster.seat(node).is_some_and(has)
        };
        let (mut given_up, mut again) = (Vec::new(), Vec::new());
        for replica in &mut poll.replicas {
            match replica.state {
                State::Asked | State::Refused(_) if is_lost(&replica.node) => {
                    replica.state = State::Gone;
                    self.counters.replicas_lost += 1;
                }
                State::Asked | State::Refused(_) if is_late(replica) => {
                    replica.state = State::Absent;
                    given_up.push((replica.number, replica.task));
                }
                State::Refused(at) if at <= cx.now.mono => {
                    replica.state = State::Asked;
                    again.push((replica.number, replica.node, replica.times_before()));
                }
                State::Asked | State::Refused(_) | State::Said(..) | State::Absent | State::Gone => {}
            }
        }
        let specs = again
            .into_iter()
            .map(|(number, node, before)| (number, replica_of(&poll.spec, &task, (node, before), cx.now.wall)));
        let specs: Vec<(u32, Spec)> = specs.collect();
        for (number, replica) in given_up {
            self.polls.asked.remove(&number);
            self.polls.todo.push_back(Todo::Cancel(number, replica));
        }
        for (number, spec) in specs {
            self.submit(cx, Waiter { request: Waiter::POLLS, index: number }, encoded(&spec), true);
        }
        self.ask_beside(cx.now.mono, &task, limit);
        self.count_replicas(cx, task);
    }

    /// Whether a result may be accepted: of a task for several executors, if they were counted rightly. Who dissents from
    /// what is accepted has done its part badly.
    pub(crate) fn judge_count(&mut self, task: &TaskId, encoded: &Octets, outcome: &Outcome) -> Result<(), CountError> {
        if !Spec::may_be_redundant(encoded) {
            return Ok(());
        }
        let Some(spec) = Spec::decode(encoded).ok().filter(|spec| spec.redundancy > 1) else { return Ok(()) };
        if outcome.is_of_the_node() {
            return Ok(());
        }
        verify(&self.network, task, &spec, outcome, drawable(&self.roster))?;
        let result = outcome.result();
        for one in outcome.count.iter().flat_map(|count| &count.said).filter(|one| one.result != result) {
            self.counters.dissents += 1;
            self.roster.performed(&one.node, false);
        }
        Ok(())
    }
}

fn encoded(spec: &Spec) -> Octets {
    codec::encode(spec).into()
}

#[cfg(test)]
mod tests;
