use crate::Member;
use mesh_proto::{id::NodeId, probe::Probe, time::Mono};

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
    /// To be said to a member, whatever waits for the disk.
    Say { to: NodeId, probe: Probe },
    /// Others suspect this node as of that word of it: it is to say a later one.
    Refute { above: u64 },
    /// Others have found it silent as well: a hint, by which nothing is changed.
    Confirmed(NodeId),
    /// Fewer than half of the others have been in reach for a while.
    Partitioned,
    /// At least half are in reach again; the first of them came back then.
    Healed { since: Mono },
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
