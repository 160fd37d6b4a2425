//! Who can be talked to: by heartbeats and by closed connections. A hint; it says when to try, never who is right.

use crate::{
    Config, Counters, Effect, Finding, Member, Reach, Rejection, Standing,
    doubt::Doubt,
    errand::Errand,
    partition::{Partition, Turn},
    peer::Peer,
    peers::Peers,
    table::Digests,
};
use mesh_proto::{
    id::{NodeId, StoreId},
    time::{Mono, Now},
};
use rand::{Rng, RngExt as _, seq::IteratorRandom as _};
use std::{collections::BTreeMap, time::Duration};

/// The member table and what is known of each member's life.
///
/// Members come in by [`Members::learn`], connections by [`Members::up`] and [`Members::down`], every word of a peer by
/// [`Members::heard`]; [`Members::handle_deadline`] is to be called at [`Members::deadline`].
#[derive(Debug)]
pub struct Members {
    pub(crate) config: Config,
    me: Member,
    pub(crate) peers: Peers,
    pub(crate) digests: Digests,
    next_heartbeat: Mono,
    pub(crate) next_check: Mono,
    /// Before that nobody who is connected can be silent.
    next_scan: Mono,
    next_compare: Mono,
    /// Has had the table of another member, or is the first of the network: see [`Members::is_introduced`].
    introduced: bool,
    partition: Partition,
    pub(crate) doubt: Doubt,
    /// Members that are probed for others.
    pub(crate) errands: BTreeMap<NodeId, Errand>,
    pub(crate) last_id: u64,
    /// From when on this node says again that it is there.
    pub(crate) refutes_from: Mono,
    pub(crate) counted: Counters,
}

impl Members {
    /// `me` is only an id, a store and a role before [`Members::set_me`]: it is told to nobody.
    pub fn new(config: Config, me: Member) -> Self {
        Self {
            config,
            me,
            peers: Peers::default(),
            digests: Digests::default(),
            next_heartbeat: Mono::default(),
            next_check: Mono::default(),
            next_scan: Mono::default(),
            next_compare: Mono::default(),
            introduced: false,
            partition: Partition::default(),
            doubt: Doubt::default(),
            errands: BTreeMap::new(),
            last_id: 0,
            refutes_from: Mono::default(),
            counted: Counters::default(),
        }
    }

    /// From the disk: no effects. Of this node itself only the incarnation counts, which it must go above, and whether it drains.
    pub fn restore(&mut self, member: Member) {
        match member.node == self.me.node {
            // All else is what it is by its configuration and by what is there; this is as it was told to.
            true if member.incarnation >= self.me.incarnation => {
                (self.me.incarnation, self.me.drains) = (member.incarnation, member.drains);
                self.digests.forget(&member.node);
            }
            true => {}
            false => self.insert(member),
        }
    }

    /// This disk has had the table of a member that had one itself, or belongs to the first of the network. Without that
    /// a node takes itself for the whole mesh: what users gave it, it would keep to itself.
    pub fn is_introduced(&self) -> bool {
        self.introduced
    }

    pub fn introduce(&mut self) {
        self.introduced = true;
    }

    fn insert(&mut self, member: Member) {
        let node = member.node;
        self.digests.forget(&node);
        if !self.peers.contains(&node) {
            return self.peers.insert(node, Peer::new(member));
        }
        self.peers.change(&node, |peer| {
            // An entry may be older than the connection, which says which disk is there now.
            let store = if peer.connected { peer.member.store } else { member.store };
            peer.named = member.store;
            peer.member = Member { store, ..member };
        });
    }

