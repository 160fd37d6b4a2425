//! The classes of framed traffic. Each has a substream of its own in each direction, so that one never waits behind
//! another's bytes.

use libp2p::StreamProtocol;

/// What a frame is for. Decides its substream, its size limit and its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Votes and certificates of the ordering protocol.
    Consensus,
    /// Heartbeats, membership, anti-entropy digests.
    Control,
    /// Placement, ballots, results of tasks.
    Task,
    /// Large transfers that may take their time: snapshots, repairs.
    Bulk,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Consensus, Self::Control, Self::Task, Self::Bulk];

    /// The position in tables that hold something for each class.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Control => "control",
            Self::Task => "task",
            Self::Bulk => "bulk",
        }
    }

    /// The name that is negotiated for a substream of this class, version included.
    pub const fn protocol(self) -> StreamProtocol {
        StreamProtocol::new(match self {
            Self::Consensus => "/mesh/consensus/1",
            Self::Control => "/mesh/control/1",
            Self::Task => "/mesh/task/1",
            Self::Bulk => "/mesh/bulk/1",
        })
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
