//! The executor: attempts granted to this node, in its queue, in its slots, in its outbox.

use crate::{
    Fact, capability,
    effect::{Context, Effect},
    quorum,
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    id::{LogPosition, NodeId, TaskId},
    task::{Attempt, Birth, Ending, Item, Outcome, Priority, Program, Register, Spec, Strategy},
    time::Mono,
};
use std::{cmp::Reverse, collections::BTreeMap, collections::BTreeSet, sync::Arc, time::Duration};

/// What is queued and what runs. Soft: after a restart nothing runs, and drivers that ask are told so.
#[derive(Debug, Default)]
pub struct Executor {
    attempts: BTreeMap<TaskId, Run>,
    queue: BTreeMap<(Reverse<Priority>, u64), TaskId>,
    next: u64,
    /// Executions that hold a slot.
    running: u32,
    /// How many were begun out of the queue.
    turn: u32,
    /// How long one holds its slot, by those that ended lately.
    pace: Option<Duration>,
    /// Results that home members said they know nothing of.
    unknown: BTreeMap<TaskId, BTreeSet<NodeId>>,
    /// Who was sent a result since it was last offered to everybody: holders that each take the other for the driver
    /// must not send it around in circles.
    offered: BTreeMap<TaskId, BTreeSet<NodeId>>,
}

#[derive(Debug)]
struct Run {
    attempt: u32,
    birth: Arc<Birth>,
    driver: NodeId,
    place: Place,
    /// When it got its slot.
    begun: Mono,
    /// What was known when it was granted: a start rests on no later fact, and waits for none.
    after: LogPosition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Queued((Reverse<Priority>, u64)),
    /// Ends at once, or nearly: holds no slot.
    Instant,
    Running(Priority),
    /// Was in the queue, and is not begun until its driver has said whether it goes to another.
    Retracted((Reverse<Priority>, u64)),
    /// Holds no slot any more; what came of it is held back for others to join it.
    Ended,
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

    /// How many of the queue may go: half of it, and not what will have a slot sooner here than it would elsewhere.
    pub(crate) fn spare(&self, slots: u32) -> usize {
        let pace = self.pace.unwrap_or(MOVE).max(Duration::from_micros(1));
        let soon = MOVE.as_micros() / pace.as_micros() * u128::from(slots);
        let soon = if pace >= MOVE { 0 } else { usize::try_from(soon).unwrap_or(usize::MAX) };
        self.queue.len().div_ceil(2).min(self.queue.len().saturating_sub(soon))
    }

    /// What is to have the next slot: by priority and then in order; now and then whatever waits longest, so that what is
    /// urgent never keeps the rest for ever.
    fn next_in_turn(&mut self) -> Option<(Priority, TaskId)> {
        let oldest = || {
            let first_of = |priority| self.queue.range((Reverse(priority), 0)..=(Reverse(priority), u64::MAX)).next();
            let firsts = Priority::ALL.into_iter().filter_map(first_of).map(|(place, _)| *place);
            firsts.min_by_key(|(_, number)| *number)
        };
        let is_turn = self.turn % OLDEST_EACH == OLDEST_EACH - 1;
        let chosen = if is_turn { oldest() } else { None };
        let place = chosen.or_else(|| self.queue.first_key_value().map(|(place, _)| *place))?;
        self.turn = self.turn.wrapping_add(1);
        let task = self.queue.remove(&place)?;
        Some((place.0.0, task))
    }

    /// Takes the last so many out of the queue that fit. Each with its attempt and its driver.
    pub(crate) fn retract(&mut self, most: usize, mut fits: impl FnMut(&Birth) -> bool) -> Vec<(TaskId, u32, NodeId)> {
        let looked_at = self.queue.iter().rev().take(most.saturating_mul(4));
        let chosen = looked_at.filter(|(_, task)| self.attempts.get(task).is_some_and(|run| fits(&run.birth)));
        let chosen: Vec<_> = chosen.take(most).map(|(place, task)| (*place, *task)).collect();
        let mut retracted = Vec::with_capacity(chosen.len());
        for (place, task) in chosen {
            self.queue.remove(&place);
            if let Some(run) = self.attempts.get_mut(&task) {
                run.place = Place::Retracted(place);
                retracted.push((task, run.attempt, run.driver));
            }
        }
        retracted
    }

    /// It stays: in the queue where it was. Whether it had been retracted.
    pub(crate) fn put_back(&mut self, task: &TaskId, attempt: u32) -> bool {
        let Some(run) = self.attempts.get_mut(task).filter(|run| run.attempt == attempt) else { return false };
        let Place::Retracted(place) = run.place else { return false };
        run.place = Place::Queued(place);
        self.queue.insert(place, *task);
        true
    }

    fn note_pace(&mut self, held: Duration) {
        let held = held.min(Duration::from_secs(3600));
        self.pace = Some(self.pace.map_or(held, |pace| (pace * 7 + held) / 8));
    }

    /// The attempt of a task that is queued or runs here.
    pub fn attempt_of(&self, task: &TaskId) -> Option<u32> {
        self.attempts.get(task).map(|run| run.attempt)
    }

