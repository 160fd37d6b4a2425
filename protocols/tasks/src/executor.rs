//! The executor: attempts granted to this node, in its queue, in its slots, in its outbox.

use crate::{
    Fact, Kept,
    balance::Burden,
    capability,
    effect::{Context, Effect},
    outfit::Outfit,
    poll::Polls,
    queue::{Class, Lane, Queue, Turn},
    stealing::may_move,
    story::Event,
    tasks::Tasks,
    timers::Kind,
    view::Waiting,
};
use mesh_proto::{
    capability::{Capabilities, Name},
    id::{LogPosition, NodeId, TaskId},
    task::{Attempt, Birth, Item, OnIsolation, Outcome, Priority, Program, Spec, Strategy},
    time::Mono,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What is queued and what runs. Soft: after a restart nothing runs, and drivers that ask are told so.
#[derive(Debug, Default)]
pub struct Executor {
    pub(crate) attempts: BTreeMap<TaskId, Run>,
    queue: Queue,
    next: u64,
    /// Executions that hold a slot.
    running: u32,
    /// Of these, those that workers of a kind have.
    attended: BTreeMap<Name, u32>,
    pub(crate) outfit: Outfit,
    /// How many were begun out of the queue.
    turn: u32,
    /// How long one holds its slot, by those that ended lately.
    pace: Option<Duration>,
    /// Results that home members said they know nothing of.
    pub(crate) unknown: BTreeMap<TaskId, BTreeSet<NodeId>>,
    /// Who was sent a result since it was last offered to everybody: holders that each take the other for the driver
    /// must not send it around in circles.
    pub(crate) offered: BTreeMap<TaskId, BTreeSet<NodeId>>,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) attempt: u32,
    pub(crate) birth: Arc<Birth>,
    pub(crate) driver: NodeId,
    pub(crate) place: Place,
    lane: Lane,
    /// What it asks of whoever runs it, if it may run elsewhere at all.
    class: Option<Arc<Class>>,
    pub(crate) on_isolation: OnIsolation,
    /// The count of this node's outfits at which it was found able; `None` where nothing is asked.
    pub(crate) found_able: Option<u32>,
    /// When it got its slot.
    begun: Mono,
    /// What was known when it was granted: a start rests on no later fact, and waits for none.
    after: LogPosition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Queued(Turn),
    /// Ends at once, or nearly: holds no slot.
    Instant,
    Running(Priority),
    /// Was in the queue, and is not begun until its driver has said whether it goes to another.
    Retracted(Turn),
    /// Holds no slot any more; what came of it is held back for others to join it.
    Ended,
    /// Was ended here before it ended itself. A grant that comes late, or that its driver repeats, must not begin it once more:
    /// what is still to come of the first would pass for the second's, and its slot (simulator, seed 177).
    Stopped,
}

impl Executor {
    pub fn running(&self) -> u32 {
        self.running
    }

    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Executions, and what waits for a slot.
    pub(crate) fn burden(&self) -> u32 {
        self.running.saturating_add(u32::try_from(self.queue.len()).unwrap_or(u32::MAX))
    }

    /// With the slots that they have.
    pub(crate) fn burden_of(&self, slots: u32) -> Burden {
        Burden { slots, attempts: self.burden() }
    }

    /// How many of the queue may go: half of it, and not what will have a slot sooner here than it would elsewhere.
    pub(crate) fn spare(&self, slots: u32) -> usize {
        let pace = self.pace.unwrap_or(MOVE).max(Duration::from_micros(1));
        let soon = MOVE.as_micros() / pace.as_micros() * u128::from(slots);
        let soon = if pace >= MOVE { 0 } else { usize::try_from(soon).unwrap_or(usize::MAX) };
        self.queue.len().div_ceil(2).min(self.queue.len().saturating_sub(soon))
    }

    /// How many it has begun by that long from now, if they are as those of late; before anything is known of these as many as it
    /// has slots.
    pub(crate) fn ahead(&self, slots: u32, time: Duration, most: u32) -> u32 {
        let pace = self.pace.unwrap_or(time).max(Duration::from_micros(1));
        let rounds = u32::try_from(time.as_micros() / pace.as_micros()).unwrap_or(u32::MAX);
        slots.saturating_mul(rounds.max(1)).min(most.max(slots))
    }

