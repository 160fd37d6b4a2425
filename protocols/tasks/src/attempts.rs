//! Attempts: granted, asked after, given up, and granted anew elsewhere.

use crate::{
    auction::Lot,
    driver::Driver,
    effect::Context,
    reign::Reign,
    seeking::{asked_of, first_able, nearness},
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    capability::Requirements,
    id::{NodeId, TaskId},
    limits,
    task::{Attempt, FailedAttempt, FailureKind, Fault, Holder, How, Item, Outcome, Register, State, Strategy},
    time::Mono,
};
use std::{sync::Arc, time::Duration};

impl Tasks {
    /// The attempt is in force: its executor may start.
    pub(crate) fn grant(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: &Attempt) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let birth = Arc::clone(&copy.birth);
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let handed = reign.known_aside().and_then(|aside| aside.handed.take());
        let is_mine = reign.granted;
        match is_mine {
            true if reign.awaiting.is_some() => self.need_only_inputs(task, &birth.spec),
            true => {}
            false => self.need_inputs(cx, task, &birth.spec),
        }
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        if reign.running {
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after * 4);
            return;
        }
        if reign.pausing.is_some() {
            return;
        }
        let (granted, granted_at) = (reign.granted, reign.granted_at);
        self.counters.granted += 1;
        self.tell(cx.now, task, Event::Granted { attempt: attempt.number, executor: attempt.executor });
        if let Some((number, victim)) = handed {
            self.send(victim, Item::Handed { task, attempt: number });
        }
        if !granted && self.given_back.remove(&task) == Some(attempt.number) {
            self.fail_attempt(cx, task, attempt.number, "its executor gave it back", Fault::Nobody);
        } else if self.roster.is_silent(&attempt.executor) {
            // A grant of this driver's own has not been said yet: nothing was lost with it.
            let fault = if granted { Fault::Nobody } else { Fault::Node };
            self.fail_attempt(cx, task, attempt.number, "its executor is gone", fault);
        } else {
            let item = match granted {
                true => Item::Assign { task, attempt: *attempt, birth },
                false => ask(cx, task, attempt, granted_at),
            };
            self.send(attempt.executor, item);
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after);
        }
    }

    /// The present attempt came to nothing: after a pause there will be another, on another node if there is one.
    pub(crate) fn fail_attempt(&mut self, cx: &mut Context<'_>, task: TaskId, number: u32, why: &str, fault: Fault) {
        self.fail_attempt_of(cx, task, number, why, (fault, fault == Fault::Node));
    }

    /// The same, and whether less is thought of its executor for it.
    pub(crate) fn fail_attempt_of(
        &mut self,
        cx: &mut Context<'_>,
        task: TaskId,
        number: u32,
        why: &str,
        (fault, is_blamed): (Fault, bool),
    ) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let State::Assigned(attempt) = copy.register.state else { return };
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        if attempt.number != number || reign.pausing.is_some() {
            return;
        }
        if is_blamed {
            self.roster.performed(&attempt.executor, false);
        }
        let why: String = why.chars().take(256).collect();
        let mut failed = reign.failures(copy.register.failed.clone());
        remember(&mut failed, FailedAttempt { attempt, at: cx.now.wall, why: why.clone(), fault });
        let pause = self.config.backoff * 2u32.pow(doublings(&failed, fault));
        let (attempts, lost) = (failed.len() - count(&failed, Fault::Nobody), count(&failed, Fault::Node));
        reign.pausing = Some(failed);
        self.counters.attempts_failed += 1;
        self.tell(cx.now, task, Event::AttemptFailed { attempt: number, why: why.clone() });
        self.timers.clear(task, Kind::Ask);
        // Kept free is room for one that is given back, and for the one that is under way when the task ends.
        let is_full = fault != Fault::Nobody && attempts + 3 >= limits::FAILED_ATTEMPTS;
        if is_full || fault == Fault::Node && lost >= self.config.poison_limit as usize {
            self.counters.poisoned += 1;
            let text = match fault {
                Fault::Node => format!("given up after {lost} lost attempts, the last: {why}"),
                Fault::Program | Fault::Nobody => format!("given up after {attempts} failed attempts, the last: {why}"),
            };
            let outcome = Outcome::failed(FailureKind::Lost, text);
            self.end(cx, task, How::Failed, Some((number, attempt.executor)), Some(outcome));
            return;
        }
        self.timers.set(task, Kind::Backoff, cx.now.mono + pause.min(self.config.backoff_max));
        self.inputs_due(cx, task);
    }

    /// The pause is over, or somebody came who may be able: the next attempt.
    pub(crate) fn backoff_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let (requirements, strategy) = asked_of(&copy.birth);
        if !matches!(self.drivers.get(&task), Some(Driver::Driving(reign)) if reign.pausing.is_some()) {
            return;
        }
        match strategy {
            Strategy::Auction => self.auction(Lot::Attempt(task), &requirements),
            Strategy::Auto | Strategy::Dht | Strategy::Local => {
                let holders = copy.register.holders.clone();
                self.grant_as_asked(cx, task, &holders, (&requirements, strategy));
            }
        }
    }

    /// It was auctioned: to one of those that bid, or to nobody, and is given to whoever is able by what is known.
    pub(crate) fn awarded_attempt(&mut self, cx: &mut Context<'_>, task: TaskId, winner: Option<NodeId>) {
        match winner {
            Some(executor) => self.grant_next(cx, task, executor),
            None => self.grant_by_table(cx, task),
        }
    }

    fn grant_by_table(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let ((requirements, strategy), holders) = (asked_of(&copy.birth), copy.register.holders.clone());
        self.grant_as_asked(cx, task, &holders, (&requirements, strategy));
    }

    fn grant_as_asked(
        &mut self,
        cx: &mut Context<'_>,
        task: TaskId,
        holders: &[Holder],
        (requirements, strategy): (&Requirements, Strategy),
    ) {
        let reign = self.drivers.get(&task).and_then(Driver::reign);
        let Some(Reign { pausing: Some(failed), .. }) = reign else { return };
        let tried: Vec<NodeId> = failed.iter().map(|failed| failed.attempt.executor).collect();
        match self.choose_executor(&task, holders, &tried, (requirements, strategy)) {
            Some(executor) => self.grant_next(cx, task, executor),
            None => self.wait_for_able(cx, task, requirements),
        }
    }

    fn grant_next(&mut self, cx: &mut Context<'_>, task: TaskId, executor: NodeId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let number = copy.register.attempt().map_or(1, |last| last.number.saturating_add(1));
        let register = copy.register_to_change();
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let Some(failed) = reign.pausing.clone() else { return };
        let failed = reign.failures(failed);
        (reign.running, reign.granted, reign.granted_at, reign.asked) = (false, true, Some(cx.now.mono), 0);
        (reign.pausing, reign.lacking) = (None, false);
        self.seeking.remove(&task);
        self.roster.grant(&executor);
        let attempt = Attempt { number, executor, granted: cx.now.wall };
        self.write(cx, task, Register { state: State::Assigned(attempt), failed, ..register });
    }

    /// Of the members that can be reached and are able: one that has not failed it, that is as was preferred, the least
    /// loaded, holders first, then the nearest; else the one that failed it longest ago.
    fn choose_executor(
        &self,
        task: &TaskId,
        holders: &[Holder],
        tried: &[NodeId],
        (requirements, strategy): (&Requirements, Strategy),
    ) -> Option<NodeId> {
        let chosen = first_able(&self.roster, requirements, |node, seat, shortfall| {
            let last_tried = tried.iter().rposition(|other| other == node).map_or(0, |at| at + 1);
            let busy = strategy != Strategy::Dht && !seat.is_free_for(requirements);
            let queued = if busy { seat.burden() } else { 0 };
            (last_tried, shortfall, busy, queued, nearness(&self.roster, task, holders, node))
        });
        // Where nothing must be had, this node can do it as well as nobody.
        chosen.or_else(|| (requirements.hard().next().is_none() && !self.drains()).then_some(self.me.node))
    }

    /// Nothing was heard of the present attempt for a while.
    pub(crate) fn ask_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let State::Assigned(attempt) = copy.register.state else { return };
        let birth = Arc::clone(&copy.birth);
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        if reign.pausing.is_some() {
            return;
        }
        if !reign.in_force {
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after);
            return;
        }
        // While its queue is full nothing reaches it.
        reign.asked = reign.asked.saturating_add(u32::from(self.roster.can_send(&attempt.executor)));
        if reign.asked > ASKED_IN_VAIN {
            self.fail_attempt(cx, task, attempt.number, "its executor does not answer", Fault::Nobody);
            return;
        }
        let (is_known, granted_at) = (reign.running || !reign.granted, reign.granted_at);
        let pause = self.config.ask_after * 2u32.pow(reign.asked.min(4));
        if self.roster.is_silent(&attempt.executor) {
            self.fail_attempt(cx, task, attempt.number, "its executor is gone", Fault::Node);
            return;
        }
        self.counters.asked += 1;
        // An executor that was connected all the time and said nothing may not have heard of the birth: the grant is
        // repeated, which is harmless where it is known.
        let item = match is_known {
            true => ask(cx, task, &attempt, granted_at),
            false => Item::Assign { task, attempt, birth },
        };
        self.send(attempt.executor, item);
        self.timers.set(task, Kind::Ask, cx.now.mono + pause);
    }

    pub(crate) fn on_running(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, attempt: u32) {
        let Some(State::Assigned(current)) = self.shelf.copy(&task).map(|copy| copy.register.state.clone()) else {
            // It ended: whoever still runs it may stop.
            if self.shelf.copy(&task).is_some_and(|copy| copy.settled) {
                self.send(from, Item::Settled { task, attempt });
            }
            return;
        };
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task)
            && current.number == attempt
            && current.executor == from
            && reign.pausing.is_none()
        {
            reign.running = true;
            reign.asked = 0;
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after * 4);
        } else if self.counts_against(&task, from).is_some_and(|lost| lost.number == attempt)
            && let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task)
        {
            // It was out of reach and not gone: nothing was lost with it.
            reign.aside_mut().cleared.insert((attempt, from));
        }
    }

    /// The last attempt that was lost with this node, as far as is known.
    fn counts_against(&self, task: &TaskId, node: NodeId) -> Option<Attempt> {
        let copy = self.shelf.live_copy(task)?;
        let Some(Driver::Driving(reign)) = self.drivers.get(task) else { return None };
        let failed = reign.pausing.as_ref().unwrap_or(&copy.register.failed);
        let lost = failed.iter().rfind(|one| one.attempt.executor == node && one.fault == Fault::Node);
        lost.map(|lost| lost.attempt)
    }

    /// A member is back that an attempt counts against: it may have it still, or what came of it.
    pub(crate) fn ask_after_lost(&mut self, cx: &Context<'_>, task: TaskId, node: NodeId) {
        if let Some(lost) = self.counts_against(&task, node) {
            self.send(node, ask(cx, task, &lost, None));
        }
    }

    pub(crate) fn on_not_running(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, attempt: u32, why: &str) {
        let is_current = self.shelf.live_copy(&task).is_some_and(|copy| {
            let current = copy.register.attempt();
            current.is_some_and(|current| current.number == attempt && current.executor == from)
        });
        let counts_against = self.counts_against(&task, from).is_some_and(|lost| lost.number == attempt);
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) {
            match why {
                // What was taken for out of reach only is lost after all.
                "" => {
                    if let Some(aside) = reign.known_aside() {
                        aside.cleared.remove(&(attempt, from));
                    }
                }
                // It has been up all the time and gave it back, or never had it.
                _ if counts_against => {
                    reign.aside_mut().cleared.insert((attempt, from));
                }
                _ => {}
            }
        }
        if !is_current {
            return;
        }
        self.counters.not_running += 1;
        if matches!(self.drivers.get(&task), Some(Driver::Driving(_))) {
            match why {
                "" => self.fail_attempt(cx, task, attempt, "its executor does not know it any more", Fault::Node),
                why => self.fail_attempt(cx, task, attempt, why, Fault::Nobody),
            }
        } else if !why.is_empty() {
            // Its driver may have stopped with its executor: whoever takes over is to know that nothing was lost.
            self.given_back.insert(task, attempt);
        }
    }

    /// The attempt that the silent node was running counts as failed.
    pub(crate) fn executor_gone(&mut self, cx: &mut Context<'_>, task: TaskId, node: NodeId) {
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        // One that is not in force was not granted yet.
        let fault = if reign.in_force || !reign.granted { Fault::Node } else { Fault::Nobody };
        let attempt = self.shelf.live_copy(&task).and_then(|copy| copy.register.attempt());
        if let Some(attempt) = attempt.filter(|attempt| attempt.executor == node) {
            self.fail_attempt(cx, task, attempt.number, "its executor is gone", fault);
        }
    }
}

