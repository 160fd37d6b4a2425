use super::{
    CommitteeInfo,
    inviters::{Inviter, inviters},
    recruit::recruit,
    show::see,
    view::{AutoInfo, Seen},
};
use crate::api::{
    Api, Code, Problem,
    extract::{JsonBody, Params, resolve_node},
    order::{Asker, Errand},
};
use axum::{Json, extract::State, http::StatusCode};
use mesh_proto::{
    id::NodeId,
    ledger::{Auto, Body, Change, Done, Motion, Outcome, Query, Rejection, Row},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// How long to wait until the change is in effect. Default 60s.
    wait: Option<String>,
}

impl Waiting {
    pub fn wait(&self) -> Option<&str> {
        self.wait.as_deref()
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ChangeRequest {
    /// A peer id, or a unique end of one of at least 8 characters.
    Add(String),
    /// The same.
    Remove(String),
    Auto(AutoInfo),
}

/// How far a change has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// `done`; `pending`: it is ordered, and waits for the next checkpoint; `seconded`: this node has signed it, and
    /// others must.
    pub state: String,
    /// Of members that have signed it; missing where it needs no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<u8>,
    pub committee: CommitteeInfo,
}

/// The state of a change that is in effect.
pub const DONE: &str = "done";

pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the ledger.
const PERIOD: Duration = Duration::from_millis(250);

/// Changes the committee, signed with the key of this node.
///
/// It is in force when the network's maker signs it, or f + 1 members of the committee do: the same is then to be asked
/// of as many of them. A node that is added follows the committee first. What is so already is no error.
#[utoipa::path(
    post, path = "/v1/committee", tag = "committee", params(Waiting), request_body = ChangeRequest,
    responses(
        (status = 200, description = "In effect", body = Changed),
        (status = 202, description = "Ordered and not in effect, or others must sign it too", body = Changed),
        (status = 403, description = "Not this node's to move", body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, description = "No quorum, or the node does not follow", body = Problem)
    )
)]
pub async fn change(
    State(api): State<Api>,
    asker: Asker,
    Params(waiting): Params<Waiting>,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<(StatusCode, Json<Changed>), Problem> {
    let errand = Errand::new(&api, asker, waiting.wait.as_deref(), PATIENCE)?;
    let wish = match request {
        ChangeRequest::Add(node) => Wish::Add(resolve_node(&api, &node).await?),
        ChangeRequest::Remove(node) => Wish::Remove(resolve_seat(&errand, &node).await?),
        ChangeRequest::Auto(auto) => Wish::Auto(Auto { on: auto.on, max: auto.max }),
    };
    let changed = carry_out(&errand, wish, None).await?;
    let status = if changed.state == DONE { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(changed)))
}

/// Makes it so, as far as this node can. `planned`: only while as many motions are in force as when it was found to be
/// called for; what another brought about meanwhile may call for something else.
pub async fn carry_out(errand: &Errand<'_>, wish: Wish, planned: Option<u64>) -> Result<Changed, Problem> {
    let seen = see(errand).await?;
    if wish.is_met(errand, &seen).await? {
        return Ok(done(&seen));
    }
    if planned.is_some_and(|serial| serial != seen.serial) {
        return Err((&Rejection::Overtaken { serial: seen.serial }).into());
    }
    let change = match wish {
        Wish::Add(node) => Change::CommitteeAdd(recruit(errand, node).await?),
        Wish::Remove(node) => Change::CommitteeRemove(node),
        Wish::Auto(auto) => Change::CommitteeAuto(auto),
        Wish::Revoke(node) => Change::Revoke(node),
        Wish::Invites(inviter) => inviter.change(),
        Wish::InvitesNoMore(key) => Change::InviterRemove(key),
    };
    match moved(errand, &wish, change, planned).await? {
        Some((signed, needed)) => {
            let committee = CommitteeInfo::from(&see(errand).await?);
            Ok(Changed { state: "seconded".to_string(), signed: Some(signed), needed: Some(needed), committee })
        }
        None => in_effect(errand, &wish).await,
    }
}

