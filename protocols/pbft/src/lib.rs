//! Practical Byzantine fault tolerance: n replicas agree on one order of requests, though f of 3f + 1 lie.
//!
//! After Castro and Liskov, *Practical Byzantine Fault Tolerance*, OSDI '99 (sections are cited by number), and *Practical
//! Byzantine Fault Tolerance and Proactive Recovery*, TOCS 2002, with signatures on all that must be proof. `CHECKLIST.md`
//! beside this crate says what is built and by what it is tested.
//!
//! The crate does no I/O, has no clock, no thread and no randomness. [`Replica`] and [`Client`] are machines: inputs go in,
//! with the time, and [`Effect`]s come out. [`Verifier`] makes the only messages that they take.
//!
//! # How it goes
//!
//! A [`Client`] stands for a *gateway*: it packs users' operations into a request, signs it once, and sends it to all
//! replicas. The primary orders *digests* of requests in batches, several at a time; the bodies are there already, or are
//! fetched. Replicas execute committed batches in order through [`Effect::Execute`], and answer the gateways, one signature
//! for each gateway and batch.
//!
//! # How to hold a replica
//!
//! 1. [`Replica::new`]; [`Replica::apply`] for each fact of the log, in order; [`Replica::restarted`] once. The caller's own
//!    state is then that of [`Replica::executed`].
//! 2. [`Replica::handle`] for every input, [`Replica::handle_deadline`] at [`Replica::deadline`], and what they appended to
//!    `effects` carried out in order: **what is to be sent, or released, waits until all facts before it are durable.**
//! 3. A request that a member relays takes a lane: it is handed in only if [`Verified::relayed_for`] names somebody whom the
//!    caller knows to be of the network. Keys are free, and who makes many could take all lanes.
//! 4. Whom the caller knows to be of the network is told by [`Input::Known`], ahead of a message that holds a request of it:
//!    else a correct primary is left for serving many that ask nobody but it.
//! 5. After either, [`Replica::snapshot`] may be another one: the verifiers should be given it.
//!
//! # Invariants
//!
//! 1. Two correct replicas never execute different batches under one number.
//! 2. What is said rests on facts that came before it in the effects, and is said in the same words after a restart.
//! 3. A prepared certificate is forgotten for one of a higher view or for a stable checkpoint, for nothing else.
//! 4. Batches execute in order, without gaps; a request is executed once.
//! 5. Nothing above a checkpoint is accepted before the checkpoint's own number was executed here; so nobody votes above
//!    a boundary that ends an epoch.
//! 6. Memory is bounded: one place for each member, kind and number of the window; lanes of bounded length for gateways,
//!    so many for those that come themselves, and so many for each member that relays.

mod alarm;
mod client;
mod config;
mod counters;
mod durable;
mod effect;
mod fact;
mod input;
mod membership;
mod plan;
mod pool;
mod quorum;
mod rejection;
mod relays;
mod replica;
mod table;
#[cfg(test)]
mod tests;
mod verified;
mod verifier;
mod votes;

pub use alarm::Alarm;
pub use client::{Client, ClientConfig, ClientEffect, ClientRejection};
pub use config::Config;
pub use counters::Counters;
pub use effect::{Body, Effect, Event, Execution, Recipient};
pub use fact::Fact;
pub use input::{Input, Membership};
pub use membership::{ChangeError, changed};
pub use plan::{Plan, plan};
pub use quorum::Quorums;
pub use rejection::Rejection;
pub use replica::{Replica, Setup, Standing};
pub use verified::Verified;
pub use verifier::{Refusal, Signatures, Snapshot, Verifier};
