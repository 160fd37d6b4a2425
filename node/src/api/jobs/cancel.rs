use super::lookup;
use crate::api::{Api, Problem, tasks::cancel::cancel_all};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What came of cancelling a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobCancelled {
    pub job: String,
    pub count: u64,
    /// Items that were found and asked to end; those that had ended stay as they are.
    pub asked: u64,
}

/// Asks for the end of all items of a job.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 202, body = JobCancelled), (status = 404, body = Problem))
)]
pub async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<JobCancelled>), Problem> {
    let job = lookup::find(&api, &id).await?;
    let mut asked = 0;
    let mut next = 0;
    while next < job.count {
        let end = next.saturating_add(api.limits.batch as u64).min(job.count);
        asked += cancel_all(&api, (next..end).map(|index| job.item(&api, index)).collect()).await?;
        next = end;
    }
    Ok((StatusCode::ACCEPTED, Json(JobCancelled { job: job.id.to_string(), count: job.count, asked })))
}
