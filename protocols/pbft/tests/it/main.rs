//! Whole committees in one deterministic world: virtual time, one seed, every fault, and checkers that stand outside.

mod app;
mod checker;
mod dice;
mod liar;
mod node;
mod nonce;
mod scenarios;
mod seeds;
mod signatures;
mod starved;
mod twins;
mod world;
