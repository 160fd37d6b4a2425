//! The member table and liveness of a mesh: who belongs to it, and who can be talked to.

mod config;
mod effect;
mod lasting;
mod members;
mod partition;
mod peer;
mod table;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use effect::{Effect, Rejection};
pub use lasting::Lasting;
pub use members::Members;
pub use mesh_proto::table::{Mark, Member, Role, Standing};
pub use partition::Reach;
pub use table::PARTS;
