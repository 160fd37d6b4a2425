use super::{
    decided::{decided, not_ended},
    submit::{ended, result_of},
};
use crate::api::{
    Api, Code, Problem,
    blobs::stream_blob,
    count::check,
    extract::{Params, parse_wait, resolve_task},
    result::TaskResult,
    tasks::show::view,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mesh_coordinator::Command;
use mesh_proto::{
    id::TaskId,
    task::{Outcome, Payload},
};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// How long to wait for the end, such as `30s`. Default: not at all.
    wait: Option<String>,
}

/// How a task ended and what it left.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/result", tag = "tasks", params(Wait, ("id" = String, Path, description = "Or a unique prefix")),
    responses(
        (status = 200, body = TaskResult),
        (status = 404, body = Problem),
        (status = 409, description = "Not ended yet, or not known to hold", body = Problem),
    )
)]
pub async fn result(
    State(api): State<Api>,
    Path(id): Path<String>,
    Params(params): Params<Wait>,
) -> Result<Json<TaskResult>, Problem> {
    let wait = parse_wait(&api, params.wait.as_deref())?;
    let task = resolve_task(&api, &id).await?;
    let found = match wait {
        Some(wait) => followed(&api, task, wait).await?,
        None => {
            let view = view(&api, task).await?;
            match decided(&api, &view).await? {
                Some(register) => result_of(&api, &task, Some(&view.spec), &register).await,
                None => None,
            }
        }
    };
    found.map(Json).ok_or_else(|| not_ended(task))
}

/// A task's standard output, as it is.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/stdout", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn stdout(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    output(&api, &id, |outcome| Some(&outcome.stdout)).await
}

/// A task's standard error, as it is.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/stderr", tag = "tasks", params(("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn stderr(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    output(&api, &id, |outcome| Some(&outcome.stderr)).await
}

/// A named output file of a task, as it is.
#[utoipa::path(
    get, path = "/v1/tasks/{id}/files/{name}", tag = "tasks",
    params(("id" = String, Path, description = "Or a unique prefix"), ("name" = String, Path, description = "As in the task; slashes as %2F")),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn file(State(api): State<Api>, Path((id, name)): Path<(String, String)>) -> Result<Response, Problem> {
    output(&api, &id, |outcome| outcome.files.iter().find(|(file, _)| *file == name).map(|(_, content)| content)).await
}

async fn followed(api: &Api, task: TaskId, wait: Duration) -> Result<Option<TaskResult>, Problem> {
    // What was asked for is known before it has ended, where it is known at all: by that it is counted.
    let known = tokio::time::timeout(wait, view(api, task)).await;
    let given = known.ok().and_then(Result::ok).map(|view| view.spec);
    let mut answers = api.ports.brain.ask(Command::Follow { tasks: vec![task] }).await?;
    ended(api, &mut answers, given.as_ref(), wait).await
}

async fn output(api: &Api, id: &str, pick: impl Fn(&Outcome) -> Option<&Payload>) -> Result<Response, Problem> {
    let task = resolve_task(api, id).await?;
    let view = view(api, task).await?;
    let register = decided(api, &view).await?.ok_or_else(|| not_ended(task))?;
    let ending = register.ending().ok_or_else(|| not_ended(task))?;
    if let Some(Err(why)) = check(&*api.ports.brain, &api.network, &task, Some(&view.spec), &register).await {
        let detail = format!("the result of task {task} is not to be trusted, by the count of this node: {why}");
        return Err(Problem::new(Code::Unverified, detail));
    }
    let outcome =
        ending.outcome.as_ref().ok_or_else(|| Problem::new(Code::NotFound, "the task ended without a run"))?;
    let payload = pick(outcome).ok_or_else(|| Problem::new(Code::NotFound, "the task left no file of that name"))?;
    match payload {
        Payload::Inline(bytes) => Ok(octets(Body::from(bytes.to_vec()))),
        Payload::Blob(blob) => stream_blob(api, blob.id, &blob.nodes, None).await,
        Payload::Path(path) => {
            Err(Problem::new(Code::NotFound, format!("the output is at {path} on the shared file system")))
        }
    }
}

fn octets(body: Body) -> Response {
    let content_type: (HeaderName, HeaderValue) =
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    (StatusCode::OK, [content_type], body).into_response()
}
