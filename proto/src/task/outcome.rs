use super::{Count, Payload};
use crate::{bounded, id::NodeId, key::Signature, limits, time::Wall};
use serde::{Deserialize, Serialize};

/// What one execution left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    #[serde(rename = "s")]
    pub status: Status,
    #[serde(rename = "o")]
    pub stdout: Payload,
    #[serde(rename = "e")]
    pub stderr: Payload,
    /// By name, at most [`limits::TASK_FILES`].
    #[serde(
        rename = "f",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::list::<_, _, { limits::TASK_FILES }>"
    )]
    pub files: Vec<(String, Payload)>,
    /// Processor time of the whole process tree, microseconds.
    #[serde(rename = "c")]
    pub cpu_us: u64,
    /// From start to end, microseconds.
    #[serde(rename = "w")]
    pub wall_us: u64,
    /// Of what ran a replica: its executor's signature on [`Outcome::result`].
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub seal: Option<Signature>,
    /// Of a task that several executors ran: what was counted.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub count: Option<Count>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    #[serde(rename = "x")]
    Exit(i32),
    #[serde(rename = "s")]
    Signal(i32),
    #[serde(rename = "f")]
    Failed(Failure),
}

/// Why there is no exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    #[serde(rename = "k")]
    pub kind: FailureKind,
    /// For people; at most [`limits::REASON_BYTES`].
    #[serde(rename = "m", deserialize_with = "bounded::text::<_, { limits::REASON_BYTES }>")]
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureKind {
    /// The executor's operator did not allow the command.
    #[serde(rename = "a")]
    NotAllowed,
    /// No such program, or it cannot be started.
    #[serde(rename = "s")]
    CannotStart,
    /// Ran longer than its time limit.
    #[serde(rename = "t")]
    TimeLimit,
    /// Wrote more than it may.
    #[serde(rename = "o")]
    OutputTooLarge,
    /// More processes, memory or descriptors than it may have.
    #[serde(rename = "r")]
    ResourceLimit,
    /// A named output is missing or not a regular file inside the task's directory.
    #[serde(rename = "n")]
    BadOutput,
    /// An input could not be had.
    #[serde(rename = "i")]
    InputUnavailable,
    /// The executor died, lost its guard or gave the attempt back.
    #[serde(rename = "l")]
    Lost,
    /// Cancelled while it ran.
    #[serde(rename = "c")]
    Cancelled,
    /// What was asked for is refused by every node: a variable that no task may set, arguments that no command can have.
    #[serde(rename = "b")]
    BadTask,
    /// It did not run, or not to its end, and neither the task nor the executor is to blame: it could not be awarded to a
    /// node, or no more.
    #[serde(rename = "g")]
    GivenBack,
    /// The program did what its sandbox ends it for: a trap, as a signal ends a command.
    #[serde(rename = "p")]
    Trap,
    /// Of several executors no majority did the same.
    #[serde(rename = "d")]
    NoMajority,
    /// It never started: what it was to start after did not end well, or is not there.
    #[serde(rename = "e")]
    Dependency,
}

impl FailureKind {
    /// Whether another node might do better. What the task itself does wrong it does wrong everywhere.
    pub fn is_worth_another_node(self) -> bool {
        match self {
            Self::NotAllowed | Self::CannotStart | Self::InputUnavailable | Self::Lost | Self::GivenBack => true,
            Self::TimeLimit
            | Self::OutputTooLarge
            | Self::ResourceLimit
            | Self::BadOutput
            | Self::Cancelled
            | Self::BadTask
            | Self::Trap
            | Self::NoMajority
            | Self::Dependency => false,
        }
    }
}

impl Outcome {
    /// An execution that came to nothing.
    pub fn failed(kind: FailureKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > 512 {
            message = message.chars().take(170).collect();
        }
        Self {
            status: Status::Failed(Failure { kind, message }),
            stdout: Payload::empty(),
            stderr: Payload::empty(),
            files: Vec::new(),
            cpu_us: 0,
            wall_us: 0,
            seal: None,
            count: None,
        }
    }

    /// Whether it says nothing of the program: its node could not run it, or not to its end.
    pub fn is_of_the_node(&self) -> bool {
        matches!(&self.status, Status::Failed(failure) if failure.kind.is_worth_another_node())
    }

    pub fn is_success(&self) -> bool {
        self.status == Status::Exit(0)
    }

    /// Every blob it refers to.
    pub fn blobs(&self) -> impl Iterator<Item = &super::BlobRef> {
        [&self.stdout, &self.stderr]
            .into_iter()
            .chain(self.files.iter().map(|(_, payload)| payload))
            .filter_map(Payload::blob)
    }
}

/// How a task ended: written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    #[serde(rename = "h")]
    pub how: How,
    /// The attempt whose outcome was accepted, and who ran it.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub by: Option<(u32, NodeId)>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::present")]
    pub outcome: Option<Outcome>,
    /// By the driver's clock.
    #[serde(rename = "a")]
    pub at: Wall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum How {
    /// Ran and exited with 0.
    #[serde(rename = "d")]
    Done,
    /// Ran to another end, and no attempt is left.
    #[serde(rename = "f")]
    Failed,
    /// By its user, or for want of what it was to start after.
    #[serde(rename = "c")]
    Cancelled,
    /// The user's deadline passed first.
    #[serde(rename = "l")]
    DeadlinePassed,
}
