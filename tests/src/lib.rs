//! What runs whole meshes of `meshd` to see them fail: the deterministic simulator, and the checkers of what users are told.

pub mod check;
pub mod sim;
