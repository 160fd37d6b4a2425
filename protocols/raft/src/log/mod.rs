//! The log of entries: openraft's view of the journal.

mod held;
mod record;
mod store;
mod writer;

pub use store::LogStore;
#[cfg(test)]
pub use store::READ_BYTES;
