//! Waiting for the end of tasks, and wishing for it: on behalf of users, at whichever node they came to, and of tasks that are
//! driven here and are to start after others.

use crate::{
    Roster,
    dependents::Dependents,
    driver::Driver,
    effect::{Answer, Context, Refusal, Waiter},
    gateway::Waiting,
    quorum,
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    id::{Digest, NodeId, TaskId},
    task::{How, Item, Known, Register},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The end of a followed task is asked for again after this, then after twice as long, to 16 times.
pub(crate) const FOLLOW_AGAIN: Duration = Duration::from_secs(5);

/// A task whose end somebody here waits for.
#[derive(Debug, Default)]
pub struct Following {
    pub waiters: Vec<Waiter>,
    /// Tasks that are driven here and are to start after it.
    pub dependents: Dependents,
    /// Submitted again while its birth was not known to be complete: still to be acknowledged.
    pub unconfirmed: Vec<Waiting>,
    pub holders: Vec<NodeId>,
    /// Who was taken for a holder before, or asked as one: what it says still counts.
    pub others: BTreeSet<NodeId>,
    /// Of the specification, where the user gave one.
    pub digest: Option<Digest>,
    /// Members of the home list that know nothing of it.
    pub unknown: BTreeSet<NodeId>,
    /// All members that can be reached were asked, not only those that should hold it.
    pub everywhere: bool,
    pub rounds: u32,
}

impl Following {
    /// Nobody waits any more.
    pub fn is_idle(&self) -> bool {
        self.waiters.is_empty() && self.unconfirmed.is_empty() && self.dependents.is_empty()
    }

    pub fn has_asked(&self, node: &NodeId) -> bool {
        self.holders.contains(node) || self.others.contains(node)
    }

    /// Those that hold it, as one of them says.
    fn held_by(&mut self, holders: &[NodeId]) {
        if self.holders != holders {
            let before = std::mem::replace(&mut self.holders, holders.to_vec());
            self.others.extend(before.into_iter().filter(|node| !holders.contains(node)).take(OTHERS));
            while self.others.len() > OTHERS {
                self.others.pop_first();
            }
        }
    }

    /// Somebody submitted it, or a user takes it for submitted. What only tasks wait for may be still to come.
    pub fn is_of_a_submission(&self) -> bool {
        self.dependents.is_empty() || self.digest.is_some() || !self.unconfirmed.is_empty()
    }
}

/// A cancellation on its way to a driver.
#[derive(Debug)]
pub struct Cancelling {
    waiters: Vec<Waiter>,
    unknown: BTreeSet<NodeId>,
    /// A holder of it has heard of the wish.
    known: bool,
    /// The other members that were asked as well, when those that should hold it knew nothing of it.
    others: Option<Vec<NodeId>>,
    rounds: u32,
}

impl Cancelling {
    pub fn has_asked(&self, node: &NodeId) -> bool {
        self.others.as_ref().is_some_and(|others| others.contains(node))
    }
}

/// Former holders that are remembered of what is followed.
const OTHERS: usize = 64;

impl Tasks {
    /// Says how a task ends: one `Ended` or `Missing`.
    pub fn follow(&mut self, cx: &mut Context<'_>, to: Waiter, task: TaskId) {
        self.gateway.following.entry(task).or_default().waiters.push(to);
        self.gateway.waiting.insert(to, task);
        self.ask_holders(cx, task);
        self.drain_local(cx);
    }

    /// A repeat of a submission that is known already.
    pub(crate) fn follow_existing(
        &mut self,
        cx: &mut Context<'_>,
        task: TaskId,
        waiters: Vec<Waiting>,
        known: Known,
        digest: Option<Digest>,
    ) {
        self.counters.existing += 1;
        let earlier = self.gateway.following.remove(&task).unwrap_or_default();
        let following = Following {
            waiters: earlier.waiters,
            dependents: earlier.dependents,
            unconfirmed: waiters.into_iter().chain(earlier.unconfirmed).collect(),
            holders: known.holders.clone(),
            others: earlier.others.into_iter().chain(earlier.holders).collect(),
            digest,
            ..Following::default()
        };
        self.gateway.following.insert(task, following);
        self.acknowledge(cx, task, &known);
        self.ask_holders(cx, task);
    }

    pub(crate) fn follow_also(&mut self, cx: &mut Context<'_>, task: TaskId, waiting: Waiting, digest: Option<Digest>) {
        self.counters.existing += 1;
        if let Some(following) = self.gateway.following.get_mut(&task) {
            following.unconfirmed.push(waiting);
            following.digest = following.digest.or(digest);
        }
        self.ask_holders(cx, task);
    }

    /// Once the birth is known to be complete, whoever submitted it again may know; who meant another task too.
    fn acknowledge(&mut self, cx: &mut Context<'_>, task: TaskId, known: &Known) {
        let Some(following) = self.gateway.following.get_mut(&task) else { return };
        if !known.confirmed || following.unconfirmed.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut following.unconfirmed);
        let conflicts = following.digest.is_some_and(|digest| digest != known.digest);
        let copies = known.holders.len() as u32;
        let degraded = copies < self.config.copies as u32;
        if !conflicts {
            following.waiters.extend(waiting.iter().filter(|waiting| waiting.follow).map(|waiting| waiting.to));
        }
        if following.is_idle() {
            self.gateway.following.remove(&task);
            self.timers.clear(task, Kind::Follow);
        }
        for Waiting { to, follow } in waiting {
            if !follow {
                self.gateway.waiting.remove(&to);
            }
            if conflicts {
                self.counters.conflicts += 1;
                self.answer(cx, Answer::Refused { to, task: Some(task), why: Refusal::Conflict });
            } else {
                self.answer(cx, Answer::Placed { to, task, copies, degraded, existing: true });
            }
        }
    }

    /// Asks the holders, or who should be.
    pub(crate) fn ask_holders(&mut self, cx: &mut Context<'_>, task: TaskId) {
        self.counters.followed += 1;
        let home = self.roster.home(&task, self.config.home);
        // A user who hears nothing asks again; a task that waits does not.
        let pace = Duration::from_millis(self.gateway.following.len() as u64);
        let Some(following) = self.gateway.following.get_mut(&task) else { return };
        let mut asked: BTreeSet<NodeId> = following.holders.iter().copied().collect();
        asked.extend(home.iter().map(|holder| holder.node));
        let pause = match following.dependents.is_empty() {
            true => FOLLOW_AGAIN * 2u32.pow(following.rounds.min(4)),
            false => pace.max(FOLLOW_AGAIN * 2u32.pow(following.rounds.min(2))),
        };
        let pause = if following.unconfirmed.is_empty() { pause } else { Duration::from_millis(500) };
        following.rounds += 1;
        following.unknown.clear();
        for node in asked {
            self.send(node, Item::Follow { task });
        }
        self.timers.set(task, Kind::Follow, cx.now.mono + pause);
    }

    pub(crate) fn follow_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        self.ask_holders(cx, task);
        let Some(following) = self.gateway.following.get_mut(&task) else { return };
        // A birth that nobody completes: the client asks again with the same key.
        if following.rounds > 20 && !following.unconfirmed.is_empty() {
            let waiting = std::mem::take(&mut following.unconfirmed);
            let needed = following.holders.len() as u32;
            for Waiting { to, .. } in waiting {
                let why = Refusal::Unavailable { reached: 0, needed, retry_ms: 1000 };
                self.answer(cx, Answer::Refused { to, task: Some(task), why });
            }
        }
        if self.gateway.following.get(&task).is_some_and(Following::is_idle) {
            self.gateway.following.remove(&task);
            self.timers.clear(task, Kind::Follow);
        }
    }

    /// A holder of what is followed here is silent: the others are asked, after they have had time to take over.
    pub(crate) fn followed_gone(&mut self, cx: &mut Context<'_>, task: TaskId, node: NodeId) {
        if self.gateway.following.get(&task).is_some_and(|following| following.holders.contains(&node)) {
            self.timers.set(task, Kind::Follow, cx.now.mono + self.config.settle_after);
        }
    }

    /// A gateway wants to know how it ends.
    pub(crate) fn on_follow(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else {
            self.send(from, Item::Unknown { task });
            return;
        };
        if copy.settled {
            let (digest, register) = (copy.birth.digest(), Arc::clone(&copy.register));
            self.send(from, Item::Ended { task, digest, register });
            return;
        }
        let is_ended = !copy.is_live();
        // Who has refused this node's ballot for a higher one goes on: two that take each other's place at each question leave no
        // driver the time that a task may wait for others (simulator, seed 820953).
        let promised = self.shelf.promised(&task).max(self.rivals.get(&task).map(|rival| rival.ballot));
        let driver = promised.map(|promised| promised.driver);
        let orphaned = driver.is_none_or(|driver| driver == self.me.node || self.roster.is_silent(&driver));
        self.followers.entry(task).or_default().insert(from);
        if let Some(known) = self.known(&task) {
            self.send(from, Item::Following { task, known });
        }
        if is_ended && !self.drivers.contains_key(&task) {
            // Whether a majority has it so is found out by writing it again; by the driver if there is one.
            match driver.filter(|_| !orphaned) {
                Some(driver) if driver != from => self.send(driver, Item::Follow { task }),
                _ => self.campaign(cx, task),
            }
        }
    }

    pub(crate) fn on_following(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, known: Known) {
        if !self.awaits_end(&task) || !self.tells(cx.now.mono, &from, &task) {
            return;
        }
        if let Some(cancelling) = self.gateway.cancelling.get_mut(&task) {
            cancelling.known = true;
        }
        if let Some(following) = self.gateway.following.get_mut(&task) {
            following.held_by(&known.holders);
            if !following.dependents.is_empty() {
                self.send(from, Item::Needed { task, still: true });
            }
            self.acknowledge(cx, task, &known);
        }
    }

    /// A member of the home list knows nothing of the task. When so many say so that no birth can be complete without
    /// them, there is none.
    pub(crate) fn on_unknown(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId) {
        self.report_unknown(cx, from, task);
        // Its driver was asked how it ended, as that is not known to be in force, and has lost or forgotten it.
        let is_unsure = self.shelf.copy(&task).is_some_and(|copy| !copy.is_live() && !copy.settled);
        // So has one that refused this node for a ballot of its own: nobody goes on in its place.
        let is_rival = self.rivals.get(&task).is_some_and(|rival| rival.ballot.driver == from);
        if is_unsure && (is_rival || self.shelf.promised(&task).is_some_and(|promised| promised.driver == from)) {
            self.campaign(cx, task);
        }
        let home = self.roster.home(&task, self.config.home);
        let counts = |unknown: &BTreeSet<NodeId>| home.iter().filter(|holder| unknown.contains(&holder.node)).count();
        let needed = quorum::majority(home.len());
        if let Some(following) = self.gateway.following.get_mut(&task) {
            following.unknown.insert(from);
            // Who left helps to move what it holds, and need not answer (simulator, seed 801769).
            let is_waited_for = |node: &NodeId| following.rounds <= LEFT_ROUNDS || !self.roster.is_out(node);
            let is_unknown =
                |node: &NodeId| following.unknown.contains(node) || self.roster.is_silent(node) || !is_waited_for(node);
            if counts(&following.unknown) >= needed && following.holders.iter().all(is_unknown) {
                // Since it was placed, members may have come that are closer to it: its holders are asked as well
                // before a user is told that there is no such task.
                let is_awaited = !following.waiters.is_empty() || !following.dependents.is_empty();
                if !following.everywhere && is_awaited {
                    following.everywhere = true;
                    let others = others_than(&self.roster, &following.unknown);
                    following.holders.extend(&others);
                    if !others.is_empty() {
                        others.into_iter().for_each(|node| self.send(node, Item::Follow { task }));
                        return;
                    }
                }
                let following = self.gateway.following.remove(&task);
                self.timers.clear(task, Kind::Follow);
                let Some(mut following) = following else { return };
                for to in std::mem::take(&mut following.waiters) {
                    self.answer(cx, Answer::Missing { to, task });
                }
                for waiting in std::mem::take(&mut following.unconfirmed) {
                    let why = Refusal::Unavailable { reached: 0, needed: needed as u32, retry_ms: 100 };
                    self.answer(cx, Answer::Refused { to: waiting.to, task: Some(task), why });
                }
                self.await_its_coming(cx, task, following);
            }
        }
        if let Some(cancelling) = self.gateway.cancelling.get_mut(&task) {
            cancelling.unknown.insert(from);
            if counts(&cancelling.unknown) < needed || cancelling.known {
                return;
            }
            let is_unknown = |node: &NodeId| cancelling.unknown.contains(node) || self.roster.is_silent(node);
            match &cancelling.others {
                Some(others) if others.iter().all(is_unknown) => self.cancel_answered(cx, task, false),
                Some(_) => {}
                None => {
                    let others = others_than(&self.roster, &cancelling.unknown);
                    cancelling.others = Some(others.clone());
                    match others.is_empty() {
                        true => self.cancel_answered(cx, task, false),
                        false => others.into_iter().for_each(|node| self.send(node, Item::Cancel { task })),
                    }
                }
            }
        }
    }

    /// Somebody waits here for its end, or for word of it.
    fn awaits_end(&self, task: &TaskId) -> bool {
        self.gateway.following.contains_key(task)
            || self.gateway.cancelling.contains_key(task)
            || self.followers.contains_key(task)
    }

    /// It ended, says a driver whose majority has it so.
    pub(crate) fn on_ended(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        task: TaskId,
        digest: Digest,
        register: Arc<Register>,
    ) {
        if !self.awaits_end(&task) || !self.tells(cx.now.mono, &from, &task) {
            return;
        }
        self.drop_proposal(&task);
        self.cancel_answered(cx, task, true);
        // A holder that asked on behalf of others passes it on.
        if let Some(followers) = self.followers.remove(&task) {
            let me = self.me.node;
            for node in followers.into_iter().filter(|node| *node != me) {
                self.send(node, Item::Ended { task, digest, register: Arc::clone(&register) });
            }
        }
        let holders = register.holders.iter().map(|holder| holder.node).collect();
        self.acknowledge(cx, task, &Known { digest, holders, confirmed: true });
        let Some(following) = self.gateway.following.remove(&task) else { return };
        self.timers.clear(task, Kind::Follow);
        if !following.waiters.is_empty() {
            self.counters.delivered += 1;
            self.tell(cx.now, task, Event::Delivered);
        }
        for to in following.waiters {
            self.answer(cx, Answer::Ended { to, task, register: Arc::clone(&register) });
        }
        self.dependency_ended(cx, task, &register, following.dependents);
    }

    /// A user waits no more for this task.
    pub(crate) fn leave_following(&mut self, task: TaskId, gone: Waiter) {
        if let Some(following) = self.gateway.following.get_mut(&task) {
            following.waiters.retain(|waiter| *waiter != gone);
            following.unconfirmed.retain(|waiting| waiting.to != gone);
            if following.is_idle() {
                self.gateway.following.remove(&task);
                self.timers.clear(task, Kind::Follow);
            }
        }
        if let Some(cancelling) = self.gateway.cancelling.get_mut(&task) {
            cancelling.waiters.retain(|waiter| *waiter != gone);
        }
    }

    // Cancellation.

    /// The user wants it to end: `CancelAsked` once a driver knows or it has ended, `Missing` if there is no such task.
    pub fn cancel(&mut self, cx: &mut Context<'_>, to: Waiter, task: TaskId) {
        let cancelling = self.gateway.cancelling.entry(task).or_insert_with(|| Cancelling {
            waiters: Vec::new(),
            unknown: BTreeSet::new(),
            known: false,
            others: None,
            rounds: 0,
        });
        cancelling.waiters.push(to);
        self.gateway.waiting.insert(to, task);
        self.ask_to_cancel(cx, task);
        self.drain_local(cx);
    }

    fn ask_to_cancel(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let mut asked: BTreeSet<NodeId> =
            self.roster.home(&task, self.config.home).into_iter().map(|holder| holder.node).collect();
        if let Some(known) = self.known(&task) {
            asked.extend(known.holders);
        }
        if let Some(following) = self.gateway.following.get(&task) {
            asked.extend(&following.holders);
        }
        let Some(cancelling) = self.gateway.cancelling.get_mut(&task) else { return };
        cancelling.unknown.clear();
        cancelling.others = None;
        let pause = Duration::from_secs(if cancelling.rounds < WISHED { 1 } else { 10 });
        for node in asked {
            self.send(node, Item::Cancel { task });
        }
        self.timers.set(task, Kind::Cancel, cx.now.mono + pause);
    }

    /// A holder that drives it ends it; one that does not remembers the wish, in case it comes to drive it.
    pub(crate) fn on_cancel(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else {
            self.send(from, Item::Unknown { task });
            return;
        };
        let is_live = copy.is_live();
        self.tell(cx.now, task, Event::CancelAsked);
        self.on_follow(cx, from, task);
        if !is_live {
            return;
        }
        match self.drivers.get(&task) {
            Some(Driver::Driving(_)) => self.end(cx, task, How::Cancelled, None, None),
            _ => self.timers.set(task, Kind::Wish, cx.now.mono + Duration::from_secs(30)),
        }
    }

    /// Asked again until it has ended or nobody knows it; the wish of a holder just lapses. Its users are told after a
    /// while that a holder knows it, and it is asked on for as long as a majority of the holders may well be away.
    pub(crate) fn cancel_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(cancelling) = self.gateway.cancelling.get_mut(&task) else { return };
        cancelling.rounds += 1;
        if !cancelling.known && cancelling.rounds >= WISHED || cancelling.rounds >= WISHED_AT_ALL {
            let known = cancelling.known;
            self.cancel_answered(cx, task, known);
            return;
        }
        if cancelling.rounds >= WISHED {
            let waiters = std::mem::take(&mut cancelling.waiters);
            waiters.into_iter().for_each(|to| self.answer(cx, Answer::CancelAsked { to, task }));
        }
        self.ask_to_cancel(cx, task);
    }

    fn cancel_answered(&mut self, cx: &mut Context<'_>, task: TaskId, known: bool) {
        let Some(cancelling) = self.gateway.cancelling.remove(&task) else { return };
        self.timers.clear(task, Kind::Cancel);
        for to in cancelling.waiters {
            match known {
                true => self.answer(cx, Answer::CancelAsked { to, task }),
                false => self.answer(cx, Answer::Missing { to, task }),
            }
        }
    }
}

/// Rounds in which members are asked that have left the mesh since they were first asked, and are there still: half a minute.
const LEFT_ROUNDS: u32 = 3;

/// Rounds of a cancellation, a second each, after which its user is told how far it came; and those in all, the later ones
/// ten seconds each: an hour.
const WISHED: u32 = 30;
const WISHED_AT_ALL: u32 = WISHED + 360;

/// Members that can be asked, other than these.
fn others_than(roster: &Roster, asked: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let able = roster.iter().filter(|(node, seat)| seat.keeps && seat.connected && !asked.contains(*node));
    able.map(|(node, _)| *node).collect()
}
