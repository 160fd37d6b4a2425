use super::change::{Changed, DONE, PATIENCE, Waiting, Wish, carry_out};
use crate::api::{
    Api, Problem,
    extract::{JsonBody, Params},
    order::{Asker, Errand},
    submission::{parse_date, show_date},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use mesh_proto::{
    id::NodeId,
    ledger::{Change, Query, Row},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// On what terms a key may invite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InviterTerms {
    /// How many members it may still let in. Any number if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Invitations of later are not good. For ever if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Its signature alone carries a motion, as the maker's does. Default false.
    pub governs: bool,
}

/// A key that may invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviterInfo {
    /// A peer id: keys of inviters are those of nodes.
    pub node: String,
    pub terms: InviterTerms,
}

/// Who may invite into the network, as the committee says.
#[utoipa::path(
    get, path = "/v1/inviters", tag = "mesh", params(Waiting),
    responses((status = 200, body = Vec<InviterInfo>), (status = 503, body = Problem))
)]
pub async fn list(
    State(api): State<Api>,
    asker: Asker,
    Params(waiting): Params<Waiting>,
) -> Result<Json<Vec<InviterInfo>>, Problem> {
    let errand = Errand::new(&api, asker, waiting.wait(), PATIENCE)?;
    Ok(Json(inviters(&errand).await?.iter().map(InviterInfo::from).collect()))
}

/// Lets a key invite, signed with the key of this node: in force as a change of the committee is.
#[utoipa::path(
    put, path = "/v1/inviters/{id}", tag = "mesh", request_body = InviterTerms,
    params(Waiting, ("id" = String, Path, description = "Peer id")),
    responses(
        (status = 200, description = "In effect", body = Changed),
        (status = 202, description = "Others must sign it too", body = Changed),
        (status = 403, description = "Not this node's to move", body = Problem), (status = 503, body = Problem)
    )
)]
pub async fn add(
    State(api): State<Api>,
    asker: Asker,
    Path(id): Path<String>,
    Params(waiting): Params<Waiting>,
    JsonBody(terms): JsonBody<InviterTerms>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let InviterTerms { uses, until, governs } = terms;
    let until = until.as_deref().map(parse_date).transpose()?;
    let inviter = Inviter { key: id.parse().map_err(Problem::malformed)?, uses, until, governs };
    make(&Errand::new(&api, asker, waiting.wait(), PATIENCE)?, Wish::Invites(inviter)).await
}

/// Lets a key invite no more. Whom it invited stays, if the ledger has let it in.
#[utoipa::path(
    delete, path = "/v1/inviters/{id}", tag = "mesh", params(Waiting, ("id" = String, Path, description = "Peer id")),
    responses(
        (status = 200, description = "In effect", body = Changed),
        (status = 202, description = "Others must sign it too", body = Changed),
        (status = 403, description = "Not this node's to move", body = Problem), (status = 503, body = Problem)
    )
)]
pub async fn remove(
    State(api): State<Api>,
    asker: Asker,
    Path(id): Path<String>,
    Params(waiting): Params<Waiting>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let node = id.parse().map_err(Problem::malformed)?;
    make(&Errand::new(&api, asker, waiting.wait(), PATIENCE)?, Wish::InvitesNoMore(node)).await
}

async fn make(errand: &Errand<'_>, wish: Wish) -> Result<(StatusCode, Json<Changed>), Problem> {
    let changed = carry_out(errand, wish, None).await?;
    let status = if changed.state == DONE { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(changed)))
}

/// A key and its terms, as the ledger has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inviter {
    pub key: NodeId,
    uses: Option<u32>,
    until: Option<mesh_proto::time::Wall>,
    governs: bool,
}

impl Inviter {
    pub fn change(self) -> Change {
        let Self { key, uses, until, governs } = self;
        Change::InviterAdd { key, uses, until, governs }
    }
}

/// All of them.
pub async fn inviters(errand: &Errand<'_>) -> Result<Vec<Inviter>, Problem> {
    let (mut found, mut after) = (Vec::<Inviter>::new(), None);
    loop {
        let answer = errand.query(Query::Inviters { after, limit: u16::MAX }).await?;
        found.extend(answer.rows.iter().filter_map(|row| match *row {
            Row::Inviter { key, uses, until, governs } => Some(Inviter { key, uses, until, governs }),
            _ => None,
        }));
        if !answer.more {
            return Ok(found);
        }
        after = found.last().map(|inviter| inviter.key);
    }
}

impl From<&Inviter> for InviterInfo {
    fn from(inviter: &Inviter) -> Self {
        let Inviter { key, uses, until, governs } = *inviter;
        Self { node: key.to_string(), terms: InviterTerms { uses, until: until.map(show_date), governs } }
    }
}
