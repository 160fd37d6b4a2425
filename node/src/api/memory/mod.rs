//! `/v1/memory`: small values that the whole mesh agrees on, by namespace and key.
//!
//! A read is ordered like a write, and sees every write that was answered before it; `?stale=true` asks a ledger in
//! reach instead. Each write of a key has a version, by which a write can be made to depend on what is there.

mod expect;
pub mod get;
mod item;
pub mod list;
pub mod write;

pub use expect::parse_expect;
pub use item::MemoryRow;
