//! Taking over: a ballot of one's own, from the promises that it needs to the first write under it.

use crate::{
    Fact,
    driver::{Driver, everyone},
    effect::Context,
    quorum,
    reign::{Aside, Reign},
    story::Event,
    tasks::Tasks,
    timers::Kind,
};
use mesh_proto::{
    id::{Digest, NodeId, TaskId},
    limits,
    task::{Ballot, Held, Holder, How, Item, Register, State, Version},
    time::{Mono, Wall},
};
use rand::RngExt as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Every so many rounds of asking who is missing, all are asked.
const ASK_ALL: u32 = 4;

/// A ballot that is asking for promises.
#[derive(Debug)]
pub struct Campaign {
    ballot: Ballot,
    /// The birth to go on with where nobody has one.
    proposal: Option<Held>,
    /// Who promised, and what they held then.
    promises: BTreeMap<Holder, Option<Held>>,
    asked: BTreeSet<NodeId>,
    /// Members that have outlived the record.
    outlived: BTreeSet<Holder>,
    began: Mono,
    /// How often it was begun again for their sake.
    again: u32,
    /// How often all that were missing were asked.
    rounds: u32,
}

impl Campaign {
    pub fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// What those that promised hold; where that is nothing, what is proposed.
    fn seen(&self) -> Vec<Held> {
        let held: Vec<Held> = self.promises.values().flatten().cloned().collect();
        if held.is_empty() { self.proposal.iter().cloned().collect() } else { held }
    }

    /// When the key of what is proposed was drawn.
    fn proposed(&self) -> Option<Wall> {
        self.proposal.as_ref().map(|held| held.birth.born)
    }

    /// Whether that holder has promised.
    pub fn has(&self, holder: &Holder) -> bool {
        self.promises.contains_key(holder)
    }
}

/// A higher ballot that refused one of this node's.
#[derive(Debug)]
pub struct Rival {
    pub ballot: Ballot,
    /// Its driver was asked how far it is.
    pub asked: bool,
}

/// What a new driver adopts: the highest (ballot, version), except that among births, whose ballots no phase 1 has
/// ordered, the one that was written upon stands above all others. It is complete; they never were, whatever their
/// drivers' ids.
fn precedence(held: &Held) -> (u32, bool, Ballot, Version) {
    (held.ballot.term, held.version > Version::BIRTH, held.ballot, held.version)
}

impl Tasks {
    /// Phase 1 of Paxos, for a record that is held here. Does nothing while this node drives or campaigns already.
    pub(crate) fn campaign(&mut self, cx: &mut Context<'_>, task: TaskId) {
        if let Some(held) = self.shelf.copy(&task).map(|copy| copy.to_held()) {
            self.ask_for_promises(cx, task, Some(held), None);
        }
    }

    /// The same for a birth that nobody has taken, as far as is known here.
    pub(crate) fn campaign_for(&mut self, cx: &mut Context<'_>, proposal: Held) {
        self.ask_for_promises(cx, proposal.birth.task, None, Some(proposal));
    }

    fn ask_for_promises(&mut self, cx: &mut Context<'_>, task: TaskId, held: Option<Held>, proposal: Option<Held>) {
        if self.drivers.contains_key(&task) {
            return;
        }
        self.unanswered.remove(&task);
        let rival = self.rivals.remove(&task).map(|rival| rival.ballot);
        let highest = self.shelf.promised(&task).max(rival);
        let term = highest.map_or(0, |highest| highest.term).saturating_add(1);
        let ballot = Ballot { term, driver: self.me.node, nonce: self.me.store.0 };
        self.counters.prepares += 1;
        self.tell(cx.now, task, Event::Prepared { ballot });
        self.persist(cx, Fact::Promised { task, ballot, at: cx.now.wall });
        let promises = BTreeMap::from([(self.me, held)]);
        let (asked, outlived) = (BTreeSet::from([self.me.node]), BTreeSet::new());
        let began = cx.now.mono;
        let campaign = Campaign { ballot, proposal, promises, asked, outlived, began, again: 0, rounds: 0 };
        self.drivers.insert(task, Driver::Campaigning(Box::new(campaign)));
        self.set_ballot_timer(cx, task);
        self.count_promises(cx, task);
    }

