//! What crosses the network of a world, and what of it in which part of a plan.

use crate::sim::count::{Count, Counts};
use mesh_coordinator::Message;
use mesh_proto::codec;
use serde::Serialize;

/// Messages and their bytes as they are encoded, without what the transport adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
}

/// Of one part of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Heartbeats, tables, probes, questions.
    pub control: Traffic,
    /// Frames of the task layer; each has all that one turn of a brain had to say to one node.
    pub tasks: Traffic,
}

/// What has crossed so far.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// In the order of the plan: joining, resting, and from the first task to the end.
    pub parts: [Part; 3],
    now: usize,
    buffer: Vec<u8>,
}

impl Meter {
    /// The next part begins.
    pub fn turn(&mut self) {
        self.now = (self.now + 1).min(self.parts.len() - 1);
    }

    pub fn sent(&mut self, message: &Message) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let part = &mut self.parts[self.now];
        let (traffic, buffer) = match message {
            Message::Control(message) => (&mut part.control, codec::encode_into(buffer, message)),
            Message::Task(frame) => (&mut part.tasks, codec::encode_into(buffer, frame)),
            // There is no committee.
            Message::Consensus(_) => return,
        };
        traffic.messages += 1;
        traffic.bytes += buffer.len() as u64;
        self.buffer = buffer;
    }
}

/// What messages of the task layer are for. Between two nodes: what a node says to itself is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A record comes onto its holders' disks.
    Birth,
    /// Who is to run it is found out beforehand.
    Auction,
    /// What waits goes elsewhere.
    Move,
    /// An attempt is granted and runs, and how it ended is written and told.
    Life,
    /// Somebody else drives, or holders are replaced.
    Takeover,
}

impl Purpose {
    pub const ALL: [Self; 5] = [Self::Birth, Self::Auction, Self::Move, Self::Life, Self::Takeover];

    pub fn name(self) -> &'static str {
        match self {
            Self::Birth => "birth",
            Self::Auction => "auction",
            Self::Move => "move",
            Self::Life => "life",
            Self::Takeover => "takeover",
        }
    }

    /// Whether it is of deciding where a task is held and run.
    pub fn is_placement(self) -> bool {
        matches!(self, Self::Birth | Self::Auction | Self::Move)
    }

    /// What is counted of it.
    pub fn kinds(self) -> &'static [Count] {
        match self {
            Self::Birth => &[
                Count::Place,
                Count::PlaceAgain,
                Count::Placed,
                Count::Taken,
                Count::NotMine,
                Count::Busy,
                Count::TooOld,
                Count::Born,
                Count::Abandon,
            ],
            Self::Auction => &[Count::Announce, Count::Bid, Count::NoBid, Count::ClosedWon, Count::ClosedLost],
            Self::Move => {
                &[Count::Steal, Count::Yielded, Count::YieldedNothing, Count::Retract, Count::Handed, Count::Keep]
            }
            Self::Life => &[
                Count::Assign,
                Count::Ask,
                Count::Running,
                Count::NotRunning,
                Count::Report,
                Count::Settled,
                Count::Write,
                Count::Wrote,
                Count::InForce,
                Count::Follow,
                Count::Following,
                Count::Ended,
                Count::Unknown,
                Count::Cancel,
                Count::Needed,
            ],
            Self::Takeover => &[
                Count::Prepare,
                Count::Promise,
                Count::PromiseEmpty,
                Count::Refused,
                Count::WriteWithBirth,
                Count::LacksBirth,
                Count::Pull,
                Count::NotDriven,
                Count::DrivenBy,
            ],
        }
    }

    pub fn messages(self, counts: &Counts) -> u64 {
        self.kinds().iter().map(|kind| counts.of(*kind)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_coordinator::{ControlMessage, Heartbeat};
    use mesh_proto::{id::TaskId, task::Frame, task::Item};
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_of_message_is_for_one_purpose() {
        let kinds: Vec<&str> =
            Purpose::ALL.iter().flat_map(|purpose| purpose.kinds()).map(|kind| kind.name()).collect();
        assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len());
        let all = Count::ALL.iter().map(|kind| kind.name()).filter(|name| name.starts_with("item."));
        let missing: Vec<&str> = all.filter(|name| !kinds.contains(name)).collect();
        assert_eq!(missing, ["item.not_able"], "which is counted as not running, too");
    }

    #[test]
    fn what_crosses_counts_where_it_does() {
        let mut meter = Meter::default();
        let beat = ControlMessage::Heartbeat(Heartbeat::default());
        meter.sent(&Message::Control(beat.clone()));
        meter.turn();
        meter.turn();
        meter.turn();
        let frame = Frame { items: vec![Item::Cancel { task: TaskId::from_bytes([1; 32]) }; 3] };
        meter.sent(&Message::Task(frame.clone()));
        let traffic = |bytes: Vec<u8>| Traffic { messages: 1, bytes: bytes.len() as u64 };
        let joining = Part { control: traffic(codec::encode(&beat)), ..Part::default() };
        let working = Part { tasks: traffic(codec::encode(&frame)), ..Part::default() };
        assert_eq!(meter.parts, [joining, Part::default(), working]);
    }
}
