//! The body of a node: all that touches the world. The brain is `mesh-coordinator`.

pub mod api;
pub mod bench;
pub mod blob;
pub mod brain;
pub mod cli;
pub mod client;
pub mod config;
pub mod consensus;
pub mod demo;
pub mod directory;
pub mod executor;
pub mod gauge;
pub mod identity;
pub mod log;
mod memory;
pub mod metrics;
pub mod network;
pub mod raft;
pub mod run;
pub mod steward;
pub mod store;
pub mod testnet;
pub mod work;
