//! What is agreed on, as it looks from outside: the order, the words of the members, and what users were told.

mod ballots;
mod order;
mod roll;
mod words;

pub use ballots::Ballots;
pub use order::Order;
pub use roll::Roll;
pub use words::Words;

use crate::check::{Judged, Locks, Memory, Violation};

#[derive(Default)]
pub struct Agreed {
    pub order: Order,
    pub words: Words,
    pub roll: Roll,
    pub memory: Memory,
    pub locks: Locks,
    pub ballots: Ballots,
}

impl Agreed {
    /// When all is over: what can be judged of the whole alone.
    pub fn judge(&self) -> Result<Judged, Violation> {
        self.locks.judge()?;
        self.memory.judge()
    }
}
