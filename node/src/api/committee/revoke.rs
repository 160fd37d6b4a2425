use super::change::{Changed, DONE, PATIENCE, Wish, carry_out};
use crate::api::{
    Api, Code, Problem,
    extract::{Params, resolve_node},
    order::{Asker, Errand},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use mesh_proto::id::NodeId;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Revoking {
    /// Even the network's maker, without whom nobody can be invited where the ledger names no other. Default false.
    force: Option<bool>,
    /// How long to wait until the change is in effect. Default 60s.
    wait: Option<String>,
}

/// Takes a member out of the network by agreement: nobody lets it in again but by an invitation made since.
///
/// It is in force when the network's maker signs it, or f + 1 members of the committee do: the same is then to be asked
/// of as many of them. One that is of the committee loses its seat first. What is so already is no error.
#[utoipa::path(
    post, path = "/v1/members/{id}/revoke", tag = "mesh",
    params(Revoking, ("id" = String, Path, description = "Peer id, or a unique end of one of at least 8 characters")),
    responses(
        (status = 200, description = "In effect", body = Changed),
        (status = 202, description = "Ordered and not in effect, or others must sign it too", body = Changed),
        (status = 403, description = "Not this node's to move", body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, description = "No quorum", body = Problem)
    )
)]
pub async fn revoke(
    State(api): State<Api>,
    asker: Asker,
    Path(id): Path<String>,
    Params(revoking): Params<Revoking>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let errand = Errand::new(&api, asker, revoking.wait.as_deref(), PATIENCE)?;
    let node = resolve_node(&api, &id).await?;
    if api.ports.membership.is_maker(node) && revoking.force != Some(true) {
        let detail =
            format!("{node} made this network, and invites into it; --force (?force=true) revokes it all the same");
        return Err(Problem::new(Code::Conflict, detail));
    }
    let changed = make(&errand, node).await?;
    let status = if changed.state == DONE { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(changed)))
}

/// Its seat goes first: with that, one that everybody refuses would cost the committee a vote, and in one of two or three
/// the quorum in which anything can be changed again. It goes behind as well, where the committee took it in meanwhile.
async fn make(errand: &Errand<'_>, node: NodeId) -> Result<Changed, Problem> {
    for wish in [Wish::Remove(node), Wish::Revoke(node)] {
        let changed = carry_out(errand, wish, None).await?;
        if changed.state != DONE {
            return Ok(changed);
        }
    }
    carry_out(errand, Wish::Remove(node), None).await
}
