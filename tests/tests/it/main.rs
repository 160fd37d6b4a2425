//! Whole meshes.

mod boundaries;
mod simulation;
