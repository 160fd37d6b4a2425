use super::lookup::{self, Found};
use crate::api::{Api, Problem, tasks::cancel::cancel_all};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use mesh_proto::id::TaskId;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What came of cancelling a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCancelled {
    pub job: String,
    pub count: u64,
    /// Items that were found and asked to end; those that had ended stay as they are.
    pub asked: u64,
    /// Items that no node in reach knows: not submitted, or forgotten after `tasks.retention`.
    #[serde(default)]
    pub unknown: u64,
    /// The job was being submitted through this node, and no more of it is.
    #[serde(default)]
    pub stopped: bool,
}

/// How long items on their way are waited for before they are asked as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for the end of all items of a job. If it is being submitted through this node no further item is taken.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 202, body = JobCancelled), (status = 404, body = Problem))
)]
pub async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<JobCancelled>), Problem> {
    let job = lookup::find(&api, &id).await?;
    let submission = api.submissions.stop(&job.id);
    // Remembered by batches: a job may have ten million items, of which none may have come.
    let mut lacking = Vec::new();
    let mut next = 0;
    while next < job.count {
        let batch = batch(&api, &job, next);
        if !cancel_all(&api, batch.clone()).await?.is_empty() {
            lacking.push(next);
        }
        next += batch.len() as u64;
    }
    if let Some(ended) = &submission
        && tokio::time::timeout(PATIENCE, ended.cancelled()).await.is_err()
    {
        tracing::debug!(job = %job.id, "a cancelled job has items on their way");
    }
    // What was on its way has come meanwhile, or does not any more.
    let mut unknown = 0;
    for first in lacking {
        unknown += cancel_all(&api, batch(&api, &job, first)).await?.len() as u64;
    }
    let (count, stopped) = (job.count, submission.is_some());
    let cancelled = JobCancelled { job: job.id.to_string(), count, asked: count - unknown, unknown, stopped };
    Ok((StatusCode::ACCEPTED, Json(cancelled)))
}

/// The items that are asked together, from this one on.
fn batch(api: &Api, job: &Found, first: u64) -> Vec<TaskId> {
    let end = first.saturating_add(api.limits.batch as u64).min(job.count);
    (first..end).map(|index| job.item(api, index)).collect()
}
