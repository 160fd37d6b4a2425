//! The members as the task layer sees them, and where a task has its home.

use crate::{
    auction::score::WHOLE,
    balance::{Burden, Room},
    capability,
    points::{Point, Points},
    poll::named,
};
use mesh_proto::{
    capability::{Capabilities, Requirements},
    id::{Digest, NodeId, StoreId, TaskId},
    task::Holder,
    time::Mono,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What a member does with tasks, by what it is and says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It is out of the mesh, or never does.
    Nothing,
    /// It takes nothing new, and has what it has until others do.
    Drains,
    Holds,
}

impl From<bool> for Holding {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Nothing }
    }
}

/// One member.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its present disk. Copies on another were lost with it.
    pub store: StoreId,
    /// Joined, not left, role full or worker, and does not drain: by what it is, not by whether it can be reached.
    pub holds: bool,
    /// The same, and it may drain: what it has it has until others do, and it is asked for that.
    pub keeps: bool,
    /// It can be talked to.
    pub connected: bool,
    /// The queue to it is full: nothing is sent until it drains.
    pub full: bool,
    /// Since when it is believed to be gone. A hint: it says when to try, never who is right.
    pub silent_since: Option<Mono>,
    /// When it last said anything.
    pub heard: Mono,
    /// It let a placement or an auction pass, and has said nothing since: nothing is waited for that needs its answer, where others
    /// can do without.
    pub is_mute: bool,
    /// As it last said.
    pub load: Load,
    /// Attempts that this node granted it since: its word on its load is seconds old, and a job is placed in
    /// milliseconds.
    pub granted: u32,
    /// What came of the attempts that this node granted it, in parts per million: of late more than of long ago.
    pub performance: u32,
    /// What it says that it has.
    pub capabilities: Capabilities,
    /// Its place in the id space.
    point: Point,
}

/// Of whom nothing was seen: in the middle, and soon moved.
const UNPROVEN: u32 = WHOLE / 2;

/// Each attempt counts for one in so many.
const MEMORY: u32 = 8;

/// Queues that are looked at in one turn.
const LOOKED_AT: usize = 64;

/// How busy a node said it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub slots: u32,
    pub running: u32,
    pub queued: u32,
}

impl Load {
    /// What waits for each slot, in parts of 65,536.
    fn queued_per_slot(&self) -> u64 {
        (u64::from(self.queued) << 16) / u64::from(self.slots.max(1))
    }
}

impl Seat {
    /// Attempts that it runs, has queued, or has been granted since it last said so.
    pub fn burden(&self) -> u32 {
        self.load.running.saturating_add(self.load.queued).saturating_add(self.granted)
    }

    pub(crate) fn burden_by_slots(&self) -> Burden {
        Burden { slots: self.load.slots, attempts: self.burden() }
    }

    /// Believed to be gone. Of who is out of the mesh nobody says that it is silent: it just is away.
    fn is_silent(&self) -> bool {
        !self.connected && (self.silent_since.is_some() || !self.keeps)
    }

    pub fn has_free_slot(&self) -> bool {
        self.burden() < self.load.slots
    }

    /// Whether it could begin at once what asks for this. Members say how much they do, and not for which workers: as many
    /// places as it has tasks of whatever kind may be taken.
    pub fn is_free_for(&self, requirements: &Requirements) -> bool {
        let places = capability::places_for(&self.capabilities, requirements);
        self.has_free_slot() && places.is_none_or(|places| self.burden() < places)
    }
}

/// The member table, reduced to what tasks need.
#[derive(Debug)]
pub struct Roster {
    me: NodeId,
    seats: BTreeMap<NodeId, Seat>,
    /// Those that hold tasks.
    points: Points,
    others: Census,
    /// Those with something waiting for a slot, by how much for each.
    queues: BTreeSet<(u64, Reverse<NodeId>)>,
}

/// Of the others that hold tasks. Each copy, placement and change of connections asks for it, so nobody is counted
/// anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Census {
    known: usize,
    connected: usize,
    /// Believed to be gone.
    silent: usize,
}

impl Census {
    fn of(seat: &Seat) -> Self {
        Self {
            known: usize::from(seat.holds),
            connected: usize::from(seat.holds && seat.connected),
            silent: usize::from(seat.holds && seat.is_silent()),
        }
    }

