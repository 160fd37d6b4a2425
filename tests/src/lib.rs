//! What runs whole meshes of `meshd` to see them fail: the deterministic simulator.

pub mod sim;
