//! Auctions (DESIGN section 7; the contract net of Smith, *The Contract Net Protocol*, 1980): whoever needs an executor
//! announces so many tasks to the members that are able to run them, takes sealed bids for a bounded time, or until all have
//! answered, and gives each task to the best. An award is the next attempt in the task's record, and nothing beside it: who
//! wins and does not want it gives it back, and there is another auction without it.
//!
//! What is to be auctioned in one turn of the brain is announced together. The announcement goes to the connected members
//! alone that have what is required, for nobody else could be told of an award; of many to those with most room.

mod reserve;
pub mod score;

use crate::{
    capability,
    driver::Driver,
    effect::Context,
    roster::{Roster, Seat},
    seeking::nearness,
    story::Event,
    tasks::Tasks,
};
use mesh_proto::{
    capability::Requirements,
    id::{NodeId, TaskId},
    task::{Announcement, Bid, Holder, Item},
    time::Mono,
};
use reserve::Reserve;
use score::{Criteria, Weights, idle_share};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

/// Auctions are announced to so many members at most: those with most room, by what is known of them.
const BIDDERS: usize = 64;

/// Tasks of one auction, at most.
const LOTS: usize = 1_024;

/// What a winner keeps is on its way for so long: through the birth and the word of its driver.
const ARRIVAL: Duration = Duration::from_secs(2);

/// Bids that are told of one auction, at most, and auctions of more tasks than this tell only that of who won.
const TOLD: usize = 8;
const TOLD_LOTS: usize = 16;

/// How auctions are held.
#[derive(Clone, Copy, Debug)]
pub struct AuctionConfig {
    /// How long bids are taken, where somebody does not answer. Default 250 ms.
    pub bidding: Duration,
    pub weights: Weights,
}

impl Default for AuctionConfig {
    fn default() -> Self {
        Self { bidding: Duration::from_millis(250), weights: Weights::default() }
    }
}

/// What is to be had by an auction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lot {
    /// The first executor of a task that is placed here.
    Birth(TaskId),
    /// The next one of a task that is driven here.
    Attempt(TaskId),
}

impl Lot {
    fn task(self) -> TaskId {
        match self {
            Self::Birth(task) | Self::Attempt(task) => task,
        }
    }
}

/// Both sides of all auctions. Soft: what is lost with it is auctioned again.
#[derive(Debug, Default)]
pub struct Auctions {
    next: u64,
    /// To be announced, by what is required, in words.
    gathered: BTreeMap<String, (Requirements, Vec<Lot>)>,
    open: BTreeMap<u64, Auction>,
    reserve: Reserve,
}

#[derive(Debug)]
struct Auction {
    lots: Vec<Lot>,
    requirements: Requirements,
    /// Who has not answered.
    silent: BTreeSet<NodeId>,
    asked: usize,
    bids: BTreeMap<NodeId, Bid>,
    opened: Mono,
    closes: Mono,
}

/// One that bid, while tasks are given out.
struct Bidder {
    node: NodeId,
    bid: Bid,
    criteria: Criteria,
    won: u32,
}

impl Auctions {
    pub fn deadline(&self) -> Option<Mono> {
        let gathered = (!self.gathered.is_empty()).then(Mono::default);
        let closes = self.open.values().map(|auction| auction.closes).min();
        [gathered, closes, self.reserve.deadline()].into_iter().flatten().min()
    }

    /// Slots that are kept for others' auctions.
    pub fn reserved(&self) -> u32 {
        self.reserve.total()
    }
}

impl Tasks {
    /// Has it auctioned, with all that is of this turn.
    pub(crate) fn auction(&mut self, lot: Lot, requirements: &Requirements) {
        let of_kind = self.auctions.gathered.entry(requirements.to_string());
        of_kind.or_insert_with(|| (requirements.clone(), Vec::new())).1.push(lot);
    }

    pub(crate) fn auctions_due(&mut self, cx: &mut Context<'_>) {
        self.auctions.reserve.expire(cx.now.mono);
        for (_, (requirements, lots)) in std::mem::take(&mut self.auctions.gathered) {
            for lots in lots.chunks(LOTS) {
                self.open(cx, &requirements, lots.to_vec());
            }
        }
        let over: Vec<u64> =
            self.auctions.open.iter().filter(|(_, a)| a.closes <= cx.now.mono).map(|(id, _)| *id).collect();
        for auction in over {
            self.close(cx, auction);
        }
    }

    fn open(&mut self, cx: &mut Context<'_>, requirements: &Requirements, lots: Vec<Lot>) {
        let auction = self.auctions.next;
        self.auctions.next += 1;
        self.counters.auctions += 1;
        let asked = bidders(&self.roster, requirements);
        let closes_ms = u32::try_from(self.config.auction.bidding.as_millis()).unwrap_or(u32::MAX);
        let announcement = Announcement {
            auction,
            count: u32::try_from(lots.len()).unwrap_or(u32::MAX),
            requirements: (!requirements.is_empty()).then(|| requirements.clone()),
            closes_ms,
        };
        for node in &asked {
            self.send(*node, Item::Announce(announcement.clone()));
        }
        let (opened, closes) = (cx.now.mono, cx.now.mono + self.config.auction.bidding);
        let open = Auction {
            lots,
            requirements: requirements.clone(),
            asked: asked.len(),
            silent: asked.into_iter().collect(),
            bids: BTreeMap::new(),
            opened,
            closes,
        };
        let nobody = open.silent.is_empty();
        self.auctions.open.insert(auction, open);
        if nobody {
            self.close(cx, auction);
        }
    }

