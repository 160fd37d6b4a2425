//! A task as users write it in JSON, and the specification that it becomes.

use super::{
    Problem,
    after::{ResultLink, Siblings, TaskLink},
    blobs::Blobs,
    content::{BlobLink, Given},
    terms::Terms,
};
use crate::executor;
use mesh_proto::{
    capability::Requirements,
    codec,
    id::{JobId, NetworkId, TaskId},
    task::{
        BlobRef, ExecSpec, InputFile, Octets, OnIsolation, Payload, Priority, Program, Spec, SpecError, Strategy,
        TaskKey, WasmSpec, WorkerSpec,
    },
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
    /// A WebAssembly program for WASI, in a sandbox: it reads and writes in the task's directory only.
    Wasm(WasmProgram),
    /// For a program of this kind that is attached to a node.
    Worker(WorkerProgram),
}

impl ProgramSpec {
    /// Names the blob that it runs anew, if it is one.
    pub fn runs(&mut self, blob: BlobLink) {
        if let Self::Wasm(WasmProgram { module, .. }) = self {
            *module = blob;
        }
    }

    /// Has the blob that it runs, if it is one, on enough disks, and names these.
    pub async fn assure(&mut self, blobs: &dyn Blobs) -> Result<(), Problem> {
        if let Self::Wasm(WasmProgram { module, .. }) = self {
            let blob = BlobRef::try_from(&*module)?;
            *module = BlobLink::from(&blobs.assure(blob).await?);
        }
        Ok(())
    }
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

/// A WebAssembly program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WasmProgram {
    /// The program, put before: a module of WASI's first preview that exports `_start`, or a component of its second
    /// that exports `wasi:cli/run`.
    pub module: BlobLink,
    /// What it takes for its own name, then its arguments.
    #[schema(min_items = 1)]
    pub argv: Vec<String>,
    /// Added to the task's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files in the task's directory to be kept as results.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Fixed clocks, seeded randomness and one form of NaN, so that each execution comes to the same. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
}

/// A task for an attached program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerProgram {
    /// The program's kind. The task requires `worker.KIND` of its node.
    pub kind: String,
    /// For the program to read as it likes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Files that are to come of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
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
    /// Standard input out of another task's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_result: Option<ResultLink>,
    /// Files laid into the task's directory before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileSpec>,
    /// What must have ended well before it starts, at most 64 tasks with those that it takes results of. Where one of them does
    /// not it is cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<TaskLink>,
    /// In place of the job's own, for programs of kind `exec`, `wasm` and `worker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// In place of the job's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramSpec>,
    /// In place of the job's own, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
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
        match &mut self.program {
            Some(program) => program.assure(blobs).await,
            None => Ok(()),
        }
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
    /// Standard input out of another task's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_result: Option<ResultLink>,
    /// Files laid into the task's directory before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileSpec>,
    /// What must have ended well before it starts, at most 64 tasks with those that it takes results of. Where one of them does
    /// not it is cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<TaskLink>,
}

impl TaskRequest {
    /// Its program, its terms, and the rest as an item.
    pub fn into_parts(self) -> (ProgramSpec, Terms, Item) {
        let Self { program, terms, stdin, stdin_b64, stdin_blob, stdin_path, stdin_result, files, after } = self;
        let item = Item { stdin, stdin_b64, stdin_blob, stdin_path, stdin_result, files, after, ..Item::default() };
        (program, terms, item)
    }
}

/// An input file. At most one of `text`, `b64`, `blob`, `path` and `result`.
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
    /// Out of another task's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultLink>,
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
    /// What was asked for, and with what the program needs.
    asked: Requirements,
    requirements: Requirements,
    strategy: Strategy,
    on_isolation: OnIsolation,
    redundancy: u8,
    after: Vec<TaskId>,
    trace: [u8; 16],
    job: Option<JobId>,
}

