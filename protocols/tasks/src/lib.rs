//! The task layer: records and their ballots, placement, lifecycle, execution at a distance.
//!
//! # The record
//!
//! A task's record is a replicated register, one Paxos instance without a fixed leader (Lamport, *The Part-Time
//! Parliament*, 1998; as a register: Attiya, Bar-Noy and Dolev 1995). A ballot is (term, driver, nonce). Its first driver
//! has ballot 0 by birth; anyone else prepares a higher one with a majority of the holders, adopts the highest (ballot,
//! version) that they return, and writes that again before deciding anything. A write is in force when a majority has it.
//!
//! Holders change by joint majorities (Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm*, 2014,
//! section 6): one write with the old holders in `joint`, then one without.
//!
//! **A birth is joint with its home list.** The gateway's placement is acknowledged when *all* named holders have it, and
//! they are a majority of the home list; so whoever settles a birth of which that is not known needs a majority of the
//! home list as well, and two births of one id meet in one of its members.
//!
//! # Invariants
//!
//! 1. A node accepts no placement, write or prepare below the highest ballot that it has promised on this disk.
//! 2. No two different registers of a task are written with the same (ballot, version).
//! 3. A terminal register that is in force never changes.
//! 4. Nothing is executed before its attempt is in force, nor where what it requires is not, nor before all that it is to
//!    start after has ended well.
//! 5. A result is kept on its executor's disk, or in a register there, until the task is settled.

mod attempts;
mod auction;
mod balance;
mod candidate;
pub mod capability;
mod config;
mod counters;
mod decided;
mod dependents;
mod drain;
mod driver;
mod effect;
mod ends;
mod executor;
mod fact;
mod follow;
mod gateway;
mod holder;
mod holders;
mod isolation;
mod leases;
mod naming;
mod needs;
mod outbox;
mod outfit;
mod outlook;
mod points;
pub mod poll;
mod proposal;
mod queue;
mod quorum;
mod reign;
mod repair;
mod retention;
mod roster;
mod seeking;
mod shelf;
mod standing;
mod stealing;
mod story;
mod takeover;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;
mod view;
mod walk;

pub use auction::{
    AuctionConfig,
    score::{BadWeights, Weights},
};
pub use config::Config;
pub use counters::Counters;
pub use effect::{Answer, Context, Effect, Refusal, Waiter};
pub use fact::Fact;
pub use naming::Naming;
pub use roster::{Holding, Load, Roster, Seat};
pub use shelf::{Copy, Glance, Kept, Shelf};
pub use tasks::Tasks;
pub use view::{TaskState, Totals, Waiting};
