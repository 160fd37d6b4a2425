use super::super::{
    Api, Problem,
    brain::BrainGone,
    content::escape,
    extract::{Params, parse_wait},
};
use crate::executor::{
    Source,
    worker::{Taken, WorkerId},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Taking {
    /// How long to wait for one, at most 60 s. Default 30s.
    wait: Option<String>,
}

/// A task for the worker that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerOrder {
    pub task: String,
    pub attempt: u32,
    /// Grows with each attempt: what is written elsewhere with it can refuse a lower one.
    pub fence: u64,
    pub kind: String,
    pub argv: Vec<String>,
    /// Standard input, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<InputView>,
    pub files: Vec<NamedInput>,
    /// Files that are to come of it: `PUT …/files/NAME`.
    pub outputs: Vec<String>,
    /// From now on. Then it is over for the mesh, and the worker's next words of it are `cancelled`.
    pub time_limit_ms: u64,
}

/// Bytes of a task: one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64: Option<String>,
    /// Where this node has it, below its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamedInput {
    pub name: String,
    #[serde(flatten)]
    pub content: InputView,
}

/// Longest wait: who asks counts as there for as long.
const MOST: Duration = Duration::from_secs(60);
const USUAL: Duration = Duration::from_secs(30);

/// Gives a worker its next task, waiting for one.
#[utoipa::path(
    post, path = "/v1/workers/{worker}/take", tag = "workers", params(Taking, ("worker" = String, Path)),
    responses(
        (status = 200, body = WorkerOrder), (status = 204, description = "There was none: ask again"),
        (status = 404, body = Problem), (status = 410, description = "It is not attached any more", body = Problem)
    )
)]
pub async fn take(
    State(api): State<Api>,
    Path(worker): Path<String>,
    Params(taking): Params<Taking>,
) -> Result<Response, Problem> {
    let id: WorkerId = worker.parse()?;
    let wait = parse_wait(&api, taking.wait.as_deref())?.unwrap_or(USUAL).min(MOST);
    let taken = tokio::select! {
        taken = api.ports.workers.take(id, wait) => taken?,
        () = api.closing.cancelled() => return Err(BrainGone.into()),
    };
    Ok(match taken {
        Some(taken) => Json(order(id, taken)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

fn order(id: WorkerId, taken: Taken) -> WorkerOrder {
    let Taken { task, attempt, fence, kind, argv, stdin, files, outputs, time_limit } = taken;
    let base = format!("/v1/workers/{id}/tasks/{task}");
    let files = files.into_iter().map(|(name, source)| {
        let url = format!("{base}/files/{}?attempt={attempt}", escape(&name));
        NamedInput { content: view(source, url).unwrap_or_default(), name }
    });
    WorkerOrder {
        task: task.to_string(),
        attempt,
        fence,
        kind,
        argv,
        stdin: view(stdin, format!("{base}/input?attempt={attempt}")),
        files: files.collect(),
        outputs,
        time_limit_ms: u64::try_from(time_limit.as_millis()).unwrap_or(u64::MAX),
    }
}

/// What is small is told at once. An empty file has none of them.
fn view(source: Source, url: String) -> Option<InputView> {
    match source {
        Source::Null => None,
        Source::Inline(bytes) => Some(match String::from_utf8(bytes.to_vec()) {
            Ok(text) => InputView { text: Some(text), ..InputView::default() },
            Err(_) => InputView { b64: Some(BASE64.encode(&bytes)), ..InputView::default() },
        }),
        Source::File(_) => Some(InputView { url: Some(url), ..InputView::default() }),
    }
}
