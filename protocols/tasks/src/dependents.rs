//! Tasks that start after others: granted when all of these have ended well, cancelled when one has not.

use crate::{
    driver::Driver, effect::Context, follow::Following, quorum, reign::Reign, story::Event, tasks::Tasks, timers::Kind,
};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ending, FailureKind, Holder, How, Outcome, Register, Spec, State, Status},
    time::Mono,
};
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

/// What a driver in office knows of the tasks that its own is to start after. It is on no disk: an end is written once, so
/// whoever takes over asks again and is told the same.
#[derive(Debug, Default)]
pub struct Awaiting {
    /// Not known to have ended.
    pub(crate) open: BTreeSet<TaskId>,
    /// Known to have ended well, and still needed.
    pub(crate) known: BTreeSet<TaskId>,
    /// Why it will never start.
    pub(crate) lost: Option<String>,
}

/// Tasks that wait for the end of another, and when each gives up where nobody knows that one.
#[derive(Debug, Default)]
pub struct Dependents {
    until: BTreeMap<TaskId, Mono>,
    by_time: BTreeSet<(Mono, TaskId)>,
}

impl Dependents {
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// The time of one that waits already stays.
    pub fn insert(&mut self, task: TaskId, until: Mono) {
        if let Entry::Vacant(place) = self.until.entry(task) {
            place.insert(until);
            self.by_time.insert((until, task));
        }
    }

    pub fn remove(&mut self, task: &TaskId) {
        if let Some(until) = self.until.remove(task) {
            self.by_time.remove(&(until, *task));
        }
    }

    pub fn into_tasks(self) -> impl Iterator<Item = TaskId> {
        self.until.into_keys()
    }

    /// Those whose time is over, and no others are looked at.
    fn take_late(&mut self, now: Mono) -> Vec<TaskId> {
        let mut late = Vec::new();
        while let Some((_, task)) = self.by_time.first().copied().filter(|(until, _)| *until <= now) {
            self.remove(&task);
            late.push(task);
        }
        late
    }
}

impl Tasks {
    /// It was born to nobody: since it is to start after others, or since nobody was able to run it.
    pub(crate) fn begin_waiting(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let after = Spec::decode(&copy.birth.spec).map(|spec| spec.after).unwrap_or_default();
        if after.is_empty() {
            return self.seek(cx, task);
        }
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        if reign.awaiting.is_some() {
            return;
        }
        let open: BTreeSet<TaskId> = after.iter().map(|dependency| dependency.task).collect();
        reign.awaiting = Some(Box::new(Awaiting { open: open.clone(), ..Awaiting::default() }));
        self.counters.awaited += 1;
        self.tell(cx.now, task, Event::Awaits { text: named(&open) });
        self.hold_office(cx, task);
        for dependency in open {
            self.follow_for(cx, task, dependency);
        }
    }

    /// As for a user, but whoever waits is a task that is driven here.
    pub(crate) fn follow_for(&mut self, cx: &mut Context<'_>, task: TaskId, dependency: TaskId) {
        let is_asked = self.gateway.following.contains_key(&dependency);
        let until = self.given_up_at(cx, &task);
        let following = self.gateway.following.entry(dependency).or_default();
        following.dependents.insert(task, until);
        if !is_asked {
            self.ask_holders(cx, dependency);
        }
    }

    /// The tasks for whose end one that this node drives still waits.
    pub fn awaited_by(&self, task: &TaskId) -> Vec<TaskId> {
        let is_live = self.shelf.is_live(task);
        match self.drivers.get(task).and_then(Driver::reign).filter(|_| is_live) {
            Some(Reign { awaiting: Some(awaiting), .. }) => awaiting.open.iter().copied().collect(),
            Some(Reign { awaiting: None, .. }) | None => Vec::new(),
        }
    }

    /// How it ended is known, to all that wait for it here.
    pub(crate) fn dependency_ended(
        &mut self,
        cx: &mut Context<'_>,
        dependency: TaskId,
        register: &Register,
        dependents: Dependents,
    ) {
        let Some(ending) = register.ending() else { return };
        let lost = (ending.how != How::Done).then(|| cause(&dependency, ending));
        let noted = dependents.into_tasks().filter(|task| self.note_input(cx, *task, dependency, lost.clone()));
        let needed_by: BTreeSet<TaskId> = noted.collect();
        if lost.is_none() {
            self.need(cx, dependency, register, needed_by);
        }
    }

    /// Nobody knows it, and that for long enough.
    pub(crate) fn dependency_absent(&mut self, cx: &mut Context<'_>, task: TaskId, dependency: TaskId) {
        let why =
            format!("task {dependency} is not known: it was never submitted, or has been forgotten since it ended");
        self.note_input(cx, task, dependency, Some(why));
    }

