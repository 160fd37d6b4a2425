use super::{Payload, Strategy};
use crate::{
    bounded,
    capability::Requirements,
    codec::{self, DecodeError},
    id::{Digest, JobId, NetworkId, TaskId},
    limits,
    time::Wall,
};
use serde::{Deserialize, Serialize};

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
    #[error("`{0}` is not a relative path inside the task's directory")]
    BadPath(String),
    #[error("{retries} retries, above the limit of {}", limits::RETRIES)]
    TooManyRetries { retries: u8 },
    #[error("a job of {count} items, above the limit of {}: make several of it", limits::JOB_ITEMS)]
    TooManyItems { count: u64 },
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
        for file in &self.files {
            check_path(&file.name)?;
            if !file.content.is_within_limits() {
                return Err(SpecError::PayloadTooLarge);
            }
        }
        if !self.input.is_within_limits() {
            return Err(SpecError::PayloadTooLarge);
        }
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
        let payloads = self.files.iter_mut().map(|file| &mut file.content).chain([&mut self.input]);
        for payload in payloads {
            if let super::Payload::Blob(blob) = payload {
                blob.nodes.clear();
            }
        }
        self
    }

    /// Whether an encoded specification names a blob, or has bytes that look so: a quick look that spares decoding the
    /// others.
    pub fn may_name_a_blob(encoded: &[u8]) -> bool {
        encoded.windows(super::payload::BLOB_BEGINS.len()).any(|bytes| bytes == super::payload::BLOB_BEGINS)
    }

    /// Every blob it needs.
    pub fn blobs(&self) -> impl Iterator<Item = &super::BlobRef> {
        self.input.blob().into_iter().chain(self.files.iter().filter_map(|file| file.content.blob()))
    }
}

impl TaskKey {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(key) | Self::Item(key, _) | Self::Manifest(key) => key,
        }
    }
}

/// The id of a task: the same through whichever node it is submitted.
pub fn task_id(network: &NetworkId, principal: &str, key: &TaskKey) -> TaskId {
    let (kind, index) = match key {
        TaskKey::Own(_) => (0u8, 0),
        TaskKey::Item(_, index) => (1, *index),
        TaskKey::Manifest(_) => (2, 0),
    };
    let parts: [&[u8]; 5] = [network.as_bytes(), principal.as_bytes(), &[kind], key.bytes(), &index.to_le_bytes()];
    TaskId::from_bytes(*Digest::of("meshd 2026 task id", &parts).as_bytes())
}

/// The id of a job; its manifest's task has an id of its own.
pub fn job_id(network: &NetworkId, principal: &str, key: &[u8]) -> JobId {
    let parts: [&[u8]; 3] = [network.as_bytes(), principal.as_bytes(), key];
    JobId::from_bytes(*Digest::of("meshd 2026 job id", &parts).as_bytes())
}

fn no_requirements(requirements: &Requirements) -> bool {
    requirements.is_empty()
}

fn check_path(path: &str) -> Result<(), SpecError> {
    let inside = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    match inside && path.len() <= 1024 && !path.contains('\0') {
        true => Ok(()),
        false => Err(SpecError::BadPath(path.chars().take(80).collect())),
    }
}
