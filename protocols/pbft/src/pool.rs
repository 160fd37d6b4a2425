//! Requests that wait to be executed, a lane for each gateway, so that a noisy one delays the others by its share only.

use crate::{
    Body, Config,
    relays::{Limits, Relays},
};
use mesh_proto::{
    id::{Digest, NodeId},
    pbft::{EpochConfig, RequestNumber},
    time::Mono,
};
use std::collections::{BTreeMap, BTreeSet};

/// A request stays until it is executed, not until it is proposed: its slot may become null in a view change.
#[derive(Debug, Default)]
pub struct Pool {
    waiting: BTreeMap<Digest, Waiting>,
    lanes: BTreeMap<NodeId, Lane>,
    /// Not proposed in this view, oldest first.
    unproposed: BTreeSet<(Mono, Digest)>,
    /// Of all that is not proposed.
    unproposed_bytes: usize,
    relays: Relays,
    /// Of whom requests wait, and how many of each.
    shares: BTreeMap<Share, BTreeMap<NodeId, usize>>,
    /// The lane that was last served.
    turn: Option<NodeId>,
}

#[derive(Debug)]
struct Waiting {
    body: Body,
    share: Option<Share>,
    since: Mono,
}

#[derive(Debug, Default)]
struct Lane {
    numbers: BTreeMap<RequestNumber, Digest>,
    /// Of `numbers`, those not proposed in this view.
    ready: BTreeSet<RequestNumber>,
    bytes: usize,
}

/// Whose lanes a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// Its gateway brought it: until it is executed.
    Gateways,
    /// A member relayed it: until it is proposed. Who relays finds out sooner that it is than that it is executed, and what
    /// is in flight is bounded otherwise.
    Member(NodeId),
}

/// Why a request does not wait here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Known,
    /// Another request waits under the number.
    Conflict,
    Full,
}

impl Pool {
    /// Lets one wait. A full lane keeps its lowest numbers: so all replicas keep the same of a gateway, whatever each of them
    /// saw first. Of which gateways they have lanes may differ, where there are more than lanes.
    pub fn admit(
        &mut self,
        config: &EpochConfig,
        own: &Config,
        now: Mono,
        share: Share,
        body: Body,
    ) -> Result<(), Refused> {
        if self.waiting.contains_key(&body.digest) {
            return Err(Refused::Known);
        }
        let (gateway, number) = (body.request.gateway, body.request.number);
        let size = body.request.operations.as_bytes().len();
        if !self.has_room(config, own, share, &gateway) {
            return Err(Refused::Full);
        }
        let lane = self.lanes.entry(gateway).or_default();
        if lane.numbers.contains_key(&number) {
            return Err(Refused::Conflict);
        }
        let is_full = |lane: &Lane| {
            lane.numbers.len() >= config.client_window as usize || lane.bytes + size > own.lane_bytes && lane.bytes > 0
        };
        while let Some(lane) = self.lanes.get(&gateway).filter(|lane| is_full(lane)) {
            let highest = lane.numbers.last_key_value().filter(|(highest, _)| **highest > number);
            let Some(digest) = highest.map(|(_, digest)| *digest) else { return Err(Refused::Full) };
            self.remove(&digest);
        }
        let lane = self.lanes.entry(gateway).or_default();
        lane.numbers.insert(number, body.digest);
        lane.ready.insert(number);
        lane.bytes += size;
        self.unproposed.insert((now, body.digest));
        self.relays.add(now, body.digest);
        *self.shares.entry(share).or_default().entry(gateway).or_default() += 1;
        self.unproposed_bytes += size;
        self.waiting.insert(body.digest, Waiting { body, share: Some(share), since: now });
        Ok(())
    }

    pub fn get(&self, digest: &Digest) -> Option<&Body> {
        self.waiting.get(digest).map(|waiting| &waiting.body)
    }