    /// What is to have the next slot: by priority and then in order; now and then whatever waits longest, so that what is
    /// urgent never keeps the rest for ever. What is for a worker waits until there is one that has nothing to do.
    fn next_in_turn(&mut self, own: Option<&Capabilities>) -> Option<(Priority, TaskId)> {
        let attended = &self.attended;
        let is_open = |lane: &Lane| {
            lane.as_ref().is_none_or(|kind| {
                let places = own.map_or(0, |own| capability::places(own, kind));
                attended.get(kind).copied().unwrap_or(0) < places
            })
        };
        let is_turn = self.turn % OLDEST_EACH == OLDEST_EACH - 1;
        let ((Reverse(priority), _), task) = self.queue.pop(is_turn, is_open)?;
        self.turn = self.turn.wrapping_add(1);
        Some((priority, task))
    }

    /// Takes the last so many out of the queue: of the classes that fit, where `goes` says so of one of that lane. Each with its
    /// attempt and its driver.
    pub(crate) fn retract(
        &mut self,
        most: usize,
        fits: impl Fn(&Class) -> bool,
        mut goes: impl FnMut(&Lane) -> bool,
    ) -> Vec<(TaskId, u32, NodeId)> {
        let mut retracted = Vec::new();
        for (class, turn, task) in self.queue.last(most, fits) {
            if retracted.len() >= most {
                break;
            }
            if goes(&class.lane)
                && let Some(run) = self.attempts.get_mut(&task)
            {
                self.queue.remove(&class.lane, &turn);
                run.place = Place::Retracted(turn);
                retracted.push((task, run.attempt, run.driver));
            }
        }
        retracted
    }

    /// It stays: in the queue where it was. Whether it had been retracted.
    pub(crate) fn put_back(&mut self, task: &TaskId, attempt: u32) -> bool {
        let Some(run) = self.attempts.get_mut(task).filter(|run| run.attempt == attempt) else { return false };
        let Place::Retracted(turn) = run.place else { return false };
        run.place = Place::Queued(turn);
        self.queue.insert(&run.lane, turn, *task, run.class.clone());
        true
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = Waiting> + Clone {
        self.attempts.iter().filter_map(|(task, run)| {
            let ((Reverse(priority), _), retracted) = match run.place {
                Place::Queued(turn) => (turn, false),
                Place::Retracted(turn) => (turn, true),
                Place::Instant | Place::Running(_) | Place::Ended | Place::Stopped => return None,
            };
            let for_worker = run.lane.is_some();
            Some(Waiting { task: *task, attempt: run.attempt, priority, for_worker, retracted })
        })
    }

    fn no_more_attended(&mut self, lane: &Lane) {
        if let Some(kind) = lane
            && let Some(count) = self.attended.get_mut(kind)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.attended.remove(kind);
            }
        }
    }

    fn note_pace(&mut self, held: Duration) {
        let held = held.min(Duration::from_secs(3600));
        self.pace = Some(self.pace.map_or(held, |pace| (pace * 7 + held) / 8));
    }

    /// The attempt of a task that is queued or runs here.
    pub fn attempt_of(&self, task: &TaskId) -> Option<u32> {
        self.attempts.get(task).map(|run| run.attempt)
    }

    /// What an attempt here is to have others run. Not one that was ended and is remembered only to be refused: its replicas
    /// would be those of a task that nobody wants, and nobody would end them.
    pub(crate) fn spec_to_poll(&self, task: &TaskId, attempt: u32) -> Option<Spec> {
        let run = self.attempts.get(task).filter(|run| run.attempt == attempt && run.place == Place::Instant)?;
        Spec::decode(&run.birth.spec).ok()
    }

    pub fn is_running(&self, task: &TaskId) -> bool {
        self.attempts.get(task).is_some_and(|run| matches!(run.place, Place::Running(_) | Place::Instant))
    }

    pub(crate) fn has_ended(&self, task: &TaskId) -> bool {
        self.attempts.get(task).is_some_and(|run| run.place == Place::Ended)
    }

    /// Of what is first in the queue.
    pub(crate) fn next_priority(&self) -> Option<Priority> {
        self.queue.priority()
    }
}

/// Of so many that are begun, one is what has waited longest.
const OLDEST_EACH: u32 = 8;

/// So long after it was to end nothing comes of an execution any more.
const WITHDRAWN: Duration = Duration::from_secs(60);

/// What it takes to hand an attempt over, two durable rounds and their way: what has a slot by then stays.
const MOVE: Duration = Duration::from_millis(20);

impl Tasks {
    /// A granted attempt.
    pub(crate) fn on_assign(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        task: TaskId,
        attempt: Attempt,
        birth: Arc<Birth>,
    ) {
        if birth.task != task || attempt.executor != self.me.node {
            self.counters.stale_items += 1;
            return;
        }
        if self.answer_for(cx, from, task, attempt.number) {
            return;
        }
        self.enqueue(cx, birth, attempt.number, from);
    }