    /// A verified entry. The greater one wins ([`Member::rank`]).
    pub fn learn(&mut self, now: Now, member: Member, effects: &mut Vec<Effect>) -> Result<(), Rejection> {
        if member.node == self.me.node {
            // Under a later invitation than this node's own nothing helps but that invitation.
            let is_comparable = member.standing != Standing::Forgotten && member.dated == self.me.dated;
            if is_comparable && member.rank() > self.me.rank() {
                effects.push(Effect::Outdated { incarnation: member.incarnation });
            }
            return Err(Rejection::Own);
        }
        match self.peers.get(&member.node).map(|peer| &peer.member) {
            Some(known) if member.rank() <= known.rank() => {
                return Err(match known.standing {
                    Standing::Forgotten => Rejection::Forgotten,
                    Standing::Joined | Standing::Left => Rejection::Stale,
                });
            }
            None if self.peers.len() >= self.config.members_max => return Err(Rejection::Full),
            Some(_) | None => {}
        }
        let is_out = member.standing != Standing::Joined;
        let (node, incarnation) = (member.node, member.incarnation);
        let is_new = !self.peers.contains(&node);
        self.insert(member.clone());
        effects.push(Effect::Changed(member));
        if let Some(peer) = self.peers.get_mut(&node) {
            if is_new {
                // It gets the time of a grace to be reached before it counts as silent.
                peer.lost = Some(now.mono);
                peer.heard = now.mono;
                peer.counts_from = now.mono + self.config.timeout;
            }
            peer.next_dial = now.mono;
            peer.dials = 0;
            if is_out {
                effects.push(Effect::Disconnect(node));
            }
        }
        self.note_word(now, node, incarnation);
        if let Some(peer) = self.peers.get_mut(&node).filter(|_| is_out) {
            peer.suspicion = None;
        }
        self.next_check = self.next_check.min(now.mono);
        Ok(())
    }

    pub fn up(&mut self, now: Now, node: NodeId, store: StoreId) {
        self.peers.change(&node, |peer| {
            peer.connected = true;
            peer.silent = false;
            peer.was_met = true;
            peer.counts_from = now.mono;
            peer.up = now.mono;
            peer.lost = None;
            peer.heard = now.mono;
            peer.dials = 0;
            peer.member.store = store;
            if peer.suspicion.take().is_some() {
                peer.history.note(now.wall, node, Finding::Back);
            }
        });
        self.next_check = self.next_check.min(now.mono);
        self.next_scan = self.next_scan.min(now.mono + self.config.timeout);
    }

    /// Returns the member if its entry names another disk than the one that was connected: that one counts from here on.
    pub fn down(&mut self, now: Now, node: NodeId) -> Option<Member> {
        let settled = self.peers.change(&node, |peer| {
            peer.connected = false;
            peer.lost.get_or_insert(now.mono);
            peer.next_dial = now.mono;
            peer.settle_store()
        })?;
        self.next_check = self.next_check.min(now.mono);
        settled
    }

