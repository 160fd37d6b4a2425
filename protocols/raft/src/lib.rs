//! Raft behind the ordering port, for committees whose members trust each other: Ongaro and Ousterhout, "In search of an
//! understandable consensus algorithm" (USENIX ATC 2014), as openraft has it.
//!
//! The one impure room among the protocols: a library with tasks and timers of its own, which stops here. Nothing of
//! openraft's is in this crate's signatures, and what it needs of the world comes in by three traits:
//!
//! - [`Journal`]: an append-only list of records, made durable by whoever lends it. The log, the votes and what is known
//!   to be committed are such records; what is still wanted of them is in memory.
//! - [`Machine`]: executes what was ordered, and lends its state as pieces. A snapshot is a file of them.
//! - [`Transport`]: one request and its answer, to a node.
//!
//! # How to hold it
//!
//! [`Engine::start`] goes on from what is on the disk: the state of the last snapshot is installed in the machine, and
//! what the log holds behind it is executed again. On a disk without anything the engine waits until a leader takes it
//! in ([`Engine::join`]), or [`Engine::found`] makes it the first of its network. [`Engine::order`] is for the leader;
//! elsewhere it says who that may be. Whom the ledger seats is watched: whoever leads brings the
//! configuration there, a step at a time. Requests of other nodes go to [`Engine::answer`].
//!
//! # Invariants
//!
//! 1. A vote or an entry is acknowledged when the journal has committed it.
//! 2. The machine executes the entries of the log, each once in a life, in order and without a gap: a batch's number is
//!    its place in the log.
//! 3. A snapshot takes the place of the one before when it is whole on the disk, and the log lets go of an entry when a
//!    snapshot covers it.

mod batching;
mod compaction;
mod config;
mod engine;
#[doc(hidden)]
pub mod fuzz;
mod journal;
mod log;
mod machine;
mod message;
mod network;
mod seating;
mod snapshot;
mod standing;
#[cfg(test)]
mod tests;
mod types;

pub use config::Config;
pub use engine::{Engine, OrderError, StartError};
pub use journal::Journal;
pub use machine::{Machine, Ordered, State, Stopped};
pub use message::{Request, Response};
pub use network::{CallError, Transport};
pub use standing::Standing;
pub use types::{Batch, Ran};
