use mesh_proto::{
    codec,
    id::Digest,
    ledger::Entry,
    pbft::{Request, Sequence},
    task::Octets,
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a node keeps on disk for agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    #[serde(rename = "p")]
    Replica(Box<mesh_pbft::Fact>),
    /// What was executed since the checkpoint before, in order; comes right before the replica's own fact of the
    /// checkpoint, which makes it count. A replay executes it again: the state itself is not written.
    #[serde(rename = "x")]
    Ran {
        /// Of those of one checkpoint; what was read before it comes to nothing.
        #[serde(rename = "f")]
        first: bool,
        #[serde(rename = "b")]
        batches: Vec<Batch>,
    },
    /// Entries of a state that came from others, piece by piece; the replica's own fact of the installation makes them
    /// the state.
    #[serde(rename = "s")]
    State(Vec<Entry>),
    /// What came from others so far is not wanted any more.
    #[serde(rename = "d")]
    StateDropped,
    /// This node follows the committee, or is of it: it has a replica.
    #[serde(rename = "f")]
    Follows,
    /// A part of the encoding of a fact that no record holds whole.
    #[serde(rename = "c")]
    Piece {
        #[serde(rename = "p")]
        place: Place,
        #[serde(rename = "b")]
        bytes: Octets,
    },
}

/// Where a piece is of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    #[serde(rename = "f")]
    First,
    #[serde(rename = "m")]
    Middle,
    #[serde(rename = "l")]
    Last,
}

/// Bytes of a piece, and of a fact that goes in one record: the smallest segments of a log hold as much.
pub const PIECE: usize = 768 * 1024;

/// An executed batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    #[serde(rename = "n")]
    pub sequence: Sequence,
    /// Agreed time.
    #[serde(rename = "t")]
    pub time: Wall,
    #[serde(rename = "q")]
    pub requests: Vec<Digest>,
    /// Those of them that no fact of the replica holds.
    #[serde(rename = "b")]
    pub bodies: Vec<Arc<Request>>,
}

impl Fact {
    /// Bytes of a fact, at most: the client table with all that it keeps, or the view changes of a large committee.
    pub const LIMIT: usize = 64 * 1024 * 1024;

    /// As many facts as it takes records.
    pub fn in_records(self) -> Vec<Self> {
        if !self.may_be_large() {
            return vec![self];
        }
        let bytes = codec::encode(&self);
        if bytes.len() <= PIECE {
            return vec![self];
        }
        let count = bytes.len().div_ceil(PIECE);
        let pieces = bytes.chunks(PIECE).enumerate().map(|(number, bytes)| {
            let place = match number {
                0 => Place::First,
                _ if number + 1 == count => Place::Last,
                _ => Place::Middle,
            };
            Self::Piece { place, bytes: bytes.into() }
        });
        pieces.collect()
    }

    /// About how many bytes it takes. Bodies are most of what is written.
    pub fn weight(&self) -> usize {
        use mesh_pbft::Fact as Own;
        match self {
            Self::Replica(fact) => match &**fact {
                Own::Accepted { batch, bodies, .. } => {
                    let digests = batch.as_ref().map_or(0, |batch| batch.requests.len() * 40);
                    let bodies = bodies.iter().map(|(_, body)| body.operations.as_bytes().len() + 256);
                    512 + digests + bodies.sum::<usize>()
                }
                _ => 1024,
            },
            Self::Piece { bytes, .. } => 64 + bytes.len(),
            Self::Ran { .. } | Self::State(_) => PIECE,
            Self::StateDropped | Self::Follows => 64,
        }
    }

    /// Those that are written all the time are bounded by the size of a batch.
    fn may_be_large(&self) -> bool {
        use mesh_pbft::Fact as Own;
        match self {
            Self::Replica(fact) => !matches!(**fact, Own::Accepted { .. } | Own::Prepared { .. } | Own::Stable { .. }),
            Self::Ran { .. } => true,
            Self::State(_) | Self::StateDropped | Self::Follows | Self::Piece { .. } => false,
        }
    }
}

impl Place {
    pub fn is_first(self) -> bool {
        self == Self::First
    }

    pub fn is_last(self) -> bool {
        self == Self::Last
    }
}
