use super::{Dependency, OnIsolation, Payload, Strategy, WorkerSpec, dependency};
use crate::{
    bounded,
    capability::{Name, Requirements},
    codec::{self, DecodeError},
    id::{Digest, JobId, NetworkId, NodeId, TaskId},
    limits,
    time::Wall,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// What a user asked for; never changes. Its encoding is hashed: same id and another digest is a conflict (409).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Whose task it is; part of its id. At most 64 bytes.
    #[serde(rename = "u")]
    pub principal: String,
    #[serde(rename = "k")]
    pub key: TaskKey,
    /// When the key was drawn. A submission whose key is older than the retention floor is refused, never run.
    #[serde(rename = "b")]
    pub born: Wall,
    #[serde(rename = "p")]
    pub program: Program,
    /// Standard input.
    #[serde(rename = "i")]
    pub input: Payload,
    /// Files laid into the task's directory before it starts.
    #[serde(
        rename = "f",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::TASK_FILES }>"
    )]
    pub files: Vec<InputFile>,
    #[serde(rename = "q")]
    pub priority: Priority,
    /// Longest run of one attempt, in milliseconds.
    #[serde(rename = "l")]
    pub time_limit_ms: u64,
    /// When the answer is of no use any more.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub deadline: Option<Wall>,
    /// How often a program that exits with another code than 0 is run again. Lost nodes are not counted
    /// here. At most [`limits::RETRIES`].
    #[serde(rename = "r")]
    pub retries: u8,
    /// The job it is an item of, and which one.
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub job: Option<(JobId, u64)>,
    /// Its assignment is agreed on by the committee: at most one execution at a time, also across partitions.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// What it asks of the node that runs it.
    #[serde(rename = "n", default, skip_serializing_if = "no_requirements")]
    pub requirements: Requirements,
    /// How that node is chosen.
    #[serde(rename = "s", default, skip_serializing_if = "Strategy::is_default")]
    pub strategy: Strategy,
    /// What becomes of an attempt whose node loses the mesh.
    #[serde(rename = "c", default, skip_serializing_if = "OnIsolation::is_default")]
    pub on_isolation: OnIsolation,
    /// By how many members it is run, whose results are counted; 1 to [`limits::REDUNDANCY`].
    #[serde(rename = "v", default = "once", skip_serializing_if = "is_once", deserialize_with = "redundant")]
    pub redundancy: u8,
    /// What must have ended well before it starts. Where one of these does not, it never starts and is cancelled.
    #[serde(
        rename = "a",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::DEPENDENCIES }>"
    )]
    pub after: Vec<Dependency>,
    /// One id from submission to result, as in W3C trace context.
    #[serde(rename = "t", with = "serde_bytes")]
    pub trace: [u8; 16],
}

/// What makes a repeat of a submission the same task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskKey {
    /// The user's idempotency key, or 128 random bits drawn by the client before its first attempt. At most 128 bytes.
    #[serde(rename = "k")]
    Own(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Item `1` of the job of key `0`.
    #[serde(rename = "i")]
    Item(#[serde(with = "serde_bytes")] Vec<u8>, u64),
    /// The manifest of the job of this key.
    #[serde(rename = "m")]
    Manifest(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The replica of task `0` that member `1` runs.
    #[serde(rename = "r")]
    Replica(TaskId, NodeId),
    /// The same, asked for once more: `2` times before, 1 to [`limits::ASKED_AGAIN`]. Of what was asked for before nothing
    /// came.
    #[serde(rename = "n")]
    Again(TaskId, NodeId, #[serde(deserialize_with = "asked_before")] u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Program {
    /// Gives its input back.
    #[serde(rename = "e")]
    Echo,
    /// Does nothing for so many milliseconds, holding a slot.
    #[serde(rename = "s")]
    Sleep { ms: u64 },
    /// The SHA-256 of its input, in hexadecimal.
    #[serde(rename = "h")]
    Sha256,
    /// A host command that the operator allowed by name.
    #[serde(rename = "x")]
    Exec(ExecSpec),
    /// A WebAssembly program for WASI, in a sandbox of its own.
    #[serde(rename = "w")]
    Wasm(WasmSpec),
    /// For a program that is attached to the node that runs it. Its node must have [`WorkerKind::capability`], and it says so.
    ///
    /// [`WorkerKind::capability`]: crate::capability::WorkerKind::capability
    #[serde(rename = "a")]
    Worker(WorkerSpec),
    /// Runs nothing: the record of a job, so that any node can list, attach to and cancel it. It has at most
    /// [`limits::JOB_ITEMS`].
    #[serde(rename = "m")]
    Manifest { name: String, count: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// The name as allowed, then its arguments.
    #[serde(rename = "a", deserialize_with = "bounded::list::<_, _, { limits::ARGUMENTS }>")]
    pub argv: Vec<String>,
    #[serde(
        rename = "e",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::VARIABLES }>"
    )]
    pub env: Vec<(String, String)>,
    /// Files in the task's directory to be kept as results.
    #[serde(
        rename = "o",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::TASK_FILES }>"
    )]
    pub outputs: Vec<String>,
    /// Arguments are paths on a file system that all nodes share (`--in-place`): only nodes that allow it run it.
    #[serde(rename = "p", default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WasmSpec {
    /// The program: a module of WASI's first preview or a component of its second. Always a blob, since the items of a job
    /// share it.
    #[serde(rename = "m")]
    pub module: Payload,
    /// What the program takes for its own name, then its arguments.
    #[serde(rename = "a", deserialize_with = "bounded::list::<_, _, { limits::ARGUMENTS }>")]
    pub argv: Vec<String>,
    #[serde(
        rename = "e",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::VARIABLES }>"
    )]
    pub env: Vec<(String, String)>,
    /// Files in the task's directory to be kept as results.
    #[serde(
        rename = "o",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::TASK_FILES }>"
    )]
    pub outputs: Vec<String>,
    /// Clocks and randomness are the same in every execution, and so is what comes of them.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// A relative path without `..`.
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "c")]
    pub content: Payload,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    #[serde(rename = "l")]
    Low,
    #[default]
    #[serde(rename = "m")]
    Medium,
    #[serde(rename = "h")]
    High,
    #[serde(rename = "c")]
    Critical,
}

