//! The task layer of one node: its copies, what it drives, what it waits for on behalf of users, what it runs.

use crate::{
    Config, Fact,
    auction::{Auctions, score::WHOLE},
    candidate::Rival,
    config::{CATCH_UP, TICK},
    counters::Counters,
    drain::Drain,
    driver::Driver,
    effect::{Answer, Context, Effect},
    ends::Ends,
    executor::Executor,
    gateway::Gateway,
    leases::Leases,
    needs::Needs,
    poll::Polls,
    proposal::Proposals,
    retention::Retirement,
    roster::{Holding, Load, Roster},
    seeking::Seeking,
    shelf::Shelf,
    stealing::Trade,
    story::{Event, Story},
    takeover::Takeovers,
    timers::{Kind, Timers},
    walk::{News, Walks},
};
use mesh_proto::{
    capability::Capabilities,
    id::{NetworkId, NodeId, StoreId, TaskId},
    task::{Holder, Item},
    time::{Mono, Now},
};
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::{ops::Bound, time::Duration};

/// Timers that are handled in one call.
const TIMERS: usize = 1_000;

/// One node's task layer.
///
/// Facts come back by [`Tasks::apply`] (and [`Tasks::load`]) before anything else, then [`Tasks::restarted`] once. All
/// other calls may come in any order. After each, [`Tasks::take_items`] has what is to be sent.
pub struct Tasks {
    pub(crate) config: Config,
    pub(crate) network: NetworkId,
    pub(crate) me: Holder,
    pub(crate) roster: Roster,
    pub(crate) shelf: Shelf,
    pub(crate) drivers: BTreeMap<TaskId, Driver>,
    pub(crate) rivals: BTreeMap<TaskId, Rival>,
    pub(crate) takeovers: Takeovers,
    pub(crate) proposals: Proposals,
    /// Nodes that wait for the end of a task held here.
    pub(crate) followers: BTreeMap<TaskId, BTreeSet<NodeId>>,
    pub(crate) gateway: Gateway,
    pub(crate) executor: Executor,
    pub(crate) ends: Ends,
    /// Attempts at tasks held here that their executors gave back while nobody drove them.
    pub(crate) given_back: BTreeMap<TaskId, u32>,
    /// Records whose driver was asked whether it drives, and how often in vain.
    pub(crate) unanswered: BTreeMap<TaskId, u32>,
    pub(crate) needs: Needs,
    pub(crate) leases: Leases,
    /// When this process began.
    pub(crate) up_since: Mono,
    pub(crate) timers: Timers,
    pub(crate) walks: Walks,
    pub(crate) seeking: Seeking,
    pub(crate) auctions: Auctions,
    pub(crate) trade: Trade,
    pub(crate) polls: Polls,
    pub(crate) story: Story,
    pub(crate) counters: Counters,
    /// There is room for new work on the disk.
    pub(crate) has_room: bool,
    /// Of this machine's memory, in parts per million.
    pub(crate) free_memory: u32,
    pub(crate) repair_cursor: Option<TaskId>,
    pub(crate) drain: Drain,
    pub(crate) retirement: Retirement,
    pub(crate) next_tick: Mono,
    outgoing: BTreeMap<NodeId, Vec<Item>>,
    /// What this node says to itself.
    local: VecDeque<Item>,
}

impl Tasks {
    pub fn new(config: Config, network: NetworkId, me: Holder, holds: bool, has: &Capabilities) -> Self {
        let mut roster = Roster::new(me, holds);
        roster.set_capabilities(&me.node, has);
        Self {
            network,
            me,
            roster,
            shelf: Shelf::default(),
            drivers: BTreeMap::new(),
            rivals: BTreeMap::new(),
            takeovers: Takeovers::default(),
            proposals: Proposals::default(),
            followers: BTreeMap::new(),
            gateway: Gateway::default(),
            executor: Executor::default(),
            ends: Ends::default(),
            given_back: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            needs: Needs::default(),
            leases: Leases::default(),
            up_since: Mono::default(),
            timers: Timers::default(),
            walks: Walks::default(),
            seeking: Seeking::default(),
            auctions: Auctions::default(),
            trade: Trade::default(),
            polls: Polls::default(),
            story: Story::new(config.story_max),
            counters: Counters::default(),
            has_room: true,
            free_memory: WHOLE,
            repair_cursor: None,
            drain: Drain::default(),
            retirement: Retirement::default(),
            next_tick: Mono::default(),
            outgoing: BTreeMap::new(),
            local: VecDeque::new(),
            config,
        }
    }

    // Restoring.

