//! What the committee decides, against a ledger of one member.

mod committee;
mod council;
mod ledger;
mod locks;
mod memory;
mod order;
mod proposals;

pub use council::{Council, node};
