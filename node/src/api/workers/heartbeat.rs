use super::{
    super::{Api, Problem, extract::OptionalJson},
    register::lease_ms,
};
use crate::executor::worker::WorkerId;
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_proto::id::TaskId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a worker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Alive {
    /// All tasks that it has. What it was given more than 5 s before and does not name it never heard of, and that goes to
    /// another. Default: it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<String>>,
}

/// What a worker is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Heard {
    pub lease_ms: u64,
    /// Tasks of it that are not to go on: cancelled, or over their time. They take a place of it until it says of each that it
    /// ended or is released, whose answer then is `cancelled`.
    pub cancelled: Vec<String>,
}

/// Says that a worker is there. Whatever else it asks says so as well.
#[utoipa::path(
    post, path = "/v1/workers/{worker}/heartbeat", tag = "workers", params(("worker" = String, Path)),
    request_body(content = Option<Alive>),
    responses(
        (status = 200, body = Heard), (status = 404, body = Problem),
        (status = 410, description = "It is not attached any more", body = Problem)
    )
)]
pub async fn heartbeat(
    State(api): State<Api>,
    Path(worker): Path<String>,
    OptionalJson(alive): OptionalJson<Alive>,
) -> Result<Json<Heard>, Problem> {
    let tasks = alive.tasks.map(|tasks| tasks.iter().map(|task| task.parse()).collect::<Result<Vec<TaskId>, _>>());
    let tasks = tasks.transpose().map_err(Problem::malformed)?;
    let stopped = api.ports.workers.heartbeat(worker.parse::<WorkerId>()?, tasks.as_deref())?;
    Ok(Json(Heard { lease_ms: lease_ms(&api), cancelled: stopped.iter().map(ToString::to_string).collect() }))
}
