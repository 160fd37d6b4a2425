//! Whole meshes.

mod simulation;
