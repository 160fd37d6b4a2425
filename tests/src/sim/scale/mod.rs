//! One large world, in which nothing goes wrong but that some nodes die for good: what a task and a node cost there,
//! and how that grows with the number of nodes. Every node is connected to every other, as real ones are.

pub mod command;
mod deaths;
mod figures;
mod meter;
mod plan;
mod work;

pub use figures::Figures;
pub use meter::{Meter, Part, Purpose, Traffic};
pub use plan::Plan;

use super::{Report, run_drawn, trace::Trace};

/// Runs it to its end, or to the first thing that must not be.
pub fn run(plan: Plan, seed: u64) -> Report {
    run_drawn(plan.options(seed), Trace::new(None))
}
