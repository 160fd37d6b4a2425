//! The acceptor: what a holder takes on its disk, and what it promises.

use crate::{Copy, Fact, driver::Driver, effect::Context, quorum, story::Event, tasks::Tasks, timers::Kind};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ballot, Birth, Held, Item, Known, Register, State, Version},
    time::Wall,
};
use std::{sync::Arc, time::Duration};

impl Tasks {
    /// A placement (birth, first write). Refused if the id is taken, if this node is not at home for it, or for want of
    /// room; else on disk before the answer.
    pub(crate) fn on_place(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        birth: Arc<Birth>,
        ballot: Ballot,
        register: Arc<Register>,
        supersedes: Option<Ballot>,
    ) {
        let task = birth.task;
        if let Some(copy) = self.shelf.copy(&task) {
            if copy.ballot == ballot && copy.version >= Version::BIRTH && is_same(&copy.birth, &birth) {
                self.send(from, Item::Placed { task, ballot });
                return;
            }
            // All that the gateway placed since are given up; which of them came this far it cannot know.
            let is_earlier = supersedes.is_some_and(|first| first <= copy.ballot && copy.ballot < ballot);
            let given_up = is_earlier && copy.birth.gateway == birth.gateway && !copy.is_confirmed();
            if !given_up || self.shelf.promised(&task).is_some_and(|promised| promised > ballot) {
                let known = self.known(&task);
                self.counters.taken += 1;
                if let Some(known) = known {
                    self.send(from, Item::Taken { task, known });
                }
                return;
            }
        } else if let Some(promised) = self.shelf.promised(&task)
            && promised > ballot
        {
            self.counters.refusals += 1;
            self.send(from, Item::Refused { task, ballot, promised });
            self.propose(cx, Held { birth, ballot, version: Version::BIRTH, register }, promised);
            return;
        }
        if self.shelf.is_gone(&task) || self.is_forgotten(cx, birth.born) {
            self.too_old(cx, from, task, birth.born);
            return;
        }
        let home = self.roster.home(&task, self.config.home);
        // Two births of one id meet in a holder if their home lists are one. Where a gateway knows other members than
        // this node does, somebody's table is behind: a little later it is not.
        if !register.holders.contains(&self.me) || home != birth.home || !is_birth(&birth, ballot, &register) {
            self.counters.not_mine += 1;
            let home = home.into_iter().map(|holder| holder.node).collect();
            self.send(from, Item::NotMine { task, home });
            return;
        }
        if !self.has_room || self.shelf.live().len() >= self.config.live_max {
            self.counters.busy += 1;
            self.send(from, Item::Busy { task, retry_ms: 1000 });
            return;
        }
        self.counters.held += 1;
        self.tell(cx.now, task, Event::Held { gateway: birth.gateway });
        self.persist(cx, Fact::Held { birth, ballot, version: Version::BIRTH, register });
        self.watch(cx, task, self.config.settle_after);
        self.send(from, Item::Placed { task, ballot });
    }

    /// All named holders have it: it may be driven, and its first attempt run.
    pub(crate) fn on_born(&mut self, cx: &mut Context<'_>, task: TaskId, ballot: Ballot) {
        let Some(copy) = self.shelf.copy(&task).filter(|copy| copy.ballot == ballot) else {
            self.counters.stale_items += 1;
            return;
        };
        if copy.version > Version::BIRTH || copy.confirmed {
            return;
        }
        let (birth, register) = (Arc::clone(&copy.birth), Arc::clone(&copy.register));
        let undisturbed = self.shelf.promised(&task) == Some(ballot);
        self.shelf.mark_confirmed(&task);
        self.counters.confirmed += 1;
        self.unanswered.remove(&task);
        self.watch(cx, task, self.look_every());
        if !undisturbed {
            return;
        }
        if ballot.driver == self.me.node {
            self.begin_driving(cx, task, &register);
        }
        if let State::Assigned(attempt) = register.state
            && attempt.executor == self.me.node
        {
            self.enqueue(cx, birth, attempt.number, ballot.driver);
        }
    }

