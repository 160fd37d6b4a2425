use crate::Verified;
use mesh_proto::{
    id::NodeId,
    merkle::Path,
    pbft::{Roots, Sequence},
    task::Octets,
};

/// What a replica is told.
#[derive(Clone, Debug)]
pub enum Input {
    Message(Verified),
    /// The caller knows this gateway to be of the network: a primary may bring it in, though it has not asked here. Told
    /// before a message that holds a request of it ([`Verified::requests`]), or when it becomes known. It bears on whether
    /// this replica keeps back a PREPARE, and on nothing that is agreed: replicas may be told of different ones.
    Known(NodeId),
    /// The answer to `Effect::Execute`: an outcome for each request, in order.
    Executed {
        sequence: Sequence,
        outcomes: Vec<Octets>,
        /// A change of the committee that the batch ordered. Of more than one, and of one that is not possible, nothing
        /// comes; see [`crate::changed`] for the application to know.
        change: Option<Membership>,
    },
    /// The answer to `Effect::TakeCheckpoint`: the root over the state's pieces, as [`mesh_proto::pbft::state_leaf`]
    /// makes them leaves of a [`mesh_proto::merkle::Tree`].
    Checkpointed {
        sequence: Sequence,
        state: Roots,
    },
    /// The answer to `Effect::ReadPiece`.
    Piece {
        to: NodeId,
        sequence: Sequence,
        index: u32,
        bytes: Octets,
        path: Path,
    },
    /// The answer to `Effect::Install`: the root over what is installed.
    Installed {
        sequence: Sequence,
        state: Roots,
    },
}

/// One member more or less. Section 3 of Lamport, Malkhi and Zhou, *Reconfiguring a State Machine*, 2010.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    Add(NodeId),
    Remove(NodeId),
}
