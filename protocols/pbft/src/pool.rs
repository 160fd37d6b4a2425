//! Requests that wait to be executed, a lane for each gateway, so that a noisy one delays the others by its share only.

use crate::Body;
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
    /// Oldest first.
    ages: BTreeSet<(Mono, Digest)>,
    /// Not proposed in this view, oldest first.
    unproposed: BTreeSet<(Mono, Digest)>,
    /// Of all that is not proposed.
    unproposed_bytes: usize,
    /// Of `unproposed`, those that were not relayed in this view.
    unrelayed: BTreeSet<(Mono, Digest)>,
    /// The lane that was last served.
    turn: Option<NodeId>,
}

#[derive(Debug)]
struct Waiting {
    body: Body,
    since: Mono,
}

#[derive(Debug, Default)]
struct Lane {
    numbers: BTreeMap<RequestNumber, Digest>,
    /// Of `numbers`, those not proposed in this view.
    ready: BTreeSet<RequestNumber>,
    bytes: usize,
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
    /// Lets one wait. A full lane keeps its lowest numbers: so all replicas keep the same, whatever each of them saw first.
    pub fn admit(&mut self, config: &EpochConfig, lane_bytes: usize, now: Mono, body: Body) -> Result<(), Refused> {
        if self.waiting.contains_key(&body.digest) {
            return Err(Refused::Known);
        }
        let (gateway, number) = (body.request.gateway, body.request.number);
        let size = body.request.operations.as_bytes().len();
        if !self.lanes.contains_key(&gateway) && self.lanes.len() >= config.clients as usize {
            return Err(Refused::Full);
        }
        let lane = self.lanes.entry(gateway).or_default();
        if lane.numbers.contains_key(&number) {
            return Err(Refused::Conflict);
        }
        let is_full = |lane: &Lane| {
            lane.numbers.len() >= config.client_window as usize || lane.bytes + size > lane_bytes && lane.bytes > 0
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
        self.ages.insert((now, body.digest));
        self.unproposed.insert((now, body.digest));
        self.unrelayed.insert((now, body.digest));
        self.unproposed_bytes += size;
        self.waiting.insert(body.digest, Waiting { body, since: now });
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
    pub fn mark_proposed(&mut self, digest: &Digest) {
        let Some(waiting) = self.waiting.get(digest) else { return };
        self.unrelayed.remove(&(waiting.since, *digest));
        if self.unproposed.remove(&(waiting.since, *digest)) {
            self.unproposed_bytes -= waiting.body.request.operations.as_bytes().len();
        }
        if let Some(lane) = self.lanes.get_mut(&waiting.body.request.gateway) {
            lane.ready.remove(&waiting.body.request.number);
        }
    }

    /// A new view: everything is to be proposed again, and to be executed within the time-out from now.
    pub fn renew(&mut self, now: Mono) {
        self.ages = self.waiting.keys().map(|digest| (now, *digest)).collect();
        self.unproposed = self.ages.clone();
        self.unrelayed = self.ages.clone();
        self.unproposed_bytes = self.lanes.values().map(|lane| lane.bytes).sum();
        self.waiting.values_mut().for_each(|waiting| waiting.since = now);
        for lane in self.lanes.values_mut() {
            lane.ready = lane.numbers.keys().copied().collect();
        }
    }

    /// The number was executed, or cannot be any more: whatever waits under it, and below `floor`, does so in vain.
    pub fn settle(&mut self, gateway: &NodeId, number: RequestNumber, floor: RequestNumber) {
        let Some(lane) = self.lanes.get(gateway) else { return };
        let old = lane.numbers.range(..=floor).map(|(_, digest)| *digest);
        let gone: Vec<Digest> = old.chain(lane.numbers.get(&number).copied()).collect();
        gone.iter().for_each(|digest| self.remove(digest));
    }

    /// When the oldest was first seen, in this view.
    pub fn oldest(&self) -> Option<Mono> {
        self.ages.first().map(|(since, _)| *since)
    }

    /// When the oldest was first seen that is in no proposal of this view.
    pub fn oldest_unproposed(&self) -> Option<Mono> {
        self.unproposed.first().map(|(since, _)| *since)
    }

    /// Takes requests first seen by `before` that are in no proposal and were not relayed in this view.
    pub fn take_relays(&mut self, before: Mono, most: usize) -> Vec<Body> {
        let due = self.unrelayed.iter().take_while(|(since, _)| *since <= before).take(most);
        let due: Vec<(Mono, Digest)> = due.copied().collect();
        for one in &due {
            self.unrelayed.remove(one);
        }
        due.iter().filter_map(|(_, digest)| self.get(digest).cloned()).collect()
    }

    /// When the oldest was first seen that was not relayed.
    pub fn next_relay(&self) -> Option<Mono> {
        self.unrelayed.first().map(|(since, _)| *since)
    }

    /// Whether a whole batch waits.
    pub fn has_batch(&self, config: &EpochConfig) -> bool {
        self.unproposed.len() >= config.batch_requests as usize || self.unproposed_bytes >= config.batch_bytes as usize
    }

    /// All of them; for what becomes of them when others have executed.
    pub fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.waiting.values().map(|waiting| &waiting.body)
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    fn remove(&mut self, digest: &Digest) {
        let Some(waiting) = self.waiting.remove(digest) else { return };
        self.ages.remove(&(waiting.since, *digest));
        self.unrelayed.remove(&(waiting.since, *digest));
        let request = &waiting.body.request;
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
