//! A task as users write it in JSON, and the specification that it becomes.

use super::{
    Problem,
    blobs::Blobs,
    content::{BlobLink, Given},
};
use crate::executor;
use mesh_proto::{
    capability::Requirements,
    codec,
    id::{JobId, NetworkId, TaskId},
    task::{BlobRef, ExecSpec, InputFile, Octets, Priority, Program, Spec, Strategy, TaskKey},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Longest run of one attempt where nothing else is said: an hour.
pub const DEFAULT_TIME_LIMIT_MS: u64 = 3_600_000;

/// What a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProgramSpec {
    /// Gives its standard input back.
    Echo,
    /// Holds a slot for so many milliseconds.
    Sleep { ms: u64 },
    /// The SHA-256 of its standard input, in hexadecimal.
    Sha256,
    /// A host command that the nodes' operators allowed by name.
    Exec(Command),
}

/// A host command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The name as allowed, then its arguments.
    #[schema(min_items = 1)]
    pub argv: Vec<String>,
    /// Added to the task's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files in the task's directory to be kept as results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Arguments are paths on a file system that all nodes share: it is `not_allowed` on a node without `exec.in_place`.
    /// Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
}

/// How urgent a task is. Default medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Low => Self::Low,
            Urgency::Medium => Self::Medium,
            Urgency::High => Self::High,
            Urgency::Critical => Self::Critical,
        }
    }
}

/// How the node that runs a task is chosen, among those that have what it requires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The nearest of its holders with a free slot; others take over what waits.
    #[default]
    Auto,
    /// The nearest of its holders, whatever it has to do.
    Dht,
    /// Whoever bids best.
    Auction,
    /// The node that it is given to.
    Local,
}

impl Way {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Way> for Strategy {
    fn from(way: Way) -> Self {
        match way {
            Way::Auto => Self::Auto,
            Way::Dht => Self::Dht,
            Way::Auction => Self::Auction,
            Way::Local => Self::Local,
        }
    }
}

/// What a task and the items of a job have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    #[serde(default)]
    pub priority: Urgency,
    /// Longest run of one attempt, in milliseconds. Default 3,600,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_ms: Option<u64>,
    /// RFC 3339; a task not ended by then ends as `deadline_passed`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// How often a program that exits with another code than 0 is run again. Default 0.
    #[serde(default)]
    pub retries: u8,
    /// Its assignment is agreed on by the committee: at most one execution at a time, also across partitions, with a fencing
    /// number of the committee in `MESH_FENCE`. Without a quorum it does not start. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// What the node that runs it must have: `gpu>=1,arch=x86_64,tool:ffmpeg>=6,mem>=2GiB,zone=eu`. The signs are `>=`, `<=`,
    /// `>`, `<`, `=` and `!=`; a name alone is to be there; a trailing `?` marks what is only preferred. Where no node in
    /// reach has it all the task waits for one. Default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// How that node is chosen. Default `auto`.
    #[serde(default, skip_serializing_if = "Way::is_default")]
    pub strategy: Way,
    /// RFC 3339, when the key was drawn; a retry must give the same. Default now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// W3C trace id, 32 hexadecimal digits. Default derived from the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What differs between the items of a job. At most one of each `stdin*`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Standard input as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Standard input in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_b64: Option<String>,
    /// Standard input as a blob that was put before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_blob: Option<BlobLink>,
    /// Standard input by a path on a file system that all nodes share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_path: Option<String>,
    /// Files laid into the task's directory before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileSpec>,
    /// In place of the job's own, for programs of kind `exec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// Which item this is. Default: one more than the line before, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

impl Item {
    /// Has every blob that it names on enough disks, and names these.
    pub async fn assure(&mut self, blobs: &dyn Blobs) -> Result<(), Problem> {
        let links = self.stdin_blob.iter_mut().chain(self.files.iter_mut().filter_map(|file| file.blob.as_mut()));
        for link in links {
            let blob = BlobRef::try_from(&*link)?;
            *link = BlobLink::from(&blobs.assure(blob).await?);
        }
        Ok(())
    }
}

/// One task. At most one of each `stdin*`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskRequest {
    pub program: ProgramSpec,
    #[serde(default)]
    pub terms: Terms,
    /// Standard input as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Standard input in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_b64: Option<String>,
    /// Standard input as a blob that was put before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_blob: Option<BlobLink>,
    /// Standard input by a path on a file system that all nodes share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_path: Option<String>,
    /// Files laid into the task's directory before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileSpec>,
}

impl TaskRequest {
    /// Its program, its terms, and the rest as an item.
    pub fn into_parts(self) -> (ProgramSpec, Terms, Item) {
        let Self { program, terms, stdin, stdin_b64, stdin_blob, stdin_path, files } = self;
        (program, terms, Item { stdin, stdin_b64, stdin_blob, stdin_path, files, argv: None, index: None })
    }
}

/// An input file. At most one of `text`, `b64`, `blob` and `path`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// A relative path without `..`.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobLink>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What all specifications of one request share, checked once.
#[derive(Clone, Debug)]
pub struct Maker {
    network: NetworkId,
    principal: String,
    program: Program,
    born: Wall,
    deadline: Option<Wall>,
    priority: Priority,
    time_limit_ms: u64,
    retries: u8,
    unique: bool,
    requirements: Requirements,
    strategy: Strategy,
    trace: [u8; 16],
    job: Option<JobId>,
}

/// A specification, encoded, with the id that it will have.
#[derive(Clone, Debug)]
pub struct Made {
    pub task: TaskId,
    pub spec: Octets,
}

