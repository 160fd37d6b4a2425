//! `/v1/committee`: who agrees, and how that is changed.

pub mod change;
pub mod inviters;
mod recruit;
pub mod revoke;
pub mod show;
mod view;

pub use view::{AutoInfo, CommitteeInfo, PendingInfo, SeatInfo};
