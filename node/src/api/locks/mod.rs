//! `/v1/locks`: what one may hold at a time, under a lease in agreed time and a number that grows.

pub mod hold;
pub mod list;
mod view;

pub use view::{Granted, LockRow};
