//! How a task ended, as users read it.

use super::{
    content::{BlobLink, Shown},
    count::CountInfo,
    submission::show_date,
};
use mesh_proto::{
    id::{NodeId, TaskId},
    task::{Ending, FailureKind, Fault, How, Outcome, Payload, Register, Status},
};
use serde::{Deserialize, Serialize, Serializer};
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// A task's end and what it left. What is text comes as `stdout`, other bytes as `stdout_b64`, large ones as
/// `stdout_blob`; so for `stderr` and the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskResult {
    pub task: String,
    /// `done failed cancelled deadline_passed`
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Why there is neither an exit code nor a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_b64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_blob: Option<BlobLink>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_b64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_blob: Option<BlobLink>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileResult>,
    /// Who ran the attempt that was accepted, and which it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default)]
    pub attempt: u32,
    /// Attempts that came to nothing before, without those that were handed over or given back: nobody had begun them, or it
    /// was nobody's fault.
    #[serde(default)]
    pub failed_attempts: u32,
    #[serde(default)]
    pub cpu_us: u64,
    #[serde(default)]
    pub wall_us: u64,
    /// Of a task that several nodes ran: how they agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<CountInfo>,
    /// RFC 3339.
    pub ended: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// `not_allowed cannot_start time_limit output_too_large resource_limit bad_output input_unavailable lost cancelled
    /// bad_task given_back trap no_majority dependency`
    pub kind: String,
    pub message: String,
}

/// A named output file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileResult {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobLink>,
}

/// A [`TaskResult`] written straight from the record: the same JSON without copying payloads. Streams of results are
/// written by the ten thousand a second.
#[derive(Serialize)]
pub struct ResultLine<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    task: HexText<'a>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_blob: Option<BlobLink>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_blob: Option<BlobLink>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Arc<str>>,
    attempt: u32,
    failed_attempts: usize,
    cpu_us: u64,
    wall_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<CountInfo>,
    ended: String,
}

#[derive(Serialize)]
struct FailureLine<'a> {
    kind: &'static str,
    message: &'a str,
}

/// The texts of peer ids: base58 is slow, and a stream of results names few nodes. Holds as many as there are members.
#[derive(Default)]
pub struct NodeTexts(HashMap<NodeId, Arc<str>>);

impl NodeTexts {
    pub fn text(&mut self, node: NodeId) -> Arc<str> {
        self.0.entry(node).or_insert_with(|| node.to_string().into()).clone()
    }
}

impl<'a> ResultLine<'a> {
    /// The line of an ended task; `None` of one that has not ended.
    pub fn new(task: &'a TaskId, register: &'a Register, nodes: &mut NodeTexts) -> Option<Self> {
        let ending = register.ending()?;
        let mut line = Self::bare(task, ending);
        line.failed_attempts = register.failed.iter().filter(|failed| failed.fault != Fault::Nobody).count();
        if let Some((attempt, node)) = ending.by {
            line.attempt = attempt;
            line.node = Some(nodes.text(node));
        }
        if let Some(outcome) = &ending.outcome {
            line.add(outcome);
        }
        line.count = CountInfo::new(register);
        Some(line)
    }

    /// With what this node found out itself.
    #[must_use]
    pub fn counted(mut self, count: Option<CountInfo>) -> Self {
        self.count = count.or(self.count);
        self
    }

    /// As a line of a job's stream.
    #[must_use]
    pub fn of_item(mut self, index: u64) -> Self {
        self.kind = Some("ended");
        self.index = Some(index);
        self
    }

    fn bare(task: &'a TaskId, ending: &'a Ending) -> Self {
        Self {
            kind: None,
            index: None,
            task: HexText(task.as_bytes()),
            state: state_name(ending.how),
            exit_code: None,
            signal: None,
            failure: None,
            stdout: None,
            stdout_b64: None,
            stdout_blob: None,
            stderr: None,
            stderr_b64: None,
            stderr_blob: None,
            files: Vec::new(),
            node: None,
            attempt: 0,
            failed_attempts: 0,
            cpu_us: 0,
            wall_us: 0,
            count: None,
            ended: show_date(ending.at),
        }
    }

    fn add(&mut self, outcome: &'a Outcome) {
        match &outcome.status {
            Status::Exit(code) => self.exit_code = Some(*code),
            Status::Signal(signal) => self.signal = Some(*signal),
            Status::Failed(failure) => {
                self.failure = Some(FailureLine { kind: failure_name(failure.kind), message: &failure.message });
            }
        }
        match Shown::from(&outcome.stdout) {
            Shown::Text(text) => self.stdout = Some(text),
            Shown::B64(b64) => self.stdout_b64 = Some(b64),
            Shown::Blob(blob) => self.stdout_blob = Some(blob),
            Shown::Path(_) => {}
        }
        match Shown::from(&outcome.stderr) {
            Shown::Text(text) => self.stderr = Some(text),
            Shown::B64(b64) => self.stderr_b64 = Some(b64),
            Shown::Blob(blob) => self.stderr_blob = Some(blob),
            Shown::Path(_) => {}
        }
        self.files = outcome.files.iter().map(file_result).collect();
        self.cpu_us = outcome.cpu_us;
        self.wall_us = outcome.wall_us;
    }
}

