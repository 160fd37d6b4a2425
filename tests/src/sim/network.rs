//! Connections between nodes: reliable and in order while they last, and then they break with all that was under way.
//!
//! That is what real transports give. In some worlds single frames vanish or are overtaken all the same, since what keeps
//! a record right must not rest on that. A cut link loses nothing by itself: what is sent into it waits, as in a
//! kernel's buffers, and arrives when the cut ends, unless somebody has lost patience and closed the connection. The
//! two sides of a connection learn of its end at different times, or one of them never.

use super::{
    count::{Count, Counts},
    dice::Dice,
    event::{Event, Queue, Slab},
    options::Options,
};
use mesh_coordinator::{ControlMessage, Message};
use mesh_proto::{codec, pbft::Sizes, task::FRAME_LIMIT, task::Frame};
use std::{collections::BTreeSet, sync::Arc};

/// What becomes known to the body of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    Full,
    Writable,
}

/// All links of a world.
pub struct Network {
    size: usize,
    links: Vec<Link>,
    /// By the two nodes, the lower index first.
    pairs: Vec<Pair>,
    frames: Slab<Message>,
    dice: Dice,
    /// Epochs of connections in this world so far.
    epochs: u32,
    latency: (u64, u64),
    capacity: u32,
    wire: u32,
    duplicates: u32,
    drops: u32,
    late: u32,
    /// Of messages of agreement, where there is a committee.
    sizes: Option<Sizes>,
    liars: BTreeSet<usize>,
}

/// One direction.
#[derive(Default)]
struct Link {
    /// Faults that keep everything back.
    cuts: u32,
    /// Factor on the latency.
    slow: u64,
    /// When the last frame of each class arrives: none overtakes another.
    last: [u64; CLASSES],
    /// Sent on the present connection and not arrived.
    under_way: u32,
    /// Of agreement, which has room of its own.
    agreement_under_way: u32,
    full: bool,
    /// Arrived at a cut, in order.
    held: Vec<Event>,
    /// Some frames of the past, to arrive once more.
    past: Vec<Message>,
}