    /// Says what it has room for, and keeps that.
    pub(crate) fn on_announce(&mut self, cx: &mut Context<'_>, from: NodeId, announcement: Announcement) {
        let Announcement { auction, count, requirements, closes_ms } = announcement;
        let own = self.roster.seat(&self.me.node).filter(|seat| seat.holds);
        let is_able = own.is_some_and(|seat| {
            requirements.as_ref().is_none_or(|asked| capability::rate(asked, &seat.capabilities).is_ok())
        });
        let has_room = self.executor.queued() < self.config.queue_max
            && self.shelf.outbox().len() < self.config.outbox_max
            && self.has_room;
        if !is_able || !has_room {
            self.send(from, Item::Bid { auction, bid: None });
            return;
        }
        let busy = self.executor.burden().saturating_add(self.auctions.reserved());
        let places =
            own.zip(requirements.as_ref()).and_then(|(seat, asked)| capability::places_for(&seat.capabilities, asked));
        let slots = self.config.slots.min(places.unwrap_or(u32::MAX));
        // It may take as long until it is heard that the auction is over.
        let until = cx.now.mono + Duration::from_millis(u64::from(closes_ms.min(10_000))) * 2;
        self.auctions.reserve.keep(from, auction, count.min(slots.saturating_sub(busy)), until);
        self.counters.bids += 1;
        let bid = Bid { slots, busy, free_ppm: self.free_memory };
        self.send(from, Item::Bid { auction, bid: Some(bid) });
    }

    pub(crate) fn on_bid(&mut self, cx: &mut Context<'_>, from: NodeId, auction: u64, bid: Option<Bid>) {
        let Some(open) = self.auctions.open.get_mut(&auction) else {
            // It came too late, and keeps nothing for it.
            self.send(from, Item::Closed { auction, won: 0 });
            return;
        };
        if !open.silent.remove(&from) {
            self.counters.stale_items += 1;
            return;
        }
        if let Some(bid) = bid {
            open.bids.insert(from, bid);
        }
        if open.silent.is_empty() {
            self.close(cx, auction);
        }
    }

    pub(crate) fn on_closed(&mut self, cx: &mut Context<'_>, from: NodeId, auction: u64, won: u32) {
        self.auctions.reserve.settle(from, auction, won, cx.now.mono + ARRIVAL);
    }

    /// An attempt came: if it was won by auction, its slot need not be kept any more.
    pub(crate) fn won_arrived(&mut self, gateway: NodeId, driver: NodeId) {
        self.auctions.reserve.arrived(gateway);
        if driver != gateway {
            self.auctions.reserve.arrived(driver);
        }
    }

    /// Who can be reached no more does not answer either.
    pub(crate) fn bidder_gone(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let waits = |auction: &mut Auction| auction.silent.remove(&node) && auction.silent.is_empty();
        let over: Vec<u64> =
            self.auctions.open.iter_mut().filter_map(|(id, open)| waits(open).then_some(*id)).collect();
        for auction in over {
            self.close(cx, auction);
        }
    }

    /// Gives each task to whoever is best for it by then.
    fn close(&mut self, cx: &mut Context<'_>, auction: u64) {
        let Some(open) = self.auctions.open.remove(&auction) else { return };
        self.counters.bidders_silent += open.silent.len() as u64;
        // Nor are they to be waited for when copies are placed, or bids taken the next time.
        open.silent.iter().for_each(|node| self.roster.let_pass(node, open.opened));
        let mut bidders: Vec<Bidder> =
            open.bids.iter().filter_map(|(node, bid)| bidder(&self.roster, &open.requirements, *node, *bid)).collect();
        let is_told = open.lots.len() <= TOLD_LOTS;
        for lot in &open.lots {
            let task = lot.task();
            let Some(place) = self.place_of(*lot) else { continue };
            let best = best(&self.roster, &self.config.auction.weights, &bidders, task, &place);
            let winner = best.and_then(|at| bidders.get(at)).map(|bidder| bidder.node);
            let text = self.bids_text(cx, &open, &bidders, winner, is_told);
            self.tell(cx.now, task, Event::Auctioned { text });
            if let Some(bidder) = best.and_then(|at| bidders.get_mut(at)) {
                bidder.won += 1;
            }
            match lot {
                Lot::Birth(_) => self.awarded_birth(cx, task, winner),
                Lot::Attempt(_) => self.awarded_attempt(cx, task, winner),
            }
        }
        for node in open.bids.keys() {
            let won = bidders.iter().find(|bidder| bidder.node == *node).map_or(0, |bidder| bidder.won);
            self.send(*node, Item::Closed { auction, won });
        }
    }

