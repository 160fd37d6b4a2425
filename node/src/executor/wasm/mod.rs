//! WebAssembly programs for WASI: modules of its first preview and components of its second, inside this process.
//!
//! ```text
//!  run ──► queue ──► a thread of its own, at most one a slot
//!                    program: cache ──else──► a compiler: a process, once for all that wait for it
//!                    directory made, inputs copied; instance; call ◄── stopped at the next tick or host call
//!                    outputs taken over, directory removed ──► desk
//! ```
//!
//! The sandbox is the engine's: linear memory, and of the system what [`sandbox`] gives, which is the task's own
//! directory. Nothing is started for a task, no process and no descriptor outlives it.
//!
//! A thread here blocks, but its program does not hold it: compiled code looks at an epoch that [`ticker`] moves on, and
//! gives its thread back to see whether it is to end. A host call that waits (a sleep) is a future, which is dropped.
//!
//! Invariants, each with its test in `tests.rs`:
//! 1. A result is reported, and a slot is free, only when nothing of the program runs and its directory is gone.
//! 2. Whatever a program does, it ends by its time limit and soon after a cancellation.
//! 3. A program sees no file but those below its directory, and no network.
//! 4. What a program can make us keep is bounded: memory, tables, descriptors, output, files, what is cached of it.
//! 5. What a program can make a compiler do is bounded, and takes of this process's memory only what is made of it, up to a bound.

mod config;
mod metrics;

#[cfg(feature = "wasm")]
mod alone;
#[cfg(feature = "wasm")]
mod cache;
#[cfg(feature = "wasm")]
mod clocks;
#[cfg(feature = "wasm")]
pub(super) mod compiler;
#[cfg(feature = "wasm")]
mod complaint;
#[cfg(feature = "wasm")]
mod engine;
#[cfg(feature = "wasm")]
mod guest;
#[cfg(feature = "wasm")]
mod limiter;
#[cfg(feature = "wasm")]
mod room;
#[cfg(feature = "wasm")]
mod sandbox;
#[cfg(feature = "wasm")]
mod streams;
#[cfg(feature = "wasm")]
mod threads;
#[cfg(feature = "wasm")]
mod ticker;

#[cfg(not(feature = "wasm"))]
mod absent;

#[cfg(all(test, feature = "wasm"))]
mod tests;

#[cfg(not(feature = "wasm"))]
pub use absent::{Alone, Wasm};
#[cfg(feature = "wasm")]
pub use alone::Alone;
#[cfg(feature = "wasm")]
pub(super) use config::COMPILER_ARGUMENT;
pub use config::{Compilation, Compiler, WasmConfig};
pub use metrics::WasmMetrics;
#[cfg(feature = "wasm")]
pub use threads::Wasm;

use mesh_proto::capability::{Requirement, RequirementError, Requirements, Test};

/// What a node has that runs these programs.
pub const CAPABILITY: &str = "wasm";

/// Whether this build can run them.
pub const BUILT_IN: bool = cfg!(feature = "wasm");

/// What a task asks for that is one of these programs: the rest, and a node that runs it.
pub fn requiring_wasm(rest: Requirements) -> Result<Requirements, RequirementError> {
    let wasm = Requirement { name: CAPABILITY.parse()?, test: Test::Has, soft: false };
    Requirements::new(rest.iter().cloned().chain([wasm]).collect())
}