    fn set_ballot_timer(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let whole = u64::try_from(self.config.ballot_timeout.as_micros()).unwrap_or(u64::MAX);
        let part = Duration::from_micros(cx.rng.random_range(whole / 2..=whole + whole / 2));
        self.timers.set(task, Kind::Ballot, cx.now.mono + part);
    }

    pub(crate) fn on_promise(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        task: TaskId,
        ballot: Ballot,
        held: Option<Held>,
    ) {
        let Some(store) = self.roster.seat(&from).map(|seat| seat.store) else { return };
        let holder = Holder { node: from, store };
        let campaign = match self.drivers.get_mut(&task) {
            Some(Driver::Campaigning(campaign)) => campaign,
            // It was not needed, and bars other births all the same, where somebody is still to be told of that.
            Some(Driver::Driving(reign)) if reign.ballot == Some(ballot) && held.is_none() => {
                // It takes what is written under this ballot, whatever it said before of a placement.
                if let Some(aside) = reign.known_aside() {
                    aside.outlived.remove(&holder);
                }
                if let Some(aside) = reign.known_aside().filter(|aside| !aside.asked_for_promise.is_empty()) {
                    aside.barring.insert(holder);
                }
                return;
            }
            Some(Driver::Driving(_)) | None => return,
        };
        let fits = |held: &Held| held.birth.task == task && held.register.is_sane();
        if campaign.ballot != ballot || !held.as_ref().is_none_or(fits) {
            self.counters.stale_items += 1;
            return;
        }
        campaign.promises.insert(holder, held);
        self.count_promises(cx, task);
    }

    /// Asks whoever is named in anything that was returned, and wins once the promises cover the highest of it.
    fn count_promises(&mut self, cx: &mut Context<'_>, task: TaskId) {
        let Some(Driver::Campaigning(campaign)) = self.drivers.get_mut(&task) else { return };
        let ballot = campaign.ballot;
        let seen = campaign.seen();
        let copy = self.shelf.copy(&task);
        let Some(born) = copy.as_ref().map(|copy| copy.birth.born).or(campaign.proposed()) else { return };
        let is_birth = copy.is_none_or(|copy| copy.version == Version::BIRTH);
        let mut to_ask: Vec<NodeId> = Vec::new();
        for held in &seen {
            for holder in held.register.lists().flatten() {
                if self.roster.is_present(holder) && campaign.asked.insert(holder.node) {
                    to_ask.push(holder.node);
                }
            }
        }
        // A birth is settled against those that would be asked to take another one today as well: since it was placed,
        // members may have come and gone. That it is complete changes nothing: where its holders could not be asked,
        // another birth of the same task may have gone on in its place.
        let home = self.roster.home(&task, self.config.home);
        if is_birth {
            for holder in &home {
                if self.roster.is_present(holder) && campaign.asked.insert(holder.node) {
                    to_ask.push(holder.node);
                }
            }
        }
        let has = |holder: &Holder| campaign.promises.contains_key(holder);
        let Some(best) = seen.iter().max_by_key(|held| precedence(held)) else { return };
        let covered = match best.version == Version::BIRTH {
            false => quorum::is_met(&best.register, has),
            true => seen.iter().all(|held| quorum::is_met(&held.register, has)) && quorum::is_majority(&home, &has),
        };
        let winner = covered.then(|| self.choose_birth(task, best, &seen)).flatten();
        for node in to_ask {
            let born = prepared_as(&seen, self.roster.holder(&node), born);
            self.send(node, Item::Prepare { task, ballot, born });
        }
        if let Some(winner) = winner {
            self.take_office(cx, task, ballot, winner);
        }
    }

