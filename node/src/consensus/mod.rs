//! The body's part in agreement: signatures and digests, beside the brain's thread.

pub mod meters;
mod metrics;
mod verify;

pub use metrics::Metrics;
pub use verify::Verifiers;
