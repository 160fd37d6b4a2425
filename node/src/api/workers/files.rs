use super::{
    super::{Api, Problem, extract::Params},
    OfAttempt, named,
};
use crate::executor::worker::Opened;
use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio_util::io::ReaderStream;

/// The standard input of a task that a worker has.
#[utoipa::path(
    get, path = "/v1/workers/{worker}/tasks/{task}/input", tag = "workers",
    params(OfAttempt, ("worker" = String, Path), ("task" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn input(
    State(api): State<Api>,
    Path(names): Path<(String, String)>,
    Params(OfAttempt { attempt }): Params<OfAttempt>,
) -> Result<Response, Problem> {
    let (id, task) = named(&names)?;
    Ok(content(api.ports.workers.open(id, task, attempt, None).await?))
}

/// An input file of a task that a worker has.
#[utoipa::path(
    get, path = "/v1/workers/{worker}/tasks/{task}/files/{name}", tag = "workers",
    params(OfAttempt, ("worker" = String, Path), ("task" = String, Path), ("name" = String, Path, description = "Slashes as %2F")),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn get(
    State(api): State<Api>,
    Path((worker, task, name)): Path<(String, String, String)>,
    Params(OfAttempt { attempt }): Params<OfAttempt>,
) -> Result<Response, Problem> {
    let (id, task) = named(&(worker, task))?;
    Ok(content(api.ports.workers.open(id, task, attempt, Some(name)).await?))
}

/// A file that comes of a task: one of its `outputs`. It is there when all of it has come.
#[utoipa::path(
    put, path = "/v1/workers/{worker}/tasks/{task}/files/{name}", tag = "workers",
    params(OfAttempt, ("worker" = String, Path), ("task" = String, Path), ("name" = String, Path, description = "Slashes as %2F")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 204), (status = 400, description = "The task asks for no such file", body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It has it no more, or is not to go on (`cancelled`)", body = Problem),
        (status = 413, description = "More than a file, or all of them, may have", body = Problem)
    )
)]
pub async fn put(
    State(api): State<Api>,
    Path((worker, task, name)): Path<(String, String, String)>,
    Params(OfAttempt { attempt }): Params<OfAttempt>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (id, task) = named(&(worker, task))?;
    let body = request.into_body().into_data_stream();
    let ended = api.ports.workers.file((id, task, attempt), &name, body).await?;
    ended.map_err(|error| Problem::malformed(format_args!("the body ended early: {error}")))?;
    Ok(StatusCode::NO_CONTENT)
}

fn content(opened: Opened) -> Response {
    let kind = (header::CONTENT_TYPE, "application/octet-stream".to_owned());
    match opened {
        Opened::Bytes(bytes) => ([kind], bytes).into_response(),
        Opened::File { file, len } => {
            let file = tokio::fs::File::from_std(file);
            ([kind, (header::CONTENT_LENGTH, len.to_string())], Body::from_stream(ReaderStream::new(file)))
                .into_response()
        }
    }
}
