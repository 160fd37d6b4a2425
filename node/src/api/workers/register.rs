use super::super::{Api, Problem, extract::JsonBody};
use crate::executor::worker::{Registration, WorkerId};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use mesh_proto::capability::Capabilities;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A program that attaches itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Attaching {
    /// For people, at most 64 bytes. It need not be the only one of its name.
    pub name: String,
    /// Whose tasks it takes: `meshd submit --worker KIND`. The node has `worker.KIND` as long as it is there.
    #[schema(min_items = 1, max_items = 16)]
    pub kinds: Vec<String>,
    /// What the node has besides as long as it is there, as `name` or `name=value`. Workers of one kind on a node have the
    /// same. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Tasks that it takes at once, 1 to 1,024; each takes a slot of the node as well. Default 1.
    #[serde(default = "one")]
    pub concurrency: u32,
}

fn one() -> u32 {
    1
}

/// What a worker goes on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attached {
    /// Its id, for the routes below.
    pub worker: String,
    /// Nothing heard of it for so long, it is gone: its tasks go to others, and its id is good no more. Three heartbeats within
    /// this are enough.
    pub lease_ms: u64,
}

/// Attaches a worker to this node.
#[utoipa::path(
    post, path = "/v1/workers", tag = "workers", request_body = Attaching,
    responses(
        (status = 201, body = Attached),
        (status = 403, description = "Workers are off here", body = Problem),
        (status = 409, description = "The node, or another worker of its kind, has something else", body = Problem),
        (status = 503, description = "As many as there may be", body = Problem)
    )
)]
pub async fn register(
    State(api): State<Api>,
    JsonBody(attaching): JsonBody<Attaching>,
) -> Result<(StatusCode, Json<Attached>), Problem> {
    let Attaching { name, kinds, capabilities, concurrency } = attaching;
    let kinds = kinds.iter().map(|kind| kind.parse()).collect::<Result<_, _>>().map_err(Problem::malformed)?;
    let capabilities = Capabilities::parse(capabilities.iter().map(String::as_str)).map_err(Problem::malformed)?;
    let workers = &api.ports.workers;
    let id = workers.register(Registration { name, kinds, capabilities, concurrency })?;
    Ok((StatusCode::CREATED, Json(Attached { worker: id.to_string(), lease_ms: lease_ms(&api) })))
}

/// Detaches a worker: what it has goes to others, and counts against nobody.
#[utoipa::path(
    delete, path = "/v1/workers/{worker}", tag = "workers", params(("worker" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 410, description = "It is not attached any more", body = Problem))
)]
pub async fn detach(State(api): State<Api>, Path(worker): Path<String>) -> Result<StatusCode, Problem> {
    api.ports.workers.detach(worker.parse::<WorkerId>()?)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn lease_ms(api: &Api) -> u64 {
    u64::try_from(api.ports.workers.lease().as_millis()).unwrap_or(u64::MAX)
}
