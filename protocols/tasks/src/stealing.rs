//! What waits for a slot goes where it begins sooner (`balance.rs`). A queue entry is an attempt that a driver granted, so three parties take
//! part: the thief asks, or is pushed; the victim retracts what has not begun and names it to its drivers; each driver writes
//! the next attempt, for the thief, who has it by the driver's grant, and the victim drops its own on the driver's word.
//!
//! Who knows of no queue asks nobody: members say how many wait with their heartbeats, at once when that changes much.

use crate::{
    Load,
    attempts::remember,
    balance::{Burden, shares},
    capability,
    driver::Driver,
    effect::Context,
    queue::{Class, Lane},
    reign::Reign,
    roster::{Roster, Seat},
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Attempt, Birth, FailedAttempt, Fault, Item, Register, Spec, State, Strategy},
    time::Mono,
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Attempts that change hands at once, at most.
const BATCH: u32 = 256;

/// What a node is to have at hand: so long its slots are busy with it. What follows has to be asked for, retracted, written in two
/// durable rounds, and granted meanwhile. More would be hoarded: others may be idle sooner.
const AHEAD: Duration = Duration::from_millis(250);

/// And at most so many.
const AHEAD_MAX: u32 = 4 * BATCH;

/// Victims that are asked at once.
const ASKED: usize = 4;

/// A victim that has not answered by then is not waited for.
const ANSWER: Duration = Duration::from_millis(500);

/// What was promised and has not come by then does not come.
const ARRIVAL: Duration = Duration::from_secs(2);

/// A driver that says nothing leaves an attempt where it is: it is begun here after all. Should the driver have granted it
/// elsewhere, it is executed twice, and its first result accepted, as of any attempt.
const WORD: Duration = Duration::from_secs(2);

/// Between two looks for members to push to.
const PUSH_AGAIN: Duration = Duration::from_millis(50);

/// What a node does about its own idleness, and about that of others. Soft.
#[derive(Debug, Default)]
pub struct Trade {
    /// A slot is free, or soon will be, and somebody may have work for it.
    hungry: bool,
    /// Who was asked, for how many, and until when it is waited for. At most [`ASKED`].
    asked: BTreeMap<NodeId, (u32, Mono)>,
    /// How many are on their way of each batch, and until when they count, in that order.
    coming: VecDeque<(u32, Mono)>,
    /// What thieves were given since they last said how busy they are, and since when that is counted.
    given: BTreeMap<NodeId, (u32, Mono)>,
    /// When to look for members to push to: there is a queue.
    push_at: Option<Mono>,
}

impl Trade {
    pub fn deadline(&self) -> Option<Mono> {
        let hungry = self.hungry.then(Mono::default);
        let asked = self.asked.values().map(|(_, until)| *until).min();
        let waits = if self.hungry {
            None
        } else {
            [asked, self.coming.front().map(|(_, until)| *until)].into_iter().flatten().min()
        };
        [hungry, waits, self.push_at].into_iter().flatten().min()
    }

    fn coming(&self) -> u32 {
        let asked = self.asked.values().map(|(count, _)| *count);
        self.coming.iter().map(|(count, _)| *count).chain(asked).fold(0, u32::saturating_add)
    }

    /// What a thief was given and has not had the time to be done with. It may yet have so many that they make up
    /// [`AHEAD_MAX`]: one that asks again and again has no more than it can begin in a while.
    fn given_to(&mut self, thief: &NodeId, now: Mono) -> u32 {
        self.given.retain(|_, (_, since)| now.since(*since) < AHEAD);
        self.given.get(thief).map_or(0, |(count, _)| *count)
    }

    fn gave(&mut self, thief: NodeId, count: u32, now: Mono) {
        if count > 0 {
            let (given, _) = self.given.entry(thief).or_insert((0, now));
            *given = given.saturating_add(count);
        }
    }

    /// It said how busy it is, with all that it was given.
    pub fn said(&mut self, thief: &NodeId) {
        self.given.remove(thief);
    }
}

impl Tasks {
    /// There may be room for more than is here, or somebody with more than it can begin.
    pub(crate) fn look_for_work(&mut self) {
        self.trade.hungry = true;
    }

