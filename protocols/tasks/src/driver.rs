//! The driver: decides about a task, one write of its register at a time.

use crate::{
    Fact, attempts::count, candidate::Campaign, effect::Context, quorum, reign::Reign, story::Event, tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{
        Attempt, Ballot, Ending, FailedAttempt, FailureKind, Fault, Holder, How, Item, Outcome, Register, Spec, State,
        Status, Version,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// What this node does for a task that it drives, or would drive.
#[derive(Debug)]
pub enum Driver {
    /// Asking for promises.
    Campaigning(Box<Campaign>),
    /// Its ballot is the promised one; it alone writes.
    Driving(Box<Reign>),
}

impl Driver {
    pub fn ballot(&self) -> Option<Ballot> {
        match self {
            Self::Campaigning(campaign) => Some(campaign.ballot()),
            Self::Driving(reign) => reign.ballot,
        }
    }

    /// Of one in office.
    pub fn reign(&self) -> Option<&Reign> {
        match self {
            Self::Campaigning(_) => None,
            Self::Driving(reign) => Some(reign),
        }
    }

    pub fn reign_mut(&mut self) -> Option<&mut Reign> {
        match self {
            Self::Campaigning(_) => None,
            Self::Driving(reign) => Some(reign),
        }
    }
}

impl Tasks {
    /// By birth: all holders have the first version, which is in force with that.
    pub(crate) fn begin_driving(&mut self, cx: &mut Context<'_>, task: TaskId, register: &Register) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let birth = Arc::clone(&copy.birth);
        let reign = Reign {
            ballot: Some(copy.ballot),
            acked: register.holders.iter().copied().collect(),
            in_force: true,
            granted: true,
            granted_at: Some(cx.now.mono),
            ..Reign::default()
        };
        self.shelf.mark_in_force(&task);
        self.drivers.insert(task, Driver::Driving(Box::new(reign)));
        self.timers.clear(task, Kind::Watch);
        self.timers.set(task, Kind::Ask, cx.now.mono + self.config.ask_after);
        self.watch_deadline(cx, task);
        match register.state {
            State::Waiting => self.begin_waiting(cx, task),
            // The holders take it from the birth.
            State::Assigned(attempt) if register.holders.iter().all(|holder| holder.node != attempt.executor) => {
                self.tell(cx.now, task, Event::Granted { attempt: attempt.number, executor: attempt.executor });
                self.send(attempt.executor, Item::Assign { task, attempt, birth });
            }
            State::Assigned(_) | State::Ended(_) => {}
        }
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
        let had = std::mem::take(&mut reign.acked);
        reign.in_force = false;
        if let Some(aside) = reign.known_aside() {
            aside.told.clear();
        }
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
        if self.shelf.stamp(&task) != Some(stamp) {
            return;
        }
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) {
            reign.acked.insert(Holder { node: from, store });
            self.check_force(cx, task);
        }
    }

    pub(crate) fn on_lacks_birth(&mut self, from: NodeId, task: TaskId, ballot: Ballot) {
        let drives = self.shelf.stamp(&task).is_some_and(|(held, _)| held == ballot);
        if let Some(store) = self.roster.seat(&from).map(|seat| seat.store)
            && drives
        {
            self.send_write(&Holder { node: from, store }, task, false);
        }
    }

    /// Acts on what has come into force, once; and lets go when there is nothing left to do.
    pub(crate) fn check_force(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let (birth, stamp) = (Arc::clone(&copy.birth), copy.stamp());
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let register = Arc::clone(&copy.register);
        let acked = &reign.acked;
        if let Some(aside) = reign.aside.as_deref_mut() {
            aside.barred.extend(acked.iter().filter(|holder| aside.barring.contains(holder)));
        }
        let has = |holder: &Holder| reign.acked.contains(holder);
        if !reign.in_force && quorum::is_met(&register, has) {
            reign.in_force = true;
            self.takeovers.close(&task);
            self.counters.in_force += 1;
            self.shelf.mark_in_force(&task);
            match &register.state {
                State::Waiting => self.begin_waiting(cx, task),
                State::Assigned(attempt) => self.grant(cx, task, attempt),
                State::Ended(ending) => self.ended_in_force(cx, task, &register, ending.how),
            }
            // A grant can fail at once and end the task: what is settled is what is in the record now.
            let is_present = self.shelf.stamp(&task) == Some(stamp);
            if is_present && register.joint.is_some() {
                let settled = Register { joint: None, passed_by: Vec::new(), ..Register::clone(&register) };
                self.write(cx, task, settled);
                return;
            }
        }
        let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task) else { return };
        let all = everyone(&register).all(|holder| reign.acked.contains(&holder));
        let is_decided = reign.in_force && register.ending().is_some();
        // On all that are named, and not enough: those are missing whose place they take.
        let is_complete = all && reign.in_force;
        if reign.in_force
            && register.joint.is_none()
            && let Some(aside) = reign.known_aside()
            && !aside.asked_for_promise.is_empty()
        {
            let is_home = |node: &NodeId| birth.home.iter().any(|holder| holder.node == *node);
            let is_barred = quorum::is_majority(&birth.home, &|holder: &Holder| aside.barred.contains(holder));
            // A birth of that home list is on none but its members.
            let (asked, kept) =
                std::mem::take(&mut aside.asked_for_promise).into_iter().partition(|node| is_barred || !is_home(node));
            aside.asked_for_promise = kept;
            self.release(task, &register, &asked);
        }
        if is_complete {
            if let Some(reign) = self.drivers.get_mut(&task).and_then(Driver::reign_mut) {
                reign.tidy_aside();
            }
            if is_decided {
                let others: Vec<Holder> = everyone(&register).filter(|holder| *holder != self.me).collect();
                self.say_in_force(task, others.iter().map(|holder| holder.node), true);
            }
            self.shelf.mark_complete(&task);
            self.timers.clear(task, Kind::Ballot);
            if is_decided {
                // Once it is let go nobody adds what is missing.
                if register.holders.len() < self.config.copies && register.holders.len() < self.wanted_copies() {
                    self.replace_lost(cx, task);
                }
                if self.shelf.stamp(&task) == Some(stamp) {
                    self.drivers.remove(&task);
                }
            }
        }
    }

    /// Terminal and in force: whoever waits is told, whoever ran it may forget, and what it was to start after may be forgotten:
    /// as long as another could still write it without this end, its next driver may ask how those ended.
    fn ended_in_force(&mut self, cx: &mut Context<'_>, task: TaskId, register: &Arc<Register>, how: How) {
        self.release_inputs(&task);
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
        reign.lacking = false;
        self.seeking.remove(&task);
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
        // Whatever the clocks of its user and of this node say: a date before the key's would be that of another task that had
        // the key before, and nobody's word that this one ended would count (simulator, seed 80729).
        let at = cx.now.wall.max(copy.birth.born);
        register.state = State::Ended(Ending { how, by, outcome, at });
        self.timers.clear(task, Kind::Backoff);
        self.timers.clear(task, Kind::Inputs);
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
        let is_polls = self.polls.hears(&from, &task, outcome);
        let Some(copy) = self.shelf.copy(&task) else {
            // Who only polls was told nothing that it should hold.
            if !is_polls {
                self.send(from, Item::Unknown { task });
            }
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
        let encoded = copy.birth.spec.clone();
        if let Err(why) = self.judge_count(&task, &encoded, outcome) {
            self.counters.miscounted += 1;
            self.send(from, Item::Settled { task, attempt });
            // What this node knows of the members may differ from what the other does: it is nobody's fault yet.
            self.fail_attempt(cx, task, attempt, &format!("not counted rightly: {why}"), Fault::Nobody);
            return;
        }
        let is_pausing = matches!(self.drivers.get(&task), Some(Driver::Driving(reign)) if reign.pausing.is_some());
        let is_current = current.number == attempt && current.executor == from && !is_pausing;
        // A program that fails does so anywhere; what its node is to blame for is counted with the attempt. What was given up
        // and has failed as well is no merit: it could be told again and again, and make up for all that the node is to blame for.
        if outcome.is_success() || is_current && !outcome.is_of_the_node() {
            self.roster.performed(&from, true);
        }
        if outcome.is_success() {
            self.end(cx, task, How::Done, Some((attempt, from)), Some(Outcome::clone(outcome)));
            return;
        }
        if !is_current {
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
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        let failed = reign.failures(copy.register.failed.clone());
        let (own_failures, lost) = (count(&failed, Fault::Program), count(&failed, Fault::Node));
        // Replicas are run again on their own account, and asking the same ones once more gives the same.
        let tries = |spec: Spec| if spec.redundancy == 1 { usize::from(spec.retries) } else { 0 };
        let retries = Spec::decode(&copy.birth.spec).map_or(0, tries);
        let (fault, why) = match &outcome.status {
            Status::Exit(code) => (Fault::Program, format!("exited with code {code}")),
            Status::Signal(signal) => (Fault::Program, format!("killed by signal {signal}")),
            Status::Failed(failure) if failure.kind == FailureKind::GivenBack => {
                (Fault::Nobody, failure.message.clone())
            }
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
            let kind = match &outcome.status {
                Status::Failed(failure) => Some(failure.kind),
                Status::Exit(_) | Status::Signal(_) => None,
            };
            if matches!(kind, Some(FailureKind::InputUnavailable | FailureKind::GivenBack)) {
                self.ask_after_inputs(cx, task);
            }
            // Where an input is gone its node is not to blame, though as many such attempts as others end the task.
            let is_blamed = fault == Fault::Node && kind != Some(FailureKind::InputUnavailable);
            self.fail_attempt_of(cx, task, attempt.number, &why, (fault, is_blamed));
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
        // Those that have the end need not wait for the last to know that it is decided.
        if let Some(Driver::Driving(reign)) = self.drivers.get_mut(&task)
            && reign.in_force
            && register.ending().is_some()
        {
            let me = self.me;
            let acked = everyone(&register).filter(|holder| *holder != me && reign.acked.contains(holder));
            let reached = acked.filter(|holder| self.roster.can_send(&holder.node));
            let reached: Vec<Holder> = reached.collect();
            let told = &mut reign.aside_mut().told;
            let untold: Vec<NodeId> =
                reached.into_iter().filter(|holder| told.insert(*holder)).map(|h| h.node).collect();
            self.say_in_force(task, untold.into_iter(), false);
        }
    }

    /// Somebody is gone: what waits for a majority looks for it among the others now.
    pub(crate) fn hasten_write(&mut self, cx: &mut Context<'_>, task: TaskId) {
        if matches!(self.drivers.get(&task), Some(Driver::Driving(reign)) if !reign.in_force) {
            self.timers.set(task, Kind::Ballot, cx.now.mono);
        }
    }

    /// What waits for others, or for somebody able, waits for no message, and no execution is asked after: a driver that was
    /// replaced while it was cut off would never hear of it, and keep a live record of what has long ended (simulator,
    /// seed 400756). So it says again what all have. Whoever promised a higher ballot refuses it; the others need not ask.
    pub(crate) fn hold_office(&mut self, cx: &Context<'_>, task: TaskId) {
        if !self.timers.is_set(task, Kind::Office) {
            self.timers.set(task, Kind::Office, cx.now.mono + self.look_every() / 4 * 3);
        }
    }

    pub(crate) fn office_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(copy) = self.shelf.live_copy(&task) else { return };
        let (ballot, version) = copy.stamp();
        let register = Arc::clone(&copy.register);
        let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return };
        let waits_for_others = reign.awaiting.is_some() && register.state == State::Waiting;
        if !reign.lacking && !waits_for_others {
            return;
        }
        // A write that is under way is said again by its own timer.
        if reign.in_force {
            let me = self.me;
            for holder in register.holders.iter().filter(|holder| **holder != me) {
                let register = Arc::clone(&register);
                self.send(holder.node, Item::Write { task, ballot, version, register, birth: None });
            }
        }
        self.hold_office(cx, task);
    }

    pub(crate) fn watch_deadline(&mut self, cx: &mut Context<'_>, task: TaskId) {
        // Nearly none has one, and after a restart all are looked at in one turn.
        if !self.shelf.may_have_a_deadline(&task) {
            return;
        }
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
        self.leave_inputs(&task);
        self.takeovers.close(&task);
        if self.drivers.remove(&task).is_some() {
            self.counters.stepped_down += 1;
            self.seeking.remove(&task);
            self.tell(cx.now, task, Event::SteppedDown { to });
            for kind in [Kind::Ballot, Kind::Ask, Kind::Backoff, Kind::Inputs, Kind::Office] {
                self.timers.clear(task, kind);
            }
        }
    }
}

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
