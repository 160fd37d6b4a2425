//! One node among five, given inputs by hand: tables of (input, exact effects, state after).

mod auction;
mod candidate;
mod decided;
mod dependents;
mod drain;
mod driver;
mod ends;
mod executor;
mod gateway;
mod holder;
mod isolation;
mod liar;
mod node;
mod proposal;
mod requirements;
mod retention;
mod shelf;
mod standing;
mod stealing;
mod takeover;
mod told;