    pub fn apply(&mut self, fact: Fact) {
        self.shelf.apply(fact);
        self.seal_some();
    }

    /// Whether the key was one of this layer's.
    pub fn load(&mut self, key: &[u8], value: &[u8]) -> Result<bool, mesh_proto::codec::DecodeError> {
        self.shelf.load(key, value)
    }

    pub fn take_changes(&mut self, put: impl FnMut(Vec<u8>, Option<Vec<u8>>)) {
        self.shelf.take_changes(put);
    }

    /// After a restart nothing under an old ballot of its own is written: every live record that it drove is prepared
    /// anew, since writes that were sent may not have reached this disk. What others drive they are asked about.
    pub fn restarted(&mut self, cx: &mut Context<'_>) {
        self.up_since = cx.now.mono;
        let live: Vec<TaskId> = self.shelf.live().iter().copied().collect();
        // Spread, so that a restart is no storm: two seconds, or 5,000 records a second.
        let most = (live.len() as u64 / 5).max(2000);
        for task in live {
            let spread = Duration::from_millis(cx.rng.random_range(0..most));
            self.watch(cx, task, self.config.settle_after + spread);
            self.watch_deadline(cx, task);
        }
        let unsure = self.shelf.glances(Bound::Unbounded).filter(|(_, copy)| copy.ended.is_some() && !copy.complete);
        let unsure: Vec<TaskId> = unsure.map(|(task, _)| *task).collect();
        let most = (unsure.len() as u64 / 5).max(2000);
        for task in unsure {
            let spread = Duration::from_millis(cx.rng.random_range(0..most));
            self.wait_for_all(cx, task, spread);
        }
        let kept: Vec<TaskId> = self.shelf.outbox().keys().map(|(task, _)| *task).collect();
        for task in kept {
            self.timers.set(task, Kind::Report, cx.now.mono + self.config.settle_after);
        }
        self.drain_local(cx);
    }

    // The mesh.

    /// A member is known, or known anew.
    pub fn member(&mut self, cx: &mut Context<'_>, node: NodeId, store: StoreId, holding: impl Into<Holding>) {
        let holding = holding.into();
        let holds = holding == Holding::Holds;
        let before = self.roster.seat(&node).map(|seat| (seat.holds, Holder { node, store: seat.store }));
        self.roster.admit(node, store, holding);
        if let Some((_, lost)) = before.filter(|(_, before)| before.store != store) {
            self.disk_lost(cx, lost);
        }
        if holds && before.is_none_or(|(held, _)| !held) {
            self.seeking.look_at(node);
        }
        if node == self.me.node && before.is_some_and(|(held, _)| held != holds) {
            self.note_draining(cx);
        }
        self.note_isolation();
        self.drain_local(cx);
    }

    /// What another member has.
    pub fn has(&mut self, node: NodeId, capabilities: &Capabilities) {
        if node != self.me.node && self.roster.set_capabilities(&node, capabilities) {
            self.seeking.look_at(node);
        }
    }

    pub fn up(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let now = cx.now.mono;
        self.roster.change(&node, |seat| {
            seat.connected = true;
            seat.full = false;
            seat.silent_since = None;
            (seat.heard, seat.is_mute) = (now, false);
        });
        self.seeking.look_at(node);
        self.note_isolation();
        self.resend(cx, node);
        self.drain_local(cx);
    }

    pub fn down(&mut self, cx: &mut Context<'_>, node: NodeId) {
        self.roster.change(&node, |seat| seat.connected = false);
        self.bidder_gone(cx, node);
        self.replace_placements(cx, node);
        self.drain_local(cx);
    }

    /// A member is believed to be gone: its connection stayed closed, or nothing came over it.
    pub fn silent(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let now = cx.now.mono;
        self.roster.change(&node, |seat| {
            seat.connected = false;
            seat.silent_since.get_or_insert(now);
        });
        self.note_isolation();
        self.bidder_gone(cx, node);
        self.replace_placements(cx, node);
        self.spread_news(cx, News::Gone(node));
        self.drain_local(cx);
    }

    pub fn full(&mut self, node: NodeId) {
        if let Some(seat) = self.roster.seat_mut(&node) {
            seat.full = true;
        }
    }

    pub fn writable(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(seat) = self.roster.seat_mut(&node)
            && seat.full
        {
            seat.full = false;
            self.resend(cx, node);
        }
        self.drain_local(cx);
    }

    pub fn load_of(&mut self, node: NodeId, load: Load) {
        self.roster.set_load(&node, load);
        self.trade.said(&node);
        if load.queued > 0 && node != self.me.node {
            self.look_for_work();
        }
    }