/// A specification, encoded, with the id that it will have.
#[derive(Clone, Debug)]
pub struct Made {
    pub task: TaskId,
    pub spec: Octets,
}

impl Made {
    /// What it is to start after.
    pub fn after(&self) -> Result<Vec<TaskId>, Problem> {
        let spec = Spec::decode(&self.spec).map_err(Problem::malformed)?;
        Ok(spec.after.into_iter().map(|dependency| dependency.task).collect())
    }
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
        let asked = terms.require.as_deref().map(parse_requirements).transpose()?.unwrap_or_default();
        let maker = Self {
            network,
            principal: principal.to_string(),
            program: Program::Echo,
            born: terms.born.as_deref().map(parse_date).transpose()?.unwrap_or(now),
            deadline: terms.deadline.as_deref().map(parse_date).transpose()?,
            priority: terms.priority.into(),
            time_limit_ms: terms.time_limit_ms.unwrap_or(DEFAULT_TIME_LIMIT_MS),
            retries: terms.retries,
            unique: terms.unique,
            requirements: asked.clone(),
            asked,
            strategy: terms.strategy.into(),
            on_isolation: terms.on_isolation.into(),
            redundancy: terms.redundancy.unwrap_or(1),
            after: Vec::new(),
            trace: terms.trace.as_deref().map(parse_trace).transpose()?.unwrap_or_else(|| trace_of(key)),
            job: None,
        };
        maker.running(program)
    }

    /// A job is refused as a whole for what its header says, not item by item.
    fn running(mut self, mut program: Program) -> Result<Self, Problem> {
        if let Program::Exec(ExecSpec { env, .. }) | Program::Wasm(WasmSpec { env, .. }) = &program {
            executor::check_variables(env).map_err(Problem::malformed)?;
        }
        // Executions that are counted are to agree.
        if let Program::Wasm(wasm) = &mut program {
            wasm.deterministic |= self.redundancy > 1;
        }
        self.requirements = match &program {
            Program::Wasm(_) => executor::requiring_wasm(self.asked.clone()).map_err(Problem::malformed)?,
            Program::Worker(_) if self.unique => return Err(Problem::malformed(SpecError::UniqueWorker)),
            Program::Worker(worker) => worker.kind.requiring(&self.asked).map_err(Problem::malformed)?,
            _ => self.asked.clone(),
        };
        Spec::check_redundant_terms(self.redundancy, self.unique, &self.requirements).map_err(Problem::malformed)?;
        Ok(Self { program, ..self })
    }

    /// All that it makes are to start after these.
    #[must_use]
    pub fn after(mut self, after: Vec<TaskId>) -> Self {
        self.after = after;
        self
    }

    /// For an item that has a program or terms of its own.
    fn for_item(&self, item: &Item) -> Result<Option<Self>, Problem> {
        if item.program.is_none() && item.terms.is_none() {
            return Ok(None);
        }
        let program = item.program.clone().map(Program::try_from).transpose()?.unwrap_or_else(|| self.program.clone());
        let maker = match &item.terms {
            None => self.clone(),
            Some(terms) => {
                let made = Self::new(self.network, &self.principal, Program::Echo, terms, &[], self.born)?;
                let trace = terms.trace.as_ref().map_or(self.trace, |_| made.trace);
                Self { after: self.after.clone(), job: self.job, trace, ..made }
            }
        };
        maker.running(program).map(Some)
    }

    /// Of a job's items.
    #[must_use]
    pub fn of_job(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// The specification of one task. `index` is its number in its job, if it is in one.
    pub fn make(&self, key: TaskKey, index: u64, item: &Item) -> Result<Made, Problem> {
        match self.for_item(item)? {
            Some(own) => own.make_as_it_is(key, index, item),
            None => self.make_as_it_is(key, index, item),
        }
    }

    fn make_as_it_is(&self, key: TaskKey, index: u64, item: &Item) -> Result<Made, Problem> {
        let program = match (&self.program, &item.argv) {
            (program, None) => program.clone(),
            (Program::Exec(exec), Some(argv)) => Program::Exec(ExecSpec { argv: argv.clone(), ..exec.clone() }),
            (Program::Wasm(wasm), Some(argv)) => Program::Wasm(WasmSpec { argv: argv.clone(), ..wasm.clone() }),
            (Program::Worker(worker), Some(argv)) => {
                Program::Worker(WorkerSpec { argv: argv.clone(), ..worker.clone() })
            }
            (_, Some(_)) => {
                return Err(Problem::malformed("only a program of kind `exec`, `wasm` or `worker` takes argv"));
            }
        };
        let stdin = Given {
            text: item.stdin.as_deref(),
            b64: item.stdin_b64.as_deref(),
            blob: item.stdin_blob.as_ref(),
            path: item.stdin_path.as_deref(),
        };
        let after = item.dependencies(&self.after, &Siblings::of(self.network, &self.principal, &key))?;
        let own_files = item.files.iter().filter_map(|file| file.input().transpose());
        let spec = Spec {
            principal: self.principal.clone(),
            key,
            born: self.born,
            program,
            input: stdin.payload("stdin")?,
            files: own_files.collect::<Result<_, _>>()?,
            priority: self.priority,
            time_limit_ms: self.time_limit_ms,
            deadline: self.deadline,
            retries: self.retries,
            job: self.job.map(|job| (job, index)),
            unique: self.unique,
            requirements: self.requirements.clone(),
            strategy: self.strategy,
            on_isolation: self.on_isolation,
            redundancy: self.redundancy,
            after,
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
        maker.on_isolation = OnIsolation::default();
        maker.redundancy = 1;
        maker.after.clear();
        maker.make(TaskKey::Manifest(key), count, &Item::default())
    }

    fn finish(&self, spec: &Spec) -> Result<Made, Problem> {
        spec.check().map_err(Problem::malformed)?;
        if let Program::Exec(ExecSpec { argv, env, .. }) | Program::Wasm(WasmSpec { argv, env, .. }) = &spec.program {
            executor::check_command(argv, env).map_err(Problem::malformed)?;
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
    /// None of one that comes out of another task's result.
    fn input(&self) -> Result<Option<InputFile>, Problem> {
        let given = Given {
            text: self.text.as_deref(),
            b64: self.b64.as_deref(),
            blob: self.blob.as_ref(),
            path: self.path.as_deref(),
        };
        let content = given.payload(&self.name)?;
        match self.result.is_some() {
            false => Ok(Some(InputFile { name: self.name.to_string(), content })),
            true if content == Payload::empty() => Ok(None),
            true => Err(Problem::malformed(format_args!("{} is given, and taken out of a result as well", self.name))),
        }
    }
}

impl TryFrom<ProgramSpec> for Program {
    type Error = Problem;

    fn try_from(program: ProgramSpec) -> Result<Self, Problem> {
        Ok(match program {
            ProgramSpec::Echo => Self::Echo,
            ProgramSpec::Sleep { ms } => Self::Sleep { ms },
            ProgramSpec::Sha256 => Self::Sha256,
            ProgramSpec::Exec(Command { argv, env, outputs, in_place }) => {
                Self::Exec(ExecSpec { argv, env: env.into_iter().collect(), outputs, in_place })
            }
            ProgramSpec::Wasm(WasmProgram { module, argv, env, outputs, deterministic }) => {
                let (module, env) = (Payload::Blob((&module).try_into()?), env.into_iter().collect());
                Self::Wasm(WasmSpec { module, argv, env, outputs, deterministic })
            }
            ProgramSpec::Worker(WorkerProgram { kind, argv, outputs }) => {
                let kind = kind.parse().map_err(Problem::malformed)?;
                Self::Worker(WorkerSpec { kind, argv, outputs })
            }
        })
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
