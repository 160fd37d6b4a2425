//! What is going to happen in a world, and when.

use std::{cmp::Reverse, collections::BinaryHeap};

/// One thing that happens. Names nodes by their index and puts anything large into a [`Slab`], so that the heap moves
/// little. A `life` that is not the node's present one makes the event void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The brain's thread takes what has arrived.
    Wake { node: u16, life: u32 },
    /// A deadline of the brain.
    Timer { node: u16, life: u32 },
    /// The commit in flight is on disk.
    Commit { node: u16, life: u32 },
    /// A frame arrives, if its connection still is there.
    Frame { from: u16, to: u16, class: u8, epoch: u32, slot: u32 },
    /// The other side learns that a connection is closed.
    Closed { from: u16, to: u16, epoch: u32 },
    /// A connection attempt has had its time.
    Dialed { from: u16, to: u16, life: u32 },
    /// The body connects to a peer that it knows from its start.
    Bootstrap { node: u16, to: u16, life: u32 },
    /// Gossip brings word of a member.
    Announced { node: u16, slot: u32 },
    /// An execution ends.
    Executed { node: u16, life: u32, slot: u32 },
    /// The digest of a state is found.
    SummedUp { node: u16, life: u32, slot: u32 },
    /// A liar says something that it has kept back.
    Whisper { from: u16, to: u16, life: u32, slot: u32 },
    /// The store may absorb what the log holds.
    Absorb { node: u16, life: u32 },
    /// A user's request arrives at a node.
    Request { node: u16, slot: u32 },
    /// New tasks are submitted.
    Submit,
    /// Somebody wants something of the ledger.
    Order,
    /// The committee is looked at, and may be changed.
    Steer,
    /// A user's wish of the ledger arrives at a node.
    Petition { node: u16, slot: u32 },
    /// A user looks after what he asked of the ledger.
    Patron { want: u32, step: u32 },
    /// A user looks after a task.
    Client { task: u32, step: u32 },
    /// A user asks some node something.
    Curious,
    /// Something goes wrong.
    Fault,
    /// A fault ends.
    Cure { slot: u32 },
    /// A machine comes up.
    Start { node: u16, life: u32 },
    /// A crash that was prepared takes place even if the node is idle.
    Crash { node: u16, life: u32 },
    /// In a large world all nodes have met.
    Rest,
    /// A user of it submits the next task.
    Work,
    /// A node of it dies for good.
    Death,
    /// All faults end.
    Heal,
    /// Whether all is as it must be by now.
    Inspect,
}

/// Events in order of time; those of one moment in the order in which they were put in.
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

struct Entry {
    at: u64,
    sequence: u64,
    event: Event,
}

impl Queue {
    pub fn push(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, event }));
    }

    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// Values that events refer to, with their places used again.
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub fn put(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                self.places[slot as usize] = Some(value);
                slot
            }
            None => {
                self.places.push(Some(value));
                (self.places.len() - 1) as u32
            }
        }
    }

    pub fn take(&mut self, slot: u32) -> Option<T> {
        let value = self.places.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(value)
    }

    /// All that are there, with their places, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().enumerate().filter_map(|(slot, value)| Some((slot as u32, value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_making() {
        let mut queue = Queue::default();
        for (at, event) in [(5, Event::Submit), (3, Event::Heal), (5, Event::Fault), (3, Event::Inspect)] {
            queue.push(at, event);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(3, Event::Heal), (3, Event::Inspect), (5, Event::Submit), (5, Event::Fault)]);
    }

    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Event>() <= 16);
    }

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::default();
        let (a, b) = (slab.put("a"), slab.put("b"));
        assert_eq!((slab.take(a), slab.take(a)), (Some("a"), None));
        assert_eq!(slab.put("c"), a);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(a, &"c"), (b, &"b")]);
    }
}