    /// The gateway gave this placement up before it was complete, and will never confirm it.
    pub(crate) fn on_abandon(&mut self, cx: &mut Context<'_>, task: TaskId, ballot: Ballot) {
        let is_untouched = self.shelf.promised(&task) == Some(ballot)
            && self.shelf.copy(&task).is_some_and(|copy| copy.ballot == ballot && !copy.is_confirmed());
        if is_untouched {
            self.counters.abandoned += 1;
            self.timers.clear(task, Kind::Watch);
            self.persist(cx, Fact::Dropped { tasks: vec![task] });
        }
    }

    /// Phase 1 of Paxos: on disk before it is answered.
    pub(crate) fn on_prepare(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, ballot: Ballot, born: Wall) {
        let promised = self.shelf.promised(&task);
        if let Some(promised) = promised.filter(|promised| *promised > ballot) {
            self.counters.refusals += 1;
            self.send(from, Item::Refused { task, ballot, promised });
            return;
        }
        if promised.is_none() && (self.shelf.is_gone(&task) || self.is_beyond_memory(cx, born)) {
            self.too_old(cx, from, task, Wall(0));
            return;
        }
        if ballot.driver != from {
            self.counters.stale_items += 1;
            return;
        }
        // Each copy may have one of its own beside those.
        let promises_max = self.config.live_max.saturating_mul(PROMISES).saturating_add(self.shelf.copies_len());
        if promised.is_none() && self.shelf.promises_len() >= promises_max {
            self.counters.promises_full += 1;
            return;
        }
        self.unanswered.remove(&task);
        if promised != Some(ballot) {
            self.counters.promises += 1;
            self.tell(cx.now, task, Event::Promised { ballot });
            if from != self.me.node {
                self.step_down(cx, task, ballot);
            }
            self.persist(cx, Fact::Promised { task, ballot, at: cx.now.wall });
            if self.shelf.is_live(&task) {
                self.watch(cx, task, self.look_every());
            }
        }
        let held = self.shelf.copy(&task).map(|copy| copy.to_held());
        self.send(from, Item::Promise { task, ballot, held });
    }

    /// Phase 2 of Paxos, and the replication of a driver's decisions.
    pub(crate) fn on_write(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        task: TaskId,
        stamp: (Ballot, Version),
        register: Arc<Register>,
        birth: Option<Arc<Birth>>,
    ) {
        let (ballot, version) = stamp;
        if let Some(promised) = self.shelf.promised(&task).filter(|promised| *promised > ballot) {
            self.counters.refusals += 1;
            self.send(from, Item::Refused { task, ballot, promised });
            return;
        }
        if ballot.driver != from || !register.is_sane() || birth.as_ref().is_some_and(|birth| birth.task != task) {
            self.counters.stale_items += 1;
            return;
        }
        self.unanswered.remove(&task);
        // A driver whose ballot this is above of has been replaced, whether or not it was asked for a promise.
        if self.drivers.get(&task).and_then(Driver::ballot).is_some_and(|mine| mine < ballot) {
            self.step_down(cx, task, ballot);
        }
        let is_other =
            birth.as_ref().is_some_and(|birth| self.shelf.copy(&task).is_some_and(|copy| !is_same(&copy.birth, birth)));
        let held = self.shelf.stamp(&task).map(|held| (held, is_other));
        if held.is_some_and(|(held, _)| held < stamp) {
            self.keep_own_result(cx, &task, &register);
        }
        match (held, birth) {
            (Some((held, ..)), _) if held >= stamp => {
                // Its driver has the birth in force: all its holders took it.
                if held == stamp && version == Version::BIRTH {
                    self.shelf.mark_confirmed(&task);
                }
            }
            (Some((_, true)), Some(birth)) => {
                self.persist(cx, Fact::Held { birth, ballot, version, register: Arc::clone(&register) });
            }
            (Some(_), _) => {
                self.persist(cx, Fact::Written { task, ballot, version, register: Arc::clone(&register) });
            }
            // A driver that was away for so long must not find its old majority again.
            (None, Some(birth)) if self.shelf.is_gone(&task) => {
                self.too_old(cx, from, task, birth.born);
                return;
            }
            // Whoever names a node that has left has yet to hear of it. But who promised it takes it.
            (None, Some(_))
                if self.shelf.promised(&task) != Some(ballot)
                    && !self.roster.seat(&self.me.node).is_some_and(|seat| seat.keeps) =>
            {
                self.counters.not_mine += 1;
                return;
            }
            (None, Some(birth)) => {
                self.persist(cx, Fact::Held { birth, ballot, version, register: Arc::clone(&register) });
            }
            (None, None) => {
                self.counters.lacked_birth += 1;
                self.send(from, Item::LacksBirth { task, ballot });
                return;
            }
        }
        self.rivals.remove(&task);
        self.takeovers.close(&task);
        self.proposals.forget(&task);
        self.given_back.remove(&task);
        match register.state {
            State::Ended(_) => {
                self.timers.clear(task, Kind::Watch);
                self.timers.clear(task, Kind::Wish);
                self.wait_for_all(cx, task, Duration::ZERO);
                // The driver tells whoever follows; if it cannot, they ask again.
                self.followers.remove(&task);
            }
            State::Waiting | State::Assigned(_) => self.watch(cx, task, self.look_every()),
        }
        self.send(from, Item::Wrote { task, ballot, version });
    }