impl Priority {
    /// From the least to the most urgent.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];
}

/// A specification that no node will take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{field} is {size} long, above the limit of {limit}")]
    TooLong { field: &'static str, size: usize, limit: usize },
    #[error("a command needs at least its name")]
    NoCommand,
    #[error("a WebAssembly program is sent as a blob")]
    NotABlob,
    #[error("a task for a worker requires {0} of its node")]
    NoWorker(Name),
    #[error(
        "a worker is a process of its own that no node can end: that there is one execution at a time cannot be promised"
    )]
    UniqueWorker,
    #[error("`{0}` is not a relative path inside the task's directory")]
    BadPath(String),
    #[error("{retries} retries, above the limit of {}", limits::RETRIES)]
    TooManyRetries { retries: u8 },
    #[error("{redundancy} executors, where 1 to {} are possible", limits::REDUNDANCY)]
    Redundancy { redundancy: u8 },
    #[error("{0} is not run by several executors")]
    NotRedundant(&'static str),
    #[error("a job of {count} items, above the limit of {}: make several of it", limits::JOB_ITEMS)]
    TooManyItems { count: u64 },
    #[error("it is to wait for task {0} twice")]
    RepeatedDependency(TaskId),
    #[error("two standard inputs")]
    TwoInputs,
    #[error("two files `{0}`")]
    TwoFiles(String),
    #[error("payload above the limit: send it as a blob")]
    PayloadTooLarge,
}

impl Spec {
    /// Bytes of a whole encoded specification: arguments, environment and some inline files.
    pub const LIMIT: usize = limits::SPEC_BYTES;

    /// Reads and checks one; the bytes must be its one encoding, since they are hashed.
    pub fn decode(bytes: &[u8]) -> Result<Self, SpecError> {
        let spec: Self = codec::decode_canonical(bytes, Self::LIMIT)?;
        spec.check()?;
        Ok(spec)
    }

