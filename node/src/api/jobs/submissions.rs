use crate::api::{Code, Problem};
use mesh_proto::id::JobId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio_util::sync::CancellationToken;

/// Jobs that are submitted through this node now, so that a cancellation ends what has no record yet to be cancelled.
///
/// What is fed through another node is not heard of: of that the cancellation finds the items that were placed.
#[derive(Debug, Default)]
pub struct Submissions(Mutex<HashMap<JobId, Weak<Submission>>>);

/// One job's; whoever brings items of it into the brain has a share.
#[derive(Debug, Default)]
pub struct Submission {
    stopped: CancellationToken,
    /// Ends with the last share.
    ended: Ended,
}

#[derive(Debug, Default)]
struct Ended(CancellationToken);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Submissions {
    /// A share of the job's submission, which is the same for all streams of the job.
    pub fn join(&self, job: JobId) -> Arc<Submission> {
        let mut open = self.open();
        open.retain(|_, submission| submission.strong_count() > 0);
        if let Some(submission) = open.get(&job).and_then(Weak::upgrade) {
            return submission;
        }
        let submission = Arc::default();
        open.insert(job, Arc::downgrade(&submission));
        submission
    }

    /// Ends the job's submission, if it is under way; what is returned tells when all shares are gone.
    pub fn stop(&self, job: &JobId) -> Option<CancellationToken> {
        let submission = self.open().get(job).and_then(Weak::upgrade)?;
        submission.stopped.cancel();
        Some(submission.ended.0.clone())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<JobId, Weak<Submission>>> {
        // A lock whose holder panicked still guards plain data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Submission {
    /// Returns once the job is cancelled.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.is_cancelled()
    }
}

/// Why an item of a cancelled job is not taken.
pub fn cancelled() -> Problem {
    Problem::new(Code::Cancelled, "the job was cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_streams_of_a_job_are_stopped_and_a_later_one_is_not() {
        let submissions = Submissions::default();
        let job = JobId::from_bytes([1; 32]);
        assert!(submissions.stop(&job).is_none());
        let (one, two) = (submissions.join(job), submissions.join(job));
        let other = submissions.join(JobId::from_bytes([2; 32]));
        let ended = submissions.stop(&job).unwrap();
        assert!(one.is_stopped() && two.is_stopped() && !other.is_stopped());
        drop(one);
        assert!(!ended.is_cancelled());
        drop(two);
        assert!(ended.is_cancelled());
        assert!(!submissions.join(job).is_stopped());
    }
}