    /// None where it is not to be had any more.
    fn place_of(&self, lot: Lot) -> Option<Place> {
        match lot {
            Lot::Birth(task) => Some(Place { holders: self.gateway.home_of(&task)?.to_vec(), tried: Vec::new() }),
            Lot::Attempt(task) => {
                let copy = self.shelf.live_copy(&task)?;
                let Some(Driver::Driving(reign)) = self.drivers.get(&task) else { return None };
                let tried = reign.pausing.as_ref()?.iter().map(|failed| failed.attempt.executor).collect();
                Some(Place { holders: copy.register.holders.clone(), tried })
            }
        }
    }

    fn bids_text(
        &self,
        cx: &Context<'_>,
        open: &Auction,
        bidders: &[Bidder],
        winner: Option<NodeId>,
        is_told: bool,
    ) -> String {
        let mut text = format!("{} of {} bid", open.bids.len(), open.asked);
        let took = cx.now.mono.since(open.opened).as_millis();
        let mut add = |args: std::fmt::Arguments<'_>| text.write_fmt(args).unwrap_or_default();
        add(format_args!(" within {took} ms"));
        match winner {
            Some(winner) => add(format_args!(", won by {winner}")),
            None => add(format_args!(", won by nobody")),
        }
        let mut shown: Vec<(u32, &Bidder)> = match is_told {
            true => bidders.iter().map(|bidder| (self.worth(bidder), bidder)).collect(),
            false => bidders.iter().filter(|b| Some(b.node) == winner).map(|b| (self.worth(b), b)).collect(),
        };
        // Of those that are worth as much the one that won, which is by placement.
        shown.sort_by_key(|(worth, bidder)| (Reverse(*worth), Some(bidder.node) != winner, bidder.node));
        for (worth, bidder) in shown.into_iter().take(TOLD) {
            let Criteria { capability, performance, resources, .. } = bidder.criteria;
            let idle = idle_share(bidder.bid.slots, bidder.bid.busy.saturating_add(bidder.won));
            add(format_args!(
                "; {} {} = capability {} idle {} past {} memory {}",
                bidder.node,
                share(worth),
                share(capability),
                share(idle),
                share(performance),
                share(resources)
            ));
        }
        text
    }

    fn worth(&self, bidder: &Bidder) -> u32 {
        worth(&self.config.auction.weights, bidder)
    }
}

/// A lot's holders, and who has tried it, the last one last.
struct Place {
    holders: Vec<Holder>,
    tried: Vec<NodeId>,
}

/// Members that are able and in reach; of many those with most room.
fn bidders(roster: &Roster, requirements: &Requirements) -> Vec<NodeId> {
    let able = roster.iter().filter(|(node, seat)| {
        seat.holds
            && roster.can_send(node)
            && !seat.is_mute
            && capability::rate(requirements, &seat.capabilities).is_ok()
    });
    let mut able: Vec<(NodeId, &Seat)> = able.map(|(node, seat)| (*node, seat)).collect();
    if able.len() > BIDDERS {
        able.sort_by_key(|(node, seat)| (Reverse(idle_share(seat.load.slots, seat.burden())), seat.burden(), *node));
        able.truncate(BIDDERS);
    }
    able.into_iter().map(|(node, _)| node).collect()
}

fn bidder(roster: &Roster, requirements: &Requirements, node: NodeId, bid: Bid) -> Option<Bidder> {
    let seat = roster.seat(&node)?;
    let capability = capability::rate(requirements, &seat.capabilities).ok()?.parts_per_million();
    let criteria = Criteria { capability, idle: 0, performance: seat.performance, resources: bid.free_ppm };
    Some(Bidder { node, bid, criteria, won: 0 })
}

fn worth(weights: &Weights, bidder: &Bidder) -> u32 {
    let idle = idle_share(bidder.bid.slots, bidder.bid.busy.saturating_add(bidder.won));
    Criteria { idle, ..bidder.criteria }.score(weights)
}

/// Who has not failed it, then by worth, then by how long it would wait, then by placement: the same everywhere.
fn best(roster: &Roster, weights: &Weights, bidders: &[Bidder], task: TaskId, place: &Place) -> Option<usize> {
    let rank = |bidder: &Bidder| {
        let tried = place.tried.iter().rposition(|other| *other == bidder.node).map_or(0, |at| at + 1);
        let busy = u64::from(bidder.bid.busy.saturating_add(bidder.won));
        // So many times around in each of its slots.
        let rounds = (busy * 1_000).checked_div(u64::from(bidder.bid.slots)).unwrap_or(u64::MAX);
        (tried, Reverse(worth(weights, bidder)), rounds, nearness(roster, &task, &place.holders, &bidder.node))
    };
    let able = bidders.iter().enumerate().filter(|(_, bidder)| roster.can_send(&bidder.node));
    able.min_by_key(|(_, bidder)| rank(bidder)).map(|(at, _)| at)
}

/// Parts per million, as people read them.
fn share(ppm: u32) -> String {
    format!("{}.{:03}", ppm / score::WHOLE, ppm % score::WHOLE / 1_000)
}
