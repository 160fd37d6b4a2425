//! Task records and their ballots, placement and lifecycle.

mod config;
mod fact;

pub use config::Config;
pub use fact::Fact;
