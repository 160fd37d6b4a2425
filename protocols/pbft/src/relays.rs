//! What a backup has told the primary of, and since when it waits for that.
//!
//! Lanes are few. A primary whose lanes are taken refuses what a backup has room for, though it is correct, so the time of a
//! request does not run before the primary cannot but have it: because it has proposed it, or because it was relayed, for
//! which it keeps lanes to each member. No more is relayed at a time than what those hold: the rest has its turn when that
//! is proposed, or the primary is left for it.

use mesh_proto::{
    id::{Digest, NodeId},
    time::Mono,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Of the requests that wait, in one view.
#[derive(Debug, Default)]
pub struct Relays {
    /// Neither proposed nor relayed, oldest first.
    untold: BTreeSet<(Mono, Digest)>,
    /// Relayed, and not proposed since.
    told: BTreeMap<Digest, Told>,
    /// When they are relayed again.
    again: BTreeSet<(Mono, Digest)>,
    /// Since when they are to be proposed.
    unproposed: BTreeSet<(Mono, Digest)>,
    /// How many of them are of each gateway.
    gateways: BTreeMap<NodeId, usize>,
    /// Since when the time of a request runs.
    watched: BTreeMap<Digest, Mono>,
    ages: BTreeSet<(Mono, Digest)>,
}

#[derive(Debug)]
struct Told {
    gateway: NodeId,
    since: Mono,
    /// When it is relayed again, and how long that is waited for: the primary may not know the gateway yet.
    again: (Mono, Duration),
}

/// When a backup relays, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub after: Duration,
    /// Gateways of whom something may be relayed that is not proposed.
    pub lanes: usize,
}

impl Relays {
    /// A request waits since then.
    pub fn add(&mut self, since: Mono, digest: Digest) {
        self.untold.insert((since, digest));
    }

    /// When the next is to be relayed.
    pub fn due(&self, limits: Limits) -> Option<Mono> {
        let first = self.untold.first().filter(|_| self.gateways.len() < limits.lanes);
        let first = first.map(|(since, _)| *since + limits.after);
        first.into_iter().chain(self.again.first().map(|(at, _)| *at)).min()
    }

    /// Takes one that is due.
    pub fn take(&mut self, now: Mono, limits: Limits, gateway: impl Fn(&Digest) -> Option<NodeId>) -> Option<Digest> {
        if self.due(limits)? > now {
            return None;
        }
        if let Some((at, digest)) = self.again.first().copied().filter(|(at, _)| *at <= now) {
            self.again.remove(&(at, digest));
            let told = self.told.get_mut(&digest)?;
            let pause = told.again.1.saturating_mul(2);
            told.again = (now + pause, pause);
            self.again.insert((now + pause, digest));
            return Some(digest);
        }
        let (since, digest) = self.untold.pop_first()?;
        let (gateway, at) = (gateway(&digest)?, now + limits.after);
        *self.gateways.entry(gateway).or_default() += 1;
        let since = self.watch(now, limits, since, digest);
        self.told.insert(digest, Told { gateway, since, again: (at, limits.after) });
        self.again.insert((at, digest));
        self.unproposed.insert((since, digest));
        Some(digest)
    }

    /// It is in a proposal. What waited for that for long has its time from now.
    pub fn propose(&mut self, now: Mono, limits: Limits, since: Mono, digest: Digest) {
        self.untold.remove(&(since, digest));
        self.take_back(&digest);
        self.watch(now, limits, since, digest);
    }

    /// Its time begins anew, as if it were seen now, and others have their turn before it.
    pub fn restart(&mut self, now: Mono, since: Mono, digest: Digest) {
        self.remove(since, &digest);
        self.add(now, digest);
    }

    /// It waits no more.
    pub fn remove(&mut self, since: Mono, digest: &Digest) {
        self.untold.remove(&(since, *digest));
        if let Some(since) = self.watched.remove(digest) {
            self.ages.remove(&(since, *digest));
        }
        self.take_back(digest);
    }

    /// The primary need not be told of it any more.
    fn take_back(&mut self, digest: &Digest) {
        let Some(Told { gateway, since, again: (at, _) }) = self.told.remove(digest) else { return };
        self.again.remove(&(at, *digest));
        self.unproposed.remove(&(since, *digest));
        if let Some(count) = self.gateways.get_mut(&gateway) {
            *count -= 1;
            if *count == 0 {
                self.gateways.remove(&gateway);
            }
        }
    }

    /// Since when the time runs of the one that has waited for longest.
    pub fn oldest(&self) -> Option<Mono> {
        self.ages.first().map(|(since, _)| *since)
    }

    /// The same of those that were relayed and are not proposed.
    pub fn oldest_unproposed(&self) -> Option<Mono> {
        self.unproposed.first().map(|(since, _)| *since)
    }

    /// From its first sight, but for what it waited longer than it had to: the primary is to have all of its time.
    fn watch(&mut self, now: Mono, limits: Limits, since: Mono, digest: Digest) -> Mono {
        let late = now.since(since + limits.after);
        // What is as late as that was held back, and not looked at a little late.
        let from = if late < limits.after { since + late } else { now };
        let from = *self.watched.entry(digest).or_insert(from);
        self.ages.insert((from, digest));
        from
    }
}
