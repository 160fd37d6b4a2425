//! Who can be talked to: by heartbeats and by closed connections. A hint; it says when to try, never who is right.

use crate::{Config, Member, Standing};
use mesh_proto::{
    id::{NodeId, StoreId},
    time::{Mono, Now},
};
use rand::{Rng, RngExt as _, seq::IteratorRandom as _};
use std::collections::BTreeMap;

/// What liveness asks of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Its entry is new or newer: to be kept.
    Changed(Member),
    /// Others know a word of this node's own that it is not above (its disk is lost, or its clock went back): until it
    /// says something of itself under a higher incarnation than this, nobody believes it.
    Outdated { incarnation: u64 },
    /// Time to compare tables with this one.
    Compare(NodeId),
    /// Time for a heartbeat to every connected member.
    Heartbeat,
    /// Believed to be gone.
    Silent(NodeId),
    /// Try to reach it.
    Dial { node: NodeId, addresses: Vec<String> },
    /// Close what there is.
    Disconnect(NodeId),
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("not newer than what is known")]
    Stale,
    #[error("that member was forgotten, and not invited since")]
    Forgotten,
    #[error("the table is full")]
    Full,
    #[error("this node speaks for itself")]
    Own,
}

#[derive(Debug)]
struct Peer {
    member: Member,
    /// The disk that its entry names. While it is connected the connection says which is there.
    named: StoreId,
    connected: bool,
    heard: Mono,
    /// When it was lost, until it is back or counted as silent.
    lost: Option<Mono>,
    silent: bool,
    next_dial: Mono,
    dials: u32,
}

impl Peer {
    /// It is not connected: its entry says which disk it has.
    fn settle_store(&mut self) -> Option<Member> {
        (std::mem::replace(&mut self.member.store, self.named) != self.named).then(|| self.member.clone())
    }
}

/// The member table and what is known of each member's life.
///
/// Members come in by [`Members::learn`], connections by [`Members::up`] and [`Members::down`], every word of a peer by
/// [`Members::heard`]; [`Members::handle_deadline`] is to be called at [`Members::deadline`].
#[derive(Debug)]
pub struct Members {
    config: Config,
    me: Member,
    peers: BTreeMap<NodeId, Peer>,
    next_heartbeat: Mono,
    next_check: Mono,
    next_compare: Mono,
    /// Has had the table of another member, or is the first of the network: see [`Members::is_introduced`].
    introduced: bool,
}

impl Members {
    /// `me` is only an id, a store and a role before [`Members::set_me`]: it is told to nobody.
    pub fn new(config: Config, me: Member) -> Self {
        Self {
            config,
            me,
            peers: BTreeMap::new(),
            next_heartbeat: Mono::default(),
            next_check: Mono::default(),
            next_compare: Mono::default(),
            introduced: false,
        }
    }

    /// From the disk: no effects. Of this node itself only the incarnation counts: it must go above it.
    pub fn restore(&mut self, member: Member) {
        match member.node == self.me.node {
            true => self.me.incarnation = self.me.incarnation.max(member.incarnation),
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
        let peer = self.peers.entry(member.node).or_insert_with(|| Peer {
            member: member.clone(),
            named: member.store,
            connected: false,
            heard: Mono::default(),
            lost: Some(Mono::default()),
            silent: false,
            next_dial: Mono::default(),
            dials: 0,
        });
        // An entry may be older than the connection, which says which disk is there now.
        let store = if peer.connected { peer.member.store } else { member.store };
        peer.named = member.store;
        peer.member = Member { store, ..member };
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
        let node = member.node;
        let is_new = !self.peers.contains_key(&node);
        self.insert(member.clone());
        effects.push(Effect::Changed(member));
        if let Some(peer) = self.peers.get_mut(&node) {
            if is_new {
                // It gets the time of a grace to be reached before it counts as silent.
                peer.lost = Some(now.mono);
                peer.heard = now.mono;
            }
            peer.next_dial = now.mono;
            peer.dials = 0;
            if is_out {
                effects.push(Effect::Disconnect(node));
            }
        }
        self.next_check = self.next_check.min(now.mono);
        Ok(())
    }

    pub fn up(&mut self, now: Now, node: NodeId, store: StoreId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.connected = true;
            peer.silent = false;
            peer.lost = None;
            peer.heard = now.mono;
            peer.dials = 0;
            peer.member.store = store;
        }
    }

