//! Functions of a value that each member has, by push-sum (Kempe, Dobra and Gehrke, *Gossip-Based Computation of Aggregate
//! Information*, FOCS '03, section 2): each holds a share of the sum and of a weight, and gives parts of both away, a round
//! at a time, until the ratio is the same everywhere.
//!
//! # How mass is kept
//!
//! In the paper a message that is lost takes mass with it. Here a message says all that its sender has ever given to its
//! receiver, and each counts the difference to what it knew before (running sums: Hadjicostis, Vaidya and Domínguez-García,
//! *Robust distributed average consensus via exchange of running sums*, 2016). So what is lost comes with the next message,
//! what comes twice counts once, and what comes late counts nothing. What was given is known to both ends of each link for
//! as long as the aggregation lasts, so that who loses a member takes back what it gave it and gives up what it had of it
//! (flow updating: Jesus, Baquero and Almeida, DAIS '09): the member and its value are out of the sum as if it had never
//! been there. A member that comes back with an empty memory begins another life, and what it gave in the last is forgotten.
//!
//! # Invariants
//!
//! 1. What a member holds is its own, less what it gave over the links that are up, and with what it took over them. In
//!    whole numbers, modulo 2^128: nothing is rounded away, and no value of a peer's overflows.
//! 2. With nothing under way and every link up at both ends or at neither, what all hold is what all put in.
//! 3. Memory is bounded by [`Config`], whatever peers say.

mod answer;
mod asked;
mod buckets;
mod config;
mod contribution;
mod counters;
mod effect;
mod estimate;
mod extremes;
mod link;
mod machine;
mod mass;
mod over;
mod part;
#[cfg(test)]
mod tests;
mod window;

pub use answer::{Answer, Bucket};
pub use asked::{Asked, Operation, Refusal};
pub use config::Config;
pub use contribution::VALUE_MAX;
pub use counters::Counters;
pub use effect::Effect;
pub use machine::Aggregations;
