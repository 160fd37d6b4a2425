use super::{
    lookup::resolve,
    view::state_name,
    votes::{Voted, Voting},
};
use crate::api::{
    Api, Problem,
    extract::Params,
    order::{Asker, Errand, PATIENCE},
};
use axum::{
    Json,
    extract::{Path, State},
};
use mesh_proto::ledger::{Body, Done};

/// Takes a proposal back; only its proposer may.
#[utoipa::path(
    post, path = "/v1/proposals/{id}/close", tag = "proposals",
    params(Voting, ("id" = String, Path, description = "Or a unique prefix"), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = Voted), (status = 403, description = "Another's", body = Problem), (status = 404, body = Problem),
        (status = 409, description = "Decided", body = Problem), (status = 503, description = "No quorum", body = Problem)
    )
)]
pub async fn close(
    State(api): State<Api>,
    Path(id): Path<String>,
    asker: Asker,
    Params(voting): Params<Voting>,
) -> Result<Json<Voted>, Problem> {
    let errand = Errand::new(&api, asker, voting.wait.as_deref(), PATIENCE)?.born(voting.born);
    let proposal = resolve(&errand, &id).await?;
    match errand.command(Body::Close(proposal)).await? {
        (Done::Voted(state), at) => Ok(Json(Voted {
            proposal: proposal.to_string(),
            state: state_name(state).to_string(),
            index: at.0,
            voter: None,
        })),
        _ => Err(Problem::unforeseen()),
    }
}