impl Maker {
    /// `key` is what the trace id is derived from where none was given, so that a repeat has the same.
    pub fn new(
        network: NetworkId,
        principal: &str,
        program: Program,
        terms: &Terms,
        key: &[u8],
        now: Wall,
    ) -> Result<Self, Problem> {
        // A job is refused as a whole for what its header says, not item by item.
        if let Program::Exec(exec) = &program {
            executor::check_variables(&exec.env).map_err(Problem::malformed)?;
        }
        Ok(Self {
            network,
            principal: principal.to_string(),
            program,
            born: terms.born.as_deref().map(parse_date).transpose()?.unwrap_or(now),
            deadline: terms.deadline.as_deref().map(parse_date).transpose()?,
            priority: terms.priority.into(),
            time_limit_ms: terms.time_limit_ms.unwrap_or(DEFAULT_TIME_LIMIT_MS),
            retries: terms.retries,
            unique: terms.unique,
            requirements: terms.require.as_deref().map(parse_requirements).transpose()?.unwrap_or_default(),
            strategy: terms.strategy.into(),
            trace: terms.trace.as_deref().map(parse_trace).transpose()?.unwrap_or_else(|| trace_of(key)),
            job: None,
        })
    }

    /// Of a job's items.
    #[must_use]
    pub fn of_job(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// The specification of one task. `index` is its number in its job, if it is in one.
    pub fn make(&self, key: TaskKey, index: u64, item: &Item) -> Result<Made, Problem> {
        let program = match (&self.program, &item.argv) {
            (program, None) => program.clone(),
            (Program::Exec(exec), Some(argv)) => Program::Exec(ExecSpec { argv: argv.clone(), ..exec.clone() }),
            (_, Some(_)) => return Err(Problem::malformed("only a program of kind `exec` takes argv")),
        };
        let stdin = Given {
            text: item.stdin.as_deref(),
            b64: item.stdin_b64.as_deref(),
            blob: item.stdin_blob.as_ref(),
            path: item.stdin_path.as_deref(),
        };
        let spec = Spec {
            principal: self.principal.clone(),
            key,
            born: self.born,
            program,
            input: stdin.payload("stdin")?,
            files: item.files.iter().map(FileSpec::input).collect::<Result<_, _>>()?,
            priority: self.priority,
            time_limit_ms: self.time_limit_ms,
            deadline: self.deadline,
            retries: self.retries,
            job: self.job.map(|job| (job, index)),
            unique: self.unique,
            requirements: self.requirements.clone(),
            strategy: self.strategy,
            trace: self.trace,
        };
        self.finish(&spec)
    }

    /// The record of a job of `count` items. Its own place in the job is behind the last item.
    pub fn manifest(&self, key: Vec<u8>, name: String, count: u64) -> Result<Made, Problem> {
        let mut maker = self.clone();
        maker.program = Program::Manifest { name, count };
        maker.unique = false;
        maker.requirements = Requirements::default();
        maker.strategy = Strategy::default();
        maker.make(TaskKey::Manifest(key), count, &Item::default())
    }

    fn finish(&self, spec: &Spec) -> Result<Made, Problem> {
        spec.check().map_err(Problem::malformed)?;
        if let Program::Exec(exec) = &spec.program {
            executor::check_command(&exec.argv, &exec.env).map_err(Problem::malformed)?;
        }
        let encoded = codec::encode(spec);
        if encoded.len() > Spec::LIMIT {
            let detail =
                format!("the task has {} bytes in all, above {}: send files as blobs", encoded.len(), Spec::LIMIT);
            return Err(Problem::new(super::Code::TooLarge, detail));
        }
        Ok(Made { task: spec.id(&self.network), spec: encoded.into() })
    }
}

impl FileSpec {
    fn input(&self) -> Result<InputFile, Problem> {
        let given = Given {
            text: self.text.as_deref(),
            b64: self.b64.as_deref(),
            blob: self.blob.as_ref(),
            path: self.path.as_deref(),
        };
        Ok(InputFile { name: self.name.to_string(), content: given.payload(&self.name)? })
    }
}

impl From<ProgramSpec> for Program {
    fn from(program: ProgramSpec) -> Self {
        match program {
            ProgramSpec::Echo => Self::Echo,
            ProgramSpec::Sleep { ms } => Self::Sleep { ms },
            ProgramSpec::Sha256 => Self::Sha256,
            ProgramSpec::Exec(Command { argv, env, outputs, in_place }) => {
                Self::Exec(ExecSpec { argv, env: env.into_iter().collect(), outputs, in_place })
            }
        }
    }
}

/// A date as users write it.
pub fn parse_date(text: &str) -> Result<Wall, Problem> {
    let date: jiff::Timestamp =
        text.parse().map_err(|_| Problem::malformed(format_args!("`{}` is no RFC 3339 date", shorten(text))))?;
    u64::try_from(date.as_millisecond()).map(Wall).map_err(|_| Problem::malformed("a date before 1970"))
}

/// A date as users read it: RFC 3339, UTC.
pub fn show_date(wall: Wall) -> String {
    let date = i64::try_from(wall.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    // A clock beyond the year 9999 is still shown, as what it is.
    date.map_or_else(|| wall.to_string(), |date| date.to_string())
}

/// Requirements as users write them.
pub fn parse_requirements(text: &str) -> Result<Requirements, Problem> {
    text.parse::<Requirements>().map_err(|error| Problem::malformed(format_args!("require: {error}")))
}

fn parse_trace(text: &str) -> Result<[u8; 16], Problem> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Problem::malformed(format_args!("`{}` is no trace id of 32 hexadecimal digits", shorten(text))))
}

fn trace_of(key: &[u8]) -> [u8; 16] {
    let hash = blake3::derive_key("meshd 2026 trace id", key);
    let mut trace = [0; 16];
    trace.copy_from_slice(&hash[..16]);
    trace
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
