//! What runs whole meshes of `meshd` to see them fail: the deterministic simulator, real processes under siege, and the
//! checkers of both.

pub mod check;
pub mod siege;
pub mod sim;
