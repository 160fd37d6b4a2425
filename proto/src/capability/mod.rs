//! What a node has, and what a task asks of whoever runs it.
//!
//! Both are lists of short texts, on the wire as in a terminal: `gpu=1`, `mem=15988MiB`, `tool:ffmpeg=6.1.1`, `ssd` are
//! capabilities; `gpu>=1`, `tool:ffmpeg>=6`, `zone!=eu?` are requirements. So there is one grammar, and what is new needs
//! no new field. A name says what its value is where it has to: `mem` is in bytes, a tool's value is a version; else the
//! value does.

mod capabilities;
mod error;
mod name;
mod requirement;
mod value;
mod version;
mod worker;

pub use capabilities::Capabilities;
pub use error::{BadName, CapabilityError, RequirementError, ValueError};
pub use name::Name;
pub use requirement::{Operator, Requirement, Requirements, Test};
pub use value::{Kind, Value};
pub use version::Version;
pub use worker::WorkerKind;