    /// Of births that met, the one to go on with. At most one can be complete, and that one it must be: its driver may
    /// have decided with its own holders already. Which it is, only a named holder of each can say. Without its word
    /// nothing is decided between different tasks under one key; where all are the same task, some birth goes on.
    fn choose_birth(&self, task: TaskId, best: &Held, seen: &[Held]) -> Option<Held> {
        let digests: BTreeSet<Digest> = seen.iter().map(|held| held.birth.digest()).collect();
        if best.version > Version::BIRTH {
            return Some(best.clone());
        }
        let Some(Driver::Campaigning(campaign)) = self.drivers.get(&task) else { return None };
        let is_refuted = |held: &Held| {
            held.register.holders.iter().any(|holder| match campaign.promises.get(holder) {
                Some(theirs) => theirs.as_ref().is_none_or(|theirs| theirs.ballot != held.ballot),
                None => false,
            })
        };
        // What is known to be complete is the one.
        let complete = self.shelf.copy(&task).filter(|copy| copy.confirmed).map(|copy| copy.ballot);
        if let Some(known) = seen.iter().find(|held| Some(held.ballot) == complete) {
            return Some(known.clone());
        }
        let mut alive: Vec<&Held> = seen.iter().filter(|held| !is_refuted(held)).collect();
        alive.dedup_by_key(|held| held.ballot);
        match alive.as_slice() {
            [] => Some(best.clone()),
            [only] => Some((*only).clone()),
            [first, rest @ ..] if rest.iter().all(|held| held.ballot == first.ballot) => Some((*first).clone()),
            _ if digests.len() == 1 => Some(best.clone()),
            _ => None,
        }
    }

    /// Phase 2: adopts the highest, writes it again under the own ballot, and only then decides anything.
    fn take_office(&mut self, cx: &mut Context<'_>, task: TaskId, ballot: Ballot, adopted: Held) {
        if let Some(promised) = self.shelf.promised(&task).filter(|promised| *promised > ballot) {
            self.step_down(cx, task, promised);
            return;
        }
        // More births than a register can name: nobody honest made them.
        if let Some(Driver::Campaigning(campaign)) = self.drivers.get(&task)
            && adopted.version == Version::BIRTH
            && campaign.promises.values().flatten().filter(|held| held.birth != adopted.birth).count() > limits::HOLDERS
        {
            return;
        }
        let Some(Driver::Campaigning(campaign)) = self.drivers.remove(&task) else { return };
        self.counters.takeovers += 1;
        self.tell(cx.now, task, Event::TookOver { ballot });
        // A birth keeps its holders, with a majority of which its driver may have decided or may yet, and its `joint`, the
        // home list: on a majority of that nobody can settle it otherwise. That also where it is known to be complete: for
        // somebody else may have begun to settle it with others (simulator, seed 3233). Those that are there come first:
        // the first looks after the record, and one that never had it would not (seed 2710988381).
        // Of another birth that is passed by, a majority of its holders is to know it: with them alone its driver would go on
        // with what it had begun (simulator, seed 10528). Whoever takes over before that is so must know of it, too.
        let register = match adopted.version == Version::BIRTH {
            true => {
                let (there, away): (Vec<Holder>, Vec<Holder>) =
                    adopted.register.holders.iter().partition(|holder| campaign.has(holder));
                let holders = there.into_iter().chain(away).collect();
                let others = campaign.promises.values().flatten().filter(|held| held.birth != adopted.birth);
                let passed_by: BTreeSet<Vec<Holder>> = others.map(|held| held.register.holders.clone()).collect();
                let passed_by = passed_by.into_iter().collect();
                Arc::new(Register { holders, passed_by, ..Register::clone(&adopted.register) })
            }
            false => Arc::clone(&adopted.register),
        };
        self.keep_own_result(cx, &task, &register);
        let is_other = self.shelf.copy(&task).is_none_or(|copy| copy.birth != adopted.birth);
        let version = adopted.version.next();
        let fact = if is_other {
            let birth = Arc::clone(&adopted.birth);
            Fact::Held { birth, ballot, version, register: Arc::clone(&register) }
        } else {
            Fact::Written { task, ballot, version, register: Arc::clone(&register) }
        };
        // Where the home list has changed since, a promise there may be all that another birth, of that list, meets.
        let is_of_today = adopted.birth.home == self.roster.home(&task, self.config.home);
        let asked_for_promise = if is_of_today { campaign.asked.clone() } else { BTreeSet::new() };
        // Who was written to by a later driver may have held another birth before that. What a birth's own driver wrote says
        // that this birth was complete.
        let took_no_other = |held: &Option<Held>| {
            let is_adopted = |held: &Held| match held.version == Version::BIRTH {
                true => held.ballot == adopted.ballot,
                false => held.ballot.term == 0 && held.birth == adopted.birth,
            };
            held.as_ref().is_none_or(is_adopted)
        };
        let barring =
            campaign.promises.iter().filter(|(_, held)| took_no_other(held)).map(|(holder, _)| *holder).collect();
        let acked = [self.me].into_iter().collect();
        let mut reign = Reign { ballot: Some(ballot), acked, ..Reign::default() };
        *reign.aside_mut() = Aside { asked_for_promise, barring, ..Aside::default() };
        self.drivers.insert(task, Driver::Driving(Box::new(reign)));
        self.timers.clear(task, Kind::Watch);
        self.watch_deadline(cx, task);
        let has_birth: BTreeSet<Holder> = campaign
            .promises
            .iter()
            .filter(|(_, held)| held.as_ref().is_some_and(|held| held.birth == adopted.birth))
            .map(|(holder, _)| *holder)
            .collect();
        let promised: Vec<Holder> = campaign.promises.into_keys().collect();
        self.write_again(cx, task, fact, &register, &has_birth, &promised);
        if self.timers.is_set(task, Kind::Wish) {
            self.end(cx, task, How::Cancelled, None, None);
        }
        self.replace_lost(cx, task);
    }

