//! The member table and liveness of a mesh: who belongs to it, who can be talked to, and where a task has its home.

mod config;
mod member;

pub use config::Config;
pub use member::{Member, Role, Standing};