    /// Returns the member if its entry names another disk than the one that was connected: that one counts from here on.
    pub fn down(&mut self, now: Now, node: NodeId) -> Option<Member> {
        let peer = self.peers.get_mut(&node)?;
        peer.connected = false;
        peer.lost.get_or_insert(now.mono);
        peer.next_dial = now.mono;
        self.next_check = self.next_check.min(now.mono);
        peer.settle_store()
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
        for (node, peer) in &mut self.peers {
            if peer.connected && now.mono.since(peer.heard) >= self.config.timeout {
                // Frozen or cut off without a word: the connection is of no use.
                peer.connected = false;
                peer.silent = true;
                peer.next_dial = now.mono + self.config.redial;
                effects.push(Effect::Disconnect(*node));
                effects.push(Effect::Silent(*node));
            }
            // Who is out of the mesh is heard as long as it is there, and not looked for.
            if peer.connected || peer.member.standing != Standing::Joined {
                continue;
            }
            let is_over = peer.lost.is_none_or(|lost| now.mono.since(lost) >= self.config.grace);
            if !peer.silent && is_over {
                peer.silent = true;
                effects.push(Effect::Silent(*node));
            }
            if peer.next_dial <= now.mono {
                let doublings = peer.dials.min(5);
                let pause = self.config.redial * 2u32.pow(doublings);
                let jitter = rng.random_range(0..=u64::try_from(pause.as_micros() / 4).unwrap_or(u64::MAX));
                peer.dials = peer.dials.saturating_add(1);
                peer.next_dial = now.mono + pause + std::time::Duration::from_micros(jitter);
                effects.push(Effect::Dial { node: *node, addresses: peer.member.addresses.clone() });
            }
        }
    }