    fn add(&mut self, other: Self) {
        self.known += other.known;
        self.connected += other.connected;
        self.silent += other.silent;
    }

    fn take(&mut self, other: Self) {
        self.known -= other.known;
        self.connected -= other.connected;
        self.silent -= other.silent;
    }
}

impl Roster {
    pub fn new(me: Holder, holds: bool) -> Self {
        let mut roster = Self {
            me: me.node,
            seats: BTreeMap::new(),
            points: Points::default(),
            others: Census::default(),
            queues: BTreeSet::new(),
        };
        roster.admit(me.node, me.store, holds);
        roster.change(&me.node, |seat| seat.connected = true);
        roster
    }

    /// A member is known, or known anew.
    pub fn admit(&mut self, node: NodeId, store: StoreId, holding: impl Into<Holding>) {
        let holding = holding.into();
        self.seats.entry(node).or_insert_with(|| Seat {
            store,
            holds: false,
            keeps: false,
            connected: false,
            full: false,
            silent_since: None,
            heard: Mono::default(),
            is_mute: false,
            load: Load::default(),
            granted: 0,
            performance: UNPROVEN,
            capabilities: named(&node, &Capabilities::default()),
            point: *Digest::of("meshd 2026 member point", &[node.as_bytes()]).as_bytes(),
        });
        self.change(&node, |seat| {
            seat.store = store;
            (seat.holds, seat.keeps) = (holding == Holding::Holds, holding != Holding::Nothing);
        });
    }

    /// Changes one that is known, in whatever is counted of it.
    pub(crate) fn change(&mut self, node: &NodeId, change: impl FnOnce(&mut Seat)) {
        let Some(seat) = self.seats.get_mut(node) else { return };
        let (kept, before) = (seat.keeps, Census::of(seat));
        change(seat);
        match (kept, seat.keeps) {
            (false, true) => self.points.insert(seat.point, *node),
            (true, false) => self.points.remove(seat.point, *node),
            (true, true) | (false, false) => {}
        }
        if *node != self.me {
            self.others.add(Census::of(seat));
            self.others.take(before);
        }
    }

    pub fn seat(&self, node: &NodeId) -> Option<&Seat> {
        self.seats.get(node)
    }

    /// The member with the disk that it has now.
    pub fn holder(&self, node: &NodeId) -> Option<Holder> {
        self.seats.get(node).map(|seat| Holder { node: *node, store: seat.store })
    }

    /// To change what is not counted of it; else [`Self::change`].
    pub(crate) fn seat_mut(&mut self, node: &NodeId) -> Option<&mut Seat> {
        self.seats.get_mut(node)
    }

    /// How busy a member says it is: with that, what was granted before is counted.
    pub fn set_load(&mut self, node: &NodeId, load: Load) {
        if let Some(seat) = self.list_load(node, load) {
            (seat.granted, seat.is_mute) = (0, false);
        }
    }

    /// What a member says that it has; whether that is something else than before.
    pub fn set_capabilities(&mut self, node: &NodeId, capabilities: &Capabilities) -> bool {
        let named = named(node, capabilities);
        let Some(seat) = self.seats.get_mut(node).filter(|seat| seat.capabilities != named) else { return false };
        seat.capabilities = named;
        true
    }

    /// How far a member is from an id.
    pub fn distance(&self, node: &NodeId, task: &TaskId) -> [u8; 32] {
        self.seats.get(node).map_or([u8::MAX; 32], |seat| std::array::from_fn(|i| seat.point[i] ^ task.as_bytes()[i]))
    }

    /// What came of an attempt that it was granted: a part of what is known gives way to it.
    pub fn performed(&mut self, node: &NodeId, well: bool) {
        if let Some(seat) = self.seats.get_mut(node) {
            let seen = if well { WHOLE } else { 0 };
            seat.performance = seat.performance - seat.performance / MEMORY + seen / MEMORY;
        }
    }

