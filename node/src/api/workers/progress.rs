use super::{
    super::{
        Api, Problem,
        extract::{JsonBody, Params},
    },
    OfAttempt, named,
};
use crate::executor::worker::Progress;
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Progressing {
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// For people, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

const TEXT_BYTES: usize = 256;

/// Says how far a task is: `meshd worker list` shows it.
#[utoipa::path(
    post, path = "/v1/workers/{worker}/tasks/{task}/progress", tag = "workers",
    params(OfAttempt, ("worker" = String, Path), ("task" = String, Path)), request_body = Progressing,
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 409, description = "It has it no more, or is not to go on (`cancelled`)", body = Problem)
    )
)]
pub async fn progress(
    State(api): State<Api>,
    Path(names): Path<(String, String)>,
    Params(OfAttempt { attempt }): Params<OfAttempt>,
    JsonBody(Progressing { percent, text }): JsonBody<Progressing>,
) -> Result<StatusCode, Problem> {
    let (id, task) = named(&names)?;
    if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        return Err(Problem::malformed("`percent` is 0 to 100"));
    }
    if text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES || text.chars().any(char::is_control)) {
        return Err(Problem::malformed(format_args!(
            "`text` has at most {TEXT_BYTES} bytes, and no control characters"
        )));
    }
    let done_ppm = percent.map(|percent| (percent * 10_000.0).round() as u32);
    api.ports.workers.progress(id, task, attempt, Progress { done_ppm, text })?;
    Ok(StatusCode::NO_CONTENT)
}