    pub(crate) fn on_refused(&mut self, cx: &mut Context<'_>, task: TaskId, ballot: Ballot, promised: Ballot) {
        if self.gateway.is_placing(&task, ballot) {
            self.placement_refused(cx, task);
            return;
        }
        let mine = match self.drivers.get(&task) {
            Some(Driver::Campaigning(campaign)) => Some(campaign.ballot),
            Some(Driver::Driving(reign)) => reign.ballot,
            None => None,
        };
        if mine != Some(ballot) || promised <= ballot {
            return;
        }
        self.step_down(cx, task, promised);
        // Whoever is ahead may be gone: look again after a while, by chance not at the same time as others.
        let pause = Duration::from_millis(cx.rng.random_range(200..1500));
        self.rivals.insert(task, Rival { ballot: promised, asked: false });
        self.timers.set(task, Kind::Watch, cx.now.mono + pause);
    }

    /// No majority yet: the ballot was in the way of another, or holders are away.
    pub(crate) fn ballot_due(&mut self, cx: &mut Context<'_>, task: TaskId) {
        match self.drivers.get(&task) {
            None => {}
            Some(Driver::Driving(_)) => self.reign_due(cx, task),
            // Who promised may have forgotten it since, as somebody else has, or as it is long ago: all are asked anew.
            Some(Driver::Campaigning(campaign))
                if !campaign.outlived.is_empty() || cx.now.mono.since(campaign.began) > self.promise_kept_for() / 2 =>
            {
                let again = campaign.again + 1;
                self.drivers.remove(&task);
                self.campaign(cx, task);
                if let Some(Driver::Campaigning(campaign)) = self.drivers.get_mut(&task) {
                    campaign.again = again;
                    // Each time costs whoever promises a record on its disk.
                    let pause = self.config.ballot_timeout * 2u32.pow(again.min(6));
                    self.timers.set(task, Kind::Ballot, cx.now.mono + pause);
                }
            }
            Some(Driver::Campaigning(campaign)) => {
                let ballot = campaign.ballot;
                let copy = self.shelf.copy(&task);
                let Some(born) = copy.as_ref().map(|copy| copy.birth.born).or(campaign.proposed()) else { return };
                let is_live = copy.is_none_or(|copy| copy.is_live());
                self.ask_wider(task);
                let Some(Driver::Campaigning(campaign)) = self.drivers.get(&task) else { return };
                let seen = campaign.seen();
                // Now and then also those that have promised: they may have promised another since, with whom all has gone on
                // while this ballot waits for who will never come (simulator, seed 70812).
                let all = campaign.rounds % ASK_ALL == ASK_ALL - 1;
                let has_promised = |node: &NodeId| campaign.promises.keys().any(|holder| holder.node == *node);
                let asked = campaign.asked.iter().filter(|node| all || !has_promised(node)).copied();
                let asked: Vec<NodeId> = asked.filter(|node| *node != self.me.node).collect();
                for node in asked {
                    let born = prepared_as(&seen, self.roster.holder(&node), born);
                    self.send(node, Item::Prepare { task, ballot, born });
                }
                self.count_promises(cx, task);
                if let Some(Driver::Campaigning(campaign)) = self.drivers.get_mut(&task) {
                    // Nobody waits for what has ended, mostly; and where a majority is lost this goes on for ever.
                    campaign.rounds = campaign.rounds.saturating_add(1);
                    let doubled = if is_live { 1 } else { campaign.rounds.min(6) };
                    let pause = self.config.ballot_timeout * 2u32.pow(doubled);
                    self.timers.set(task, Kind::Ballot, cx.now.mono + pause);
                }
            }
        }
    }

