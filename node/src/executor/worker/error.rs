use super::Stop;
use mesh_proto::capability::{CapabilityError, Name, Value};

/// Why a worker is not given what it asks for. Each says what it is to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    #[error("workers are off on this node; its operator may set `workers.enabled = true`")]
    Off,
    #[error("no worker of this id is attached here: register")]
    Unknown,
    #[error("this worker is not attached any more: {0}; what it had goes to others. Register anew")]
    Gone(&'static str),
    #[error("{0}")]
    Malformed(String),
    #[error("{most} workers are attached already, as many as `workers.max` lets in")]
    TooMany { most: usize },
    #[error("this node cannot tell the mesh of it: {0}")]
    TooMuch(CapabilityError),
    #[error("{name} is {had} on this node, and not {told}, as long as what says so is there")]
    Contradiction { name: Name, had: String, told: String },
    #[error("workers of kind {kind} that are attached here have something else: {had}")]
    Unlike { kind: String, had: String },
    #[error("this worker does not have the task, or not this attempt at it, or not any more")]
    NotHeld,
    #[error("the task is not to go on: {0}; what comes of it is not wanted")]
    Stopped(Stop),
    #[error("the task asks for no file of this name")]
    Unasked,
    #[error("it has no file of this name")]
    NoFile,
    #[error("above the limit of {limit} bytes of {what}: end the task, as failed")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("there is too little room on this node's disk")]
    NoRoom,
    #[error("this node cannot keep it: {0}")]
    Disk(String),
}

/// As it is told to the mesh.
pub(super) fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "there".into(), Value::to_string)
}
