//! Compiling, in a process of its own: whoever writes a program decides how much time and memory a compiler takes for it, and a
//! compilation cannot be ended within a process.
//!
//! ```text
//!  node ── starts `meshd __compile` ─► child, its standard input a socket
//!       ── Order ────────────────────► limits set; file read, its hash looked at; compiled in a thread
//!       ◄─ Answer, and behind it the code ── ends
//! ```
//!
//! The child ends with the socket: when the node is dead, or wants it no more. It is killed by the kernel above its processor
//! time, gets no memory above its limit, and is killed by the node when it takes too long by the clock. What it makes comes
//! back through the socket, not by a file: the engine runs it as it is, so nobody but the child may be able to write it. That
//! is the one thing of a compilation which takes memory of the node, and has a bound of its own: both look at it.

mod child;
mod process;

pub use child::serve;
pub use process::Compilers;

use crate::executor::outcome::Failure;
use mesh_proto::id::BlobId;
use serde::{Deserialize, Serialize};

/// Bytes of the largest program, and of the most that may be made of one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Sizes {
    pub module_bytes: u64,
    pub code_bytes: u64,
}

/// One program to compile.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: BlobId,
    /// The path of the file that it is in, as the system has it.
    #[serde(with = "serde_bytes")]
    file: Vec<u8>,
    sizes: Sizes,
    is_deterministic: bool,
    memory_bytes: u64,
    cpu_seconds: u64,
}

/// Why there is no code of a program.
#[derive(Debug)]
pub struct Uncompiled {
    pub failure: Failure,
    /// A compiler worked on it, and neither the program nor its limits are known to be why it made nothing: it was too late by the
    /// clock, or killed. Another may come further, and so soon it would rather cost the same again.
    pub was_in_vain: bool,
}

impl From<Failure> for Uncompiled {
    fn from(failure: Failure) -> Self {
        Self { failure, was_in_vain: false }
    }
}

impl Uncompiled {
    pub fn in_vain(failure: Failure) -> Self {
        Self { failure, was_in_vain: true }
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// So many bytes of code follow, no more than the order allows.
    Made {
        bytes: u64,
    },
    NoMemory,
    Refused(Failure),
}
