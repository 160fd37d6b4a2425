//! The indexed store behind the log: what is looked up by key, as of a position of the log. DESIGN section 3.
//!
//! It is a snapshot that is brought up to date off the hot path: [`Store::write`] absorbs the changes of many records
//! in one durable transaction together with the position that they reach, and the log then releases its segments. A
//! restart loads the store and replays the log after [`Store::position`].
//!
//! Content and position are of one transaction, so a crash leaves both as they were before a write, or both as after.

mod backend;
mod error;
#[allow(clippy::module_inception)]
mod store;
#[cfg(test)]
mod tests;

pub use backend::DiskBackend;
pub use error::StoreError;
pub use store::{Changes, DEFAULT_CACHE_BYTES, Store, StoreConfig};
