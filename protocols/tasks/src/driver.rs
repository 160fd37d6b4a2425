//! The driver: decides about a task, one write of its register at a time.

use crate::{Fact, candidate::Campaign, effect::Context, quorum, story::Event, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::{NodeId, TaskId},
    limits,
    task::{
        Attempt, Ballot, Ending, FailedAttempt, FailureKind, Holder, How, Item, Outcome, Register, Spec, State, Status,
        Version,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// What this node does for a task that it drives, or would drive.
#[derive(Debug)]
pub enum Driver {
    /// Asking for promises.
    Campaigning(Campaign),
    /// Its ballot is the promised one; it alone writes.
    Driving(Reign),
}

/// The state of a driver in office.
#[derive(Debug, Default)]
pub struct Reign {
    pub ballot: Option<Ballot>,
    /// Holders known to have the present version on disk.
    pub acked: BTreeSet<Holder>,
    /// A majority has it.
    pub in_force: bool,
    /// Something was heard of the present attempt since it was granted, or since this driver took office.
    pub running: bool,
    /// The present attempt was granted by this driver, not found in the record: the grant may be said again.
    pub granted: bool,
    /// The present attempt is over, to no avail; the next is granted when the pause ends. All failures so far: they are
    /// written with that grant, and until then this driver's own knowledge; a new driver finds out for itself.
    pub pausing: Option<Vec<FailedAttempt>>,
    /// How often the executor was asked in vain.
    pub asked: u32,
    /// Holders that have outlived the record.
    pub outlived: BTreeSet<Holder>,
}

impl Driver {
    pub fn ballot(&self) -> Option<Ballot> {
        match self {
            Self::Campaigning(campaign) => Some(campaign.ballot()),
            Self::Driving(reign) => reign.ballot,
        }
    }
}

impl Tasks {
    /// By birth: all holders have the first version, which is in force with that.
    pub(crate) fn begin_driving(&mut self, cx: &mut Context<'_>, task: TaskId, register: &Register) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let reign = Reign {
            ballot: Some(copy.ballot),
            acked: register.holders.iter().copied().collect(),
            in_force: true,
            granted: true,
            ..Reign::default()
        };
        self.shelf.mark_in_force(&task);
        self.drivers.insert(task, Driver::Driving(reign));
        self.timers.clear(task, Kind::Watch);
        self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after);
        self.watch_deadline(cx, task);
        if self.timers.is_set(task, Kind::Wish) {
            self.end(cx, task, How::Cancelled, None, None);
        }
    }

    /// Takes the next version of the register to its own disk and to all its holders, those being replaced too.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>, task: TaskId, register: Register) {
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let (Some(ballot), Some(copy)) = (reign.ballot, self.shelf.copy(&task)) else { return };
        // Invariant 1: a ballot that was promised away is never written under.
        if let Some(promised) = self.shelf.promised(&task).filter(|promised| *promised > ballot) {
            self.step_down(cx, task, promised);
            return;
        }
        let version = copy.version.next();
        let had: BTreeSet<Holder> = std::mem::take(&mut reign.acked);
        reign.in_force = false;
        reign.acked.insert(self.me);
        let register = Arc::new(register);
        self.counters.writes += 1;
        self.persist(cx, Fact::Written { task, ballot, version, register: Arc::clone(&register) });
        for holder in everyone(&register) {
            if holder != self.me && self.roster.is_present(&holder) {
                self.send_write(&holder, task, had.contains(&holder));
            }
        }
        self.timers.set(task, Kind::Ballot, cx.now.mono + self.config.ballot_timeout);
        self.check_force(cx, task);
    }

    /// The copy of this driver, with the birth for who may lack it.
    fn send_write(&mut self, to: &Holder, task: TaskId, has_birth: bool) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let (ballot, version) = copy.stamp();
        let birth = (!has_birth).then(|| Arc::clone(&copy.birth));
        let register = Arc::clone(&copy.register);
        self.send(to.node, Item::Write { task, ballot, version, register, birth });
    }

    pub(crate) fn on_wrote(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, stamp: (Ballot, Version)) {
        let Some(store) = self.roster.seat(&from).map(|seat| seat.store) else { return };
        if self.shelf.copy(&task).is_none_or(|copy| copy.stamp() != stamp) {
            return;
        }
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) {
            reign.acked.insert(Holder { node: from, store });
            self.check_force(cx, task);
        }
    }

    pub(crate) fn on_lacks_birth(&mut self, from: NodeId, task: TaskId, ballot: Ballot) {
        let drives = self.shelf.copy(&task).is_some_and(|copy| copy.ballot == ballot);
        if let Some(store) = self.roster.seat(&from).map(|seat| seat.store)
            && drives
        {
            self.send_write(&Holder { node: from, store }, task, false);
        }
    }

    /// Acts on what has come into force, once; and lets go when there is nothing left to do.
    pub(crate) fn check_force(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let register = Arc::clone(&copy.register);
        if !reign.in_force && quorum::is_met(&register, |holder| reign.acked.contains(holder)) {
            reign.in_force = true;
            self.counters.in_force += 1;
            self.shelf.mark_in_force(&task);
            match &register.state {
                State::Assigned(attempt) => self.grant(cx, task, attempt),
                State::Ended(ending) => self.ended_in_force(cx, task, &register, ending.how),
            }
            // A grant can fail at once and end the task: what is settled is what is in the record now.
            let is_present = self.shelf.copy(&task).is_some_and(|copy| Arc::ptr_eq(&copy.register, &register));
            if is_present && register.joint.is_some() {
                let settled = Register { joint: None, ..Register::clone(&register) };
                self.write(cx, task, settled);
                return;
            }
        }
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        let all = everyone(&register).all(|holder| reign.acked.contains(&holder));
        if all {
            self.shelf.mark_complete(&task);
            self.timers.clear(task, Kind::Ballot);
            if reign.in_force && register.ending().is_some() {
                self.drivers.remove(&task);
            }
        }
    }

    /// The attempt is in force: its executor may start.
    fn grant(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: &Attempt) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let birth = Arc::clone(&copy.birth);
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        if reign.running {
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after * 4);
            return;
        }
        if reign.pausing.is_some() {
            return;
        }
        let granted = reign.granted;
        self.counters.granted += 1;
        self.tell(cx.now, task, Event::Granted { attempt: attempt.number, executor: attempt.executor });
        if self.roster.is_silent(&attempt.executor) {
            self.fail_attempt(cx, task, attempt.number, "its executor is gone", false);
        } else {
            let item = match granted {
                true => Item::Assign { task, attempt: *attempt, birth },
                false => Item::Ask { task, attempt: attempt.number },
            };
            self.send(attempt.executor, item);
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after);
        }
    }

    /// Terminal and in force: whoever waits is told, whoever ran it may forget.
    fn ended_in_force(&mut self, cx: &mut Context<'_>, task: TaskId, register: &Arc<Register>, how: How) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let (gateway, digest) = (copy.birth.gateway, copy.birth.digest());
        self.tell(cx.now, task, Event::Ended { how });
        for kind in [Kind::Ask, Kind::Backoff, Kind::Deadline, Kind::Watch, Kind::Wish] {
            self.timers.clear(task, kind);
        }
        let mut told = self.followers.remove(&task).unwrap_or_default();
        told.insert(gateway);
        for node in told {
            self.send(node, Item::Ended { task, digest, register: Arc::clone(register) });
        }
        let by = register.ending().and_then(|ending| ending.by);
        let attempts = register.failed.iter().map(|failed| (failed.attempt.number, failed.attempt.executor)).chain(by);
        let running = self.executor.attempt_of(&task).map(|attempt| (attempt, self.me.node));
        let settled: BTreeSet<(u32, NodeId)> = attempts.chain(running).collect();
        for (attempt, executor) in settled {
            self.send(executor, Item::Settled { task, attempt });
        }
    }

    /// Writes the terminal state. Whether it stays is decided by a majority.
    pub(crate) fn end(
        &mut self,
        cx: &mut Context<'_>,
        task: TaskId,
        how: How,
        by: Option<(u32, NodeId)>,
        outcome: Option<Outcome>,
    ) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let pausing = reign.pausing.take();
        match how {
            How::Done => self.counters.done += 1,
            How::Failed => self.counters.failed += 1,
            How::Cancelled => self.counters.cancelled += 1,
            How::DeadlinePassed => self.counters.deadline_passed += 1,
        }
        // The attempt that was under way is remembered as failed, so that its executor is told.
        let mut register = copy.register_to_change();
        if let Some(failed) = pausing {
            register.failed = failed;
        } else if let State::Assigned(attempt) = &register.state
            && by != Some((attempt.number, attempt.executor))
        {
            let why = how_text(how).to_owned();
            register.failed.push(FailedAttempt { attempt: *attempt, at: cx.now.wall, why, own_fault: false });
        }
        register.state = State::Ended(Ending { how, by, outcome, at: cx.now.wall });
        self.timers.clear(task, Kind::Backoff);
        self.write(cx, task, register);
    }

    /// A result. The first valid one of any granted attempt of a live task is accepted.
    pub(crate) fn on_report(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        task: TaskId,
        attempt: u32,
        outcome: &Arc<Outcome>,
    ) {
        let Some(copy) = self.shelf.copy(&task) else {
            self.send(from, Item::Unknown { task });
            return;
        };
        if !copy.is_live() && copy.in_force {
            self.counters.late_reports += 1;
            self.send(from, Item::Settled { task, attempt });
            return;
        }
        if !matches!(self.drivers.get(&task), Some(Driver::Driving(_))) {
            match self.shelf.promised(&task).map(|promised| promised.driver) {
                // Nobody does: whoever wins settles it, and the executor offers its result again.
                Some(driver) if driver == self.me.node || self.roster.is_silent(&driver) => self.campaign(cx, task),
                Some(driver) if driver != from => self.send(from, Item::DrivenBy { task, driver }),
                Some(_) | None => {}
            }
            return;
        }
        let State::Assigned(current) = copy.register.state else { return };
        let was_granted = current.number == attempt && current.executor == from
            || copy
                .register
                .failed
                .iter()
                .any(|failed| failed.attempt.number == attempt && failed.attempt.executor == from);
        if !was_granted {
            self.counters.stale_items += 1;
            return;
        }
        self.counters.reports += 1;
        if outcome.is_success() {
            self.end(cx, task, How::Done, Some((attempt, from)), Some(Outcome::clone(outcome)));
            return;
        }
        if current.number != attempt
            || matches!(self.drivers.get(&task), Some(Driver::Driving(r)) if r.pausing.is_some())
        {
            // An attempt already given up has failed as well.
            self.send(from, Item::Settled { task, attempt });
            return;
        }
        self.judge_failure(cx, task, &current, outcome);
        // If that was the end, it is told when a majority has it.
        if self.shelf.is_live(&task) {
            self.send(from, Item::Settled { task, attempt });
        }
    }

    /// Another try, or the end.
    fn judge_failure(&mut self, cx: &mut Context<'_>, task: TaskId, attempt: &Attempt, outcome: &Arc<Outcome>) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let own_failures = copy.register.failed.iter().filter(|failed| failed.own_fault).count();
        let retries = Spec::decode(&copy.birth.spec).map_or(0, |spec| usize::from(spec.retries));
        let (own_fault, why) = match &outcome.status {
            Status::Exit(code) => (true, format!("exited with code {code}")),
            Status::Signal(signal) => (true, format!("killed by signal {signal}")),
            Status::Failed(failure) => (!failure.kind.is_worth_another_node(), failure.message.clone()),
        };
        let is_cancelled = matches!(&outcome.status, Status::Failed(f) if f.kind == FailureKind::Cancelled);
        let lost = copy.register.failed.len() - own_failures;
        let is_last = own_fault && own_failures >= retries
            || !own_fault && lost + 1 >= self.config.poison_limit as usize
            || is_cancelled;
        if is_last {
            let by = Some((attempt.number, attempt.executor));
            self.end(cx, task, How::Failed, by, Some(Outcome::clone(outcome)));
        } else {
            if own_fault {
                self.counters.retried += 1;
            }
            self.fail_attempt(cx, task, attempt.number, &why, own_fault);
        }
    }

    /// The present attempt came to nothing: after a pause there will be another, on another node if there is one.
    pub(crate) fn fail_attempt(&mut self, cx: &mut Context<'_>, task: TaskId, number: u32, why: &str, own_fault: bool) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let State::Assigned(attempt) = copy.register.state else { return };
        let failures = copy.register.failed.len();
        let lost = copy.register.failed.iter().filter(|failed| !failed.own_fault).count();
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        if attempt.number != number || reign.pausing.is_some() {
            return;
        }
        let why: String = why.chars().take(256).collect();
        let mut failed = copy.register.failed.clone();
        failed.push(FailedAttempt { attempt, at: cx.now.wall, why: why.clone(), own_fault });
        reign.pausing = Some(failed);
        self.counters.attempts_failed += 1;
        self.tell(cx.now, task, Event::AttemptFailed { attempt: number, why: why.clone() });
        self.timers.clear(task, Kind::Ask);
        // One more is kept free, for the attempt that is under way when the task ends.
        let is_full = failures + 2 >= limits::FAILED_ATTEMPTS;
        if is_full || !own_fault && lost + 1 >= self.config.poison_limit as usize {
            self.counters.poisoned += 1;
            let text = match own_fault {
                true => format!("given up after {} failed attempts, the last: {why}", failures + 1),
                false => format!("given up after {} lost attempts, the last: {why}", lost + 1),
            };
            let outcome = Outcome::failed(FailureKind::Lost, text);
            self.end(cx, task, How::Failed, Some((number, attempt.executor)), Some(outcome));
            return;
        }
        let doublings = u32::try_from(failures).unwrap_or(u32::MAX).min(16);
        let pause = (self.config.backoff * 2u32.pow(doublings)).min(self.config.backoff_max);
        self.timers.set(task, Kind::Backoff, cx.now.mono + pause);
    }

    /// The pause is over: the next attempt.
    pub(crate) fn backoff_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let State::Assigned(last) = copy.register.state else { return };
        let register = copy.register_to_change();
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let Some(failed) = reign.pausing.take() else { return };
        (reign.running, reign.granted, reign.asked) = (false, true, 0);
        let tried: Vec<NodeId> = failed.iter().map(|failed| failed.attempt.executor).collect();
        let executor = self.choose_executor(&register.holders, &tried);
        let attempt = Attempt { number: last.number + 1, executor, granted: cx.now.wall };
        self.write(cx, task, Register { state: State::Assigned(attempt), failed, ..register });
    }

    /// Of the members that can be reached: one that has not failed it, the least loaded, holders first; else the one
    /// that failed it longest ago.
    fn choose_executor(&self, holders: &[Holder], tried: &[NodeId]) -> NodeId {
        let rank = |node: &NodeId| {
            let last_tried = tried.iter().rposition(|other| other == node).map_or(0, |at| at + 1);
            let seat = self.roster.seat(node);
            let busy = seat.is_some_and(|seat| *node != self.me.node && !seat.load.has_free_slot());
            let queued = seat.map_or(0, |seat| seat.load.running + seat.load.queued);
            let position = holders.iter().position(|holder| holder.node == *node).unwrap_or(holders.len());
            (last_tried, busy, if busy { queued } else { 0 }, position)
        };
        self.roster
            .iter()
            .filter(|(node, seat)| seat.holds && (seat.connected || **node == self.me.node))
            .map(|(node, _)| *node)
            .min_by_key(rank)
            .unwrap_or(self.me.node)
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
        reign.asked = reign.asked.saturating_add(1);
        let ask = reign.running || !reign.granted;
        let pause = self.config.ask_after * 2u32.pow(reign.asked.min(4));
        if self.roster.is_silent(&attempt.executor) {
            self.fail_attempt(cx, task, attempt.number, "its executor is gone", false);
            return;
        }
        self.counters.asked += 1;
        // An executor that was connected all the time and said nothing may not have heard of the birth: the grant is
        // repeated, which is harmless where it is known.
        let item = match ask {
            true => Item::Ask { task, attempt: attempt.number },
            false => Item::Assign { task, attempt, birth },
        };
        self.send(attempt.executor, item);
        self.timers.set(task, Kind::Ask, cx.now.mono + pause);
    }

    pub(crate) fn on_running(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, attempt: u32) {
        let Some(State::Assigned(current)) = self.shelf.copy(&task).map(|copy| copy.register.state.clone()) else {
            // It ended: whoever still runs it may stop.
            if self.shelf.copy(&task).is_some_and(|copy| copy.in_force) {
                self.send(from, Item::Settled { task, attempt });
            }
            return;
        };
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task)
            && current.number == attempt
            && current.executor == from
        {
            reign.running = true;
            reign.asked = 0;
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after * 4);
        }
    }

    pub(crate) fn on_not_running(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, attempt: u32, why: &str) {
        let is_current = matches!(
            self.shelf.live_copy(&task).map(|copy| &copy.register.state),
            Some(State::Assigned(current)) if current.number == attempt && current.executor == from
        );
        if is_current {
            self.counters.not_running += 1;
            let why = if why.is_empty() { "its executor does not know it" } else { why };
            self.fail_attempt(cx, task, attempt, why, false);
        }
    }

    /// Every attempt that the silent node was running counts as failed.
    pub(crate) fn executor_gone(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let lost: Vec<(TaskId, u32)> = self
            .drivers
            .keys()
            .filter_map(|task| match &self.shelf.live_copy(task)?.register.state {
                State::Assigned(attempt) if attempt.executor == node => Some((*task, attempt.number)),
                State::Assigned(_) | State::Ended(_) => None,
            })
            .collect();
        for (task, attempt) in lost {
            self.fail_attempt(cx, task, attempt, "its executor is gone", false);
        }
    }

    /// A write has not reached all its holders: say it again to those that are there. Without a majority, try for a
    /// higher ballot after a while, since somebody may be in the way.
    pub(crate) fn reign_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let register = Arc::clone(&copy.register);
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        // While a settled birth is not in force, any of the home list helps to its majority.
        let home = register.joint.iter().flatten().filter(|_| !reign.in_force).copied();
        let missing: BTreeSet<Holder> =
            everyone(&register).chain(home).filter(|holder| !reign.acked.contains(holder)).collect();
        for holder in &missing {
            if self.roster.is_present(holder) {
                self.send_write(holder, task, false);
            }
        }
        if !missing.is_empty() {
            self.timers.set(task, Kind::Ballot, cx.now.mono + self.config.ballot_timeout * 4);
        }
    }

    /// Somebody is gone: whatever waits for a majority looks for it among the others now.
    pub(crate) fn hasten_writes(&mut self, cx: &mut Context<'_>) {
        let waiting = |driver: &Driver| matches!(driver, Driver::Driving(reign) if !reign.in_force);
        let tasks: Vec<TaskId> =
            self.drivers.iter().filter(|(_, driver)| waiting(driver)).map(|(task, _)| *task).collect();
        for task in tasks {
            self.timers.set(task, Kind::Ballot, cx.now.mono);
        }
    }

    pub(crate) fn watch_deadline(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        if let Ok(Spec { deadline: Some(deadline), .. }) = Spec::decode(&copy.birth.spec) {
            let left = deadline.since(cx.now.wall).min(Duration::from_secs(60));
            self.timers.set(task, Kind::Deadline, cx.now.mono + left);
        }
    }

    /// Looked at again at least once a minute, since the wall clock may step.
    pub(crate) fn deadline_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let Ok(Spec { deadline: Some(deadline), .. }) = Spec::decode(&copy.birth.spec) else { return };
        if cx.now.wall >= deadline && self.drivers.contains_key(&task) {
            self.end(cx, task, How::DeadlinePassed, None, None);
        }
        if self.shelf.is_live(&task) {
            let left = deadline.since(cx.now.wall).clamp(Duration::from_millis(500), Duration::from_secs(60));
            self.timers.set(task, Kind::Deadline, cx.now.mono + left);
        }
    }

    /// A higher ballot was promised here: this node drives the task no more.
    pub(crate) fn step_down(&mut self, cx: &mut Context<'_>, task: TaskId, to: Ballot) {
        if self.drivers.remove(&task).is_some() {
            self.counters.stepped_down += 1;
            self.tell(cx.now, task, Event::SteppedDown { to });
            for kind in [Kind::Ballot, Kind::Ask, Kind::Backoff] {
                self.timers.clear(task, kind);
            }
        }
    }
}

/// Holders, and those being replaced, once each.
pub(crate) fn everyone(register: &Register) -> impl Iterator<Item = Holder> + '_ {
    let is_birth = register.joint.as_ref().is_some_and(|joint| register.holders.iter().all(|h| joint.contains(h)));
    let joint = register.joint.iter().flatten().filter(move |holder| !is_birth && !register.holders.contains(holder));
    register.holders.iter().chain(joint).copied()
}

pub(crate) fn how_text(how: How) -> &'static str {
    match how {
        How::Done => "done",
        How::Failed => "failed",
        How::Cancelled => "cancelled",
        How::DeadlinePassed => "deadline passed",
    }
}
