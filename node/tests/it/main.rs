//! The integration tests of the node, one binary.

mod executor;
mod inside;
mod network;
mod processes;
