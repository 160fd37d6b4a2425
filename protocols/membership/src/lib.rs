//! The member table and liveness of a mesh: who belongs to it, and who can be talked to.

mod config;
mod liveness;
mod table;

pub use config::Config;
pub use liveness::{Effect, Members, Rejection};
pub use mesh_proto::table::{Mark, Member, Role, Standing};
pub use table::PARTS;
