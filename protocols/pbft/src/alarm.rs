use mesh_proto::{
    id::Digest,
    pbft::{Sequence, View},
};

/// Why a replica stops for good. Stopping is inside the fault model, diverging is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    #[error("two certificates for number {sequence} in view {view}: more than f members lie")]
    TwoPrepared { view: View, sequence: Sequence },
    #[error("number {sequence} committed as {one} and as {other}: more than f members lie")]
    TwoCommitted { sequence: Sequence, one: Digest, other: Digest },
    #[error("the state at {sequence} is {own} here, and {stable} is stable: kept for inspection")]
    Diverged { sequence: Sequence, own: Digest, stable: Digest },
    #[error("{outcomes} outcomes for the {requests} requests of number {sequence}")]
    WrongOutcomes { sequence: Sequence, requests: usize, outcomes: usize },
}