    /// Who of the others has most waiting for each of its slots, as far as is known, of those that are worth asking: `worth`
    /// says for how many. Where none of the first is, none of the rest is looked at.
    pub(crate) fn longest_queue(&self, worth: impl Fn(&NodeId, &Seat) -> u32) -> Option<(NodeId, u32)> {
        let in_reach = |node: &NodeId| *node != self.me && self.can_send(node);
        let queues =
            self.queues.iter().rev().map(|(_, Reverse(node))| node).filter(|node| in_reach(node)).take(LOOKED_AT);
        let worth = queues.filter_map(|node| self.seats.get(node).map(|seat| (*node, worth(node, seat))));
        worth.into_iter().find(|(_, worth)| *worth > 0)
    }

    /// So many fewer wait there than it said last, and `least` at least.
    pub fn has_fewer_queued(&mut self, node: &NodeId, count: u32, least: u32) {
        let Some(load) = self.seats.get(node).map(|seat| seat.load) else { return };
        self.set_queued(node, load.queued.saturating_sub(count).max(least));
    }

    /// Nothing waits there any more, until it says so again.
    pub fn has_no_queue(&mut self, node: &NodeId) {
        self.set_queued(node, 0);
    }

    fn set_queued(&mut self, node: &NodeId, queued: u32) {
        if let Some(load) = self.seats.get(node).map(|seat| seat.load) {
            self.list_load(node, Load { queued, ..load });
        }
    }

    fn list_load(&mut self, node: &NodeId, load: Load) -> Option<&mut Seat> {
        let seat = self.seats.get_mut(node)?;
        let before = std::mem::replace(&mut seat.load, load);
        if before.queued > 0 {
            self.queues.remove(&(before.queued_per_slot(), Reverse(*node)));
        }
        if load.queued > 0 {
            self.queues.insert((load.queued_per_slot(), Reverse(*node)));
        }
        Some(seat)
    }

    /// Other members that have fewer attempts than they may have at hand, by their slots, and how many fewer.
    pub(crate) fn with_room(&self, enough: impl Fn(u32) -> u32) -> Vec<Room> {
        let others = self.seats.iter().filter(|(node, seat)| **node != self.me && seat.holds && self.can_send(node));
        let room = others.map(|(node, seat)| {
            let burden = seat.burden_by_slots();
            Room { node: *node, burden, room: enough(burden.slots).saturating_sub(burden.attempts) }
        });
        room.filter(|room| room.room > 0).collect()
    }

    /// Slots of members that can be talked to, for which they have nothing.
    pub(crate) fn free_elsewhere(&self) -> usize {
        let others = self.seats.iter().filter(|(node, seat)| **node != self.me && seat.holds && self.can_send(node));
        others.map(|(_, seat)| seat.load.slots.saturating_sub(seat.burden()) as usize).sum()
    }

    /// This node grants it an attempt.
    pub fn grant(&mut self, node: &NodeId) {
        self.grant_many(node, 1);
    }

    pub fn grant_many(&mut self, node: &NodeId, count: u32) {
        if let Some(seat) = self.seats.get_mut(node) {
            seat.granted = seat.granted.saturating_add(count);
        }
    }

    /// All that are known, with this node.
    pub(crate) fn count(&self) -> usize {
        self.seats.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Seat)> {
        self.seats.iter()
    }

    /// Something can be sent to it now.
    pub fn can_send(&self, node: &NodeId) -> bool {
        self.seats.get(node).is_some_and(|seat| seat.connected && !seat.full)
    }

    /// It let something pass that it was asked at `asked`, and has said nothing since.
    pub fn let_pass(&mut self, node: &NodeId, asked: Mono) {
        if let Some(seat) = self.seats.get_mut(node).filter(|seat| *node != self.me && seat.heard <= asked) {
            seat.is_mute = true;
        }
    }

    pub fn is_mute(&self, node: &NodeId) -> bool {
        self.seats.get(node).is_some_and(|seat| seat.is_mute)
    }

    /// That very disk is there and can be talked to.
    pub fn is_present(&self, holder: &Holder) -> bool {
        self.seats.get(&holder.node).is_some_and(|seat| seat.connected && seat.store == holder.store)
    }

    /// Believed to be gone, or never known.
    pub fn is_silent(&self, node: &NodeId) -> bool {
        self.seats.get(node).is_none_or(Seat::is_silent)
    }