    /// An attempt came: of those that were on their way, if any were.
    pub(crate) fn arrived(&mut self) {
        if let Some((count, _)) = self.trade.coming.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.trade.coming.pop_front();
            }
        }
    }

    /// What this node is to have at hand, so that its slots are busy until more can be here.
    pub(crate) fn enough_ahead(&self) -> usize {
        let slots = self.config.slots;
        self.executor.ahead(slots, AHEAD, AHEAD_MAX).max(2 * slots) as usize
    }

    /// There is a queue here: members with free slots are looked for.
    pub(crate) fn crowded(&mut self, now: Mono) {
        self.trade.push_at.get_or_insert(now);
    }

    pub(crate) fn trade_due(&mut self, cx: &mut Context<'_>) {
        let now = cx.now.mono;
        let silent: Vec<NodeId> =
            self.trade.asked.iter().filter(|(_, (_, until))| *until <= now).map(|(victim, _)| *victim).collect();
        for victim in silent {
            self.trade.asked.remove(&victim);
            self.roster.has_no_queue(&victim);
            self.trade.hungry = true;
        }
        while self.trade.coming.front().is_some_and(|(_, until)| *until <= now) {
            self.trade.coming.pop_front();
            self.trade.hungry = true;
        }
        if std::mem::take(&mut self.trade.hungry) {
            self.steal(cx);
        }
        if self.trade.push_at.is_some_and(|at| at <= now) {
            self.push(now);
        }
    }

    /// Asks those that have the longest queues for what this node can begin soon, and sooner than they.
    fn steal(&mut self, cx: &mut Context<'_>) {
        let holds = self.roster.seat(&self.me.node).is_some_and(|seat| seat.holds);
        if !self.has_room || !holds {
            return;
        }
        let enough = u32::try_from(self.enough_ahead()).unwrap_or(u32::MAX);
        let slots = self.config.slots;
        while self.trade.asked.len() < ASKED {
            let own = Burden { slots, attempts: self.executor.burden().saturating_add(self.trade.coming()) };
            let room = enough.saturating_sub(own.attempts);
            if room == 0 {
                return;
            }
            // It gives half of what it has, as far as is known: the rest of the room is for others.
            let worth = |node: &NodeId, seat: &Seat| match self.trade.asked.contains_key(node) {
                true => 0,
                false => seat.burden_by_slots().sooner_at(&own).min(seat.load.queued.div_ceil(2)),
            };
            let Some((victim, worth)) = self.roster.longest_queue(worth) else { return };
            let most = room.min(BATCH).min(worth);
            self.counters.steals += 1;
            self.trade.asked.insert(victim, (most, cx.now.mono + ANSWER));
            self.send(victim, Item::Steal { most });
        }
    }

    /// Half of what waits here is the thief's, of what it is able to run and begins sooner, as far as is known here: the last in
    /// the queue. One that asks again and again has no more than it can begin before it has said how busy it is with it, or could
    /// have.
    pub(crate) fn on_steal(&mut self, cx: &mut Context<'_>, from: NodeId, most: u32) {
        let now = cx.now.mono;
        let given = self.trade.given_to(&from, now);
        let Load { slots, running, queued } = self.roster.seat(&from).map_or_else(Load::default, |seat| seat.load);
        // Who has not yet said how many slots it has and asks has some: it is taken for one like this.
        let slots = if slots == 0 { self.config.slots } else { slots };
        let thief = Burden { slots, attempts: running.saturating_add(queued).saturating_add(given) };
        let sooner = self.executor.burden_of(self.config.slots).sooner_at(&thief);
        let left = AHEAD_MAX.saturating_sub(given);
        let count = self.hand_over(now, from, most.min(BATCH).min(left).min(sooner));
        self.trade.gave(from, count, now);
        self.roster.grant_many(&from, count);
        self.send(from, Item::Yielded { count });
    }

    pub(crate) fn on_yielded(&mut self, cx: &mut Context<'_>, from: NodeId, count: u32) {
        let Some((asked, _)) = self.trade.asked.remove(&from) else { return };
        if count == 0 {
            self.roster.has_no_queue(&from);
        } else {
            // Who gives all that it was asked for may have more than it said.
            self.roster.has_fewer_queued(&from, count, u32::from(count >= asked));
            self.trade.coming.push_back((count.min(asked), cx.now.mono + ARRIVAL));
        }
        self.trade.hungry = true;
    }

    /// Those that have room, as far as is known, are given what waits here before they ask: at first as many as they have slots
    /// free, and once it is known how long one takes, what they can begin soon, until all have as much for each slot.
    fn push(&mut self, now: Mono) {
        self.trade.push_at = None;
        if self.executor.queued() == 0 {
            return;
        }
        let executor = &self.executor;
        let others = self.roster.with_room(|slots| executor.ahead(slots, AHEAD, AHEAD_MAX));
        for (node, share) in shares(executor.burden_of(self.config.slots), others) {
            let given = self.hand_over(now, node, share.min(BATCH));
            self.roster.grant_many(&node, given);
            self.counters.pushed += u64::from(given);
        }
        if self.executor.queued() > 0 {
            self.trade.push_at = Some(now + PUSH_AGAIN);
        }
    }

    /// Retracts what waits here for another, and asks its drivers.
    fn hand_over(&mut self, now: Mono, thief: NodeId, most: u32) -> u32 {
        let Some(seat) = self.roster.seat(&thief).filter(|seat| seat.holds && seat.connected) else { return 0 };
        if thief == self.me.node {
            return 0;
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.executor.spare(self.config.slots));
        // What waits for a worker there as it does here would come back at once.
        let mut burden = seat.burden();
        let is_able = |class: &Class| capability::rate(&class.requirements, &seat.capabilities).is_ok();
        let waits = |lane: &Lane, burden| {
            lane.as_ref().is_some_and(|kind| capability::places(&seat.capabilities, kind) <= burden)
        };
        let before = burden;
        let retracted = self.executor.retract(
            most,
            |class| is_able(class) && !waits(&class.lane, before),
            |lane| {
                let goes = !waits(lane, burden);
                burden = burden.saturating_add(u32::from(goes));
                goes
            },
        );
        for (task, attempt, driver) in &retracted {
            self.send(*driver, Item::Retract { task: *task, attempt: *attempt, thief });
            self.timers.set(*task, Kind::Retract, now + WORD);
        }
        let count = u32::try_from(retracted.len()).unwrap_or(u32::MAX);
        self.counters.retracted += u64::from(count);
        count
    }

    /// The next attempt is another's, whose slot is free: if this node drives the task, and it has not begun.
    pub(crate) fn on_retract(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, number: u32, thief: NodeId) {
        // Asked twice: it is told to drop its own when the other attempt is in force. Begun here meanwhile, that would drop
        // what came of it as well (simulator, seed 239).
        let aside = self.drivers.get(&task).and_then(Driver::reign).and_then(Reign::aside);
        if aside.is_some_and(|aside| aside.handed == Some((number, from))) {
            return;
        }
        if !self.hand_on(cx, from, task, number, thief) {
            self.send(from, Item::Keep { task, attempt: number });
        }
    }

    fn hand_on(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, number: u32, thief: NodeId) -> bool {
        let Some(copy) = self.shelf.live_copy(&task) else { return false };
        let State::Assigned(current) = copy.register.state else { return false };
        let is_able = may_go(&self.roster, &copy.birth, &thief) && self.roster.can_send(&thief);
        if current.number != number || current.executor != from || thief == from || !is_able {
            return false;
        }
        let register = copy.register_to_change();
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return false };
        if !reign.in_force || reign.pausing.is_some() {
            return false;
        }
        let mut failed = reign.failures(register.failed.clone());
        let why = "handed over to a node with a free slot".to_owned();
        remember(&mut failed, FailedAttempt { attempt: current, at: cx.now.wall, why, fault: Fault::Nobody });
        (reign.running, reign.granted, reign.granted_at, reign.asked) = (false, true, Some(cx.now.mono), 0);
        reign.aside_mut().handed = Some((number, from));
        self.roster.grant(&thief);
        self.counters.handed += 1;
        self.tell(cx.now, task, Event::Handed { attempt: number, thief });
        let attempt = Attempt { number: number.saturating_add(1), executor: thief, granted: cx.now.wall };
        self.write(cx, task, Register { state: State::Assigned(attempt), failed, ..register });
        true
    }

    /// The driver leaves it here, or says nothing.
    pub(crate) fn on_keep(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: u32) {
        if self.executor.put_back(&task, attempt) {
            self.timers.clear(task, Kind::Retract);
            self.counters.put_back += 1;
            self.fill_slots(cx);
        }
    }

    pub(crate) fn retract_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        if let Some(attempt) = self.executor.attempt_of(&task) {
            self.on_keep(cx, task, attempt);
        }
    }
}

/// What one member is able to run, and may run elsewhere than where it is.
fn may_go(roster: &Roster, birth: &Birth, thief: &NodeId) -> bool {
    let Some(seat) = roster.seat(thief).filter(|seat| seat.holds) else { return false };
    let Ok(spec) = Spec::decode(&birth.spec) else { return false };
    may_move(&spec) && capability::rate(&spec.requirements, &seat.capabilities).is_ok()
}

/// It need not be agreed on by a committee first, nor is it to be run where it is.
pub(crate) fn may_move(spec: &Spec) -> bool {
    !spec.unique && spec.strategy != Strategy::Dht
}
