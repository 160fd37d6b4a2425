use super::{
    ChoiceName, VoteRow,
    lookup::{self, resolve},
    view::state_name,
};
use crate::api::{
    Api, Problem,
    extract::{JsonBody, Params},
    order::{Asker, Errand, PATIENCE},
};
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_proto::ledger::{Body, Done, Query, Row, Vote};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Voting {
    /// How long the committee is waited for. Default 30s.
    pub(super) wait: Option<String>,
    /// The `index` of an answer that was had before the key of the request was drawn. Default now.
    pub(super) born: Option<u64>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    pub choice: ChoiceName,
    /// The vote counts in this round only. Default the one that is being voted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u16>,
}

/// A vote that was counted, or how a proposal was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Voted {
    pub proposal: String,
    /// How it stands with this: `open accepted rejected expired withdrawn`.
    pub state: String,
    pub index: u64,
    /// Of a vote, whose it is: the peer id of the node that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voter: Option<String>,
}

/// Votes with the key of this node.
#[utoipa::path(
    post, path = "/v1/proposals/{id}/votes", tag = "proposals",
    params(Voting, ("id" = String, Path, description = "Or a unique prefix"), ("Idempotency-Key" = Option<String>, Header)),
    request_body = VoteRequest,
    responses(
        (status = 200, body = Voted), (status = 403, description = "Not of the electorate", body = Problem),
        (status = 404, body = Problem), (status = 409, description = "Decided, voted already, another round", body = Problem),
        (status = 503, description = "No quorum", body = Problem)
    )
)]
pub async fn vote(
    State(api): State<Api>,
    Path(id): Path<String>,
    asker: Asker,
    Params(voting): Params<Voting>,
    JsonBody(request): JsonBody<VoteRequest>,
) -> Result<Json<Voted>, Problem> {
    let errand = Errand::new(&api, asker, voting.wait.as_deref(), PATIENCE)?.born(voting.born);
    let (proposal, round) = match request.round {
        Some(round) => (resolve(&errand, &id).await?, round),
        None => {
            let found = lookup::find(&errand, &id, None).await?;
            (found.id, found.standing.round)
        }
    };
    let signed = api.ports.signer.vote(Vote { proposal, round, choice: request.choice.into() });
    match errand.command(Body::Vote(signed)).await? {
        (Done::Voted(state), at) => {
            let voter = Some(api.ports.signer.node().to_string());
            Ok(Json(Voted { proposal: proposal.to_string(), state: state_name(state).to_string(), index: at.0, voter }))
        }
        _ => Err(Problem::unforeseen()),
    }
}

/// The votes of the round that is being voted, or was the last.
#[utoipa::path(
    get, path = "/v1/proposals/{id}/votes", tag = "proposals", params(Reading, ("id" = String, Path, description = "Or a unique prefix")),
    responses((status = 200, body = Vec<VoteRow>), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub async fn votes(
    State(api): State<Api>,
    Path(id): Path<String>,
    asker: Asker,
    Params(reading): Params<Reading>,
) -> Result<Json<Vec<VoteRow>>, Problem> {
    let errand = Errand::new(&api, asker, reading.wait.as_deref(), PATIENCE)?;
    // One without votes is told from one that is not there.
    let found = lookup::find(&errand, &id, reading.stale).await?;
    let answer = errand.read(Query::Votes(found.id), reading.stale).await?;
    let votes = answer.rows.iter().filter_map(|row| match row {
        Row::Vote(signed) => Some(VoteRow::from(signed)),
        _ => None,
    });
    Ok(Json(votes.collect()))
}
