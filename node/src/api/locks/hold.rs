use super::Granted;
use crate::api::{
    Api, Problem,
    extract::{JsonBody, Params, resolve_node},
    order::{Asker, Errand, PATIENCE},
    submission::show_date,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use mesh_proto::ledger::{Body, Claim, Done, Fence, LockName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Ordering {
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
    /// The `index` of an answer that was had before the key of the request was drawn. Default now.
    born: Option<u64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Releasing {
    /// That of the grant.
    #[param(required = true)]
    fence: u64,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
    /// The `index` of an answer that was had before the key of the request was drawn. Default now.
    born: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Taking {
    /// In agreed time, which may be 20 s ahead of where it was when this was granted: then it is free, unless it was
    /// renewed. 100 ms to a day; default 15,000.
    #[serde(default = "lease")]
    pub lease_ms: u64,
    /// The peer id of the node that uses it. Default this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Renewing {
    /// That of the grant.
    pub fence: u64,
    /// From now on. Default 15,000.
    #[serde(default = "lease")]
    pub lease_ms: u64,
}

fn lease() -> u64 {
    15_000
}

/// Takes a lock, unless somebody holds it.
#[utoipa::path(
    post, path = "/v1/locks/{name}", tag = "locks",
    params(Ordering, ("name" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = Taking,
    responses(
        (status = 201, body = Granted), (status = 409, description = "Held", body = Problem),
        (status = 503, description = "No quorum", body = Problem), (status = 507, description = "Full", body = Problem)
    )
)]
pub async fn take(
    State(api): State<Api>,
    Path(name): Path<String>,
    asker: Asker,
    Params(ordering): Params<Ordering>,
    JsonBody(taking): JsonBody<Taking>,
) -> Result<(StatusCode, Json<Granted>), Problem> {
    let name: LockName = name.parse().map_err(Problem::malformed)?;
    let holder = match taking.holder {
        Some(holder) => resolve_node(&api, &holder).await?,
        None => api.ports.signer.node(),
    };
    let errand = Errand::new(&api, asker, ordering.wait.as_deref(), PATIENCE)?.born(ordering.born);
    let body = Body::Lock { name: name.clone(), holder, lease_ms: taking.lease_ms };
    Ok((StatusCode::CREATED, granted(&errand, name, body).await?))
}

/// Renews a lock from now on, by who took it.
#[utoipa::path(
    put, path = "/v1/locks/{name}", tag = "locks",
    params(Ordering, ("name" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = Renewing,
    responses(
        (status = 200, body = Granted), (status = 403, description = "Another's", body = Problem),
        (status = 409, description = "Not held any more under this number", body = Problem),
        (status = 503, description = "No quorum", body = Problem)
    )
)]
pub async fn renew(
    State(api): State<Api>,
    Path(name): Path<String>,
    asker: Asker,
    Params(ordering): Params<Ordering>,
    JsonBody(renewing): JsonBody<Renewing>,
) -> Result<Json<Granted>, Problem> {
    let name: LockName = name.parse().map_err(Problem::malformed)?;
    let errand = Errand::new(&api, asker, ordering.wait.as_deref(), PATIENCE)?.born(ordering.born);
    let (claim, fence) = (Claim::Lock(name.clone()), Fence(renewing.fence));
    granted(&errand, name, Body::Renew { claim, fence, lease_ms: renewing.lease_ms }).await
}

/// Releases a lock, by who took it.
#[utoipa::path(
    delete, path = "/v1/locks/{name}", tag = "locks",
    params(Releasing, ("name" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 204), (status = 403, description = "Another's", body = Problem),
        (status = 409, description = "Not held any more under this number", body = Problem),
        (status = 503, description = "No quorum", body = Problem)
    )
)]
pub async fn release(
    State(api): State<Api>,
    Path(name): Path<String>,
    asker: Asker,
    Params(releasing): Params<Releasing>,
) -> Result<StatusCode, Problem> {
    let name: LockName = name.parse().map_err(Problem::malformed)?;
    let errand = Errand::new(&api, asker, releasing.wait.as_deref(), PATIENCE)?.born(releasing.born);
    errand.command(Body::Unlock { claim: Claim::Lock(name), fence: Fence(releasing.fence) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn granted(errand: &Errand<'_>, name: LockName, body: Body) -> Result<Json<Granted>, Problem> {
    match errand.command(body).await? {
        (Done::Granted { fence, expires }, at) => {
            Ok(Json(Granted { name: name.to_string(), fence: fence.0, expires: show_date(expires), index: at.0 }))
        }
        _ => Err(Problem::unforeseen()),
    }
}
