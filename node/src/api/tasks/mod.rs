//! `/v1/tasks`.

pub mod auctions;
pub mod cancel;
pub mod explain;
pub mod list;
pub mod result;
pub mod retry;
pub mod show;
pub mod submit;
