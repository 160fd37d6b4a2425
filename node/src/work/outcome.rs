//! What the executors say, as the record has it.

use crate::executor::{Failure, Outcome as Ran, Output, Status as RanStatus};
use mesh_proto::task::{Failure as Kept, FailureKind, INLINE_LIMIT, Octets, Outcome, Payload, Status};
use std::time::Duration;

/// Bytes of all outputs in a record together; above it the larger ones are blobs.
pub const INLINE_TOTAL: usize = 64 * 1024;

/// The outcome as it is, if all its outputs fit into the record.
pub fn all_inline(ran: &Ran) -> Option<Outcome> {
    let all = || [&ran.stdout, &ran.stderr].into_iter().chain(ran.files.iter().map(|(_, output)| output));
    let total: u64 = all().map(Output::len).sum();
    if total > INLINE_TOTAL as u64 {
        return None;
    }
    let stdout = inline(&ran.stdout)?;
    let stderr = inline(&ran.stderr)?;
    let files = ran.files.iter().map(|(name, output)| Some((name.clone(), inline(output)?))).collect::<Option<_>>()?;
    Some(outcome(ran, stdout, stderr, files))
}

/// The bytes, if the executors have them in memory and a record may hold them.
pub fn inline(output: &Output) -> Option<Payload> {
    match output {
        Output::Inline(bytes) if bytes.len() <= INLINE_LIMIT => Some(Payload::Inline(Octets::from(bytes.as_ref()))),
        Output::Inline(_) | Output::File { .. } => None,
    }
}

pub fn outcome(ran: &Ran, stdout: Payload, stderr: Payload, files: Vec<(String, Payload)>) -> Outcome {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let status = match &ran.status {
        RanStatus::Exit(code) => Status::Exit(*code),
        RanStatus::Signal(signal) => Status::Signal(*signal),
        RanStatus::Failed(failure) => {
            let message = failure.to_string().chars().take(170).collect();
            Status::Failed(Kept { kind: kind(failure), message })
        }
    };
    Outcome {
        status,
        stdout,
        stderr,
        files,
        cpu_us: micros(ran.cpu),
        wall_us: micros(ran.wall),
        seal: None,
        count: None,
    }
}

fn kind(failure: &Failure) -> FailureKind {
    match failure {
        Failure::NotAllowed { .. } => FailureKind::NotAllowed,
        Failure::ProgramMissing { .. }
        | Failure::NotExecutable { .. }
        | Failure::ProgramTooLarge { .. }
        | Failure::CompilerMemory { .. }
        | Failure::CompilerTime { .. }
        | Failure::CodeTooLarge { .. } => FailureKind::CannotStart,
        Failure::BadPath { .. }
        | Failure::TooManyFiles { .. }
        | Failure::TooLong { .. }
        | Failure::BadArguments
        | Failure::BadVariable { .. }
        | Failure::NotAProgram { .. } => FailureKind::BadTask,
        Failure::Trap { .. } => FailureKind::Trap,
        Failure::TimeLimit { .. } => FailureKind::TimeLimit,
        Failure::OutputTooLarge { .. } | Failure::FileTooLarge { .. } | Failure::FilesTooLarge { .. } => {
            FailureKind::OutputTooLarge
        }
        Failure::TooManyProcesses { .. }
        | Failure::MemoryLimit { .. }
        | Failure::CpuLimit { .. }
        | Failure::TreeTooDeep => FailureKind::ResourceLimit,
        Failure::OutputMissing { .. } | Failure::OutputRefused { .. } => FailureKind::BadOutput,
        Failure::Cancelled => FailureKind::Cancelled,
        // Nothing of it ran, or who ran it says so.
        Failure::NoWorker { .. } | Failure::NotTaken { .. } | Failure::GivenBack { .. } => FailureKind::GivenBack,
        Failure::DiskFull { .. }
        | Failure::Prepare { .. }
        | Failure::LeaseLost { .. }
        | Failure::GuardLost
        | Failure::WorkerLost { .. }
        | Failure::GuardUnavailable { .. } => FailureKind::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_everywhere_is_tried_on_one_node() {
        for failure in [
            Failure::BadVariable { name: "PATH".into() },
            Failure::BadArguments,
            Failure::BadPath { path: "../a".into() },
            Failure::TooManyFiles { count: 2, limit: 1 },
            Failure::TooLong { what: "arguments".into(), bytes: 2, limit: 1 },
            Failure::NotAProgram { why: "it does not begin as one".into() },
        ] {
            assert_eq!(kind(&failure), FailureKind::BadTask, "{failure}");
            assert!(!kind(&failure).is_worth_another_node(), "{failure}");
        }
        for above in [
            Failure::ProgramTooLarge { bytes: 2, limit: 1 },
            Failure::CompilerMemory { limit: 1 },
            Failure::CompilerTime { limit_s: 1 },
            Failure::CodeTooLarge { bytes: 2, limit: 1 },
        ] {
            assert!(kind(&above).is_worth_another_node(), "another node may take larger ones: {above}");
        }
        let missing = Failure::ProgramMissing { program: "/bin/x".into() };
        assert!(kind(&missing).is_worth_another_node(), "another node may have it");
    }
}
