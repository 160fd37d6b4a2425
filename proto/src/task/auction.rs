//! Auctions: what is asked of those that may bid, and what they bid. Nothing of it is kept: an award is an attempt in the
//! task's record.

use crate::{bounded, capability::Requirements};
use serde::{Deserialize, Serialize};

/// So many tasks with the same requirements go to whoever bids best for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// The auctioneer's own number for it.
    #[serde(rename = "a")]
    pub auction: u64,
    #[serde(rename = "c")]
    pub count: u32,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub requirements: Option<Requirements>,
    /// How long bids are taken, in milliseconds.
    #[serde(rename = "m")]
    pub closes_ms: u32,
}

/// What a node says of itself, sealed: only the auctioneer hears it. It has kept `free` slots for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bid {
    #[serde(rename = "s")]
    pub slots: u32,
    /// Executions and what waits for a slot, with what is kept for other auctions.
    #[serde(rename = "b")]
    pub busy: u32,
    /// Of its memory, how much is free, in parts per million.
    #[serde(rename = "f")]
    pub free_ppm: u32,
}