    /// Those that were asked are not enough. While this node was away the holders may have become others, of which it
    /// never heard: they are among the members that are closest to the task.
    fn ask_wider(&mut self, task: TaskId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        let nearest = self.roster.nearest(&task, self.config.home + copy.register.holders.len() + 1);
        if let Some(Driver::Campaigning(campaign)) = self.drivers.get_mut(&task) {
            let present = nearest.iter().filter(|holder| self.roster.is_present(holder));
            campaign.asked.extend(present.map(|holder| holder.node));
        }
    }

    /// A member is back: it may not have heard of what is under way.
    pub(crate) fn resend_ballot(&mut self, cx: &mut Context<'_>, task: TaskId, node: NodeId) {
        let Some(copy) = self.shelf.copy(&task) else { return };
        match self.drivers.get_mut(&task) {
            Some(Driver::Campaigning(_)) => self.timers.set(task, Kind::Ballot, cx.now.mono),
            Some(Driver::Driving(reign)) => {
                if everyone(&copy.register).any(|h| h.node == node && !reign.acked.contains(&h)) {
                    self.timers.set(task, Kind::Ballot, cx.now.mono);
                }
                if matches!(copy.register.state, State::Assigned(a) if a.executor == node)
                    && self.timers.is_set(task, Kind::Ask)
                {
                    // It may have been started again, and lost what it had: the grant is not repeated before it has
                    // said so, or a task that kills whoever runs it would never be found out.
                    reign.granted &= !reign.in_force;
                    self.timers.set(task, Kind::Ask, cx.now.mono);
                }
                self.ask_after_lost(cx, task, node);
            }
            None => {}
        }
    }

    /// A member is back with another disk: what the old one promised, took and confirmed counts no more, where it has
    /// not been acted on. Otherwise the new one could make the same majority once more for somebody else.
    pub(crate) fn disk_lost(&mut self, cx: &mut Context<'_>, lost: Holder) {
        for driver in self.drivers.values_mut() {
            match driver {
                Driver::Campaigning(campaign) => {
                    campaign.promises.remove(&lost);
                }
                Driver::Driving(reign) => {
                    reign.acked.remove(&lost);
                    if let Some(aside) = reign.known_aside() {
                        aside.barring.remove(&lost);
                        aside.barred.remove(&lost);
                    }
                }
            }
        }
        self.gateway.disk_lost(&lost);
        self.replace_placements(cx, lost.node);
    }

