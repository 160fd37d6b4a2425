//! A mesh of real processes on this machine: what `testnet`, `demo`, `bench` and the tests play with.
//!
//! ```text
//! DIR/testnet.json   who runs where: ports, directories, process ids with their start times
//!     api-token      one token for the APIs of all nodes, mode 0600
//!     node-0/        the data directory of node 0, with its meshd.toml
//!     node-0.log     what node 0 says
//! ```
//!
//! Nothing here waits for a time that "should do": every wait is for a condition, with a deadline, and its failure
//! shows the end of the node's log. A process is known by its id and the time it started, so that an id which the
//! system gave to somebody else is never signalled.

mod error;
mod gateways;
mod inputs;
mod job;
mod layout;
mod length;
mod net;
mod ports;
mod process;
mod scratch;
pub mod seeded;
mod state;
mod usage;
mod wait;

pub use error::TestnetError;
pub use gateways::Gateways;
pub use inputs::as_items;
pub use job::{Job, Told, Tracker};
pub use layout::default_dir;
pub use length::length;
pub use net::{Options, Testnet};
pub use process::Process;
pub use scratch::Scratch;
pub use state::NodeState;
pub use usage::{Usage, own_cpu};
pub use wait::tail as log_tail;
