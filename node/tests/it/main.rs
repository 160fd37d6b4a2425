//! Tests against real processes, one binary for all.

mod executor;