    /// A member that this node asked, or wrote to, says that it has outlived the record. Where it remembers that (`ended`) it
    /// held the end, knew that it was decided, and has forgotten it since: so what is live here never comes to anything,
    /// where nobody that promised has more; and what has ended here is mostly that end, and kept for whoever asks while its
    /// driver finds a majority, for which who had it counts. Where it does not, it may have a clock that is ahead, and when
    /// a majority of the holders says so it ended so long ago that nobody remembers, or there is nobody else that could say
    /// otherwise. Since this node was away the holders may have become others, of which nobody is left that could name them:
    /// as many as are a majority of all copies will do.
    pub(crate) fn forgotten_elsewhere(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        task: TaskId,
        ended: Option<Wall>,
    ) {
        let Some(store) = self.roster.seat(&from).map(|seat| seat.store) else { return };
        let Some(copy) = self.shelf.copy(&task) else { return };
        // Another task may have had the key before.
        let had = ended.is_some_and(|ended| copy.birth.born <= ended);
        let mut latest = (copy.stamp(), &copy.register.holders);
        let mut is_enough = false;
        let outlived = match self.drivers.get_mut(&task) {
            Some(Driver::Campaigning(campaign)) => {
                let mut is_live = copy.is_live();
                for held in campaign.promises.values().flatten() {
                    is_live &= held.register.ending().is_none();
                    latest = latest.max(((held.ballot, held.version), &held.register.holders));
                }
                is_enough = had && (is_live || campaign.again >= ASKED_AGAIN);
                &mut campaign.outlived
            }
            // Of the end that was decided it had its copy, or will never have another: with that it has what is written
            // (simulator, seed 47131). Not of another end than that: what this driver wrote and never had decided is none
            // that anybody has forgotten (seed 73773).
            Some(Driver::Driving(reign))
                if copy.settled || ended.is_some() && ended == copy.register.ending().map(|ending| ending.at) =>
            {
                reign.acked.insert(Holder { node: from, store });
                return self.check_force(cx, task);
            }
            // That was said of a placement, by one that has promised since (simulator, seed 2590123535).
            Some(Driver::Driving(reign))
                if reign.aside().is_some_and(|aside| aside.barring.contains(&Holder { node: from, store })) =>
            {
                return;
            }
            Some(Driver::Driving(reign)) => &mut reign.aside_mut().outlived,
            None => return,
        };
        outlived.insert(Holder { node: from, store });
        let holders = latest.1;
        let has_outlived = |holder: &Holder| outlived.contains(holder);
        let is_replaced =
            |holder: &Holder| self.roster.seat(&holder.node).is_none_or(|seat| seat.store != holder.store);
        let mut others = holders.iter().filter(|holder| **holder != self.me);
        let nobody_is_left =
            holders.iter().any(has_outlived) && others.all(|one| has_outlived(one) || is_replaced(one));
        let nodes: BTreeSet<NodeId> = outlived.iter().map(|holder| holder.node).collect();
        let by_others = nodes.len() >= quorum::majority(self.config.copies);
        if is_enough || nobody_is_left || by_others || quorum::is_majority(holders, &has_outlived) {
            let is_needed = copy.settled && self.leases.is_needed(&task);
            self.release_inputs(&task);
            self.drivers.remove(&task);
            // Its time is over, and here it is kept for those that are to start after it.
            if !is_needed {
                self.counters.retired += 1;
                self.forget_outlived(cx, task, ended.filter(|_| had));
            }
        }
    }

    /// Writes what was adopted: as [`Tasks::write`], but the birth may be another than the one held so far.
    fn write_again(
        &mut self,
        cx: &mut Context<'_>,
        task: TaskId,
        fact: Fact,
        register: &Arc<Register>,
        has_birth: &BTreeSet<Holder>,
        promised: &[Holder],
    ) {
        self.counters.writes += 1;
        self.persist(cx, fact);
        let Some((ballot, version, birth)) =
            self.shelf.copy(&task).map(|copy| (copy.ballot, copy.version, Arc::clone(&copy.birth)))
        else {
            return;
        };
        let mut asked: BTreeSet<Holder> =
            everyone(register).filter(|holder| *holder == self.me || self.roster.is_present(holder)).collect();
        // The holders that are there are too few for a majority of the home list: whoever else promised helps to it.
        if !quorum::is_met(register, |holder| asked.contains(holder)) {
            let home = register.joint.as_deref().unwrap_or_default();
            asked.extend(promised.iter().filter(|holder| home.contains(holder)));
        }
        for holder in asked {
            if holder != self.me {
                let birth = (!has_birth.contains(&holder)).then(|| Arc::clone(&birth));
                let register = Arc::clone(register);
                self.send(holder.node, Item::Write { task, ballot, version, register, birth });
            }
        }
        self.set_ballot_timer(cx, task);
        self.check_force(cx, task);
    }
}

/// Rounds of a campaign after which one that has outlived an end speaks for all.
const ASKED_AGAIN: u32 = 2;

/// Only a named holder can have outlived a record, and of a change of holders only one of the old ones must have had it.
/// Any other member that is asked, and who has another disk since, never held it: it is to promise, however old the key is,
/// unless it knows to have forgotten it.
fn prepared_as(seen: &[Held], present: Option<Holder>, born: Wall) -> Wall {
    let had = |held: &Held, one: &Holder| {
        held.register.holders.contains(one) && held.register.joint.as_ref().is_none_or(|old| old.contains(one))
    };
    let is_holder = present.is_some_and(|one| seen.iter().any(|held| had(held, &one)));
    if is_holder { born } else { Wall(u64::MAX) }
}