impl TaskResult {
    /// `None` of a task that has not ended.
    pub fn new(task: &TaskId, register: &Register) -> Option<Self> {
        let line = ResultLine::new(task, register, &mut NodeTexts::default())?;
        Some(Self {
            task: task.to_string(),
            state: line.state.to_string(),
            exit_code: line.exit_code,
            signal: line.signal,
            failure: line
                .failure
                .map(|failure| FailureView { kind: failure.kind.to_string(), message: failure.message.to_string() }),
            stdout: line.stdout.map(str::to_string),
            stdout_b64: line.stdout_b64,
            stdout_blob: line.stdout_blob,
            stderr: line.stderr.map(str::to_string),
            stderr_b64: line.stderr_b64,
            stderr_blob: line.stderr_blob,
            files: line.files,
            node: line.node.map(|node| node.to_string()),
            attempt: line.attempt,
            failed_attempts: u32::try_from(line.failed_attempts).unwrap_or(u32::MAX),
            cpu_us: line.cpu_us,
            wall_us: line.wall_us,
            count: line.count,
            ended: line.ended,
        })
    }
}

fn file_result((name, payload): &(String, Payload)) -> FileResult {
    let mut file = FileResult { name: name.clone(), ..FileResult::default() };
    match Shown::from(payload) {
        Shown::Text(text) => file.text = Some(text.to_string()),
        Shown::B64(b64) => file.b64 = Some(b64),
        Shown::Blob(blob) => file.blob = Some(blob),
        Shown::Path(_) => {}
    }
    file
}

pub fn state_name(how: How) -> &'static str {
    match how {
        How::Done => "done",
        How::Failed => "failed",
        How::Cancelled => "cancelled",
        How::DeadlinePassed => "deadline_passed",
    }
}

fn failure_name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::NotAllowed => "not_allowed",
        FailureKind::CannotStart => "cannot_start",
        FailureKind::TimeLimit => "time_limit",
        FailureKind::OutputTooLarge => "output_too_large",
        FailureKind::ResourceLimit => "resource_limit",
        FailureKind::BadOutput => "bad_output",
        FailureKind::InputUnavailable => "input_unavailable",
        FailureKind::Lost => "lost",
        FailureKind::Cancelled => "cancelled",
        FailureKind::BadTask => "bad_task",
        FailureKind::GivenBack => "given_back",
        FailureKind::Trap => "trap",
        FailureKind::NoMajority => "no_majority",
        FailureKind::Dependency => "dependency",
    }
}

/// 32 bytes as 64 digits, written without an allocation.
pub struct HexText<'a>(pub &'a [u8; 32]);

impl Serialize for HexText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0u8; 64];
        data_encoding::HEXLOWER.encode_mut(self.0, &mut text);
        match std::str::from_utf8(&text) {
            Ok(text) => serializer.serialize_str(text),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{
        task::{Attempt, FailedAttempt, State},
        time::Wall,
    };

    #[test]
    fn a_streamed_line_reads_as_a_result() {
        let node = NodeId::from_bytes([3; 32]);
        let outcome = Outcome {
            status: Status::Exit(3),
            stdout: Payload::Inline(b"out\n"[..].into()),
            stderr: Payload::Inline([0xff, 0x00][..].into()),
            files: vec![("a/b".into(), Payload::Inline(b"x"[..].into()))],
            cpu_us: 7,
            wall_us: 9,
            seal: None,
            count: None,
        };
        let ending = Ending { how: How::Failed, by: Some((2, node)), outcome: Some(outcome), at: Wall(1_000) };
        let fault = |number, fault| FailedAttempt {
            attempt: Attempt { number, executor: node, granted: Wall(8) },
            at: Wall(9),
            why: String::new(),
            fault,
        };
        let failed = vec![fault(0, Fault::Nobody), fault(1, Fault::Node)];
        let register =
            Register { holders: vec![], joint: None, passed_by: vec![], state: State::Ended(ending), failed };
        let task = TaskId::from_bytes([0xab; 32]);
        let line = ResultLine::new(&task, &register, &mut NodeTexts::default()).unwrap().of_item(5);
        let mut json: serde_json::Value = serde_json::to_value(line).unwrap();
        assert_eq!(json["index"], 5);
        assert_eq!(json["type"], "ended");
        json.as_object_mut().unwrap().retain(|key, _| key != "index" && key != "type");
        let result = TaskResult::new(&task, &register).unwrap();
        assert_eq!(serde_json::from_value::<TaskResult>(json).unwrap(), result);
        assert_eq!(result.stderr_b64.as_deref(), Some("/wA="));
        assert_eq!(result.ended, "1970-01-01T00:00:01Z");
        assert_eq!((result.attempt, result.failed_attempts), (2, 1), "one was handed over");
    }
}
