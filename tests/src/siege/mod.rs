//! Real processes under fire, and a history checker over what their users were told.
//!
//! ```text
//!   Plan ──> Testnet        real nodes on loopback, all of them the committee
//!              ├─ User × C   ask over HTTP, one thing at a time, and again under the same key until they know
//!              ├─ Nemesis    kill -9 of the primary every few seconds, of others, of all at once; freezes
//!              └─ Reading    in the end, all up again: the memory, proposals, proofs, the replicas' states
//!                    │ lines: the history
//!                    └──> Judge     whether that can have happened
//! ```
//!
//! Choices come from a seed; processes take their own time, so a seed does not repeat a run. A history does: it is judged by
//! what is in it alone, again whenever somebody wants to.

mod ask;
mod desk;
mod figures;
mod history;
mod judge;
mod line;
mod nemesis;
mod plan;
mod reading;
mod tally;
mod user;
mod watch;

pub use figures::Figures;
pub use history::{HistoryError, read};
pub use judge::{Judge, Judgement};
pub use plan::{Plan, SiegeError, judge};
