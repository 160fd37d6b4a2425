//! Networks of real nodes over real sockets on loopback.

mod cost;
mod frames;
mod gate;
mod gossip;
pub mod harness;
mod joining;
mod kill;
mod limits;
mod lookups;
