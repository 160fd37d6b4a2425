//! The way of a request to the committee and back.
//!
//! What is asked is an operation with a time limit. A command has an id, by which a repeat is told, through whichever
//! node it comes; what came of it is [`Done`](mesh_proto::ledger::Done), or a rejection that stands in one table.

mod asker;
mod errand;
mod executed;
mod rejection;

pub use asker::Asker;
pub use errand::{Errand, PATIENCE, is_undecided, look};
pub use executed::Executed;