    /// Whether every part is within its limit.
    pub fn check(&self) -> Result<(), SpecError> {
        let within = |field, size, limit| match size <= limit {
            true => Ok(()),
            false => Err(SpecError::TooLong { field, size, limit }),
        };
        within("principal", self.principal.len(), 64)?;
        within("key", self.key.bytes().len(), 128)?;
        within("files", self.files.len(), limits::TASK_FILES)?;
        if self.retries > limits::RETRIES {
            return Err(SpecError::TooManyRetries { retries: self.retries });
        }
        self.check_redundancy()?;
        for file in &self.files {
            check_path(&file.name)?;
            if !file.content.is_within_limits() {
                return Err(SpecError::PayloadTooLarge);
            }
        }
        if !self.input.is_within_limits() {
            return Err(SpecError::PayloadTooLarge);
        }
        let files = self.files.iter().map(|file| file.name.as_str());
        dependency::check(&self.after, files, self.input != Payload::empty())?;
        match &self.program {
            Program::Echo | Program::Sleep { .. } | Program::Sha256 => Ok(()),
            // Who lists, follows or cancels a job goes over all its items.
            Program::Manifest { count, .. } if *count > limits::JOB_ITEMS => {
                Err(SpecError::TooManyItems { count: *count })
            }
            Program::Manifest { name, .. } => within("name", name.len(), 256),
            Program::Exec(exec) => {
                if exec.argv.first().is_none_or(String::is_empty) {
                    return Err(SpecError::NoCommand);
                }
                within("arguments", exec.argv.len(), limits::ARGUMENTS)?;
                within("environment", exec.env.len(), limits::VARIABLES)?;
                within("outputs", exec.outputs.len(), limits::TASK_FILES)?;
                exec.outputs.iter().try_for_each(|path| check_path(path))
            }
            Program::Wasm(wasm) => {
                if wasm.module.blob().is_none() {
                    return Err(SpecError::NotABlob);
                }
                if !wasm.module.is_within_limits() {
                    return Err(SpecError::PayloadTooLarge);
                }
                if wasm.argv.first().is_none_or(String::is_empty) {
                    return Err(SpecError::NoCommand);
                }
                within("arguments", wasm.argv.len(), limits::ARGUMENTS)?;
                within("environment", wasm.env.len(), limits::VARIABLES)?;
                within("outputs", wasm.outputs.len(), limits::TASK_FILES)?;
                wasm.outputs.iter().try_for_each(|path| check_path(path))
            }
            Program::Worker(worker) => {
                if !self.requirements.contains(&worker.kind.requirement()) {
                    return Err(SpecError::NoWorker(worker.kind.capability().clone()));
                }
                if self.unique {
                    return Err(SpecError::UniqueWorker);
                }
                within("arguments", worker.argv.len(), limits::ARGUMENTS)?;
                within("outputs", worker.outputs.len(), limits::TASK_FILES)?;
                worker.outputs.iter().try_for_each(|path| check_path(path))
            }
        }
    }

    fn check_redundancy(&self) -> Result<(), SpecError> {
        Self::check_redundant_terms(self.redundancy, self.unique, &self.requirements)?;
        let reason = match (&self.program, &self.key) {
            _ if self.redundancy == 1 => return Ok(()),
            (Program::Manifest { .. }, _) => "the record of a job",
            (_, TaskKey::Replica(..) | TaskKey::Again(..)) => "a replica",
            _ => return Ok(()),
        };
        Err(SpecError::NotRedundant(reason))
    }

    /// Whether so many executors go together with the rest of a job's terms, for who checks these before there is a task.
    pub fn check_redundant_terms(redundancy: u8, unique: bool, requirements: &Requirements) -> Result<(), SpecError> {
        if !(1..=limits::REDUNDANCY).contains(&redundancy) {
            return Err(SpecError::Redundancy { redundancy });
        }
        let reason = match redundancy {
            1 => return Ok(()),
            _ if unique => "a unique task",
            // Each of its replicas asks for its node as well.
            _ if requirements.len() >= limits::REQUIREMENTS => "a task with as many requirements as there may be",
            _ => return Ok(()),
        };
        Err(SpecError::NotRedundant(reason))
    }

    /// The task that this is a replica of, and the member that is to run it.
    pub fn replica_of(&self) -> Option<(TaskId, NodeId)> {
        match self.key {
            TaskKey::Replica(of, node) | TaskKey::Again(of, node, _) => Some((of, node)),
            TaskKey::Own(_) | TaskKey::Item(..) | TaskKey::Manifest(_) => None,
        }
    }

    pub fn id(&self, network: &NetworkId) -> TaskId {
        task_id(network, &self.principal, &self.key)
    }

    /// What was asked for, without what differs between repeats of one submission.
    pub(super) fn asked(mut self) -> Self {
        self.born = Wall::default();
        // Given as a time from now, it is another date with each repeat. That of the first holds.
        self.deadline = None;
        self.trace = [0; 16];
        self.blobs_mut().for_each(|blob| blob.nodes.clear());
        self
    }

    /// Digest of what is to be run, and for how long: a task for several executors has it in common with its replicas, whoever
    /// submits these.
    pub fn work(&self) -> Digest {
        let Self { program, input, files, time_limit_ms, after, .. } = self.clone().asked();
        let work = codec::encode(&(program, input, files, time_limit_ms, after));
        Digest::of("meshd 2026 task work", &[&work])
    }

    /// Whether an encoded specification names a blob, or has bytes that look so: a quick look that spares decoding the
    /// others.
    pub fn may_name_a_blob(encoded: &[u8]) -> bool {
        encoded.windows(super::payload::BLOB_BEGINS.len()).any(|bytes| bytes == super::payload::BLOB_BEGINS)
    }

    /// Whether an encoded specification is of a task for several executors, or has bytes that look so: as quick a look.
    pub fn may_be_redundant(encoded: &[u8]) -> bool {
        encoded.windows(3).any(|bytes| matches!(bytes, [0x61, b'v', 2..=limits::REDUNDANCY]))
    }