    pub fn is_running(&self, task: &TaskId) -> bool {
        self.attempts.get(task).is_some_and(|run| matches!(run.place, Place::Running(_) | Place::Instant))
    }

    pub(crate) fn has_ended(&self, task: &TaskId) -> bool {
        self.attempts.get(task).is_some_and(|run| run.place == Place::Ended)
    }

    /// Of what is first in the queue.
    pub(crate) fn next_priority(&self) -> Option<Priority> {
        self.queue.first_key_value().map(|((Reverse(priority), _), _)| *priority)
    }
}

/// Of so many that are begun, one is what has waited longest.
const OLDEST_EACH: u32 = 8;

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
        match self.executor.attempts.get_mut(&task) {
            Some(run) if run.attempt == attempt => {
                run.driver = driver;
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
        let own = self.roster.seat(&self.me.node).map(|seat| &seat.capabilities);
        if let Some(Err(lacked)) = own.map(|own| capability::rate(&spec.requirements, own)) {
            let why = format!("it does not have {lacked}");
            self.counters.unable += 1;
            self.send(driver, Item::NotRunning { task, attempt, why });
            return;
        }
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
        let is_full =
            self.executor.queue.len() >= self.config.queue_max || self.shelf.outbox().len() >= self.config.outbox_max;
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
                begun: cx.now.mono,
                after: cx.position,
            };
            self.executor.attempts.insert(task, run);
            self.execute(cx, birth, attempt, cx.position);
            return;
        }
        let place = (Reverse(spec.priority), self.executor.next);
        self.executor.next += 1;
        self.executor.queue.insert(place, task);
        self.executor.attempts.insert(
            task,
            Run { attempt, birth, driver, place: Place::Queued(place), begun: cx.now.mono, after: cx.position },
        );
        self.arrived();
        self.fill_slots(cx);
        if !self.executor.queue.is_empty() {
            self.crowded(cx.now.mono);
        }
    }

    pub(crate) fn fill_slots(&mut self, cx: &mut Context<'_>) {
        while self.executor.running < self.config.slots {
            let Some((priority, task)) = self.executor.next_in_turn() else { break };
            let Some(run) = self.executor.attempts.get_mut(&task) else { continue };
            (run.place, run.begun) = (Place::Running(priority), cx.now.mono);
            let (birth, attempt, after) = (Arc::clone(&run.birth), run.attempt, run.after);
            self.executor.running += 1;
            self.execute(cx, birth, attempt, after);
        }
        if self.executor.queue.len() < self.config.slots as usize {
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
            self.send(run.driver, Item::Report { task, attempt, outcome });
            self.timers.set(task, Kind::Report, cx.now.mono + self.config.report_again);
        }
    }

    /// The process of an attempt is gone: its slot is given to the next. Returns where it was.
    pub(crate) fn vacate(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) -> Option<Place> {
        let run = self.executor.attempts.get_mut(&task)?;
        if run.attempt != attempt || run.place == Place::Ended {
            return None;
        }
        let place = std::mem::replace(&mut run.place, Place::Ended);
        let held = cx.now.mono.since(run.begun);
        if matches!(place, Place::Running(_)) {
            self.executor.note_pace(held);
        }
        self.tell(cx.now, task, Event::Finished { attempt });
        self.leave_place(cx, place);
        Some(place)
    }

    /// Takes an attempt out of queue or slot, and starts the next.
    fn remove_attempt(&mut self, cx: &mut Context<'_>, task: TaskId) -> Option<Run> {
        let run = self.executor.attempts.remove(&task)?;
        self.leave_place(cx, run.place);
        Some(run)
    }

    fn leave_place(&mut self, cx: &mut Context<'_>, place: Place) {
        match place {
            Place::Queued(place) => {
                self.executor.queue.remove(&place);
            }
            Place::Running(_) => {
                self.executor.running = self.executor.running.saturating_sub(1);
                self.fill_slots(cx);
            }
            Place::Instant | Place::Retracted(_) | Place::Ended => {}
        }
    }

    /// The task ended: nothing of it is needed here any more.
    pub(crate) fn on_settled(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) {
        if self.executor.attempts.get(&task).is_some_and(|run| run.attempt == attempt) {
            // Before the slot is given to the next: effects are carried out in their order.
            if self.executor.is_running(&task) {
                cx.effects.push(Effect::Cancel { task, attempt });
            }
            self.remove_attempt(cx, task);
        }
        if self.shelf.outbox().contains_key(&(task, attempt)) {
            self.counters.outbox_settled += 1;
            self.executor.unknown.remove(&task);
            self.executor.offered.remove(&task);
            self.persist(cx, Fact::Settled { task, attempt });
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

    /// An end that this node wrote as driver, of its own execution, is about to be written over by one that does not know it.
    /// Who drives a task has its results in the record alone: this one is kept as any other executor's from here on.
    pub(crate) fn keep_own_result(&mut self, cx: &mut Context<'_>, task: &TaskId, next: &Register) {
        let Some(copy) = self.shelf.copy(task).filter(|copy| !copy.settled && next.ending().is_none()) else { return };
        let Some(Ending { by: Some((attempt, by)), outcome: Some(outcome), .. }) = copy.register.ending() else {
            return;
        };
        if *by != self.me.node || !outcome.is_success() {
            return;
        }
        let (attempt, outcome) = (*attempt, Arc::new(outcome.clone()));
        let holders = next.holders.iter().map(|holder| holder.node).collect();
        self.counters.outbox_kept += 1;
        self.persist(cx, Fact::Kept { task: *task, attempt, outcome, holders });
        self.timers.set(*task, Kind::Report, cx.now.mono + self.config.report_again);
    }

    /// A result of the task waits here to be settled.
    pub(crate) fn keeps_result(&self, task: &TaskId) -> bool {
        self.shelf.outbox().range((*task, 0)..=(*task, u32::MAX)).next().is_some()
    }

    fn kept(&self, task: TaskId) -> Vec<(u32, Arc<Outcome>)> {
        let of_task = self.shelf.outbox().range((task, 0)..=(task, u32::MAX));
        of_task.map(|((_, attempt), kept)| (*attempt, Arc::clone(&kept.outcome))).collect()
    }

    /// Nobody has settled a result: all that hold or should hold the task are asked.
    pub(crate) fn report_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        self.drop_unknown(cx, task);
        let home = self.roster.home(&task, self.config.home);
        let kept: Vec<(u32, Arc<Outcome>, BTreeSet<NodeId>)> = self
            .shelf
            .outbox()
            .range((task, 0)..=(task, u32::MAX))
            .map(|((_, attempt), kept)| {
                let asked = kept.holders.iter().copied().chain(home.iter().map(|holder| holder.node)).collect();
                (*attempt, Arc::clone(&kept.outcome), asked)
            })
            .collect();
        if kept.is_empty() {
            return;
        }
        self.executor.unknown.remove(&task);
        let all = kept.iter().flat_map(|(_, _, asked)| asked).copied().collect();
        self.executor.offered.insert(task, all);
        // Who drives it, or is about to, need not tell the others, who would take it for one that does not.
        let (drives, me) = (self.drivers.contains_key(&task), self.me.node);
        for (attempt, outcome, asked) in kept {
            for node in asked.into_iter().filter(|node| !drives || *node == me) {
                self.send(node, Item::Report { task, attempt, outcome: Arc::clone(&outcome) });
            }
        }
        self.timers.set(task, Kind::Report, cx.now.mono + self.config.report_again * 4);
    }

    /// A member is back that may drive what is in the outbox.
    pub(crate) fn report_to(&mut self, task: TaskId, node: NodeId) {
        let kept = self.shelf.outbox().range((task, 0)..=(task, u32::MAX));
        let reports: Vec<Item> = kept
            .filter(|(_, kept)| kept.holders.contains(&node))
            .map(|((_, attempt), kept)| Item::Report { task, attempt: *attempt, outcome: Arc::clone(&kept.outcome) })
            .collect();
        for item in reports {
            self.send(node, item);
        }
    }

    /// One of those that should hold the task knows nothing of it.
    pub(crate) fn report_unknown(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId) {
        if self.shelf.outbox().range((task, 0)..=(task, u32::MAX)).next().is_some() {
            self.executor.unknown.entry(task).or_default().insert(from);
            self.drop_unknown(cx, task);
        }
    }

    /// When of its holders as last known, and of those that should hold it today, so many know nothing of a task or are out
    /// of the mesh that the others could decide nothing about it, it is out of retention, and the result of no use. Should it live on elsewhere yet, it is run
    /// again: one that is away for good must not keep an executor's outbox full. Not while this node holds the record itself,
    /// whatever it had to say before it did.
    fn drop_unknown(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some((_, kept)) = self.shelf.outbox().range((task, 0)..=(task, u32::MAX)).next() else { return };
        if self.shelf.copy(&task).is_some() {
            return;
        }
        let unknown = self.executor.unknown.get(&task);
        let knows_nothing = |node: &NodeId| {
            unknown.is_some_and(|unknown| unknown.contains(node))
                || self.roster.seat(node).is_none_or(|seat| !seat.holds)
        };
        let home: Vec<NodeId> =
            self.roster.home(&task, self.config.home).into_iter().map(|holder| holder.node).collect();
        let is_unknown = [&kept.holders, &home].into_iter().all(|nodes| {
            let needed = quorum::nothing_left(nodes.len(), self.config.copies);
            nodes.iter().filter(|node| knows_nothing(node)).count() >= needed
        });
        if is_unknown {
            for (attempt, _) in self.kept(task) {
                self.on_settled(cx, task, attempt);
            }
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
        self.executor.running = 0;
    }
}

/// Whether an execution takes a while. What only gives back what the record has ends at once.
pub(crate) fn needs_slot(spec: &Spec) -> bool {
    !matches!(spec.program, Program::Echo | Program::Manifest { .. }) || spec.input.blob().is_some()
}
