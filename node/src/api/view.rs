//! Tasks as users read them before and after their end.

use super::{
    after::DependencyInfo,
    result::{TaskResult, state_name},
    submission::{Command, ProgramSpec, WasmProgram, WorkerProgram, show_date},
};
use mesh_coordinator::{TaskSummary, TaskView};
use mesh_proto::{
    capability::Requirement,
    control::Lack,
    task::{BlobRef, OnIsolation, Payload, Priority, Program, Spec, State, TaskKey, WasmSpec},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything known of a task, across nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskInfo {
    pub task: String,
    /// `waiting running done failed cancelled deadline_passed`
    pub state: String,
    /// Of a task that waits for a node that has what it requires: why no node in reach is given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lack: Option<LackInfo>,
    /// Of a task that is to start after others: which of these have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<String>,
    /// Holders whose word is being waited for.
    pub waiting_for: Vec<String>,
    /// A majority of the holders is known to have what is shown on its disks.
    pub in_force: bool,
    /// Nodes that were asked and did not answer in time: what they know is not in here.
    pub silent: Vec<String>,
    pub spec: SpecInfo,
    /// The node that it was submitted through, and when.
    pub gateway: String,
    pub placed: String,
    pub driver: String,
    pub term: u32,
    pub version: u32,
    pub holders: Vec<String>,
    /// The attempt of now or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptInfo>,
    /// Attempts that came to nothing, oldest first.
    pub failed: Vec<AttemptInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<TaskResult>,
    /// In order of time, each line with the node that it happened on.
    pub story: Vec<StoryInfo>,
}

/// Why a task is given to nobody, as its driver knows the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LackInfo {
    /// For people.
    pub reason: String,
    /// Members that run tasks.
    pub members: u32,
    /// Of these, out of reach with all that is required.
    pub out_of_reach: u32,
    /// What is required, and by how many of the members it is lacked.
    pub lacked: Vec<LackedInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LackedInfo {
    pub requirement: String,
    pub members: u32,
}

impl From<&Lack> for LackInfo {
    fn from(lack: &Lack) -> Self {
        let lacked = |(requirement, members): &(Requirement, u32)| {
            let requirement = requirement.to_string();
            LackedInfo { requirement, members: *members }
        };
        Self {
            reason: lack.to_string(),
            members: lack.members,
            out_of_reach: lack.away,
            lacked: lack.lacked.iter().map(lacked).collect(),
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecInfo {
    pub principal: String,
    /// The key as text where it is text, else in hexadecimal.
    pub key: String,
    pub born: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramSpec>,
    /// Of the record of a job: its name and how many items it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    pub priority: String,
    pub time_limit_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    pub retries: u8,
    /// What it requires of the node that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// By how many nodes it is run, if by several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redundancy: Option<u8>,
    /// Of a replica: which task it is run for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_of: Option<String>,
    /// How that node is chosen.
    pub strategy: String,
    /// What becomes of it where that node loses the mesh, if it does not just go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_isolation: Option<String>,
    /// Bytes of standard input; none if it comes by path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin_bytes: Option<u64>,
    pub files: Vec<String>,
    /// What it is to start after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<DependencyInfo>,
    pub trace: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ManifestInfo {
    pub name: String,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptInfo {
    pub number: u32,
    pub node: String,
    pub granted: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoryInfo {
    pub at: String,
    pub node: String,
    pub what: String,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskRow {
    pub task: String,
    pub state: String,
    pub program: String,
    pub placed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    pub attempts: u32,
}

impl From<&TaskSummary> for TaskRow {
    fn from(summary: &TaskSummary) -> Self {
        Self {
            task: summary.task.to_string(),
            state: summary.state.clone(),
            program: summary.program.clone(),
            placed: show_date(summary.placed),
            job: summary.job.map(|(job, _)| job.to_string()),
            index: summary.job.map(|(_, index)| index),
            node: summary.executor.map(|node| node.to_string()),
            attempts: summary.attempts,
        }
    }
}

impl From<&TaskView> for TaskInfo {
    fn from(view: &TaskView) -> Self {
        let register = &view.register;
        let attempt = match &register.state {
            State::Assigned(attempt) => Some(AttemptInfo {
                number: attempt.number,
                node: attempt.executor.to_string(),
                granted: show_date(attempt.granted),
                failed: None,
                why: None,
            }),
            State::Waiting | State::Ended(_) => None,
        };
        let state = match register.ending() {
            Some(ending) => state_name(ending.how),
            None if view.running => "running",
            None => "waiting",
        };
        Self {
            task: view.task.to_string(),
            state: state.to_string(),
            lack: view.lack.as_ref().map(LackInfo::from),
            awaits: view.awaits.iter().map(ToString::to_string).collect(),
            waiting_for: view.waiting_for.iter().map(ToString::to_string).collect(),
            in_force: view.in_force,
            silent: view.silent.iter().map(ToString::to_string).collect(),
            spec: Spec::decode(&view.spec).map(|spec| SpecInfo::from(&spec)).unwrap_or_default(),
            gateway: view.gateway.to_string(),
            placed: show_date(view.placed),
            driver: view.ballot.driver.to_string(),
            term: view.ballot.term,
            version: view.version.0,
            holders: register.holders.iter().map(|holder| holder.node.to_string()).collect(),
            attempt,
            failed: register.failed.iter().map(AttemptInfo::from).collect(),
            result: TaskResult::new(&view.task, register),
            story: view.story.iter().map(StoryInfo::from).collect(),
        }
    }
}

impl From<&mesh_proto::task::FailedAttempt> for AttemptInfo {
    fn from(failed: &mesh_proto::task::FailedAttempt) -> Self {
        Self {
            number: failed.attempt.number,
            node: failed.attempt.executor.to_string(),
            granted: show_date(failed.attempt.granted),
            failed: Some(show_date(failed.at)),
            why: Some(failed.why.clone()),
        }
    }
}

impl From<&mesh_coordinator::StoryLine> for StoryInfo {
    fn from(line: &mesh_coordinator::StoryLine) -> Self {
        Self { at: show_date(line.at), node: line.node.to_string(), what: line.what.clone() }
    }
}

impl From<&Spec> for SpecInfo {
    fn from(spec: &Spec) -> Self {
        let (program, manifest) = match &spec.program {
            Program::Manifest { name, count } => (None, Some(ManifestInfo { name: name.clone(), count: *count })),
            Program::Echo => (Some(ProgramSpec::Echo), None),
            Program::Sleep { ms } => (Some(ProgramSpec::Sleep { ms: *ms }), None),
            Program::Sha256 => (Some(ProgramSpec::Sha256), None),
            Program::Exec(exec) => {
                let env = exec.env.iter().cloned().collect();
                let command =
                    Command { argv: exec.argv.clone(), env, outputs: exec.outputs.clone(), in_place: exec.in_place };
                (Some(ProgramSpec::Exec(command)), None)
            }
            // Only a blob is taken for one.
            Program::Wasm(wasm) => (wasm.module.blob().map(|module| ProgramSpec::Wasm(shown(wasm, module))), None),
            Program::Worker(worker) => {
                let (kind, argv, outputs) = (worker.kind.to_string(), worker.argv.clone(), worker.outputs.clone());
                (Some(ProgramSpec::Worker(WorkerProgram { kind, argv, outputs })), None)
            }
        };
        let key = match &spec.key {
            TaskKey::Own(key) | TaskKey::Item(key, _) | TaskKey::Manifest(key) => show_key(key),
            TaskKey::Replica(of, node) => format!("{of} on {node}"),
            TaskKey::Again(of, node, before) => format!("{of} on {node}, asked for {before} times before"),
        };
        Self {
            principal: spec.principal.clone(),
            key,
            born: show_date(spec.born),
            program,
            manifest,
            job: spec.job.map(|(job, _)| job.to_string()),
            index: spec.job.map(|(_, index)| index),
            priority: show_priority(spec.priority).to_string(),
            time_limit_ms: spec.time_limit_ms,
            deadline: spec.deadline.map(show_date),
            retries: spec.retries,
            require: Some(spec.requirements.to_string()).filter(|text| !text.is_empty()),
            redundancy: (spec.redundancy > 1).then_some(spec.redundancy),
            replica_of: spec.replica_of().map(|(of, _)| of.to_string()),
            strategy: spec.strategy.to_string(),
            on_isolation: (spec.on_isolation != OnIsolation::default()).then(|| spec.on_isolation.name().to_owned()),
            stdin_bytes: Payload::size(&spec.input),
            files: spec.files.iter().map(|file| file.name.clone()).collect(),
            after: DependencyInfo::of(spec),
            trace: data_encoding::HEXLOWER.encode(&spec.trace),
        }
    }
}

fn shown(wasm: &WasmSpec, module: &BlobRef) -> WasmProgram {
    WasmProgram {
        module: module.into(),
        argv: wasm.argv.clone(),
        env: wasm.env.iter().cloned().collect(),
        outputs: wasm.outputs.clone(),
        deterministic: wasm.deterministic,
    }
}

/// A key as text where it is printable, else in hexadecimal.
pub fn show_key(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_string(),
        _ => data_encoding::HEXLOWER.encode(key),
    }
}

fn show_priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Medium => "medium",
        Priority::High => "high",
        Priority::Critical => "critical",
    }
}
