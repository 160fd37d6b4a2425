use super::{
    super::{
        Api, Problem,
        extract::{Params, limited},
    },
    named,
};
use crate::executor::Stream;
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
};
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// Only if it is this attempt that the worker has. Default whichever it has.
    attempt: Option<u32>,
    /// `stdout` or `stderr`. Default `stderr`.
    stream: Option<String>,
}

/// Bytes of one request.
const MOST: usize = 1 << 20;

/// Adds to what a task writes, as it is: what `meshd task logs` shows, and what is in its result.
#[utoipa::path(
    post, path = "/v1/workers/{worker}/tasks/{task}/logs", tag = "workers",
    params(Logging, ("worker" = String, Path), ("task" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 409, description = "It has it no more, or is not to go on (`cancelled`)", body = Problem),
        (status = 413, description = "More than 1 MiB at once, or than an output may have", body = Problem)
    )
)]
pub async fn logs(
    State(api): State<Api>,
    Path(names): Path<(String, String)>,
    Params(Logging { attempt, stream }): Params<Logging>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (id, task) = named(&names)?;
    let stream = match stream.as_deref() {
        Some("stdout") => Stream::Stdout,
        Some("stderr") | None => Stream::Stderr,
        Some(_) => return Err(Problem::malformed("`stream` is stdout or stderr")),
    };
    let bytes = limited(request, MOST).await?;
    api.ports.workers.logs(id, task, attempt, stream, bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}
