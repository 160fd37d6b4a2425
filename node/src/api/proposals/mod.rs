//! `/v1/proposals`: what is put to the vote, and what was decided.

pub mod close;
pub mod list;
pub(super) mod lookup;
pub mod propose;
pub mod show;
mod view;
pub mod votes;

pub use view::{ChoiceName, ProposalInfo, ProposalRow, VoteRow};
