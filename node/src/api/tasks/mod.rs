//! `/v1/tasks`.

pub mod cancel;
pub mod list;
pub mod result;
pub mod show;
pub mod submit;
