//! The member table and liveness of a mesh: who belongs to it, and who can be talked to.

mod config;
mod doubt;
mod effect;
mod errand;
mod history;
mod lasting;
mod members;
mod partition;
mod peer;
mod peers;
mod suspicion;
mod table;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use effect::{Effect, Rejection};
pub use history::{Finding, Found};
pub use lasting::Lasting;
pub use members::Members;
pub use mesh_proto::table::{Mark, Member, Role, Standing};
pub use partition::Reach;
pub use suspicion::{Counters, Standpoint};
pub use table::PARTS;
