use super::{
    super::{
        Api, Code, Problem,
        extract::{JsonBody, OptionalJson, Params},
    },
    OfAttempt, named,
};
use crate::executor::worker::Brought;
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What came of a task. At most one of each `stdout*`, and of each `stderr*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerResult {
    /// 0 is success; 0 to 255. Default 0.
    #[serde(default)]
    pub exit_code: u8,
    /// Behind what was sent as `logs?stream=stdout`. What is large is sent so, a piece at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_b64: Option<String>,
    /// Behind what was sent as logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_b64: Option<String>,
    /// Processor time that it took, in microseconds, below 2^53. Default 0.
    #[serde(default)]
    pub cpu_us: u64,
}

/// What JSON says exactly: 285 years. Beyond it no worker means what it says.
const CPU_US: u64 = (1 << 53) - 1;

/// Why a worker does not do a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Releasing {
    /// For people, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Ends a task with what came of it. A repeat is harmless, with `?attempt=`.
#[utoipa::path(
    post, path = "/v1/workers/{worker}/tasks/{task}/result", tag = "workers",
    params(OfAttempt, ("worker" = String, Path), ("task" = String, Path)), request_body = WorkerResult,
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 409, description = "It has it no more, or should have stopped (`cancelled`): the result is not wanted", body = Problem),
        (status = 410, description = "The worker is not attached any more: the result is not wanted", body = Problem)
    )
)]
pub async fn result(
    State(api): State<Api>,
    Path(names): Path<(String, String)>,
    Params(OfAttempt { attempt }): Params<OfAttempt>,
    JsonBody(result): JsonBody<WorkerResult>,
) -> Result<StatusCode, Problem> {
    let (id, task) = named(&names)?;
    if result.cpu_us > CPU_US {
        return Err(Problem::malformed(format_args!("{} µs of processor time, above {CPU_US}", result.cpu_us)));
    }
    let WorkerResult { exit_code, stdout, stdout_b64, stderr, stderr_b64, cpu_us } = result;
    let (stdout, stderr) = (bytes("stdout", stdout, stdout_b64)?, bytes("stderr", stderr, stderr_b64)?);
    let brought = Brought { exit_code: exit_code.into(), stdout, stderr, cpu_us };
    api.ports.workers.result(id, task, attempt, brought).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a task back: it goes to another worker, and that counts against nobody.
#[utoipa::path(
    post, path = "/v1/workers/{worker}/tasks/{task}/release", tag = "workers",
    params(OfAttempt, ("worker" = String, Path), ("task" = String, Path)), request_body(content = Option<Releasing>),
    responses(
        (status = 204), (status = 404, body = Problem),
        (status = 409, description = "It has it no more, or should have stopped (`cancelled`)", body = Problem)
    )
)]
pub async fn release(
    State(api): State<Api>,
    Path(names): Path<(String, String)>,
    Params(OfAttempt { attempt }): Params<OfAttempt>,
    OptionalJson(Releasing { why }): OptionalJson<Releasing>,
) -> Result<StatusCode, Problem> {
    let (id, task) = named(&names)?;
    let why = why.map(|why| why.chars().filter(|letter| !letter.is_control()).take(200).collect());
    api.ports.workers.release(id, task, attempt, why)?;
    Ok(StatusCode::NO_CONTENT)
}

fn bytes(what: &str, text: Option<String>, b64: Option<String>) -> Result<Bytes, Problem> {
    match (text, b64) {
        (None, None) => Ok(Bytes::new()),
        (Some(text), None) => Ok(text.into()),
        (None, Some(b64)) => {
            let decoded = BASE64.decode(b64.as_bytes()).map(Bytes::from);
            decoded.map_err(|error| Problem::malformed(format_args!("{what} is not base64: {error}")))
        }
        (Some(_), Some(_)) => {
            Err(Problem::new(Code::Malformed, format!("{what} is given twice: as text and as base64")))
        }
    }
}
