use super::LockRow;
use crate::api::{
    Api, Code, Problem,
    extract::Params,
    memory::list::page_limit,
    order::{Asker, Errand, PATIENCE},
};
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_proto::ledger::{Claim, LockName, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only names behind this one: the `next` of the page before.
    after: Option<String>,
    /// Default 100, at most 1,000.
    limit: Option<u32>,
    /// Ask a ledger in reach, which may be behind. Default false.
    stale: Option<bool>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Ask a ledger in reach, which may be behind. Default false.
    stale: Option<bool>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockPage {
    pub locks: Vec<LockRow>,
    /// Give it as `after` for what follows; none on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The batch behind which it was so.
    pub index: u64,
}

/// Lists the locks that are held, in the order of their names.
#[utoipa::path(
    get, path = "/v1/locks", tag = "locks", params(Filter),
    responses((status = 200, body = LockPage), (status = 503, body = Problem))
)]
pub async fn list(
    State(api): State<Api>,
    asker: Asker,
    Params(filter): Params<Filter>,
) -> Result<Json<LockPage>, Problem> {
    let after = filter.after.map(|after| after.parse()).transpose().map_err(Problem::malformed)?;
    let errand = Errand::new(&api, asker, filter.wait.as_deref(), PATIENCE)?;
    let answer = errand.read(Query::Locks { after, limit: page_limit(filter.limit) }, filter.stale).await?;
    let locks: Vec<LockRow> = answer.rows.iter().filter_map(LockRow::of).collect();
    let next = locks.last().map(|lock| lock.name.clone()).filter(|_| answer.more);
    Ok(Json(LockPage { locks, next, index: answer.index.0 }))
}

/// Who holds a lock.
#[utoipa::path(
    get, path = "/v1/locks/{name}", tag = "locks", params(Reading, ("name" = String, Path)),
    responses((status = 200, body = LockRow), (status = 404, description = "It is free", body = Problem), (status = 503, body = Problem))
)]
pub async fn show(
    State(api): State<Api>,
    Path(name): Path<String>,
    asker: Asker,
    Params(reading): Params<Reading>,
) -> Result<Json<LockRow>, Problem> {
    let name: LockName = name.parse().map_err(Problem::malformed)?;
    let errand = Errand::new(&api, asker, reading.wait.as_deref(), PATIENCE)?;
    let answer = errand.read(Query::Claim(Claim::Lock(name.clone())), reading.stale).await?;
    let found = answer.rows.iter().find_map(LockRow::of);
    found.map(Json).ok_or_else(|| Problem::new(Code::NotFound, format!("nobody holds {name}")))
}
