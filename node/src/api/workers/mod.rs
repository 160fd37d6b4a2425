//! `/v1/workers`: programs that attach themselves to this node, and their tasks.

pub mod files;
pub mod heartbeat;
pub mod list;
pub mod logs;
pub mod progress;
pub mod register;
pub mod result;
pub mod take;

use super::{Code, Problem};
use crate::executor::worker::{WorkerError, WorkerId};
use mesh_proto::id::TaskId;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OfAttempt {
    /// Only if it is this attempt that the worker has. Default whichever it has.
    attempt: Option<u32>,
}

/// Which worker's which task.
fn named((worker, task): &(String, String)) -> Result<(WorkerId, TaskId), Problem> {
    let task = task.to_ascii_lowercase().parse().map_err(Problem::malformed)?;
    Ok((worker.parse::<WorkerId>()?, task))
}

impl From<WorkerError> for Problem {
    fn from(error: WorkerError) -> Self {
        let code = match &error {
            WorkerError::Off => Code::Forbidden,
            WorkerError::Unknown | WorkerError::NoFile => Code::NotFound,
            WorkerError::Gone(_) => Code::Gone,
            WorkerError::Malformed(_) | WorkerError::Unasked => Code::Malformed,
            WorkerError::TooMany { .. } | WorkerError::TooMuch(_) => Code::TooMany,
            WorkerError::Contradiction { .. } | WorkerError::Unlike { .. } => Code::Conflict,
            WorkerError::NotHeld => Code::NotHeld,
            WorkerError::Stopped(_) => Code::Cancelled,
            WorkerError::TooLarge { .. } => Code::TooLarge,
            WorkerError::NoRoom => Code::Busy,
            WorkerError::Disk(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}
