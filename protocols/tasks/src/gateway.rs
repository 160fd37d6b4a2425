//! The gateway: places what users submit, and acknowledges it when all its holders have it on disk.

use crate::{
    Roster, Seat,
    auction::Lot,
    capability,
    effect::{Answer, Context, Refusal, Waiter},
    executor::needs_slot,
    follow::Following,
    quorum,
    seeking::{first_able, nearness},
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    capability::Requirements,
    id::{NodeId, TaskId},
    task::{Attempt, Ballot, Birth, Holder, Item, Known, Octets, Register, Spec, State, Strategy, spec_digest},
    time::Wall,
};
use rand::RngExt as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How far a client's clock may be ahead of a node's: a key from later would be remembered too long.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// What this node does on behalf of users. Soft: a client whose gateway died asks another with the same key.
#[derive(Debug, Default)]
pub struct Gateway {
    placing: BTreeMap<TaskId, Placing>,
    pub(crate) following: BTreeMap<TaskId, Following>,
    pub(crate) cancelling: BTreeMap<TaskId, crate::follow::Cancelling>,
    /// For what each user still waits. Whoever leaves is looked for there alone.
    pub(crate) waiting: BTreeMap<Waiter, TaskId>,
}

/// A placement under way.
#[derive(Debug)]
struct Placing {
    waiters: Vec<Waiting>,
    birth: Arc<Birth>,
    /// It runs for a while: it goes where there is room.
    needs_slot: bool,
    requirements: Requirements,
    strategy: Strategy,
    /// It is to start after others: nobody is to run it yet.
    waits: bool,
    /// Who is to run it, once that was auctioned.
    award: Option<NodeId>,
    ballot: Ballot,
    /// Of its first placement: this one supersedes all since.
    first: Option<Ballot>,
    register: Arc<Register>,
    acked: BTreeSet<Holder>,
    /// Members that will not hold it now, and the least time after which one of them would.
    refused: BTreeSet<NodeId>,
    busy_ms: Option<u32>,
    /// What one of them remembers no more.
    floor: Option<Wall>,
    degraded: bool,
}

/// A user that waits for an acknowledgement, and maybe for the end.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub to: Waiter,
    pub follow: bool,
}

impl Gateway {
    pub fn is_placing(&self, task: &TaskId, ballot: Ballot) -> bool {
        self.placing.get(task).is_some_and(|placing| placing.ballot == ballot)
    }

    /// What this disk confirmed is gone.
    pub(crate) fn disk_lost(&mut self, lost: &Holder) {
        for placing in self.placing.values_mut() {
            placing.acked.remove(lost);
        }
    }

    /// Whether it was asked about the task here, or named by one that was.
    pub(crate) fn has_asked(&self, node: &NodeId, task: &TaskId) -> bool {
        let holds = |placing: &Placing| placing.birth.home.iter().any(|holder| holder.node == *node);
        self.placing.get(task).is_some_and(holds)
            || self.following.get(task).is_some_and(|following| following.has_asked(node))
            || self.cancelling.get(task).is_some_and(|cancelling| cancelling.has_asked(node))
    }

    /// Where a task that is being placed has its home.
    pub(crate) fn home_of(&self, task: &TaskId) -> Option<&[Holder]> {
        self.placing.get(task).map(|placing| placing.birth.home.as_slice())
    }

    pub fn placing_len(&self) -> usize {
        self.placing.len()
    }
}