    /// It has left the mesh, or was never of it, or holds no tasks: whether or not it can be talked to.
    pub fn is_out(&self, node: &NodeId) -> bool {
        self.seats.get(node).is_none_or(|seat| !seat.holds)
    }

    /// That disk will not come back, or has been away for so long that its copies are to be made anew.
    pub fn is_lost(&self, holder: &Holder, now: Mono, delay: std::time::Duration) -> bool {
        match self.seats.get(&holder.node) {
            None => true,
            Some(seat) => {
                !seat.holds
                    || seat.store != holder.store
                    || seat.silent_since.is_some_and(|since| !seat.connected && now.since(since) >= delay)
            }
        }
    }

    /// Fewer than half of the other members that hold tasks can be talked to.
    pub fn is_partitioned(&self) -> bool {
        self.others.connected * 2 < self.others.known
    }

    /// More than half of the other members that hold tasks are believed to be gone: more likely it is this node.
    pub fn is_isolated(&self) -> bool {
        self.others.silent * 2 > self.others.known
    }

    /// Members that hold tasks and can be talked to, this node among them if it does.
    pub fn present(&self) -> usize {
        self.others.connected + usize::from(self.seats.get(&self.me).is_some_and(|seat| seat.holds))
    }

    /// Whether it is one of the `length` members closest to an id, but for those that are believed to be gone, or nearer than
    /// one of them: what these hold is made anew on the next.
    pub fn is_near(&self, node: &NodeId, task: &TaskId, length: usize) -> bool {
        if self.seats.get(node).is_none_or(|seat| !seat.keeps) {
            return false;
        }
        let closer = self.points.closest(task.as_bytes()).take_while(|other| other != node);
        closer.filter(|other| !self.is_silent(other)).take(length).count() < length
    }

    /// The home list of an id: the `length` members closest to it, by lot, those that drain among them: while they have what others
    /// are yet to take, two births of one id must meet in them. Of these the first are its holders, and the
    /// very first drives it. In the order of distance that would be one member for as much of the id space as it has to
    /// itself, which is half of it as often as not: of 2,000 even tasks one of five nodes drove 992. The lot is drawn
    /// from both ids, so that all draw the same (Thaler and Ravishankar, *Using Name-Based Mappings to Increase Hit
    /// Rates*, 1998).
    pub fn home(&self, task: &TaskId, length: usize) -> Vec<Holder> {
        let mut home = self.nearest(task, length);
        home.sort_by_cached_key(|holder| {
            let point = self.seats.get(&holder.node).map(|seat| &seat.point);
            std::cmp::Reverse(point.map_or(0, |point| lot(point, task)))
        });
        home
    }

    /// The `length` members closest to the id, closest first, **whether or not reachable now**: the same at all nodes
    /// that know the same members.
    pub fn nearest(&self, task: &TaskId, length: usize) -> Vec<Holder> {
        self.points.closest(task.as_bytes()).filter_map(|node| self.holder(&node)).take(length).collect()
    }

    /// The same of those that take new copies.
    pub fn nearest_to_take(&self, task: &TaskId, length: usize) -> Vec<Holder> {
        let takes = |node: &NodeId| self.seats.get(node).is_some_and(|seat| seat.holds);
        let nearest = self.points.closest(task.as_bytes()).filter(takes);
        nearest.filter_map(|node| self.holder(&node)).take(length).collect()
    }

    /// It takes no new copy, if there is another.
    pub fn drains(&self, node: &NodeId) -> bool {
        self.seats.get(node).is_some_and(|seat| seat.keeps && !seat.holds)
    }
}

