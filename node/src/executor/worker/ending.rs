//! How an execution comes to its end without its worker's word.

use super::{Job, attached::Held, output::Output};
use crate::executor::outcome::Failure;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How an execution came to its end without its worker's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// No worker of its kind is there any more, and it had none.
    NoWorker,
    NotTaken,
    /// Its worker is gone, or has gone in good order and gives back what it had.
    Lost(String),
    GivenBack(String),
    TimeLimit,
    Cancelled,
}

/// An execution that is over.
pub(super) struct End {
    pub job: Arc<Job>,
    /// Of who had it: what came of it so far, and since when it had it.
    pub had: Option<(Arc<Output>, Instant)>,
    pub ending: Ending,
}

impl End {
    pub fn of_held(held: Held, ending: Ending) -> Self {
        Self { job: held.job, had: Some((held.output, held.taken)), ending }
    }
}

impl Ending {
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoWorker | Self::GivenBack(_) => "given_back",
            Self::NotTaken => "not_taken",
            Self::Lost(_) => "lost",
            Self::TimeLimit => "time_limit",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn failure(self, job: &Job, untaken: Duration) -> Failure {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::NoWorker => Failure::NoWorker { kind: job.kind.to_string() },
            Self::NotTaken => Failure::NotTaken { kind: job.kind.to_string(), waited_ms: millis(untaken) },
            Self::Lost(why) => Failure::WorkerLost { why },
            Self::GivenBack(why) => Failure::GivenBack { why },
            Self::TimeLimit => Failure::TimeLimit { limit_ms: millis(job.run.time_limit) },
            Self::Cancelled => Failure::Cancelled,
        }
    }
}
