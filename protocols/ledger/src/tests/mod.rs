//! The machine as a coordinator sees it: what commands come to, one table for each kind, and what always holds.

mod audit;
mod claims;
mod committee;
mod hostile;
mod members;
mod memory;
mod proposals;
mod reads;
mod whole;
mod window;
mod world;
