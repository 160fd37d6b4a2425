//! The tests of mesh-proto that see it as other crates do.

mod admit;
mod batch;
mod corpus;
mod credential;
mod envelope;
mod golden;
mod ledger;
mod ledger_sample;
mod limits;
mod member;
mod pbft;
mod pbft_sample;
mod sample;
mod schema;
mod talk_sample;
mod task;
mod task_sample;
mod token;
