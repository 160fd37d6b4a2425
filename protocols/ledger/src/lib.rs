//! What the committee of a mesh agrees on: decisions and votes, shared memory, locks, unique awards, members, the
//! committee itself. One deterministic state machine, whatever engine orders its commands.
//!
//! # How to hold it
//!
//! - [`Ledger::genesis`] at a network's birth, [`Ledger::open`] over a [`Map`] that a store or an import gave back.
//! - Before a command is ordered: `Checked::check` (signatures, in `mesh_proto`), then [`validate`]. Neither needs the
//!   state. What needs it is a recorded rejection when the command is executed.
//! - [`Ledger::apply`] for each ordered batch, in order, without gaps. Give [`Applied::events`] to whoever watches.
//! - At a checkpoint: [`Ledger::snapshot`] costs one reference, and its [`root`](Map::root) is the state's digest. It
//!   may be asked for on another thread: a [`Map`] is `Send`, and execution goes on meanwhile.
//! - [`Ledger::next_expiry`]: when a replica's clock passes it, it asks for a `Tick`. [`Ledger::boundary`]: where the
//!   primary fills up to with empty batches, if a change waits for it.
//! - [`Ledger::answer`] for questions, [`Ledger::proof`] for the proof of a decision.
//! - [`Audit::of`] for who trusts nobody: whether a state, and a decision in it, is what the network's committees certified.
//!
//! # What always holds
//!
//! 1. The state is a function of the genesis and the batches: no clock, no chance, no order but that of keys, integers
//!    only. Equal states have equal roots, whatever way they were come to.
//! 2. A command id has one effect, for as long as the mesh exists: its outcome is remembered while its birth is at or
//!    above the floor, and below the floor it is refused.
//! 3. A fencing number is given once, and grows with every grant.
//! 4. A claim (a lock, an award) has at most one holder at any agreed time.
//! 5. Agreed time does not go back.
//! 6. A decision is written once; it is what its votes, the frozen electorate and the threshold say.
//! 7. One change of the committee waits at a time, for one member, and takes effect at the end of a checkpoint.
//! 8. A rejected command leaves the state as it was, but for its remembered outcome.

pub mod audit;
mod event;
mod execute;
mod expiry;
mod json;
mod key;
mod ledger;
pub mod map;
mod meta;
mod places;
mod proof;
mod quorum;
mod read;
mod rules;
mod state;
mod validate;
mod window;

#[cfg(test)]
mod tests;

pub use audit::{Audit, AuditError};
pub use event::Event;
pub use ledger::{Applied, Corrupt, Halt, Ledger, Order};
pub use map::Map;
pub use quorum::{needed, strong, tolerant, tolerated, weak};
pub use rules::Rules;
pub use validate::{Invalid, validate};