    /// Whether an encoded specification has a deadline, or has bytes that look so: as quick a look.
    pub fn may_have_a_deadline(encoded: &[u8]) -> bool {
        // A date of any size: before 1970 there is none.
        encoded.windows(3).any(|bytes| matches!(bytes, [0x61, b'd', 0..=0x1b]))
    }

    /// Whether an encoded specification is of a replica, or has bytes that look so: as quick a look.
    pub fn may_be_a_replica(encoded: &[u8]) -> bool {
        encoded.windows(5).any(|bytes| matches!(bytes, [0x61, b'k', 0xa1, 0x61, b'r' | b'n']))
    }

    /// Every blob it needs: standard input, the files in their order, the program.
    pub fn blobs(&self) -> impl Iterator<Item = &super::BlobRef> {
        let files = self.files.iter().filter_map(|file| file.content.blob());
        self.input.blob().into_iter().chain(files).chain(self.program.module())
    }

    /// The same, for who finds them elsewhere.
    pub fn blobs_mut(&mut self) -> impl Iterator<Item = &mut super::BlobRef> {
        let module = match &mut self.program {
            Program::Wasm(wasm) => Some(&mut wasm.module),
            Program::Echo
            | Program::Sleep { .. }
            | Program::Sha256
            | Program::Exec(_)
            | Program::Worker(_)
            | Program::Manifest { .. } => None,
        };
        let files = self.files.iter_mut().map(|file| &mut file.content);
        std::iter::once(&mut self.input).chain(files).chain(module).filter_map(|payload| match payload {
            Payload::Blob(blob) => Some(blob),
            Payload::Inline(_) | Payload::Path(_) => None,
        })
    }
}

impl Program {
    /// The blob that it runs.
    pub fn module(&self) -> Option<&super::BlobRef> {
        match self {
            Self::Wasm(wasm) => wasm.module.blob(),
            Self::Echo
            | Self::Sleep { .. }
            | Self::Sha256
            | Self::Exec(_)
            | Self::Worker(_)
            | Self::Manifest { .. } => None,
        }
    }

    /// What counts the places that its node has for it, where those are of their own.
    pub fn places(&self) -> Option<&Name> {
        match self {
            Self::Worker(worker) => Some(worker.kind.capability()),
            Self::Echo | Self::Sleep { .. } | Self::Sha256 | Self::Exec(_) | Self::Wasm(_) | Self::Manifest { .. } => {
                None
            }
        }
    }
}

impl TaskKey {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(key) | Self::Item(key, _) | Self::Manifest(key) => key,
            Self::Replica(of, _) | Self::Again(of, ..) => of.as_bytes(),
        }
    }
}

/// The id of a task: the same through whichever node it is submitted.
pub fn task_id(network: &NetworkId, principal: &str, key: &TaskKey) -> TaskId {
    let (index, again);
    let (kind, last): (u8, &[u8]) = match key {
        TaskKey::Own(_) => (0, &[0; 8]),
        TaskKey::Item(_, of_job) => {
            index = of_job.to_le_bytes();
            (1, &index)
        }
        TaskKey::Manifest(_) => (2, &[0; 8]),
        TaskKey::Replica(_, node) => (3, node.as_bytes()),
        TaskKey::Again(_, node, before) => {
            again = [node.as_bytes().as_slice(), &[*before]].concat();
            (4, &again)
        }
    };
    let parts: [&[u8]; 5] = [network.as_bytes(), principal.as_bytes(), &[kind], key.bytes(), last];
    TaskId::from_bytes(*Digest::of("meshd 2026 task id", &parts).as_bytes())
}

/// The id of a job; its manifest's task has an id of its own.
pub fn job_id(network: &NetworkId, principal: &str, key: &[u8]) -> JobId {
    let parts: [&[u8]; 3] = [network.as_bytes(), principal.as_bytes(), key];
    JobId::from_bytes(*Digest::of("meshd 2026 job id", &parts).as_bytes())
}

fn once() -> u8 {
    1
}

fn is_once(redundancy: &u8) -> bool {
    *redundancy == 1
}

fn asked_before<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        before @ 1..=limits::ASKED_AGAIN => Ok(before),
        before => Err(D::Error::custom(format!("asked for {before} times before"))),
    }
}

/// What is left out is 1, and is written in no other way.
fn redundant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        1 => Err(D::Error::custom("a redundancy of 1 is left out")),
        redundancy => Ok(redundancy),
    }
}

fn no_requirements(requirements: &Requirements) -> bool {
    requirements.is_empty()
}

pub(super) fn check_path(path: &str) -> Result<(), SpecError> {
    let inside = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    match inside && path.len() <= 1024 && !path.contains('\0') {
        true => Ok(()),
        false => Err(SpecError::BadPath(path.chars().take(80).collect())),
    }
}