/// An executor that can be reached and does not answer is asked so often, in about three minutes.
const ASKED_IN_VAIN: u32 = 8;

/// Attempts that were given back, of which a record keeps so many. There is no limit to how often that happens, and the
/// next executor is chosen by the last of them.
const GIVEN_BACK_KEPT: usize = 8;

/// As often as it is given back it is tried elsewhere, and only the last of these are told.
pub(crate) fn remember(failed: &mut Vec<FailedAttempt>, failure: FailedAttempt) {
    failed.push(failure);
    while let Some(first) = failed.iter().position(|failed| failed.fault == Fault::Nobody)
        && let given_back @ 2.. = count(failed, Fault::Nobody)
        && (given_back > GIVEN_BACK_KEPT || failed.len() + 2 > limits::FAILED_ATTEMPTS)
    {
        failed.remove(first);
    }
}

pub(crate) fn count(failed: &[FailedAttempt], fault: Fault) -> usize {
    failed.iter().filter(|failed| failed.fault == fault).count()
}

/// How often the pause is doubled: by what failed so far, or by how often it was given back in a row.
fn doublings(failed: &[FailedAttempt], fault: Fault) -> u32 {
    let before = match fault {
        Fault::Nobody => failed.iter().rev().take_while(|failed| failed.fault == Fault::Nobody).count(),
        Fault::Program | Fault::Node => failed.len() - count(failed, Fault::Nobody),
    };
    u32::try_from(before.saturating_sub(1)).unwrap_or(u32::MAX).min(16)
}

/// `granted_at` is when this driver granted it, if it did; of another's grant only a date is known, by the other's clock.
/// An executor that is up since before that cannot have lost it. Where a clock is further off, one that was started again
/// since may take an attempt that it lost for one that never came, which is counted against nobody.
fn ask(cx: &Context<'_>, task: TaskId, attempt: &Attempt, granted_at: Option<Mono>) -> Item {
    let age = match granted_at {
        Some(at) => cx.now.mono.since(at).saturating_add(UNDER_WAY),
        None => cx.now.wall.since(attempt.granted).saturating_add(CLOCKS_DIFFER),
    };
    Item::Ask { task, attempt: attempt.number, age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX) }
}

/// So long before its driver knows of it an attempt may have been begun: by the gateway's word that it was placed.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// By so much the clocks of two drivers may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);