    /// The driver wants to know: whatever there is, is said. Who has been up since long before the attempt was granted
    /// has not lost it.
    pub(crate) fn on_ask(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, attempt: u32, age_ms: u64) {
        if !self.answer_for(cx, from, task, attempt) {
            let was_up = cx.now.mono.since(self.up_since) > Duration::from_millis(age_ms);
            let why = if was_up { "it never came to its executor" } else { "" };
            self.send(from, Item::NotRunning { task, attempt, why: why.into() });
        }
    }

    /// Says what is known of an attempt, if anything is.
    fn answer_for(&mut self, cx: &mut Context<'_>, driver: NodeId, task: TaskId, attempt: u32) -> bool {
        self.release_end_of(cx, &task);
        if let Some(kept) = self.shelf.outbox().get(&(task, attempt)) {
            let outcome = Arc::clone(&kept.outcome);
            self.send(driver, Item::Report { task, attempt, outcome });
            return true;
        }
        // Who asks is answered; what it says of the attempt counts if it may have taken over.
        let may_drive = self.executor.attempts.contains_key(&task) && self.may_settle(&driver, &task);
        match self.executor.attempts.get_mut(&task) {
            Some(run) if run.attempt == attempt && run.place == Place::Stopped => {
                self.send(driver, Item::NotRunning { task, attempt, why: "it was ended on its node".into() });
                true
            }
            Some(run) if run.attempt == attempt => {
                if may_drive {
                    run.driver = driver;
                }
                self.send(driver, Item::Running { task, attempt });
                true
            }
            Some(_) | None => false,
        }
    }

    /// Takes an attempt into the queue, by priority and then in order.
    pub(crate) fn enqueue(&mut self, cx: &mut Context<'_>, birth: Arc<Birth>, attempt: u32, driver: NodeId) {
        let task = birth.task;
        self.release_end_of(cx, &task);
        let Ok(spec) = Spec::decode(&birth.spec) else {
            self.send(driver, Item::NotRunning { task, attempt, why: "its specification cannot be read".into() });
            return;
        };
        // Whoever granted it knows this node as it was, or as somebody else makes it out to be.
        let refused =
            self.drained_for().or_else(|| self.isolated_for(spec.on_isolation)).or_else(|| self.lacks_for(&spec));
        if let Some(why) = refused {
            self.counters.unable += 1;
            self.send(driver, Item::NotRunning { task, attempt, why });
            return;
        }
        let (lane, on_isolation, found_able) =
            (spec.program.places().cloned(), spec.on_isolation, self.outfit_for(&spec));
        if let Some(run) = self.executor.attempts.get(&task) {
            if run.attempt >= attempt {
                return;
            }
            // A later attempt of what is here already: the earlier one is as good.
            let earlier = run.attempt;
            if self.executor.is_running(&task) {
                self.send(
                    driver,
                    Item::NotRunning { task, attempt, why: format!("attempt {earlier} still runs here") },
                );
                return;
            }
            self.remove_attempt(cx, task);
        }
        let is_full = self.executor.queue.len() >= self.config.queue_max
            || self.polls.count() >= self.config.queue_max
            || self.shelf.outbox().len() >= self.config.outbox_max;
        if is_full {
            self.send(driver, Item::NotRunning { task, attempt, why: "its queue is full".into() });
            return;
        }
        self.tell(cx.now, task, Event::Queued { attempt });
        if spec.strategy == Strategy::Auction {
            self.won_arrived(birth.gateway, driver);
        }
        if !needs_slot(&spec) {
            let run = Run {
                attempt,
                birth: Arc::clone(&birth),
                driver,
                place: Place::Instant,
                lane,
                class: None,
                on_isolation,
                found_able,
                begun: cx.now.mono,
                after: cx.position,
            };
            self.executor.attempts.insert(task, run);
            match spec.redundancy {
                1 => self.execute(cx, birth, attempt, cx.position),
                _ => {
                    self.tell(cx.now, task, Event::Started { attempt });
                    self.polls.open(task, attempt);
                }
            }
            return;
        }
        let turn = (Reverse(spec.priority), self.executor.next);
        self.executor.next += 1;
        let class = may_move(&spec).then(|| Arc::new(Class::new(lane.clone(), spec.requirements)));
        self.executor.queue.insert(&lane, turn, task, class.clone());
        let (place, begun, after) = (Place::Queued(turn), cx.now.mono, cx.position);
        let run = Run { attempt, birth, driver, place, lane, class, on_isolation, found_able, begun, after };
        self.executor.attempts.insert(task, run);
        self.arrived();
        self.fill_slots(cx);
        if !self.executor.queue.is_empty() {
            self.crowded(cx.now.mono);
        }
    }

