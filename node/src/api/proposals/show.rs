use super::{ProposalInfo, lookup};
use crate::api::{
    Api, Problem,
    brain::BrainGone,
    extract::{Params, parse_wait},
    order::{Asker, Errand, PATIENCE, look},
};
use axum::{
    Json,
    extract::{Path, State},
};
use lookup::Found;
use mesh_proto::ledger::{ProposalState, Query};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Watching {
    /// Ask a ledger in reach, which may be behind. Default false.
    stale: Option<bool>,
    /// How long to wait for the decision, such as `30s`. Default: not at all.
    wait: Option<String>,
}

/// Shows a proposal, with `wait` once it is decided or the time is over.
#[utoipa::path(
    get, path = "/v1/proposals/{id}", tag = "proposals", params(Watching, ("id" = String, Path, description = "Or a unique prefix of at least 8 digits")),
    responses((status = 200, body = ProposalInfo), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
    asker: Asker,
    Params(watching): Params<Watching>,
) -> Result<Json<ProposalInfo>, Problem> {
    let wait = parse_wait(&api, watching.wait.as_deref())?;
    let errand = Errand::new(&api, asker, None, PATIENCE)?;
    let mut found = lookup::find(&errand, &id, watching.stale).await?;
    if let Some(wait) = wait {
        found = decided(&api, found, Instant::now() + wait).await?;
    }
    Ok(Json(ProposalInfo::new(&found.id, &found.proposal, &found.standing)))
}

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(250);

/// Looks until it is decided or the time is over. A ledger that is behind, or that is not in reach for a while, only
/// makes it later.
async fn decided(api: &Api, mut found: Found, until: Instant) -> Result<Found, Problem> {
    let mut turn = tokio::time::interval(PERIOD);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while found.standing.state == ProposalState::Open {
        tokio::select! {
            _ = turn.tick() => {}
            () = tokio::time::sleep_until(until) => break,
            () = api.closing.cancelled() => return Err(BrainGone.into()),
        }
        if let Ok(answer) = look(api, Query::Proposal(found.id)).await
            && let Some(seen) = answer.rows.into_iter().find_map(Found::of)
        {
            found = seen;
        }
    }
    Ok(found)
}