/// A number that a member draws for a task. Both ids are hashes already: what is left to do is to undo the structure
/// of their distance, by the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
fn lot(point: &[u8; 32], task: &TaskId) -> u64 {
    let word = |bytes: &[u8; 32]| u64::from_le_bytes(std::array::from_fn(|i| bytes[i + 8]));
    let mut mixed = word(point) ^ word(task.as_bytes());
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    proptest! {
        #[test]
        fn the_home_list_is_the_closest_members_in_order(ids in proptest::collection::btree_set(any::<u8>(), 1..40),
                                                        task in any::<[u8; 32]>(), length in 1usize..7) {
            let first = *ids.iter().next().unwrap();
            let mut roster = Roster::new(Holder { node: node(first), store: StoreId(0) }, true);
            for id in &ids {
                roster.admit(node(*id), StoreId(u64::from(*id)), true);
            }
            let task = TaskId::from_bytes(task);
            let mut all: Vec<_> = roster.iter().map(|(node, seat)| {
                let distance: Vec<u8> = seat.point.iter().zip(task.as_bytes()).map(|(a, b)| a ^ b).collect();
                (distance, *node)
            }).collect();
            all.sort();
            let expected: Vec<_> = all.into_iter().take(length).map(|(_, node)| node).collect();
            let nearest: Vec<_> = roster.nearest(&task, length).into_iter().map(|holder| holder.node).collect();
            prop_assert_eq!(&nearest, &expected);
            let home: BTreeSet<_> = roster.home(&task, length).into_iter().map(|holder| holder.node).collect();
            prop_assert_eq!(home, expected.into_iter().collect());
        }

        /// Whoever the members are: what each comes first for is even, and so nearly is what it holds a copy of.
        #[test]
        fn no_member_comes_first_for_much_more_than_its_share(ids in proptest::collection::btree_set(any::<u8>(), 5..=5)) {
            let first = *ids.iter().next().unwrap();
            let mut roster = Roster::new(Holder { node: node(first), store: StoreId(0) }, true);
            for id in &ids {
                roster.admit(node(*id), StoreId(u64::from(*id)), true);
            }
            let (mut firsts, mut copies) = (BTreeMap::<NodeId, u32>::new(), BTreeMap::<NodeId, u32>::new());
            for n in 0..2_000u32 {
                let task = TaskId::from_bytes(*Digest::of("test", &[&n.to_le_bytes()]).as_bytes());
                let home = roster.home(&task, 5);
                *firsts.entry(home[0].node).or_default() += 1;
                home[..3].iter().for_each(|holder| *copies.entry(holder.node).or_default() += 1);
            }
            // A fifth of 2,000 has a standard deviation of 18.
            prop_assert!(firsts.values().all(|n| (300..500).contains(n)), "{firsts:?}");
            prop_assert!(copies.values().all(|n| (1_080..1_320).contains(n)), "{copies:?}");
        }
    }

    #[test]
    fn reachability_does_not_move_a_home() {
        let mut roster = Roster::new(Holder { node: node(1), store: StoreId(1) }, true);
        roster.admit(node(2), StoreId(2), true);
        roster.admit(node(3), StoreId(3), false);
        let task = TaskId::from_bytes([9; 32]);
        let before = roster.home(&task, 5);
        assert_eq!(before.len(), 2);
        roster.change(&node(2), |seat| seat.connected = true);
        assert_eq!(roster.home(&task, 5), before);
    }

    proptest! {
        /// Whoever comes, goes, falls silent and leaves: what is counted is what there is to count.
        #[test]
        fn the_others_are_counted_as_they_change(steps in prop::collection::vec((0u8..6, 0u8..5), 0..60)) {
            let mut roster = Roster::new(Holder { node: node(0), store: StoreId(0) }, true);
            for (n, step) in steps {
                match step {
                    0 => roster.admit(node(n), StoreId(1), true),
                    1 => roster.admit(node(n), StoreId(2), false),
                    2 => roster.change(&node(n), |seat| (seat.connected, seat.silent_since) = (true, None)),
                    3 => roster.change(&node(n), |seat| seat.connected = n == 0),
                    _ => roster.change(&node(n), |seat| seat.silent_since = Some(Mono(1))),
                }
                let mut counted = Census::default();
                let others = || roster.iter().filter(|(other, seat)| **other != node(0) && seat.holds);
                others().for_each(|(_, seat)| counted.add(Census::of(seat)));
                prop_assert_eq!(roster.others, counted);
                let held: BTreeSet<_> = roster.iter().filter(|(_, seat)| seat.holds).map(|(node, _)| *node).collect();
                let found: BTreeSet<_> = roster.points.closest(&[7; 32]).collect();
                prop_assert_eq!(found, held);
            }
        }
    }
}
