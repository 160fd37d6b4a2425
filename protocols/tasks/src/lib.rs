//! Task records and ballots, placement and lifecycle for meshd, as pure state machines.