    /// This node's own entry is now this.
    pub fn set_me(&mut self, me: Member) {
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

    /// When it was last heard.
    pub fn last_heard(&self, node: &NodeId) -> Option<Mono> {
        self.peers.get(node).map(|peer| peer.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use mesh_proto::{capability::Capabilities, task::Octets, time::Wall};
    use rand::SeedableRng as _;

    fn member(n: u8, incarnation: u64, standing: Standing) -> Member {
        Member {
            node: NodeId::from_bytes([n; 32]),
            store: StoreId(1),
            role: Role::Full,
            standing,
            dated: Wall(100),
            incarnation,
            addresses: vec!["/memory/1".into()],
            name: None,
            zone: None,
            capabilities: Capabilities::default(),
            entry: Octets::default(),
        }
    }

    fn at(ms: u64) -> Now {
        Now { mono: Mono(ms * 1000), wall: Wall(ms) }
    }

    fn due(members: &mut Members, ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        members.handle_deadline(at(ms), &mut rand::rngs::SmallRng::seed_from_u64(1), &mut effects);
        effects
    }

    #[test]
    fn a_closed_connection_is_silence_after_the_grace_and_frozen_peers_after_the_timeout() {
        let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
        let other = member(1, 1, Standing::Joined);
        let node = other.node;
        members.learn(at(0), other, &mut Vec::new()).unwrap();
        members.up(at(0), node, StoreId(1));
        assert_eq!(due(&mut members, 9_000), [Effect::Heartbeat, Effect::Compare(node)]);
        members.down(at(9_100), node);
        let addresses = vec!["/memory/1".to_string()];
        assert_eq!(due(&mut members, 9_100), [Effect::Dial { node, addresses }]);
        assert!(due(&mut members, 9_500).contains(&Effect::Silent(node)));
        members.up(at(9_600), node, StoreId(1));
        assert!(!due(&mut members, 19_000).contains(&Effect::Silent(node)));
        let late = due(&mut members, 19_700);
        assert!(late.contains(&Effect::Silent(node)) && late.contains(&Effect::Disconnect(node)));
    }

    #[test]
    fn the_disk_of_a_connected_member_is_the_one_that_is_connected() {
        let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
        let (old, new) = (StoreId(1), StoreId(2));
        let node = member(1, 3, Standing::Joined).node;
        let learn = |members: &mut Members, incarnation, store| {
            let told = Member { store, ..member(1, incarnation, Standing::Joined) };
            let mut effects = Vec::new();
            members.learn(at(0), told.clone(), &mut effects).unwrap();
            assert!(effects.contains(&Effect::Changed(told.clone())), "it is kept as it was told");
            assert_eq!(members.told_entry(&node), Some(told));
            members.get(&node).map(|member| member.store)
        };
        assert_eq!(learn(&mut members, 3, old), Some(old));
        // It is back with another disk; a word from before comes by a detour.
        members.up(at(0), node, new);
        assert_eq!(learn(&mut members, 5, old), Some(new));
        assert_eq!(learn(&mut members, 7, new), Some(new));
        assert_eq!(members.down(at(1), node), None);
        // And the other way round: word of its new disk comes while the old process is still connected.
        let third = StoreId(3);
        members.up(at(2), node, new);
        assert_eq!(learn(&mut members, 9, third), Some(new));
        assert_eq!(members.down(at(3), node).map(|member| member.store), Some(third));
        assert_eq!(members.get(&node).map(|member| member.store), Some(third));
    }

    #[test]
    fn who_left_and_then_falls_silent_is_gone() {
        let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
        let node = member(1, 1, Standing::Left).node;
        members.learn(at(0), member(1, 1, Standing::Left), &mut Vec::new()).unwrap();
        members.up(at(0), node, StoreId(1));
        assert_eq!(due(&mut members, 9_000), [Effect::Heartbeat, Effect::Compare(node)]);
        assert_eq!(due(&mut members, 10_000), [Effect::Disconnect(node), Effect::Silent(node)]);
        assert_eq!(due(&mut members, 30_000), [Effect::Heartbeat]);
    }

    #[test]
    fn the_higher_incarnation_wins_and_the_forgotten_stay_so() {
        let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
        let mut effects = Vec::new();
        assert_eq!(members.learn(at(0), member(1, 5, Standing::Joined), &mut effects), Ok(()));
        assert_eq!(members.learn(at(0), member(1, 5, Standing::Joined), &mut effects), Err(Rejection::Stale));
        assert_eq!(members.learn(at(0), member(1, 4, Standing::Forgotten), &mut effects), Ok(()));
        assert_eq!(members.learn(at(0), member(1, 9, Standing::Joined), &mut effects), Err(Rejection::Forgotten));
        assert_eq!(members.learn(at(0), member(0, 9, Standing::Left), &mut effects), Err(Rejection::Own));
    }

    #[test]
    fn only_an_invitation_of_later_brings_a_forgotten_member_back() {
        let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
        let dated = |date, incarnation, standing| Member { dated: Wall(date), ..member(1, incarnation, standing) };
        let mut learn = |member| members.learn(at(0), member, &mut Vec::new());
        assert_eq!(learn(dated(100, 5, Standing::Joined)), Ok(()));
        assert_eq!(learn(dated(200, 0, Standing::Forgotten)), Ok(()));
        for (date, incarnation) in [(100, u64::MAX), (199, 9), (200, 9)] {
            assert_eq!(learn(dated(date, incarnation, Standing::Joined)), Err(Rejection::Forgotten), "{date}");
        }
        // The door is the first to see it, before it has said anything under its new invitation.
        let seen = Member { entry: Octets::default(), ..dated(201, 0, Standing::Joined) };
        assert_eq!(learn(seen), Ok(()));
        assert_eq!(learn(dated(201, 1, Standing::Joined)), Ok(()));
        assert_eq!(learn(dated(200, 0, Standing::Forgotten)), Err(Rejection::Stale), "the old word, told again");
        assert_eq!(learn(dated(202, 0, Standing::Forgotten)), Ok(()));
    }

    #[test]
    fn nobody_speaks_above_a_word_under_an_invitation_that_it_does_not_have() {
        let mut members = Members::new(Config::default(), member(0, 1, Standing::Joined));
        let mut effects = Vec::new();
        let later = Member { dated: Wall(101), ..member(0, 9, Standing::Joined) };
        assert_eq!(members.learn(at(0), later, &mut effects), Err(Rejection::Own));
        assert_eq!(effects, []);
        assert_eq!(members.learn(at(0), member(0, 9, Standing::Joined), &mut effects), Err(Rejection::Own));
        assert_eq!(effects, [Effect::Outdated { incarnation: 9 }]);
    }
}