impl Tasks {
    /// Takes a task from a user: one `Placed` or `Refused` follows, and with `follow` one `Ended`.
    pub fn submit(&mut self, cx: &mut Context<'_>, to: Waiter, encoded: Octets, follow: bool) {
        let spec = match Spec::decode(&encoded) {
            Ok(spec) => spec,
            Err(error) => {
                let why = Refusal::Malformed(error.to_string());
                self.answer(cx, Answer::Refused { to, task: None, why });
                return;
            }
        };
        if spec.born > cx.now.wall + CLOCK_SKEW {
            let why = "its key was drawn in the future: is the client's clock, or this node's, wrong?";
            self.answer(cx, Answer::Refused { to, task: None, why: Refusal::Malformed(why.into()) });
            return;
        }
        let task = spec.id(&self.network);
        if spec.after.iter().any(|dependency| dependency.task == task) {
            let why = Refusal::Malformed("it is to start after itself".into());
            self.answer(cx, Answer::Refused { to, task: Some(task), why });
            return;
        }
        let waiting = Waiting { to, follow };
        let digest = || spec_digest(&encoded);
        self.counters.submitted += 1;
        self.gateway.waiting.insert(to, task);
        if let Some(placing) = self.gateway.placing.get_mut(&task) {
            match placing.birth.spec == encoded || placing.birth.digest() == digest() {
                true => placing.waiters.push(waiting),
                false => self.conflict(cx, task, to),
            }
        } else if let Some(following) = self.gateway.following.get(&task).filter(|one| one.is_of_a_submission()) {
            match following.digest.is_none_or(|known| known == digest()) {
                true => self.follow_also(cx, task, waiting, Some(digest())),
                false => self.conflict(cx, task, to),
            }
        } else if let Some(known) = self.known(&task) {
            match known.digest == digest() {
                true => self.follow_existing(cx, task, vec![waiting], known, Some(digest())),
                false => self.conflict(cx, task, to),
            }
        } else if self.is_forgotten(cx, spec.born) {
            let why = Refusal::TooOld { born: spec.born, floor: self.floor(cx.now.wall) };
            self.answer(cx, Answer::Refused { to, task: Some(task), why });
        } else {
            self.tell(cx.now, task, Event::Submitted);
            self.place(cx, &spec, encoded, waiting);
        }
        self.drain_local(cx);
    }

    fn conflict(&mut self, cx: &mut Context<'_>, task: TaskId, to: Waiter) {
        self.counters.conflicts += 1;
        self.answer(cx, Answer::Refused { to, task: Some(task), why: Refusal::Conflict });
    }

    fn place(&mut self, cx: &mut Context<'_>, spec: &Spec, encoded: Octets, waiting: Waiting) {
        let task = spec.id(&self.network);
        let home = self.roster.home(&task, self.config.home);
        let (gateway, placed) = (self.me.node, cx.now.wall);
        let birth = Birth { task, spec: encoded, born: spec.born, gateway, placed, home };
        let placing = Placing {
            waiters: vec![waiting],
            birth: Arc::new(birth),
            needs_slot: needs_slot(spec),
            requirements: spec.requirements.clone(),
            strategy: spec.strategy,
            waits: !spec.after.is_empty(),
            award: None,
            ballot: Ballot { term: 0, driver: self.me.node, nonce: cx.rng.random_range(0..u64::MAX / 2) },
            first: None,
            register: Arc::new(Register {
                holders: Vec::new(),
                joint: None,
                passed_by: vec![],
                state: State::Waiting,
                failed: Vec::new(),
            }),
            acked: BTreeSet::new(),
            refused: BTreeSet::new(),
            busy_ms: None,
            floor: None,
            degraded: false,
        };
        self.gateway.placing.insert(task, placing);
        self.timers.set(task, Kind::Submit, cx.now.mono + self.config.submit_timeout);
        match spec.strategy {
            _ if !spec.after.is_empty() => self.try_place(cx, task),
            Strategy::Auction => self.auction(Lot::Birth(task), &spec.requirements),
            Strategy::Auto | Strategy::Dht | Strategy::Local => self.try_place(cx, task),
        }
    }

    /// It was auctioned: to one of those that bid, or to nobody.
    pub(crate) fn awarded_birth(&mut self, cx: &mut Context<'_>, task: TaskId, winner: Option<NodeId>) {
        if let Some(placing) = self.gateway.placing.get_mut(&task) {
            placing.award = winner;
            self.try_place(cx, task);
        }
    }

