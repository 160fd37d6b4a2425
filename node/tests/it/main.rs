//! The integration tests of the node, one binary.

mod executor;
mod network;
mod processes;
