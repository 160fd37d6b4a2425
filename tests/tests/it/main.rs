//! Whole meshes.

mod boundaries;
mod scale;
mod simulation;
