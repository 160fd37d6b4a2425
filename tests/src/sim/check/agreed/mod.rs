//! What is agreed on, as it looks from outside: the order, the words of the members, and what users were told.

mod linear;
mod locks;
mod memory;
mod order;
mod words;

pub use locks::{Grant, Locks};
pub use memory::{Action, Memory, Told};
pub use order::Order;
pub use words::Words;

use super::Violation;

#[derive(Default)]
pub struct Agreed {
    pub order: Order,
    pub words: Words,
    pub memory: Memory,
    pub locks: Locks,
}

impl Agreed {
    /// When all is over: what can be judged of the whole alone. How many keys were looked at, and of how many too much
    /// had been asked at once.
    pub fn judge(&self) -> Result<(u64, u64), Violation> {
        self.locks.judge()?;
        self.memory.judge()
    }
}