    /// Names holders and sends them the birth: the first of the home list that can be reached and have not refused.
    fn try_place(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(placing) = self.gateway.placing.get_mut(&task) else { return };
        let home = self.roster.home(&task, self.config.home);
        let wanted = self.config.copies.min(home.len());
        let needed = quorum::holders_needed(home.len());
        let able = |holder: &&Holder| self.roster.is_present(holder) && !placing.refused.contains(&holder.node);
        let mut holders: Vec<Holder> = home.iter().filter(able).copied().collect();
        // Who drains, or does not answer, is asked only where there are too few without it.
        let is_spared = |holder: &Holder| self.roster.drains(&holder.node) || self.roster.is_mute(&holder.node);
        holders.sort_by_key(is_spared);
        holders.truncate(wanted.max(needed));
        let others = holders.iter().take_while(|holder| !is_spared(holder)).count();
        holders.truncate(others.max(needed));
        if holders.len() < needed || holders.is_empty() {
            let (reached, needed) = (holders.len() as u32, needed.max(1) as u32);
            let why = match (placing.floor, placing.busy_ms) {
                (Some(floor), _) => Refusal::TooOld { born: placing.birth.born, floor },
                (None, Some(retry_ms)) => Refusal::Busy { retry_ms },
                (None, None) => Refusal::Unavailable { reached, needed, retry_ms: 1000 },
            };
            self.give_up_placing(cx, task, &why);
            return;
        }
        let before = (!placing.register.holders.is_empty()).then_some((placing.ballot, placing.register.clone()));
        let executor = first_executor(&mut self.roster, &task, &holders, placing, self.me.node);
        placing.degraded = holders.len() < self.config.copies.min(home.len());
        let driver = holders.first().map_or(self.me.node, |holder| holder.node);
        placing.ballot = Ballot { term: 0, driver, nonce: placing.ballot.nonce + 1 };
        placing.acked.clear();
        if placing.birth.home != home {
            placing.birth = Arc::new(Birth { home: home.clone(), ..Birth::clone(&placing.birth) });
        }
        let attempt = executor.map(|executor| Attempt { number: 1, executor, granted: cx.now.wall });
        placing.register = Arc::new(Register {
            holders,
            joint: Some(home),
            passed_by: vec![],
            state: attempt.map_or(State::Waiting, State::Assigned),
            failed: Vec::new(),
        });
        let (birth, register, ballot) = (placing.birth.clone(), placing.register.clone(), placing.ballot);
        let supersedes = placing.first;
        placing.first.get_or_insert(ballot);
        if let Some((old, earlier)) = before {
            self.counters.replaced_placements += 1;
            for holder in earlier.holders.iter().filter(|holder| !register.holders.contains(holder)) {
                self.send(holder.node, Item::Abandon { task, ballot: old });
            }
        }
        for holder in &register.holders {
            let (birth, register) = (birth.clone(), register.clone());
            self.send(holder.node, Item::Place { birth, ballot, register, supersedes });
        }
        self.timers.set(task, Kind::Place, cx.now.mono + self.config.place_timeout);
    }

    fn give_up_placing(&mut self, cx: &mut Context<'_>, task: TaskId, why: &Refusal) {
        let Some(placing) = self.gateway.placing.remove(&task) else { return };
        self.timers.clear(task, Kind::Place);
        self.timers.clear(task, Kind::Submit);
        match why {
            Refusal::Busy { .. } => self.counters.busy += 1,
            _ => self.counters.unavailable += 1,
        }
        for holder in &placing.register.holders {
            self.send(holder.node, Item::Abandon { task, ballot: placing.ballot });
        }
        for waiting in placing.waiters {
            self.answer(cx, Answer::Refused { to: waiting.to, task: Some(task), why: why.clone() });
        }
    }

    pub(crate) fn on_placed(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, ballot: Ballot) {
        let Some(store) = self.roster.seat(&from).map(|seat| seat.store) else { return };
        let Some(placing) = self.gateway.placing.get_mut(&task).filter(|placing| placing.ballot == ballot) else {
            self.counters.stale_items += 1;
            return;
        };
        placing.acked.insert(Holder { node: from, store });
        if placing.register.holders.iter().all(|holder| placing.acked.contains(holder)) {
            self.placed(cx, task);
        }
    }

    /// All named holders have it on disk: born.
    fn placed(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(placing) = self.gateway.placing.remove(&task) else { return };
        self.timers.clear(task, Kind::Place);
        self.timers.clear(task, Kind::Submit);
        let copies = placing.register.holders.len() as u32;
        self.counters.placed += 1;
        self.counters.placed_degraded += u64::from(placing.degraded);
        self.tell(cx.now, task, Event::Placed { copies });
        for waiting in &placing.waiters {
            let (to, degraded) = (waiting.to, placing.degraded);
            if !waiting.follow {
                self.gateway.waiting.remove(&to);
            }
            self.answer(cx, Answer::Placed { to, task, copies, degraded, existing: false });
        }
        let mut following = Following {
            waiters: placing.waiters.iter().filter(|w| w.follow).map(|w| w.to).collect(),
            holders: placing.register.holders.iter().map(|holder| holder.node).collect(),
            ..Following::default()
        };
        for holder in &placing.register.holders {
            self.send(holder.node, Item::Born { task, ballot: placing.ballot });
        }
        if let Some(earlier) = self.gateway.following.remove(&task) {
            following.waiters.extend(earlier.waiters);
            following.unconfirmed.extend(earlier.unconfirmed);
            following.dependents = earlier.dependents;
        }
        if !following.is_idle() {
            following.digest = Some(placing.birth.digest());
            self.gateway.following.insert(task, following);
            self.timers.set(task, Kind::Follow, cx.now.mono + crate::follow::FOLLOW_AGAIN);
        }
    }

