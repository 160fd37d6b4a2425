use crate::{Member, Standing, peer::Peer};
use mesh_proto::id::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeBounds,
};

/// All other members, and what is asked of them ten times a second kept at hand: where there are thousands, who is
/// connected and heard is looked at when it could be silent, and not before.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    all: BTreeMap<NodeId, Peer>,
    /// Joined, and not connected.
    away: BTreeSet<NodeId>,
    connected: usize,
    /// Of the connected ones those that hold tasks.
    holding: usize,
}

impl Peers {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn contains(&self, node: &NodeId) -> bool {
        self.all.contains_key(node)
    }

    pub fn get(&self, node: &NodeId) -> Option<&Peer> {
        self.all.get(node)
    }

    /// To change anything but its row and whether it is connected: those are by [`Self::change`].
    pub fn get_mut(&mut self, node: &NodeId) -> Option<&mut Peer> {
        self.all.get_mut(node)
    }

    /// As [`Self::get_mut`], of all.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.all.values_mut()
    }

    pub fn values(&self) -> impl Iterator<Item = &Peer> {
        self.all.values()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.all.iter()
    }

    pub fn range(&self, range: impl RangeBounds<NodeId>) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.all.range(range)
    }

    /// Changes one that is known, in whatever it is.
    pub fn change<R>(&mut self, node: &NodeId, change: impl FnOnce(&mut Peer) -> R) -> Option<R> {
        let peer = self.all.get_mut(node)?;
        let before = Books::of(peer);
        let done = change(peer);
        let after = Books::of(peer);
        self.book(node, before, after);
        Some(done)
    }

    pub fn insert(&mut self, node: NodeId, peer: Peer) {
        let before = self.all.get(&node).map(Books::of).unwrap_or_default();
        let after = Books::of(&peer);
        self.all.insert(node, peer);
        self.book(&node, before, after);
    }

    fn book(&mut self, node: &NodeId, before: Books, after: Books) {
        self.connected = self.connected + usize::from(after.connected) - usize::from(before.connected);
        self.holding = self.holding + usize::from(after.holding) - usize::from(before.holding);
        match (before.away, after.away) {
            (false, true) => self.away.insert(*node),
            (true, false) => self.away.remove(node),
            (true, true) | (false, false) => false,
        };
    }

    pub fn connected_len(&self) -> usize {
        self.connected
    }

    /// Those that are connected and hold tasks.
    pub fn holding_len(&self) -> usize {
        self.holding
    }

    /// Joined members that are not connected.
    pub fn away(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.away.iter().filter_map(|node| self.all.get_key_value(node))
    }

    /// As [`Self::get_mut`], of those that are away.
    pub fn away_mut(&mut self, mut look: impl FnMut(&NodeId, &mut Peer)) {
        for node in &self.away {
            if let Some(peer) = self.all.get_mut(node) {
                look(node, peer);
            }
        }
    }

    /// Whether what is at hand is what looking through all would give.
    pub fn is_in_order(&self) -> bool {
        let books = || self.all.values().map(Books::of);
        self.connected == books().filter(|books| books.connected).count()
            && self.holding == books().filter(|books| books.holding).count()
            && self.away().all(|(_, peer)| Books::of(peer).away)
            && self.away.len() == books().filter(|books| books.away).count()
    }
}

/// What of one is counted.
#[derive(Clone, Copy, Debug, Default)]
struct Books {
    connected: bool,
    holding: bool,
    away: bool,
}

impl Books {
    fn of(peer: &Peer) -> Self {
        let Peer { member, connected, .. } = peer;
        Self {
            connected: *connected,
            holding: *connected && Member::holds_tasks(member),
            away: !connected && member.standing == Standing::Joined,
        }
    }
}