    pub(crate) fn fill_slots(&mut self, cx: &mut Context<'_>) {
        while self.executor.running < self.config.slots && !self.drains() {
            let own = self.roster.seat(&self.me.node).map(|seat| &seat.capabilities);
            let Some((priority, task)) = self.executor.next_in_turn(own) else { break };
            if self.give_back_if_isolated(cx, task) || self.give_back_if_lacking(cx, task) {
                continue;
            }
            let Some(run) = self.executor.attempts.get_mut(&task) else { continue };
            (run.place, run.begun) = (Place::Running(priority), cx.now.mono);
            if let Some(kind) = &run.lane {
                *self.executor.attended.entry(kind.clone()).or_default() += 1;
            }
            let (birth, attempt, after) = (Arc::clone(&run.birth), run.attempt, run.after);
            self.executor.running += 1;
            self.execute(cx, birth, attempt, after);
        }
        if self.executor.queue.len() < self.enough_ahead() / 2 {
            self.look_for_work();
        }
    }

    fn execute(&mut self, cx: &mut Context<'_>, birth: Arc<Birth>, attempt: u32, after: LogPosition) {
        self.counters.executed += 1;
        self.tell(cx.now, birth.task, Event::Started { attempt });
        cx.effects.push(Effect::Execute { birth, attempt, after });
    }

    /// What came of an attempt. Where this node drives the task it goes straight into the record; else it is kept on disk
    /// until the task is settled.
    pub(crate) fn ended(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32, outcome: Arc<Outcome>) {
        if self.executor.attempts.get(&task).is_none_or(|run| run.attempt != attempt) {
            return;
        }
        let Some(run) = self.remove_attempt(cx, task) else { return };
        let was_live = self.shelf.copy(&task).is_none_or(|copy| copy.is_live());
        let drives = matches!(self.drivers.get(&task), Some(crate::driver::Driver::Driving(_)));
        if drives && was_live {
            self.on_report(cx, self.me.node, task, attempt, &outcome);
        } else {
            let holders = match self.shelf.copy(&task) {
                Some(copy) => copy.register.holders.iter().map(|holder| holder.node).collect(),
                None => run.birth.home.iter().map(|holder| holder.node).collect(),
            };
            self.counters.outbox_kept += 1;
            self.persist(cx, Fact::Kept { task, attempt, outcome: Arc::clone(&outcome), holders });
            self.executor.offered.insert(task, BTreeSet::from([run.driver]));
            // Who had a replica run need not take its driver's word for what came of it.
            let polled_by = outcome.seal.map(|_| run.birth.gateway).filter(|node| !drives && *node != run.driver);
            for node in polled_by.into_iter().chain([run.driver]) {
                self.send(node, Item::Report { task, attempt, outcome: Arc::clone(&outcome) });
            }
            self.timers.set(task, Kind::Report, cx.now.mono + self.config.report_again);
        }
    }

    /// The process of an attempt is gone: its slot is given to the next. Returns where it was.
    pub(crate) fn vacate(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) -> Option<Place> {
        let run = self.executor.attempts.get_mut(&task)?;
        if run.attempt != attempt || matches!(run.place, Place::Ended | Place::Stopped) {
            return None;
        }
        let (place, lane) = (std::mem::replace(&mut run.place, Place::Ended), run.lane.clone());
        let held = cx.now.mono.since(run.begun);
        if matches!(place, Place::Running(_)) {
            self.executor.note_pace(held);
        }
        self.tell(cx.now, task, Event::Finished { attempt });
        self.leave_place(cx, place, &lane);
        Some(place)
    }

    /// It is over, and whoever grants it once more is to hear of that.
    pub(crate) fn withdraw(&mut self, cx: &mut Context<'_>, task: TaskId) {
        // Before the slot is given to the next: effects are carried out in their order.
        if self.executor.is_running(&task) && !self.polls.has(&task) {
            cx.effects.push(Effect::Cancel { task, attempt: self.executor.attempt_of(&task).unwrap_or_default() });
        }
        if let Some(run) = self.remove_attempt(cx, task) {
            self.executor.attempts.insert(task, Run { place: Place::Stopped, ..run });
            self.timers.set(task, Kind::Withdrawn, cx.now.mono + WITHDRAWN);
        }
    }

    /// Its process is gone, and so need not be remembered what it was: who settles it may never reach this node.
    pub(crate) fn withdrawn_due(&mut self, task: TaskId) {
        if self.executor.attempts.get(&task).is_some_and(|run| run.place == Place::Stopped) {
            self.executor.attempts.remove(&task);
        }
    }

