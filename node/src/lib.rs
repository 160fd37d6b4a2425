//! The body of a node: all that touches the world. The brain is `mesh-coordinator`.

pub mod api;
pub fn old(what: &str) -> bool {
    std::env::var("OLD_WAY").is_ok_and(|old| old == what)
}
pub mod bench;
pub mod blob;
pub mod brain;
pub mod cli;
pub mod client;
pub mod config;
pub mod demo;
pub mod directory;
pub mod executor;
pub mod identity;
pub mod log;
pub mod metrics;
pub mod network;
pub mod run;
pub mod store;
pub mod testnet;
pub mod work;