    /// What follows is done by a timer, some in each turn: any number may wait for the same. Whether the task waits for it, or
    /// needs it.
    fn note_input(&mut self, cx: &mut Context<'_>, task: TaskId, dependency: TaskId, lost: Option<String>) -> bool {
        let reign = self.drivers.get_mut(&task).and_then(Driver::reign_mut);
        let Some(Reign { awaiting: Some(awaiting), .. }) = reign else {
            return false;
        };
        let was_open = awaiting.open.remove(&dependency);
        let was_known = awaiting.known.remove(&dependency);
        if !was_open && !was_known {
            return false;
        }
        let is_news = was_open || lost.is_some();
        if lost.is_none() {
            awaiting.known.insert(dependency);
        }
        if awaiting.lost.is_none() {
            awaiting.lost = lost;
        }
        if is_news && (awaiting.open.is_empty() || awaiting.lost.is_some()) {
            self.timers.set(task, Kind::Inputs, cx.now.mono);
        }
        true
    }

    /// All that it waited for has ended well, or one of them has not.
    pub(crate) fn inputs_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let is_waiting = copy.register.state == State::Waiting;
        let reign = self.drivers.get(&task).and_then(Driver::reign);
        let Some(Reign { awaiting: Some(awaiting), pausing, .. }) = reign else {
            return;
        };
        match awaiting.lost.clone() {
            // What runs may have had it in time.
            Some(_) if !is_waiting && pausing.is_none() => {}
            Some(why) => {
                self.counters.inputs_lost += 1;
                let outcome = Outcome::failed(FailureKind::Dependency, why);
                self.end(cx, task, How::Cancelled, None, Some(outcome));
            }
            None if is_waiting && awaiting.open.is_empty() => {
                self.counters.inputs_came += 1;
                self.tell(cx.now, task, Event::InputsCame);
                self.seek(cx, task);
            }
            None => {}
        }
    }

    /// A holder of what is waited for can be reached again: it may have said how it ended meanwhile.
    pub(crate) fn followed_back(&mut self, cx: &mut Context<'_>, dependency: TaskId) {
        if self.gateway.following.get(&dependency).is_some_and(|following| !following.dependents.is_empty()) {
            self.timers.set(dependency, Kind::Follow, cx.now.mono + self.config.settle_after);
        }
    }

    /// Nobody in reach knows it. It is given up for good, unlike by a user, who asks again: so not before so many of all members
    /// have said so that a majority of its copies cannot be with the others: the mesh may have grown since it was placed
    /// (simulator, seed 126), and lost a disk of it (seed 92). Nor while one is away and not yet taken for lost: it may know members
    /// that hold it and of whom nobody here has heard (seed 401467).
    pub(crate) fn await_its_coming(&mut self, cx: &mut Context<'_>, dependency: TaskId, following: Following) {
        let knows_nothing = |node: &NodeId| *node == self.me.node || following.unknown.contains(node);
        let members = || self.roster.iter().filter(|(_, seat)| seat.keeps);
        let heard = members().filter(|(node, _)| knows_nothing(node)).count();
        let is_lost =
            |node: NodeId, store| self.roster.is_lost(&Holder { node, store }, cx.now.mono, self.config.repair_delay);
        let may_be_away = heard < quorum::nothing_left(members().count(), self.config.copies)
            || members().any(|(node, seat)| !knows_nothing(node) && !is_lost(*node, seat.store));
        let may_be = may_be_away || self.gateway.home_of(&dependency).is_some();
        let mut waiting = following.dependents;
        let late = if may_be { Vec::new() } else { waiting.take_late(cx.now.mono) };
        late.into_iter().for_each(|task| self.dependency_absent(cx, task, dependency));
        if !waiting.is_empty() {
            let following = Following { dependents: waiting, ..Following::default() };
            self.gateway.following.insert(dependency, following);
            self.timers.set(dependency, Kind::Follow, cx.now.mono + self.config.settle_after * 2);
        }
    }

    /// What a task is to start after may come a little later than it. By its own date first: drivers that take each other's
    /// place in less than that time would never come to an end (simulator, seed 41). But each waits for a moment, whatever its
    /// clock says: it may have yet to hear of the members that hold it.
    fn given_up_at(&self, cx: &Context<'_>, task: &TaskId) -> Mono {
        let patience = self.config.absent_after;
        let age = self.shelf.copy(task).map_or(patience, |copy| cx.now.wall.since(copy.birth.placed));
        cx.now.mono + patience.saturating_sub(age).max(patience / 4)
    }
}

/// What became of it; or where it never started either, what became of that for which it did not.
fn cause(task: &TaskId, ending: &Ending) -> String {
    let status = ending.outcome.as_ref().map(|outcome| &outcome.status);
    let how = match ending.how {
        How::Done => "ended well",
        How::Failed => "failed",
        How::Cancelled => "was cancelled",
        How::DeadlinePassed => "passed its deadline",
    };
    match status {
        Some(Status::Failed(failure)) if failure.kind == FailureKind::Dependency => failure.message.clone(),
        Some(Status::Failed(failure)) => format!("task {task} {how}: {}", failure.message),
        Some(Status::Exit(code)) => format!("task {task} {how}: exit code {code}"),
        Some(Status::Signal(signal)) => format!("task {task} {how}: killed by signal {signal}"),
        None => format!("task {task} {how}"),
    }
}

/// The first of them by their ids, and how many there are.
fn named(tasks: &BTreeSet<TaskId>) -> String {
    let names: Vec<String> = tasks.iter().take(NAMED).map(TaskId::to_string).collect();
    match tasks.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Tasks that a line of a story names.
const NAMED: usize = 4;