    /// A holder has the id already: what was placed elsewhere is given up for what there is.
    pub(crate) fn on_taken(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, known: Known) {
        let may_tell = self.may_tell(&from, &task);
        if self.gateway.placing.contains_key(&task) && !may_tell {
            self.counters.stale_items += 1;
            return;
        }
        // Its own holder says so of what it may be proposing itself.
        if may_tell && from != self.me.node {
            self.drop_proposal(&task);
        }
        let Some(placing) = self.gateway.placing.remove(&task) else { return };
        self.timers.clear(task, Kind::Place);
        self.timers.clear(task, Kind::Submit);
        for holder in &placing.register.holders {
            self.send(holder.node, Item::Abandon { task, ballot: placing.ballot });
        }
        let digest = placing.birth.digest();
        if known.digest == digest {
            self.follow_existing(cx, task, placing.waiters, known, Some(digest));
        } else if known.confirmed {
            for waiting in placing.waiters {
                self.conflict(cx, task, waiting.to);
            }
        } else {
            // The other may itself be given up: no conflict until it is known to have come about.
            self.follow_existing(cx, task, placing.waiters, known, Some(digest));
        }
    }

    pub(crate) fn on_not_placed(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, busy_ms: Option<u32>) {
        let Some(placing) = self.gateway.placing.get_mut(&task) else { return };
        // Each refusal begins the placement anew: only who was asked refuses it.
        if !placing.birth.home.iter().any(|holder| holder.node == from) {
            self.counters.stale_items += 1;
            return;
        }
        placing.refused.insert(from);
        placing.busy_ms = placing.busy_ms.max(busy_ms);
        self.try_place(cx, task);
    }

    /// Somebody is settling a birth of this id: there is one.
    pub(crate) fn placement_refused(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(placing) = self.gateway.placing.get(&task) else { return };
        let digest = placing.birth.digest();
        let holders = placing.birth.home.iter().map(|holder| holder.node).collect();
        self.on_taken(cx, self.me.node, task, Known { digest, holders, confirmed: false });
    }

    /// A holder has forgotten all that is as old, or its clock is wrong. It holds nothing of it then, and the others are
    /// asked: of those that held it, too, each knows it or says the same.
    pub(crate) fn placement_too_old(&mut self, cx: &mut Context<'_>, from: NodeId, task: TaskId, floor: Wall) {
        if let Some(placing) = self.gateway.placing.get_mut(&task) {
            let is_home = placing.birth.home.iter().any(|holder| holder.node == from);
            placing.floor = placing.floor.max(Some(floor).filter(|_| is_home));
            self.on_not_placed(cx, from, task, None);
        }
    }

