use crate::Alarm;
use mesh_proto::{
    domain::Epoch,
    pbft::{RequestNumber, Sequence, View},
    time::Wall,
};

/// Why a verified input was not taken. The replica is as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the replica has halted: {0}")]
    Halted(Alarm),
    #[error("of epoch {message:?}, and this is epoch {own:?}")]
    Epoch { message: Epoch, own: Epoch },
    #[error("of view {message}, and this is view {own}")]
    View { message: View, own: View },
    #[error("number {sequence} is not in ({low}, {high}]")]
    OutOfWindow { sequence: Sequence, low: Sequence, high: Sequence },
    #[error("known already")]
    Duplicate,
    #[error("the sender contradicts what it said before")]
    Conflict,
    #[error("proposed for {proposed}, and it is {clock}")]
    Time { proposed: Wall, clock: Wall },
    #[error("a batch beyond the limits of the epoch")]
    BatchLimits,
    #[error("request {number} is not above {floor}")]
    TooOld { number: RequestNumber, floor: RequestNumber },
    #[error("the gateway has as much waiting as it may")]
    Busy,
    #[error("nobody asked for it")]
    Unasked,
    #[error("the set O does not follow from the view changes")]
    WrongNewView,
    #[error("a piece that does not lead to the certified root")]
    WrongPiece,
    #[error("not what was waited for: {0}")]
    OutOfTurn(Sequence),
    #[error("answered a moment ago")]
    TooOften,
}
