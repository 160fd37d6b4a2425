//! `/v1/committee`: who agrees, and how that is changed.

pub mod change;
mod recruit;
pub mod show;
mod view;

pub use view::{AutoInfo, CommitteeInfo, PendingInfo, SeatInfo};
