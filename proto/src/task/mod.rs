//! Tasks on the wire and on disk: what was asked, the replicated record, and the messages of `/mesh/task/1`.

mod auction;
mod ballot;
mod dependency;
mod isolation;
mod message;
mod octets;
mod outcome;
mod payload;
mod record;
mod sealed;
mod spec;
mod strategy;
mod weight;
mod worker;

pub use auction::{Announcement, Bid};
pub use ballot::{Ballot, Version};
pub use dependency::{Dependency, Part, Place, Take};
pub use isolation::OnIsolation;
pub use message::{Frame, Held, Item, Known};
pub use octets::Octets;
pub use outcome::{Ending, Failure, FailureKind, How, Outcome, Status};
pub use payload::{BlobRef, Payload};
pub use record::{Attempt, Birth, FailedAttempt, Fault, Holder, Register, State, spec_digest};
pub use sealed::{Count, Sealable, Sealed};
pub use spec::{ExecSpec, InputFile, Priority, Program, Spec, SpecError, TaskKey, WasmSpec, job_id, task_id};
pub use strategy::{BadStrategy, Strategy};
pub use worker::WorkerSpec;

/// Payloads up to this size travel in the record; larger ones are blobs. DESIGN section 7.
pub const INLINE_LIMIT: usize = 16 * 1024;

/// A frame of `/mesh/task/1`: holds some hundred births with inline payloads, or one task's worst case many times.
pub const FRAME_LIMIT: usize = 4 * 1024 * 1024;

/// A sender closes a frame at this size: small enough that a frame of large items stays below [`FRAME_LIMIT`].
pub const FRAME_TARGET: usize = 512 * 1024;
