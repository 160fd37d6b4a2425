//! The member table and liveness of a mesh: who belongs to it, and who can be talked to.

mod config;
mod liveness;
mod member;
mod table;

pub use config::Config;
pub use liveness::{Effect, Members, Rejection};
pub use member::{Member, Role, Standing};
pub use table::{Mark, PARTS};