/// What is to be so in the end.
#[derive(Clone, Copy)]
pub enum Wish {
    Add(NodeId),
    Remove(NodeId),
    Auto(Auto),
    /// That it is a member no more; its seat is another matter.
    Revoke(NodeId),
    Invites(Inviter),
    InvitesNoMore(NodeId),
}

impl Wish {
    async fn is_met(&self, errand: &Errand<'_>, seen: &Seen) -> Result<bool, Problem> {
        Ok(match self {
            Self::Add(node) => seen.committee.seat(node).is_some(),
            Self::Remove(node) => seen.committee.seat(node).is_none(),
            Self::Auto(auto) => seen.committee.auto == *auto,
            Self::Revoke(node) => {
                let rows = errand.query(Query::Member(*node)).await?.rows;
                rows.iter().any(|row| matches!(row, Row::Member { revoked: Some(_), .. }))
            }
            Self::Invites(inviter) => inviters(errand).await?.contains(inviter),
            Self::InvitesNoMore(key) => inviters(errand).await?.iter().all(|inviter| inviter.key != *key),
        })
    }
}

/// Who is to go may be a member no more, and is looked for among the seats.
async fn resolve_seat(errand: &Errand<'_>, text: &str) -> Result<NodeId, Problem> {
    if let Ok(node) = text.parse() {
        return Ok(node);
    }
    let seen = see(errand).await?;
    let seats = seen.committee.seats.iter().map(|seat| seat.node);
    let found: Vec<NodeId> = seats.filter(|node| text.len() >= 8 && node.to_string().ends_with(text)).collect();
    match found[..] {
        [node] => Ok(node),
        _ => resolve_node(errand.api, text).await,
    }
}

/// Signs it and has it ordered. The signatures and how many there must be, if there must be more.
async fn moved(
    errand: &Errand<'_>,
    wish: &Wish,
    change: Change,
    planned: Option<u64>,
) -> Result<Option<(u8, u8)>, Problem> {
    loop {
        let serial = match planned {
            Some(serial) => serial,
            None => see(errand).await?.serial,
        };
        let motion = errand.api.ports.signer.motion(Motion { serial, change });
        let rejection = match errand.step(Body::Motion(motion)).await? {
            Outcome::Done(Done::Seconded { signed, needed }) => return Ok(Some((signed, needed))),
            Outcome::Done(_) => return Ok(None),
            Outcome::Rejected(rejection) => rejection,
        };
        let is_over = match rejection {
            // Another's motion came first, or waits for a checkpoint.
            Rejection::Overtaken { .. } | Rejection::Pending if planned.is_none() => !errand.pause(PERIOD).await?,
            // By another who asked for the same.
            Rejection::Already => {
                let is_met = wish.is_met(errand, &see(errand).await?).await?;
                return if is_met { Ok(None) } else { Err(signed_before()) };
            }
            _ => true,
        };
        if is_over {
            return Err((&rejection).into());
        }
    }
}

fn signed_before() -> Problem {
    Problem::new(Code::Already, "this node has signed it: others of the committee must ask for the same")
}

/// Waits for the checkpoint.
async fn in_effect(errand: &Errand<'_>, wish: &Wish) -> Result<Changed, Problem> {
    loop {
        let seen = see(errand).await?;
        if wish.is_met(errand, &seen).await? {
            return Ok(done(&seen));
        }
        if !errand.pause(PERIOD).await? {
            let committee = CommitteeInfo::from(&seen);
            return Ok(Changed { state: "pending".to_string(), signed: None, needed: None, committee });
        }
    }
}

fn done(seen: &Seen) -> Changed {
    Changed { state: DONE.to_string(), signed: None, needed: None, committee: CommitteeInfo::from(seen) }
}