    /// Whatever was known of it here is forgotten, at least up to keys as old as that.
    fn too_old(&mut self, cx: &Context<'_>, to: NodeId, task: TaskId, born: Wall) {
        self.counters.too_old += 1;
        let floor = self.floor(cx.now.wall).max(born + Duration::from_millis(1));
        let ended = self.shelf.gone_at(&task);
        self.send(to, Item::TooOld { task, floor, ended });
    }

    /// A holder says how far it is with what this node drives. It is told what it lacks, or the same again: so it knows
    /// that the task is driven, and of a birth that it is complete.
    pub(crate) fn on_pull(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, stamp: (Ballot, Version)) {
        self.counters.pulls += 1;
        let drives = matches!(self.drivers.get(&task), Some(Driver::Driving(_)));
        let me = self.me.node;
        let is_decided = |copy: &Copy| !copy.is_live() && (copy.in_force || copy.complete) && copy.ballot.driver == me;
        match self.shelf.copy(&task) {
            Some(copy) if (drives || copy.in_force || is_decided(&copy)) && copy.stamp() >= stamp => {
                let ((ballot, version), complete) = (copy.stamp(), copy.complete);
                let is_decided = is_decided(&copy);
                // Whoever has just this, and is not counted any more, need only know what became of it.
                if drives || copy.stamp() > stamp || !is_decided {
                    let birth = (copy.stamp() > stamp).then(|| Arc::clone(&copy.birth));
                    let register = Arc::clone(&copy.register);
                    self.send(from, Item::Write { task, ballot, version, register, birth });
                }
                if is_decided {
                    self.send(from, Item::InForce { task, ballot, version, complete });
                }
            }
            Some(copy) if copy.ballot.driver == self.me.node => self.take_over(cx, task),
            Some(_) if self.drivers.contains_key(&task) => {}
            None if self.drivers.contains_key(&task) => {}
            _ => self.send(from, Item::NotDriven { task, ballot: stamp.0 }),
        }
    }

    /// The one thought to drive it does not.
    pub(crate) fn on_not_driven(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, ballot: Ballot) {
        self.unanswered.remove(&task);
        self.propose_instead_of(cx, from, task);
        let still = self.shelf.stamp(&task).is_some_and(|(held, _)| held == ballot);
        let driver = self.shelf.promised(&task).map(|promised| promised.driver);
        let rival = self.rivals.get(&task).map(|rival| rival.ballot.driver);
        let is_open = self.shelf.is_live(&task) || self.shelf.is_undecided(&task);
        if still && (driver == Some(from) || rival == Some(from)) && is_open {
            self.take_over(cx, task);
        }
    }

    /// Asks a driver that is back for what this node may have missed.
    pub(crate) fn pull_from(&mut self, task: TaskId, node: NodeId) {
        let is_driver = self.shelf.promised(&task).is_some_and(|promised| promised.driver == node);
        if let Some(copy) = self.shelf.copy(&task).filter(|copy| is_driver && copy.is_confirmed()) {
            let (ballot, version) = copy.stamp();
            self.send(node, Item::Pull { task, ballot, version });
        }
    }

