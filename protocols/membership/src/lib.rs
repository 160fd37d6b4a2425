//! The member table and liveness of a mesh, as pure state machines.