    /// A holder has not confirmed in time. One that has said nothing at all meanwhile is replaced; one that is at work
    /// is waited for.
    pub(crate) fn place_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(placing) = self.gateway.placing.get_mut(&task) else { return };
        let (now, timeout, me) = (cx.now.mono, self.config.place_timeout, self.me.node);
        let hung: Vec<NodeId> = placing
            .register
            .holders
            .iter()
            .filter(|holder| !placing.acked.contains(holder) && holder.node != me)
            .filter(|holder| self.roster.seat(&holder.node).is_none_or(|seat| now.since(seat.heard) >= timeout))
            .map(|holder| holder.node)
            .collect();
        hung.iter().for_each(|node| self.roster.let_pass(node, now));
        let home = placing.birth.home.len();
        let spare = home - placing.refused.len().min(home);
        if !hung.is_empty() && spare - hung.len().min(spare) >= quorum::holders_needed(home) {
            placing.refused.extend(hung);
            self.try_place(cx, task);
        } else {
            self.timers.set(task, Kind::Place, now + timeout);
        }
    }

    pub(crate) fn submit_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(placing) = self.gateway.placing.get(&task) else { return };
        let reached = placing.acked.len() as u32;
        let needed = placing.register.holders.len() as u32;
        self.give_up_placing(cx, task, &Refusal::Unavailable { reached, needed, retry_ms: 1000 });
    }

    /// A member can no longer be reached: what it was to hold and has not confirmed goes elsewhere.
    pub(crate) fn replace_placements(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let hit: Vec<TaskId> = self
            .gateway
            .placing
            .iter()
            .filter(|(_, placing)| {
                placing.register.holders.iter().any(|h| h.node == node && !placing.acked.contains(h))
            })
            .map(|(task, _)| *task)
            .collect();
        for task in hit {
            self.try_place(cx, task);
        }
    }

    /// A member is back: placements that wait for it may have been lost on the way.
    pub(crate) fn resend_placements(&mut self, _cx: &mut Context<'_>, node: NodeId) {
        let again: Vec<Item> = self
            .gateway
            .placing
            .values()
            .filter(|placing| placing.register.holders.iter().any(|h| h.node == node && !placing.acked.contains(h)))
            .map(|placing| Item::Place {
                birth: placing.birth.clone(),
                ballot: placing.ballot,
                register: placing.register.clone(),
                supersedes: placing.first.filter(|first| *first != placing.ballot),
            })
            .collect();
        for item in again {
            self.send(node, item);
        }
    }

    /// The user of a request is gone.
    pub fn leave(&mut self, request: u64) {
        let all = Waiter { request, index: 0 }..=Waiter { request, index: u32::MAX };
        let waited: Vec<(Waiter, TaskId)> = self.gateway.waiting.range(all).map(|(to, task)| (*to, *task)).collect();
        for (to, _) in waited {
            self.leave_one(to);
        }
    }

    pub(crate) fn leave_one(&mut self, to: Waiter) {
        let Some(task) = self.gateway.waiting.remove(&to) else { return };
        if let Some(placing) = self.gateway.placing.get_mut(&task) {
            placing.waiters.retain(|waiting| waiting.to != to);
        }
        self.leave_following(task, to);
    }
}

/// Whoever won it; or as its strategy has it, of those that have what is asked: this node, the nearest holder, or the first by
/// placement with a free slot, where there is one and the attempt needs one. Attempts granted since a node last spoke of its load
/// count: of a job that comes at once all would be sent to where there was room a second ago.
fn first_executor(
    roster: &mut Roster,
    task: &TaskId,
    holders: &[Holder],
    placing: &Placing,
    me: NodeId,
) -> Option<NodeId> {
    if placing.waits {
        return None;
    }
    let is_able = |roster: &Roster, node: &NodeId| {
        let able = |seat: &Seat| seat.holds && capability::rate(&placing.requirements, &seat.capabilities).is_ok();
        roster.can_send(node) && roster.seat(node).is_some_and(able)
    };
    let award = placing.award.filter(|winner| is_able(roster, winner));
    let chosen = match placing.strategy {
        _ if award.is_some() => award,
        Strategy::Local if is_able(roster, &me) => Some(me),
        _ if placing.requirements.is_empty() => Some(first_holder(roster, holders, placing)),
        Strategy::Auto | Strategy::Dht | Strategy::Auction | Strategy::Local => {
            first_able(roster, &placing.requirements, |node, seat, shortfall| {
                let is_busy = wants_room(placing) && !seat.is_free_for(&placing.requirements);
                (shortfall, is_busy, nearness(roster, task, holders, node))
            })
        }
    }?;
    if placing.needs_slot {
        roster.grant(&chosen);
    }
    Some(chosen)
}

/// The responsible node, which has the result in its record at once; or the next holder that has room.
fn first_holder(roster: &Roster, holders: &[Holder], placing: &Placing) -> NodeId {
    let has_room = |holder: &&Holder| roster.seat(&holder.node).is_some_and(|seat| seat.holds && seat.has_free_slot());
    let roomy = holders.iter().find(has_room).filter(|_| wants_room(placing));
    roomy.or(holders.first()).map_or(NodeId::from_bytes([0; 32]), |holder| holder.node)
}

fn wants_room(placing: &Placing) -> bool {
    placing.needs_slot && placing.strategy != Strategy::Dht
}
