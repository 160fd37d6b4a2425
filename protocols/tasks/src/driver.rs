//! The driver: decides about a task, one write of its register at a time.

use crate::{
    Fact, Seat, candidate::Campaign, effect::Context, quorum, reign::Reign, story::Event, tasks::Tasks, timers::Kind,
};
use mesh_proto::{
    id::{NodeId, TaskId},
    limits,
    task::{
        Attempt, Ballot, Ending, FailedAttempt, FailureKind, Fault, Holder, How, Item, Outcome, Register, Spec, State,
        Status, Version,
    },
    time::Mono,
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
            granted_at: Some(cx.now.mono),
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
        let has = |holder: &Holder| reign.acked.contains(holder);
        if !reign.in_force && quorum::is_met(&register, has) {
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
                let settled = Register { joint: None, passed_by: Vec::new(), ..Register::clone(&register) };
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
                // Once it is let go nobody adds what is missing.
                if register.holders.len() < self.config.copies && register.holders.len() < self.wanted_copies() {
                    self.replace_lost(cx, task);
                }
                if self.shelf.copy(&task).is_some_and(|copy| Arc::ptr_eq(&copy.register, &register)) {
                    self.drivers.remove(&task);
                }
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
        let (granted, granted_at) = (reign.granted, reign.granted_at);
        self.counters.granted += 1;
        self.tell(cx.now, task, Event::Granted { attempt: attempt.number, executor: attempt.executor });
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
            register.failed = reign.failures(failed);
        } else if let State::Assigned(attempt) = &register.state
            && by != Some((attempt.number, attempt.executor))
        {
            let why = how_text(how).to_owned();
            register.failed.push(FailedAttempt { attempt: *attempt, at: cx.now.wall, why, fault: Fault::Nobody });
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
        if copy.settled {
            self.counters.late_reports += 1;
            self.send(from, Item::Settled { task, attempt });
            return;
        }
        if !matches!(self.drivers.get(&task), Some(Driver::Driving(_))) {
            match self.shelf.promised(&task).map(|promised| promised.driver) {
                // Nobody does: whoever wins settles it, and the executor offers its result again.
                Some(driver) if driver == self.me.node || self.roster.is_silent(&driver) => self.campaign(cx, task),
                // Who drives a task has its own results in the record: this one does not any more.
                Some(driver) if driver == from => self.campaign(cx, task),
                Some(driver) => self.send(from, Item::DrivenBy { task, driver }),
                None => {}
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
        let own_failures = count(&copy.register.failed, Fault::Program);
        let lost = count(&copy.register.failed, Fault::Node);
        let retries = Spec::decode(&copy.birth.spec).map_or(0, |spec| usize::from(spec.retries));
        let (fault, why) = match &outcome.status {
            Status::Exit(code) => (Fault::Program, format!("exited with code {code}")),
            Status::Signal(signal) => (Fault::Program, format!("killed by signal {signal}")),
            Status::Failed(failure) if failure.kind.is_worth_another_node() => (Fault::Node, failure.message.clone()),
            Status::Failed(failure) => (Fault::Program, failure.message.clone()),
        };
        let is_cancelled = matches!(&outcome.status, Status::Failed(f) if f.kind == FailureKind::Cancelled);
        let is_last = fault == Fault::Program && own_failures >= retries
            || fault == Fault::Node && lost + 1 >= self.config.poison_limit as usize
            || is_cancelled;
        if is_last {
            let by = Some((attempt.number, attempt.executor));
            self.end(cx, task, How::Failed, by, Some(Outcome::clone(outcome)));
        } else {
            if fault == Fault::Program {
                self.counters.retried += 1;
            }
            self.fail_attempt(cx, task, attempt.number, &why, fault);
        }
    }

    /// The present attempt came to nothing: after a pause there will be another, on another node if there is one.
    pub(crate) fn fail_attempt(&mut self, cx: &mut Context<'_>, task: TaskId, number: u32, why: &str, fault: Fault) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let State::Assigned(attempt) = copy.register.state else { return };
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        if attempt.number != number || reign.pausing.is_some() {
            return;
        }
        let why: String = why.chars().take(256).collect();
        let mut failed = reign.failures(copy.register.failed.clone());
        failed.push(FailedAttempt { attempt, at: cx.now.wall, why: why.clone(), fault });
        // As often as it is given back it is tried elsewhere, and only the last of these are told.
        while let Some(first) = failed.iter().position(|failed| failed.fault == Fault::Nobody)
            && let given_back @ 2.. = count(&failed, Fault::Nobody)
            && (given_back > GIVEN_BACK_KEPT || failed.len() + 2 > limits::FAILED_ATTEMPTS)
        {
            failed.remove(first);
        }
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
    }

    /// The pause is over: the next attempt.
    pub(crate) fn backoff_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let State::Assigned(last) = copy.register.state else { return };
        let register = copy.register_to_change();
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let Some(failed) = reign.pausing.take() else { return };
        let failed = reign.failures(failed);
        (reign.running, reign.granted, reign.granted_at, reign.asked) = (false, true, Some(cx.now.mono), 0);
        let tried: Vec<NodeId> = failed.iter().map(|failed| failed.attempt.executor).collect();
        let executor = self.choose_executor(&register.holders, &tried);
        self.roster.grant(&executor);
        let attempt = Attempt { number: last.number.saturating_add(1), executor, granted: cx.now.wall };
        self.write(cx, task, Register { state: State::Assigned(attempt), failed, ..register });
    }

    /// Of the members that can be reached: one that has not failed it, the least loaded, holders first; else the one
    /// that failed it longest ago.
    fn choose_executor(&self, holders: &[Holder], tried: &[NodeId]) -> NodeId {
        let rank = |node: &NodeId| {
            let last_tried = tried.iter().rposition(|other| other == node).map_or(0, |at| at + 1);
            let seat = self.roster.seat(node);
            let busy = seat.is_some_and(|seat| !seat.has_free_slot());
            let queued = seat.map_or(0, Seat::burden);
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
        {
            reign.running = true;
            reign.asked = 0;
            self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after * 4);
        } else if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) {
            // It was out of reach and not gone: nothing was lost with it.
            reign.cleared.insert((attempt, from));
        }
    }

    /// A member is back that an attempt counts against: it may have it still, or what came of it.
    pub(crate) fn ask_after_lost(&mut self, cx: &Context<'_>, task: TaskId, node: NodeId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        let failed = reign.pausing.as_ref().unwrap_or(&copy.register.failed);
        let lost = failed.iter().rfind(|one| one.attempt.executor == node && one.fault == Fault::Node);
        if let Some(lost) = lost.map(|lost| lost.attempt) {
            self.send(node, ask(cx, task, &lost, None));
        }
    }

    pub(crate) fn on_not_running(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, attempt: u32, why: &str) {
        let is_current = matches!(
            self.shelf.live_copy(&task).map(|copy| &copy.register.state),
            Some(State::Assigned(current)) if current.number == attempt && current.executor == from
        );
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
        if let Some(State::Assigned(attempt)) = self.shelf.live_copy(&task).map(|copy| &copy.register.state)
            && attempt.executor == node
        {
            self.fail_attempt(cx, task, attempt.number, "its executor is gone", fault);
        }
    }

    /// A write has not reached all its holders: say it again to those that are there. Without a majority, try for a
    /// higher ballot after a while, since somebody may be in the way.
    pub(crate) fn reign_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let register = Arc::clone(&copy.register);
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        // While a settled birth is not in force, any of the home list helps to its majority.
        let home = register.joint.iter().flatten().filter(|_| !reign.in_force);
        let missing: BTreeSet<Holder> =
            everyone(&register).chain(home.copied()).filter(|holder| !reign.acked.contains(holder)).collect();
        for holder in &missing {
            if self.roster.is_present(holder) {
                self.send_write(holder, task, false);
            }
        }
        if !missing.is_empty() {
            self.timers.set(task, Kind::Ballot, cx.now.mono + self.config.ballot_timeout * 4);
        }
    }

    /// Somebody is gone: what waits for a majority looks for it among the others now.
    pub(crate) fn hasten_write(&mut self, cx: &mut Context<'_>, task: TaskId) {
        if matches!(self.drivers.get(&task), Some(Driver::Driving(reign)) if !reign.in_force) {
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

/// An executor that can be reached and does not answer is asked so often, in about three minutes.
const ASKED_IN_VAIN: u32 = 8;

/// Attempts that were given back, of which a record keeps so many. There is no limit to how often that happens, and the
/// next executor is chosen by the last of them.
const GIVEN_BACK_KEPT: usize = 8;

fn count(failed: &[FailedAttempt], fault: Fault) -> usize {
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

/// Holders, and those being replaced, once each.
pub(crate) fn everyone(register: &Register) -> impl Iterator<Item = Holder> + '_ {
    let is_birth = register.joint.as_ref().is_some_and(|joint| register.holders.iter().all(|h| joint.contains(h)));
    let joint = register.joint.iter().filter(move |_| !is_birth);
    let others: BTreeSet<&Holder> = joint.chain(&register.passed_by).flatten().collect();
    let others = others.into_iter().filter(|holder| !register.holders.contains(holder));
    register.holders.iter().chain(others).copied()
}

pub(crate) fn how_text(how: How) -> &'static str {
    match how {
        How::Done => "done",
        How::Failed => "failed",
        How::Cancelled => "cancelled",
        How::DeadlinePassed => "deadline passed",
    }
}