    /// Takes an attempt out of queue or slot, and starts the next.
    pub(crate) fn remove_attempt(&mut self, cx: &mut Context<'_>, task: TaskId) -> Option<Run> {
        let run = self.executor.attempts.remove(&task)?;
        if run.place == Place::Instant {
            self.polls.close(&task);
            self.timers.clear(task, Kind::Poll);
        }
        self.leave_place(cx, run.place, &run.lane);
        Some(run)
    }

    fn leave_place(&mut self, cx: &mut Context<'_>, place: Place, lane: &Lane) {
        match place {
            Place::Queued(turn) => {
                self.executor.queue.remove(lane, &turn);
            }
            Place::Running(_) => {
                self.executor.no_more_attended(lane);
                self.executor.running = self.executor.running.saturating_sub(1);
                self.fill_slots(cx);
            }
            Place::Instant | Place::Retracted(_) | Place::Ended | Place::Stopped => {}
        }
    }

    /// The task ended: nothing of it is needed here any more.
    pub(crate) fn on_settled(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) {
        self.stop_attempt(cx, task, attempt);
        // Of an attempt that was granted twice the first end may be settled when the second is there: a success counts while the
        // task goes on, as far as is known here. It is offered again, and taken or settled by then (simulator, seed 140). What was
        // counted can be counted again.
        let is_success = |kept: &Kept| kept.outcome.is_success() && kept.outcome.count.is_none();
        let counts = self.shelf.is_live(&task) && self.shelf.outbox().get(&(task, attempt)).is_some_and(is_success);
        if self.shelf.outbox().contains_key(&(task, attempt)) && !counts {
            self.counters.outbox_settled += 1;
            self.executor.unknown.remove(&task);
            self.executor.offered.remove(&task);
            self.persist(cx, Fact::Settled { task, attempt });
        }
    }

    /// Another has it. Where its driver said so too late, and it was put back meanwhile and has ended, that is its end as well
    /// as any other: only the record says when it may be forgotten (simulator, seed 200549).
    pub(crate) fn on_handed(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) {
        self.release_end_of(cx, &task);
        self.stop_attempt(cx, task, attempt);
    }

    fn stop_attempt(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) {
        let is_there = |run: &Run| run.attempt == attempt && run.place != Place::Stopped;
        if self.executor.attempts.get(&task).is_some_and(is_there) {
            match self.executor.is_running(&task) && !self.polls.has(&task) {
                true => self.withdraw(cx, task),
                false => drop(self.remove_attempt(cx, task)),
            }
        }
    }

    /// Another drives it than was thought.
    pub(crate) fn on_driven_by(&mut self, from: NodeId, task: TaskId, driver: NodeId) {
        if let Some(unknown) = self.executor.unknown.get_mut(&task) {
            unknown.remove(&from);
        }
        if self.roster.seat(&driver).is_none() {
            return;
        }
        if let Some(run) = self.executor.attempts.get_mut(&task) {
            run.driver = driver;
        }
        let kept = self.kept(task);
        if kept.is_empty() || !self.executor.offered.entry(task).or_default().insert(driver) {
            return;
        }
        for (attempt, outcome) in kept {
            self.send(driver, Item::Report { task, attempt, outcome });
        }
    }

    /// Gives back what is queued or runs here: the node stops. Where it drives a task as well, the other holders are
    /// told, one of whom will.
    pub fn give_back(&mut self) {
        for (task, run) in std::mem::take(&mut self.executor.attempts) {
            let attempt = run.attempt;
            let told: Vec<NodeId> = match self.shelf.copy(&task) {
                Some(copy) if run.driver == self.me.node => copy.register.holders.iter().map(|h| h.node).collect(),
                _ => vec![run.driver],
            };
            let me = self.me.node;
            for node in told.into_iter().filter(|node| *node != me) {
                self.send(node, Item::NotRunning { task, attempt, why: "its node stops".into() });
            }
        }
        self.executor.queue.clear();
        self.executor.attended.clear();
        self.executor.running = 0;
        self.polls = Polls::default();
    }
}

/// Whether an execution takes a while. What only gives back what the record has ends at once, and what asks others waits for
/// them.
pub(crate) fn needs_slot(spec: &Spec) -> bool {
    let takes_results = || spec.after.iter().any(|dependency| !dependency.takes.is_empty());
    let has_what_it_takes = spec.input.blob().is_none() && !takes_results();
    let is_instant = matches!(spec.program, Program::Echo | Program::Manifest { .. }) && has_what_it_takes;
    !is_instant && spec.redundancy == 1
}
