//! The body's part in agreement: signatures and digests, beside the brain's thread.

mod judge;
mod lanes;
pub mod meters;
mod metrics;
mod rate;
mod verify;

pub use metrics::Metrics;
pub use verify::Verifiers;
