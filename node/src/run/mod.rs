//! `meshd run`: puts the parts together, and takes them apart again in order.

mod able;
mod admission;
mod announce;
mod blobs;
mod draining;
mod free_memory;
mod keeping;
mod logs;
mod membership;
mod meters;
mod node;
mod own_entry;
mod parts;
mod peers;
mod places;
mod pump;
mod readiness;
mod roll;
mod versions;

pub(crate) use places::Places;

pub use node::{API_ADDRESS, Node, Options, StartError};
pub use parts::entries;
