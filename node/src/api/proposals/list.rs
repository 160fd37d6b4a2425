use super::{ProposalRow, lookup::Found};
use crate::api::{
    Api, Problem,
    extract::Params,
    memory::list::page_limit,
    order::{Asker, Errand, PATIENCE},
};
use axum::{Json, extract::State};
use mesh_proto::ledger::Query;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// From the `next` of the page before.
    cursor: Option<String>,
    /// Default 100, at most 1,000.
    limit: Option<u32>,
    /// Ask a ledger in reach, which may be behind. Default false.
    stale: Option<bool>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalPage {
    pub proposals: Vec<ProposalRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The batch behind which it was so.
    pub index: u64,
}

/// Lists proposals, the open and the last decided, in the order of their ids. A page may be shorter than its limit.
#[utoipa::path(
    get, path = "/v1/proposals", tag = "proposals", params(Filter),
    responses((status = 200, body = ProposalPage), (status = 503, body = Problem))
)]
pub async fn list(
    State(api): State<Api>,
    asker: Asker,
    Params(filter): Params<Filter>,
) -> Result<Json<ProposalPage>, Problem> {
    let after = filter.cursor.map(|cursor| cursor.parse()).transpose().map_err(Problem::malformed)?;
    let errand = Errand::new(&api, asker, filter.wait.as_deref(), PATIENCE)?;
    let answer = errand.read(Query::Proposals { after, limit: page_limit(filter.limit) }, filter.stale).await?;
    let (index, more) = (answer.index.0, answer.more);
    let found: Vec<Found> = answer.rows.into_iter().filter_map(Found::of).collect();
    let next = found.last().map(|found| found.id.to_string()).filter(|_| more);
    let rows = found.iter().map(|found| ProposalRow::new(&found.id, &found.proposal, &found.standing));
    Ok(Json(ProposalPage { proposals: rows.collect(), next, index }))
}
