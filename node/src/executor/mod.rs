//! What runs tasks: builtins, and host commands under their guard. DESIGN section 7, Executors.
//!
//! ```text
//!  brain ──run(Run)──► Executors ──► Builtins: echo, sha256 end inside the call; sleep is a timer
//!        ◄──events───            └─► Exec ──socket──► guard (slot 0) ──► command and all it starts
//!                         │               └─socket──► guard (slot 1) ──► …
//!                         ├─► Wasm ──► a thread a slot, inside this process; compiled by a process of their own
//!                         └─► Workers ◄──HTTP── programs that attached themselves
//! ```
//!
//! A *guard* is this binary started again (`meshd __guard`): one thread, one task at a time, no tokio. meshd, which
//! has many threads and much memory, never forks for a task; the guard does, and it is cheap there. The guard holds
//! the time limit and the lease itself, so that a meshd which is stopped, stuck or dead cannot leave a task running:
//! when the socket closes (meshd died, `kill -9` included) or no renewal came for the length of the lease, it kills
//! everything the task started.
//!
//! Invariants, each with its test in `tests/it/executor.rs`:
//! 1. A result is reported, and a slot is free, only after every process of the task is gone.
//! 2. A task never outlives its guard's socket, nor its lease, nor its time limit.
//! 3. Nothing a task writes reaches the files it was given as inputs.
//! 4. What a task can make us keep is bounded: output, files, processes, and each answer to meshd.

mod allow;
mod builtin;
mod config;
mod exec;
mod guard;
mod input;
mod logs;
mod outcome;
mod pool;
pub(crate) mod protocol;
mod run;
mod wasm;
pub mod worker;

pub use allow::{AllowError, Allowed};
pub use config::{ConfigError, ExecConfig, ExecutorConfig};
pub use guard::guard_main;
pub(crate) use guard::{kill_marked, lock};
pub use logs::{LogChunk, Stream};
pub use outcome::{Containment, Failure, Level, OutDir, Outcome, Output, Status};
pub use pool::{Executor, ExecutorEvent, Executors, RunError};
pub use run::{Fixed, Limits, Program, Run, Source, check_command, check_variables};
pub(crate) use wasm::Alone;
pub use wasm::{
    BUILT_IN as WASM_BUILT_IN, CAPABILITY as WASM_CAPABILITY, Compilation, Compiler, WasmConfig, WasmMetrics,
    requiring_wasm,
};
pub use worker::{WorkerMetrics, Workers, WorkersConfig};
