//! What the members of a mesh find out together by gossip: each talks to a few others at a time, whoever is there, and all
//! come to know the same.
//!
//! [`Aggregations`] computes functions of a value that each member has: how many there are, their sum, mean, least, most,
//! quantiles.

mod aggregation;

pub use aggregation::{Aggregations, Answer, Asked, Bucket, Config, Counters, Effect, Operation, Refusal, VALUE_MAX};