    /// The next batch: a request of each lane in turn, lowest number first, within the limits.
    pub fn next_batch(&mut self, config: &EpochConfig) -> Vec<Digest> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut lanes: Vec<(NodeId, Vec<Digest>)> = Vec::new();
        let turn = self.turn.unwrap_or(NodeId::from_bytes([0; 32]));
        let order = self.lanes.range(turn..).chain(self.lanes.range(..turn));
        for (gateway, lane) in order {
            if !lane.ready.is_empty() && Some(*gateway) != self.turn {
                lanes.push((*gateway, lane.ready_digests()));
            }
        }
        // The lane that was served last comes last.
        if let Some((gateway, lane)) = self.turn.and_then(|turn| Some((turn, self.lanes.get(&turn)?))) {
            lanes.push((gateway, lane.ready_digests()));
        }
        'full: for round in 0.. {
            let before = batch.len();
            for (gateway, ready) in &lanes {
                let Some(digest) = ready.get(round) else { continue };
                let Some(waiting) = self.waiting.get(digest) else { continue };
                let size = waiting.body.request.operations.as_bytes().len();
                let is_full =
                    batch.len() >= config.batch_requests as usize || bytes + size > config.batch_bytes as usize;
                if is_full {
                    break 'full;
                }
                batch.push(*digest);
                bytes += size;
                self.turn = Some(*gateway);
            }
            if batch.len() == before {
                break;
            }
        }
        batch
    }

    /// It is in a proposal of this view.
    pub fn mark_proposed(&mut self, now: Mono, limits: Limits, digest: &Digest) {
        let Some(waiting) = self.waiting.get_mut(digest) else { return };
        self.relays.propose(now, limits, waiting.since, *digest);
        if let Some(share @ Share::Member(_)) = waiting.share {
            waiting.share = None;
            leave(&mut self.shares, share, &waiting.body.request.gateway);
        }
        if self.unproposed.remove(&(waiting.since, *digest)) {
            self.unproposed_bytes -= waiting.body.request.operations.as_bytes().len();
        }
        if let Some(lane) = self.lanes.get_mut(&waiting.body.request.gateway) {
            lane.ready.remove(&waiting.body.request.number);
        }
    }

    /// A new view: everything is to be proposed again, and to be executed within the time-out from now.
    pub fn renew(&mut self, now: Mono) {
        self.unproposed = self.waiting.keys().map(|digest| (now, *digest)).collect();
        self.relays = Relays::default();
        self.waiting.keys().for_each(|digest| self.relays.add(now, *digest));
        self.unproposed_bytes = self.lanes.values().map(|lane| lane.bytes).sum();
        // Of the new primary who relayed before asks anew, and what was relayed to this one is no less waited for.
        self.shares.retain(|share, _| *share == Share::Gateways);
        for waiting in self.waiting.values_mut() {
            waiting.since = now;
            waiting.share = waiting.share.filter(|share| *share == Share::Gateways);
        }
        for lane in self.lanes.values_mut() {
            lane.ready = lane.numbers.keys().copied().collect();
        }
    }

    /// The number was executed, or cannot be any more: whatever waits under it does so in vain.
    pub fn settle(&mut self, gateway: &NodeId, number: RequestNumber) {
        let digest = self.lanes.get(gateway).and_then(|lane| lane.numbers.get(&number).copied());
        if let Some(digest) = digest {
            self.remove(&digest);
        }
    }

    /// Requests of this gateway are executed: their numbers, and bytes. A lane holds a window of numbers, and a share of its
    /// bytes for each: whatever is within both has room beside all that is. What is not may have been refused by the primary
    /// for those, as often as it was relayed, and has its time anew. That is bounded where the gateway is a correct one:
    /// below any of its numbers no more of them wait than a window has.
    pub fn make_room(
        &mut self,
        config: &EpochConfig,
        own: &Config,
        now: Mono,
        gateway: &NodeId,
        executed: &[(RequestNumber, usize)],
    ) {
        let Some(lane) = self.lanes.get(gateway) else { return };
        let (window, share) = (u64::from(config.client_window), own.lane_bytes / config.client_window.max(1) as usize);
        for number in &lane.ready {
            let Some(digest) = lane.numbers.get(number) else { continue };
            let Some(waiting) = self.waiting.get_mut(digest) else { continue };
            let size = waiting.body.request.operations.as_bytes().len();
            let was_in_its_way = |(lower, other): &(RequestNumber, usize)| {
                lower < number && (lower.get().saturating_add(window) <= number.get() || size.max(*other) > share)
            };
            if executed.iter().any(was_in_its_way) {
                self.relays.restart(now, waiting.since, *digest);
                self.unproposed.remove(&(waiting.since, *digest));
                self.unproposed.insert((now, *digest));
                waiting.since = now;
            }
        }
    }

    /// Since when the time runs of the one that the primary has had for longest, in this view.
    pub fn oldest_watched(&self) -> Option<Mono> {
        self.relays.oldest()
    }

    /// The same of those that are in no proposal of it.
    pub fn oldest_owed(&self) -> Option<Mono> {
        self.relays.oldest_unproposed()
    }

    /// When the oldest was first seen that is in no proposal of this view.
    pub fn oldest_unproposed(&self) -> Option<Mono> {
        self.unproposed.first().map(|(since, _)| *since)
    }

    /// Takes one that is due to be relayed.
    pub fn take_relay(&mut self, now: Mono, limits: Limits) -> Option<Body> {
        let waiting = &self.waiting;
        let gateway = |digest: &Digest| waiting.get(digest).map(|waiting| waiting.body.request.gateway);
        let digest = self.relays.take(now, limits, gateway)?;
        self.get(&digest).cloned()
    }

    /// When the next one is.
    pub fn next_relay(&self, limits: Limits) -> Option<Mono> {
        self.relays.due(limits)
    }

    /// Whether a whole batch waits.
    pub fn has_batch(&self, config: &EpochConfig) -> bool {
        self.unproposed.len() >= config.batch_requests as usize || self.unproposed_bytes >= config.batch_bytes as usize
    }

    /// All of them; for what becomes of them when others have executed.
    pub fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.waiting.values().map(|waiting| &waiting.body)
    }

    /// Of whom something waits.
    pub fn gateways(&self) -> impl Iterator<Item = NodeId> {
        self.lanes.keys().copied()
    }

    /// Which of this one, the lowest number first.
    pub fn waiting_of(&self, gateway: &NodeId) -> impl Iterator<Item = (RequestNumber, Digest)> {
        let numbers = self.lanes.get(gateway).into_iter().flat_map(|lane| &lane.numbers);
        numbers.map(|(number, digest)| (*number, *digest))
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Lanes of those that come themselves are for as many as the client table has room for. Each member has a few beside them
    /// for what it relays: so who fills the former does not keep a correct primary from having what backups wait for.
    fn has_room(&self, config: &EpochConfig, own: &Config, share: Share, gateway: &NodeId) -> bool {
        let most = match share {
            Share::Gateways => config.clients as usize,
            Share::Member(_) => own.relay_lanes,
        };
        self.shares.get(&share).is_none_or(|share| share.contains_key(gateway) || share.len() < most)
    }

    fn remove(&mut self, digest: &Digest) {
        let Some(waiting) = self.waiting.remove(digest) else { return };
        self.relays.remove(waiting.since, digest);
        let request = &waiting.body.request;
        if let Some(share) = waiting.share {
            leave(&mut self.shares, share, &request.gateway);
        }
        if self.unproposed.remove(&(waiting.since, *digest)) {
            self.unproposed_bytes -= request.operations.as_bytes().len();
        }
        if let Some(lane) = self.lanes.get_mut(&request.gateway) {
            lane.numbers.remove(&request.number);
            lane.ready.remove(&request.number);
            lane.bytes -= request.operations.as_bytes().len();
            if lane.numbers.is_empty() {
                self.lanes.remove(&request.gateway);
            }
        }
    }
}

impl Lane {
    fn ready_digests(&self) -> Vec<Digest> {
        self.ready.iter().filter_map(|number| self.numbers.get(number).copied()).collect()
    }
}

/// One request less counts.
fn leave(shares: &mut BTreeMap<Share, BTreeMap<NodeId, usize>>, share: Share, gateway: &NodeId) {
    let Some(gateways) = shares.get_mut(&share) else { return };
    match gateways.get(gateway).map_or(0, |count| count.saturating_sub(1)) {
        0 => drop(gateways.remove(gateway)),
        left => drop(gateways.insert(*gateway, left)),
    }
    if gateways.is_empty() {
        shares.remove(&share);
    }
}
