//! `/v1/tasks`.

pub mod auctions;
pub mod cancel;
mod decided;
pub mod explain;
pub mod list;
pub mod result;
pub mod retry;
pub mod show;
pub mod submit;
