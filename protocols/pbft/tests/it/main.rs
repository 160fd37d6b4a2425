//! Whole committees in one deterministic world: virtual time, one seed, every fault, and checkers that stand outside.

mod app;
mod checker;
mod crowded;
mod dice;
mod gateways;
mod liar;
mod minted;
mod node;
mod nonce;
mod repeats;
mod scenarios;
mod seeds;
mod signatures;
mod starved;
mod twins;
mod world;