    /// The record here is live and somebody should drive it: make sure that it is so.
    pub(crate) fn watch_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        // Of a birth that was to be proposed nobody has said anything.
        self.proposals.forget(&task);
        let Some((ballot, version)) = self.shelf.stamp(&task).filter(|_| self.shelf.is_live(&task)) else { return };
        if self.drivers.contains_key(&task) {
            return;
        }
        if let Some(rival) = self.rivals.get_mut(&task)
            && rival.ballot.driver != self.me.node
            && !rival.asked
            && !self.roster.is_silent(&rival.ballot.driver)
        {
            rival.asked = true;
            let driver = rival.ballot.driver;
            self.send(driver, Item::Pull { task, ballot, version });
            self.watch(cx, task, Duration::from_secs(2));
            return;
        }
        let Some(driver) = self.shelf.promised(&task).map(|promised| promised.driver) else { return };
        let unanswered = self.unanswered.get(&task).copied().unwrap_or(0);
        if driver == self.me.node || unanswered >= PULLS || self.roster.is_silent(&driver) {
            self.take_over(cx, task);
            return;
        }
        // After a restart, or without word of what became of a birth, whoever should drive it is asked: it mostly does,
        // and to take its place would cost more than the answer.
        if self.roster.can_send(&driver) {
            self.unanswered.insert(task, unanswered + 1);
        }
        self.send(driver, Item::Pull { task, ballot, version });
        self.watch(cx, task, ANSWER_WITHIN * 2u32.pow(unanswered));
    }

    /// Between two looks at a task that is driven elsewhere: the more there are, the longer.
    pub(crate) fn look_every(&self) -> Duration {
        LOOK_EVERY.max(Duration::from_millis(self.shelf.live().len() as u64))
    }

    /// A member is silent: what it drove is taken over by the other holders, the first of them at once.
    pub(crate) fn driver_gone(&mut self, cx: &mut Context<'_>, task: TaskId, node: NodeId) {
        if self.shelf.promised(&task).is_some_and(|promised| promised.driver == node) {
            self.watch(cx, task, Duration::ZERO);
        }
    }

    /// Looks after the task in a while, later the further down its list of holders this node is.
    pub(crate) fn watch(&mut self, cx: &mut Context<'_>, task: TaskId, after: Duration) {
        let Some(copy) = self.shelf.glance(&task).filter(|copy| copy.ended.is_none()) else { return };
        let step = self.config.takeover_step * u32::try_from(self.rank_in(copy.holders)).unwrap_or(u32::MAX);
        self.timers.set(task, Kind::Watch, cx.now.mono + after + step);
    }

    pub(crate) fn known(&self, task: &TaskId) -> Option<Known> {
        self.shelf.copy(task).map(|copy| Known {
            digest: copy.birth.digest(),
            holders: copy.register.holders.iter().map(|holder| holder.node).collect(),
            confirmed: copy.is_bound(),
        })
    }
}

/// Promises that are kept for each record that may live here: one alone takes a fraction of a record, and a task without
/// a majority of promises waits for as long as they are kept.
const PROMISES: usize = 4;
/// How often a driver that can be reached is asked whether it drives, and how long the first time waits for an answer;
/// the others twice as long each.
const PULLS: u32 = 3;
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A driver is asked so often in any case.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// One and the same placement, though it may have come twice.
fn is_same(one: &Arc<Birth>, other: &Arc<Birth>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Whether a placement is what a gateway may place: first version, holders from the home list and a majority of it.
pub(crate) fn is_birth(birth: &Birth, ballot: Ballot, register: &Register) -> bool {
    let home = &birth.home;
    ballot.term == 0
        && register.holders.first().is_some_and(|first| first.node == ballot.driver)
        && register.joint.as_ref() == Some(home)
        && register.holders.iter().all(|holder| home.contains(holder))
        && register.holders.len() >= quorum::holders_needed(home.len())
        && register.failed.is_empty()
        && register.passed_by.is_empty()
        && match register.state {
            State::Waiting => true,
            State::Assigned(attempt) => attempt.number == 1,
            State::Ended(_) => false,
        }
}
