//! Checkers of what users are told, wherever their histories come from: the simulator's worlds, or real processes under
//! siege.

pub mod linear;
mod locks;
mod memory;
mod violation;

pub use locks::{Grant, Locks};
pub use memory::{Action, Judged, Memory, Told};
pub use violation::{Rule, Violation};