impl Link {
    /// How many of a class are under way.
    fn of(&mut self, class: usize) -> &mut u32 {
        match class {
            AGREEMENT => &mut self.agreement_under_way,
            _ => &mut self.under_way,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Pair {
    /// Of the last connection made; 0 if there was none.
    epoch: u32,
    /// Whether each side, the lower index first, takes it for open.
    open: [bool; 2],
}

const CLASSES: usize = 3;
const CONTROL: usize = 0;
const TASKS: usize = 1;
const AGREEMENT: usize = 2;
/// Messages of agreement that may be on their way to one peer; what is more is lost without a word.
const AGREEMENT_QUEUE: u32 = 1000;
const PAST: usize = 8;

impl Network {
    pub fn new(size: usize, options: &Options, sizes: Option<Sizes>) -> Self {
        let links = (0..size * size).map(|_| Link { slow: 1, ..Link::default() }).collect();
        Self {
            size,
            links,
            pairs: vec![Pair::default(); size * size],
            frames: Slab::default(),
            dice: Dice::new(options.seed, 1),
            epochs: 0,
            latency: options.latency,
            capacity: options.queue,
            wire: options.wire,
            duplicates: options.duplicates,
            drops: options.drops,
            late: options.late,
            sizes,
            liars: options.council.iter().flat_map(|council| &council.liars).map(|(node, _)| *node).collect(),
        }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.size + to]
    }

    fn pair(&mut self, a: usize, b: usize) -> &mut Pair {
        &mut self.pairs[a.min(b) * self.size + a.max(b)]
    }

    /// Whether `node` takes its connection to `peer` for open.
    pub fn is_open(&self, node: usize, peer: usize) -> bool {
        self.pairs[node.min(peer) * self.size + node.max(peer)].open[usize::from(node > peer)]
    }

    pub fn epoch(&self, a: usize, b: usize) -> u32 {
        self.pairs[a.min(b) * self.size + a.max(b)].epoch
    }

    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[from * self.size + to].cuts > 0
    }

    fn delay(&mut self, from: usize, to: usize) -> u64 {
        let (low, high) = self.latency;
        let slow = self.link(from, to).slow;
        self.dice.range(low..=high) * slow
    }

    /// How long it takes to connect, or to find that one cannot.
    pub fn connect_time(&mut self, from: usize, to: usize) -> u64 {
        2 * (self.delay(from, to) + self.delay(to, from))
    }

    /// Takes a message from a node that holds its connection to `to` for open.
    pub fn send(
        &mut self,
        at: u64,
        (from, to): (usize, usize),
        message: Message,
        queue: &mut Queue,
        counts: &mut Counts,
    ) -> Option<Notice> {
        let capacity = self.capacity;
        let link = self.link(from, to);
        if let Message::Consensus(_) = &message {
            if link.agreement_under_way >= AGREEMENT_QUEUE {
                counts.add(Count::FrameLost);
                return None;
            }
        } else if link.under_way >= capacity {
            counts.add(Count::FrameLost);
            let told = link.full;
            link.full = true;
            return (!told).then_some(Notice::Full);
        }
        if self.duplicates > 0 && !matches!(message, Message::Control(_)) {
            self.duplicate(at, (from, to), &message, queue, counts);
        }
        self.post(at, (from, to), message, queue, counts);
        None
    }

    fn duplicate(
        &mut self,
        at: u64,
        (from, to): (usize, usize),
        message: &Message,
        queue: &mut Queue,
        counts: &mut Counts,
    ) {
        if self.dice.rarely(50_000) {
            let place = self.dice.below(PAST);
            let past = &mut self.link(from, to).past;
            match past.get_mut(place) {
                Some(old) => *old = message.clone(),
                None => past.push(message.clone()),
            }
        }
        if self.dice.rarely(self.duplicates) && !self.link(from, to).past.is_empty() {
            let count = self.link(from, to).past.len();
            let which = self.dice.below(count);
            let old = self.link(from, to).past[which].clone();
            counts.add(Count::FrameDuplicated);
            self.post(at, (from, to), old, queue, counts);
        }
    }

    fn post(&mut self, at: u64, (from, to): (usize, usize), message: Message, queue: &mut Queue, counts: &mut Counts) {
        let class = match &message {
            Message::Control(_) => CONTROL,
            Message::Task(_) => TASKS,
            Message::Consensus(_) => AGREEMENT,
        };
        let message = match self.dice.rarely(self.wire) {
            true => {
                counts.add(Count::Decoded);
                let Some(message) = through_the_codec(message, self.sizes.as_ref(), self.liars.contains(&from)) else {
                    return counts.add(Count::RefusedDecode);
                };
                message
            }
            false => message,
        };
        if class != CONTROL && self.dice.rarely(self.drops) {
            return counts.add(Count::FrameDropped);
        }
        let epoch = self.epoch(from, to);
        let slot = self.frames.put(message);
        let wanted = at + self.delay(from, to);
        if class != CONTROL && self.dice.rarely(self.late) {
            counts.add(Count::FrameOvertaken);
            *self.link(from, to).of(class) += 1;
            let arrives = wanted + self.dice.spread(100..=5_000_000);
            return queue
                .push(arrives, Event::Frame { from: from as u16, to: to as u16, class: class as u8, epoch, slot });
        }
        let link = self.link(from, to);
        let arrives = wanted.max(link.last[class]);
        link.last[class] = arrives;
        *link.of(class) += 1;
        if link.last.iter().any(|last| arrives < *last) {
            counts.add(Count::FrameReordered);
        }
        queue.push(arrives, Event::Frame { from: from as u16, to: to as u16, class: class as u8, epoch, slot });
    }

    /// What arrives with this event, if anything does, and what the sender's body learns from it.
    pub fn arrive(
        &mut self,
        event: Event,
        running: bool,
        queue: &mut Queue,
        at: u64,
        counts: &mut Counts,
    ) -> (Option<Message>, Option<Notice>) {
        let Event::Frame { from, to, class, epoch, slot } = event else { return (None, None) };
        let (from, to) = (from as usize, to as usize);
        if self.link(from, to).cuts > 0 {
            counts.add(Count::FrameStalled);
            self.link(from, to).held.push(event);
            return (None, None);
        }
        let message = self.frames.take(slot);
        if self.epoch(from, to) != epoch || !self.is_open(to, from) || !running {
            counts.add(Count::FrameLost);
            if running {
                // The machine is there and knows nothing of that connection: a reset comes back.
                let back = at + self.delay(to, from);
                queue.push(back, Event::Closed { from: to as u16, to: from as u16, epoch });
            }
            return (None, None);
        }
        let capacity = self.capacity;
        let link = self.link(from, to);
        let under_way = link.of(class.into());
        *under_way = under_way.saturating_sub(1);
        let notice = (link.full && link.under_way <= capacity / 2).then(|| {
            link.full = false;
            Notice::Writable
        });
        (message, notice)
    }

    /// The end of a connection arrives at `to`. Whether it was open there.
    pub fn close_arrives(&mut self, event: Event) -> bool {
        let Event::Closed { from, to, epoch } = event else { return false };
        let (from, to) = (from as usize, to as usize);
        if self.link(from, to).cuts > 0 {
            self.link(from, to).held.push(event);
            return false;
        }
        self.epoch(from, to) == epoch && self.shut(to, from)
    }

    /// `node` closes its side. Whether it was open. With `tells` the other side learns of it when that has arrived.
    pub fn close(&mut self, at: u64, (node, peer): (usize, usize), tells: bool, queue: &mut Queue) -> bool {
        let was_open = self.shut(node, peer);
        if was_open && tells {
            let epoch = self.epoch(node, peer);
            let arrives = at + self.delay(node, peer);
            let after = self.link(node, peer).last.into_iter().max().unwrap_or(0);
            let event = Event::Closed { from: node as u16, to: peer as u16, epoch };
            queue.push(arrives.max(after), event);
        }
        was_open
    }

    fn shut(&mut self, node: usize, peer: usize) -> bool {
        std::mem::take(&mut self.pair(node, peer).open[usize::from(node > peer)])
    }

    /// Makes a new connection, if none is that both sides take for open. Says which side had taken an old one for
    /// open.
    pub fn connect(&mut self, a: usize, b: usize) -> Option<[bool; 2]> {
        let pair = *self.pair(a, b);
        if pair.open == [true, true] {
            return None;
        }
        self.epochs += 1;
        let epoch = self.epochs;
        *self.pair(a, b) = Pair { epoch, open: [true, true] };
        for (from, to) in [(a, b), (b, a)] {
            let link = self.link(from, to);
            (link.under_way, link.agreement_under_way, link.full, link.last) = (0, 0, false, [0; CLASSES]);
        }
        let old = [pair.open[usize::from(a > b)], pair.open[usize::from(b > a)]];
        Some(old)
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.link(from, to).cuts += 1;
    }

    /// Ends one cut. What waited at the link goes on when it was the last.
    pub fn mend(&mut self, at: u64, (from, to): (usize, usize), queue: &mut Queue) {
        let link = self.link(from, to);
        link.cuts = link.cuts.saturating_sub(1);
        if link.cuts > 0 {
            return;
        }
        let held = std::mem::take(&mut link.held);
        let mut arrives = at;
        for event in held {
            arrives += self.dice.range(0..=50);
            queue.push(arrives, event);
        }
        // What is sent from now on must not overtake it.
        for last in &mut self.link(from, to).last {
            *last = (*last).max(arrives);
        }
    }

    /// Makes a link slower by a factor; 1 is as it should be.
    pub fn slow(&mut self, from: usize, to: usize, factor: u64) {
        self.link(from, to).slow = factor;
    }

    /// Frames of a life of a node's disk do not come back in another.
    pub fn forget_past(&mut self, node: usize) {
        for other in 0..self.size {
            self.link(node, other).past.clear();
            self.link(other, node).past.clear();
        }
    }

    /// No frame arrives twice, late or not at all any more.
    pub fn heal(&mut self) {
        (self.duplicates, self.drops, self.late) = (0, 0, 0);
    }
}

/// Encodes and decodes, as between two processes.
///
/// # Panics
/// If a message does not survive its own encoding, which would be a bug in it; only what a liar says may not.
fn through_the_codec(message: Message, sizes: Option<&Sizes>, is_lie: bool) -> Option<Message> {
    Some(match message {
        Message::Consensus(message) => {
            let bytes = message.encode();
            let sizes = sizes.expect("no agreement without a committee");
            let decoded = match mesh_proto::pbft::Message::decode(&bytes, sizes) {
                Err(_) if is_lie => return None,
                decoded => decoded.expect("a message that was sent decodes"),
            };
            assert_eq!(decoded, *message, "a message of agreement survives its encoding");
            Message::Consensus(Arc::new(decoded))
        }
        Message::Task(frame) => {
            let bytes = codec::encode(&frame);
            let decoded = codec::decode::<Frame>(&bytes, FRAME_LIMIT).expect("a frame that was sent decodes");
            assert_eq!(decoded, frame, "a frame survives its encoding");
            Message::Task(decoded)
        }
        Message::Control(control) => {
            let bytes = codec::encode(&control);
            let decoded =
                codec::decode::<ControlMessage>(&bytes, FRAME_LIMIT).expect("a message that was sent decodes");
            assert_eq!(decoded, control, "a message survives its encoding");
            Message::Control(decoded)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::options::Wanted;
    use mesh_coordinator::Heartbeat;

    fn network() -> (Network, Queue, Counts) {
        let mut options = Options::draw(1, &Wanted { wire: true, ..Wanted::default() });
        (options.queue, options.duplicates, options.drops, options.late) = (4, 0, 0, 0);
        (Network::new(3, &options, None), Queue::default(), Counts::default())
    }

    fn beat(slots: u32) -> Message {
        Message::Control(ControlMessage::Heartbeat(Heartbeat { slots, ..Heartbeat::default() }))
    }

    fn drain(network: &mut Network, queue: &mut Queue, counts: &mut Counts) -> Vec<u32> {
        let mut arrived = Vec::new();
        while let Some((at, event)) = queue.pop() {
            if let (Some(Message::Control(ControlMessage::Heartbeat(beat))), _) =
                network.arrive(event, true, queue, at, counts)
            {
                arrived.push(beat.slots);
            }
        }
        arrived
    }

    #[test]
    fn frames_arrive_in_order_and_a_cut_only_keeps_them_back() {
        let (mut network, mut queue, mut counts) = network();
        assert_eq!(network.connect(0, 1), Some([false, false]));
        for n in 0..2 {
            assert_eq!(network.send(n, (0, 1), beat(n as u32), &mut queue, &mut counts), None);
        }
        network.cut(0, 1);
        assert_eq!(drain(&mut network, &mut queue, &mut counts), [0; 0]);
        let late = network.latency.1 + 1;
        network.send(late, (0, 1), beat(2), &mut queue, &mut counts);
        assert_eq!(drain(&mut network, &mut queue, &mut counts), [0; 0]);
        network.mend(9 * late, (0, 1), &mut queue);
        assert_eq!(drain(&mut network, &mut queue, &mut counts), [0, 1, 2]);
    }

    #[test]
    fn a_new_connection_loses_what_was_under_way_on_the_old() {
        let (mut network, mut queue, mut counts) = network();
        network.connect(0, 1);
        network.send(0, (0, 1), beat(1), &mut queue, &mut counts);
        assert!(network.close(0, (1, 0), false, &mut queue));
        assert_eq!(network.connect(1, 0), Some([false, true]));
        network.send(1, (0, 1), beat(2), &mut queue, &mut counts);
        assert_eq!(drain(&mut network, &mut queue, &mut counts), [2]);
        assert_eq!(network.connect(0, 1), None);
    }

    #[test]
    fn a_full_queue_is_told_once_and_again_when_it_has_room() {
        let (mut network, mut queue, mut counts) = network();
        network.connect(0, 1);
        let told: Vec<_> = (0..6).map(|n| network.send(0, (0, 1), beat(n), &mut queue, &mut counts)).collect();
        assert_eq!(told, [None, None, None, None, Some(Notice::Full), None]);
        let (at, event) = queue.pop().unwrap();
        assert!(matches!(network.arrive(event, true, &mut queue, at, &mut counts), (Some(_), None)));
        let (at, event) = queue.pop().unwrap();
        assert!(matches!(network.arrive(event, true, &mut queue, at, &mut counts), (Some(_), Some(Notice::Writable))));
    }
}