    pub fn heard(&mut self, now: Now, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.heard = now.mono;
        }
    }

    /// The process was frozen: nobody is judged by a time that did not pass for this node.
    pub fn paused(&mut self, now: Now) {
        for peer in self.peers.values_mut() {
            peer.heard = now.mono;
            peer.was_met = peer.connected;
            peer.counts_from = now.mono + self.config.timeout;
            if !peer.silent && peer.lost.is_some() {
                peer.lost = Some(now.mono);
            }
        }
        self.next_heartbeat = now.mono;
    }

    pub fn deadline(&self) -> Mono {
        self.next_heartbeat.min(self.next_check).min(self.next_compare)
    }

    pub fn handle_deadline(&mut self, now: Now, rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        if self.next_heartbeat <= now.mono {
            self.note_lateness(now.mono);
            self.next_heartbeat = now.mono + self.config.heartbeat;
            effects.push(Effect::Heartbeat);
        }
        if self.next_compare <= now.mono {
            // What gossip lost is found so, and a newcomer's first question if that was lost.
            let pause = if self.introduced { self.config.compare } else { self.config.heartbeat };
            self.next_compare = now.mono + pause;
            effects.extend(self.connected().choose(rng).map(Effect::Compare));
        }
        if self.next_check > now.mono {
            return;
        }
        self.next_check = now.mono + self.config.grace / 3;
        self.give_up_silent(now.mono, effects);
        self.look_for_absent(now.mono, rng, effects);
        self.look_at_suspects(now, rng, effects);
        self.run_errands(now, effects);
        debug_assert!(self.peers.is_in_order(), "what is known of all is what is known of each");
        let reach = Reach::of(now.mono, &self.peers);
        match self.partition.look(now.mono, reach, self.config.heartbeat) {
            Some(Turn::Began) => effects.push(Effect::Partitioned),
            Some(Turn::Healed { since }) => effects.push(Effect::Healed { since }),
            None => {}
        }
    }

    /// Frozen or cut off without a word: the connection is of no use. All are looked at again when one could be silent
    /// that was not heard meanwhile.
    fn give_up_silent(&mut self, now: Mono, effects: &mut Vec<Effect>) {
        if self.next_scan > now {
            return;
        }
        let timeout = self.doubt.stretch(self.config.timeout);
        let connected = || self.peers.iter().filter(|(_, peer)| peer.connected);
        let is_silent = |peer: &Peer| now.since(peer.heard) >= timeout;
        let silent: Vec<NodeId> = connected().filter(|(_, peer)| is_silent(peer)).map(|(node, _)| *node).collect();
        let heard = connected().map(|(_, peer)| peer).filter(|peer| !is_silent(peer)).map(|peer| peer.heard).min();
        // Who trusts itself less waits longer, and may trust itself again at any time.
        self.next_scan = (heard.unwrap_or(now) + self.config.timeout).max(now + self.config.grace / 3);
        let next_dial = now + self.config.redial;
        for node in silent {
            self.peers.change(&node, |peer| (peer.connected, peer.silent, peer.next_dial) = (false, true, next_dial));
            effects.push(Effect::Disconnect(node));
            effects.push(Effect::Silent(node));
        }
    }

    /// Who is out of the mesh is heard as long as it is there, and not looked for.
    fn look_for_absent(&mut self, now: Mono, rng: &mut dyn Rng, effects: &mut Vec<Effect>) {
        let (grace, redial) = (self.config.grace, self.config.redial);
        self.peers.away_mut(|node, peer| {
            let is_over = peer.lost.is_none_or(|lost| now.since(lost) >= grace);
            if !peer.silent && is_over {
                peer.silent = true;
                effects.push(Effect::Silent(*node));
            }
            if peer.next_dial <= now {
                let doublings = peer.dials.min(5);
                let pause = redial * 2u32.pow(doublings);
                let jitter = rng.random_range(0..=u64::try_from(pause.as_micros() / 4).unwrap_or(u64::MAX));
                peer.dials = peer.dials.saturating_add(1);
                peer.next_dial = now + pause + Duration::from_micros(jitter);
                effects.push(Effect::Dial { node: *node, addresses: peer.member.addresses.clone() });
            }
        });
    }

    /// Whether this node's own timers are in time says how much it is to trust what it finds of others.
    fn note_lateness(&mut self, now: Mono) {
        if self.next_heartbeat == Mono::default() {
            return;
        }
        match now.since(self.next_heartbeat) > self.config.heartbeat / 2 {
            true => self.doubt.more(),
            false => self.doubt.less(),
        }
    }

    /// Fewer than half of the other members that hold tasks have been in reach for a heartbeat or longer.
    pub fn is_partitioned(&self) -> bool {
        self.partition.is_on()
    }

    /// The others, as of the last check.
    pub fn reach(&self) -> Reach {
        self.partition.reach()
    }

    /// This node's own entry is now this.
    pub fn set_me(&mut self, me: Member) {
        self.digests.forget(&me.node);
        self.me = me;
    }

    /// This node's own entry.
    pub fn me(&self) -> &Member {
        &self.me
    }

    pub fn get(&self, node: &NodeId) -> Option<&Member> {
        match *node == self.me.node {
            true => Some(&self.me),
            false => self.peers.get(node).map(|peer| &peer.member),
        }
    }

    /// Its entry as it was told, which may name another disk than the one that is connected.
    pub fn told_entry(&self, node: &NodeId) -> Option<Member> {
        match self.peers.get(node) {
            Some(peer) => Some(Member { store: peer.named, ..peer.member.clone() }),
            None => self.get(node).cloned(),
        }
    }

    /// All others that are or were members.
    pub fn others(&self) -> impl Iterator<Item = &Member> {
        self.peers.values().map(|peer| &peer.member)
    }

    pub fn is_connected(&self, node: &NodeId) -> bool {
        self.peers.get(node).is_some_and(|peer| peer.connected)
    }

    /// All that can be talked to.
    pub fn connected(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().filter(|(_, peer)| peer.connected).map(|(node, _)| *node)
    }

    /// How many can be talked to.
    pub fn connected_len(&self) -> usize {
        self.peers.connected_len()
    }

    /// Those that came at that time or later, and are there still.
    pub fn connected_since(&self, since: Mono) -> impl Iterator<Item = NodeId> + '_ {
        let came = move |peer: &Peer| peer.connected && peer.up >= since;
        self.peers.iter().filter(move |(_, peer)| came(peer)).map(|(node, _)| *node)
    }

    /// When it was last heard.
    pub fn last_heard(&self, node: &NodeId) -> Option<Mono> {
        self.peers.get(node).map(|peer| peer.heard)
    }
}
