use super::{CommitteeInfo, view::Seen};
use crate::api::{
    Api, Problem,
    extract::Params,
    order::{Asker, Errand, PATIENCE},
};
use axum::{Json, extract::State};
use mesh_proto::ledger::Query;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Ask a ledger in reach, which may be behind. Default false.
    stale: Option<bool>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
}

/// Who agrees for the mesh, as the committee itself says it.
#[utoipa::path(
    get, path = "/v1/committee", tag = "committee", params(Reading),
    responses((status = 200, body = CommitteeInfo), (status = 503, body = Problem))
)]
pub async fn show(
    State(api): State<Api>,
    asker: Asker,
    Params(reading): Params<Reading>,
) -> Result<Json<CommitteeInfo>, Problem> {
    let errand = Errand::new(&api, asker, reading.wait.as_deref(), PATIENCE)?;
    let answer = errand.read(Query::Committee, reading.stale).await?;
    let seen = Seen::of(answer).ok_or_else(Problem::unforeseen)?;
    Ok(Json(CommitteeInfo::from(&seen)))
}

/// The same for whoever changes it.
pub async fn see(errand: &Errand<'_>) -> Result<Seen, Problem> {
    Seen::of(errand.query(Query::Committee).await?).ok_or_else(Problem::unforeseen)
}