    /// How much of this machine's memory is free, in parts per million.
    pub fn memory(&mut self, free_ppm: u32) {
        self.free_memory = free_ppm.min(WHOLE);
    }

    pub fn disk(&mut self, has_room: bool) {
        self.has_room = has_room;
    }

    /// A frame from a connected member.
    pub fn items(&mut self, cx: &mut Context<'_>, from: NodeId, items: Vec<Item>) {
        if let Some(seat) = self.roster.seat_mut(&from) {
            (seat.heard, seat.is_mute) = (cx.now.mono, false);
        }
        for item in items {
            self.item(cx, from, item);
        }
        self.drain_local(cx);
        self.seal_some();
    }

    /// Under load, what has ended and what rests is packed as fast as it comes, a little at a time.
    fn seal_some(&mut self) {
        self.shelf.seal_resting(crate::config::FRESH / 4, crate::config::FRESH);
        if self.shelf.unsealed() > crate::config::UNSEALED {
            self.shelf.seal(crate::config::UNSEALED / 4, |task| self.drivers.contains_key(task));
        }
    }

    pub fn deadline(&self) -> Option<Mono> {
        if !self.walks.is_empty() || self.seeking.is_due() || self.executor.outfit.is_unsure() {
            return Some(Mono::default());
        }
        [
            self.timers.next(),
            self.takeovers.due(),
            self.ends.due(),
            self.auctions.deadline(),
            self.trade.deadline(),
            Some(self.next_tick),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is due: so much of it that a turn takes milliseconds, and [`Tasks::deadline`] says when there is more.
    pub fn handle_deadline(&mut self, cx: &mut Context<'_>) {
        self.ends_due(cx);
        for _ in 0..TIMERS {
            let Some((task, kind)) = self.timers.pop(cx.now.mono) else { break };
            match kind {
                Kind::Place => self.place_due(cx, task),
                Kind::Submit => self.submit_due(cx, task),
                Kind::Follow => self.follow_due(cx, task),
                Kind::Watch => self.watch_due(cx, task),
                Kind::Ballot => self.ballot_due(cx, task),
                Kind::Ask => self.ask_due(cx, task),
                Kind::Backoff => self.backoff_due(cx, task),
                Kind::Inputs => self.inputs_due(cx, task),
                Kind::Office => self.office_due(cx, task),
                Kind::Deadline => self.deadline_due(cx, task),
                Kind::Report => self.report_due(cx, task),
                Kind::Cancel => self.cancel_due(cx, task),
                Kind::Wish => {}
                Kind::Retract => self.retract_due(cx, task),
                Kind::Withdrawn => self.withdrawn_due(task),
                Kind::Poll => self.poll_due(cx, task),
                Kind::Need => self.need_due(cx, task),
                Kind::Unsure => self.unsure_due(cx, task),
            }
        }
        self.takeovers_due(cx);
        self.walk(cx);
        self.seek_some(cx);
        self.look_over_some(cx);
        self.auctions_due(cx);
        self.trade_due(cx);
        if self.next_tick <= cx.now.mono {
            let has_more = [self.repair(cx), self.retire(cx)].contains(&true);
            self.next_tick = cx.now.mono + if has_more { CATCH_UP } else { TICK };
            self.shelf.seal(crate::config::UNSEALED * 2, |task| self.drivers.contains_key(task));
        }
        self.drain_local(cx);
    }

    /// What is to be sent, by destination.
    pub fn take_items(&mut self) -> BTreeMap<NodeId, Vec<Item>> {
        std::mem::take(&mut self.outgoing)
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    fn item(&mut self, cx: &mut Context<'_>, from: NodeId, item: Item) {
        match item {
            Item::Place { birth, ballot, register, supersedes } => {
                self.on_place(cx, from, birth, ballot, register, supersedes);
            }
            Item::Born { task, ballot } => self.on_born(cx, task, ballot),
            Item::Abandon { task, ballot } => self.on_abandon(cx, task, ballot),
            Item::Prepare { task, ballot, born } => self.on_prepare(cx, from, task, ballot, born),
            Item::Write { task, ballot, version, register, birth } => {
                self.on_write(cx, from, task, (ballot, version), register, birth);
            }
            Item::Pull { task, ballot, version } => self.on_pull(cx, from, task, (ballot, version)),
            Item::Follow { task } => self.on_follow(cx, from, task),
            Item::Needed { task, still } => self.on_needed(cx, from, task, still),
            Item::Cancel { task } => self.on_cancel(cx, from, task),

            Item::Placed { task, ballot } => self.on_placed(cx, from, task, ballot),
            Item::Taken { task, known } => self.on_taken(cx, from, task, known),
            Item::NotMine { task, .. } => self.on_not_placed(cx, from, task, None),
            Item::Busy { task, retry_ms } => self.on_not_placed(cx, from, task, Some(retry_ms)),
            Item::TooOld { task, floor, ended } => {
                self.placement_too_old(cx, from, task, floor);
                self.forgotten_elsewhere(cx, from, task, ended);
            }
            Item::Following { task, known } => self.on_following(cx, from, task, known),
            Item::Unknown { task } => self.on_unknown(cx, from, task),
            Item::Ended { task, digest, register } => self.on_ended(cx, from, task, digest, register),

            Item::Promise { task, ballot, held } => self.on_promise(cx, from, task, ballot, held),
            Item::Refused { task, ballot, promised } => self.on_refused(cx, task, ballot, promised),
            Item::Wrote { task, ballot, version } => self.on_wrote(cx, from, task, (ballot, version)),
            Item::LacksBirth { task, ballot } => self.on_lacks_birth(from, task, ballot),
            Item::NotDriven { task, ballot } => self.on_not_driven(cx, from, task, ballot),
            Item::InForce { task, ballot, version, complete } => {
                self.on_in_force(cx, from, task, (ballot, version), complete);
            }
            Item::Running { task, attempt } => self.on_running(cx, from, task, attempt),
            Item::NotRunning { task, attempt, why } => self.on_not_running(cx, from, task, attempt, &why),
            Item::Report { task, attempt, outcome } => self.on_report(cx, from, task, attempt, &outcome),

            Item::Assign { task, attempt, birth } => self.on_assign(cx, from, task, attempt, birth),
            Item::Ask { task, attempt, age_ms } => self.on_ask(cx, from, task, attempt, age_ms),
            Item::Settled { task, .. }
            | Item::Handed { task, .. }
            | Item::Keep { task, .. }
            | Item::DrivenBy { task, .. }
                if !self.settles(&from, &task) => {}
            Item::Settled { task, attempt } => self.on_settled(cx, task, attempt),
            Item::DrivenBy { task, driver } => self.on_driven_by(from, task, driver),

            Item::Steal { most } => self.on_steal(cx, from, most),
            Item::Yielded { count } => self.on_yielded(cx, from, count),
            Item::Retract { task, attempt, thief } => self.on_retract(cx, from, task, attempt, thief),
            Item::Handed { task, attempt } => self.on_handed(cx, task, attempt),
            Item::Keep { task, attempt } => self.on_keep(cx, task, attempt),
            Item::Announce(announcement) => self.on_announce(cx, from, announcement),
            Item::Bid { auction, bid } => self.on_bid(cx, from, auction, bid),
            Item::Closed { auction, won } => self.on_closed(cx, from, auction, won),
        }
    }

    /// After a reconnection, all that the other may have missed.
    fn resend(&mut self, cx: &mut Context<'_>, node: NodeId) {
        self.resend_placements(cx, node);
        self.spread_news(cx, News::Back(node));
    }

    // Shared by the roles.

    pub(crate) fn persist(&mut self, cx: &mut Context<'_>, fact: Fact) {
        self.shelf.apply(fact.clone());
        cx.position = cx.position.next();
        cx.effects.push(Effect::Persist(fact));
    }

    /// To a node that can be reached, or to itself. What cannot be sent is sent again on `up`, by whoever still means it.
    pub(crate) fn send(&mut self, to: NodeId, item: Item) {
        if to == self.me.node {
            self.local.push_back(item);
        } else if self.roster.can_send(&to) {
            self.outgoing.entry(to).or_default().push(item);
        }
    }

    pub(crate) fn answer(&mut self, cx: &mut Context<'_>, answer: Answer) {
        match &answer {
            // Who follows it as well waits on.
            Answer::Placed { .. } => {}
            Answer::Refused { to, .. }
            | Answer::Ended { to, .. }
            | Answer::Missing { to, .. }
            | Answer::CancelAsked { to, .. } => {
                self.gateway.waiting.remove(to);
            }
        }
        if !self.polls.takes(&answer) {
            cx.effects.push(Effect::Answer(answer));
        }
    }

    pub(crate) fn tell(&mut self, now: Now, task: TaskId, event: Event) {
        self.story.tell(now.wall, task, event);
    }

    pub(crate) fn drain_local(&mut self, cx: &mut Context<'_>) {
        loop {
            while let Some(item) = self.local.pop_front() {
                self.item(cx, self.me.node, item);
            }
            if !self.poll_some(cx) {
                break;
            }
        }
    }
}
