//! `/v1/members` and `/v1/peers`: who belongs to the mesh, and who is connected.

use super::{
    Api, Code, Problem,
    brain::BrainGone,
    extract::{Params, resolve_node},
    submission::show_date,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use futures::future::BoxFuture;
use mesh_coordinator::{Answer, Command, MemberView};
use mesh_membership::{Found, Standpoint};
use mesh_proto::id::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What the API needs of the member table besides reading it.
pub trait Membership: Send + Sync + 'static {
    /// Takes a node out of the member table for good, mesh-wide; the network's maker only by `force`.
    fn forget(&self, node: NodeId, force: bool) -> BoxFuture<'_, Result<(), ForgetError>>;

    /// Whether the ledger has revoked it, as far as this node has heard.
    fn is_revoked(&self, node: NodeId) -> bool;

    /// Whether it made the network.
    fn is_maker(&self, node: NodeId) -> bool;
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgetError {
    #[error("{0} is no member")]
    Unknown(NodeId),
    #[error("a node does not forget itself: stop it, and ask another")]
    Myself,
    #[error("only a node with the role full removes members, and this one has another: ask one that has it")]
    NotAllowed,
    #[error(
        "{0} made this network: without it nobody can be invited any more, and it cannot come back; --force (?force=true) forgets it all the same"
    )]
    Maker(NodeId),
    #[error("{0} has said something newer of itself meanwhile: try again")]
    NotYet(NodeId),
    #[error(transparent)]
    Gone(#[from] BrainGone),
}

/// A member of the network: an admitted identity, connected or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberRow {
    pub node: String,
    /// One life of its disk.
    pub store: String,
    /// `full worker relay client`
    pub role: String,
    /// `self alive draining silent left forgotten revoked`
    pub state: String,
    pub addresses: Vec<String>,
    /// What its operator calls it (`node.name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its machine stands (`node.zone`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What it says that it has, each as `name` or `name=value`: what tasks may require.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<u32>,
    /// Milliseconds since it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<u64>,
    /// Of one that is silent: `suspected`, or `confirmed` where a majority of those that were asked found it silent as well. What
    /// this node believes; nothing is changed by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What was found of it, as far as this process knows, in the order of time: the last 32. Of one member alone, not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<MemberEvent>,
}

/// Something that a member found of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberEvent {
    pub at: String,
    /// A peer id: who found it.
    pub by: String,
    /// `suspected`, `probed, and there`, `probed, and silent`, `confirmed as failed`, `refuted, by incarnation N`, `back`.
    pub what: String,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    pub node: String,
    pub address: String,
    /// This node dialled.
    pub outbound: bool,
    /// `tcp quic websocket memory`
    pub transport: String,
    /// Of the last ping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u64>,
    pub connected_ms: u64,
}

/// Members as this node knows them.
#[utoipa::path(get, path = "/v1/members", tag = "mesh", responses((status = 200, body = Vec<MemberRow>)))]
pub async fn list(State(api): State<Api>) -> Result<Json<Vec<MemberRow>>, Problem> {
    match api.ports.brain.ask(Command::Members).await?.one().await {
        Some(Answer::Members(members)) => {
            Ok(Json(members.iter().map(|member| MemberRow { history: Vec::new(), ..row(&api, member) }).collect()))
        }
        _ => Err(BrainGone.into()),
    }
}

/// One member as this node knows it, with what it has.
#[utoipa::path(
    get, path = "/v1/members/{id}", tag = "mesh", params(("id" = String, Path, description = "Peer id, or its last 8 characters or more")),
    responses((status = 200, body = MemberRow), (status = 404, body = Problem), (status = 409, description = "Not unique", body = Problem))
)]
pub async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<MemberRow>, Problem> {
    let node = resolve_node(&api, &id).await?;
    let Some(Answer::Members(members)) = api.ports.brain.ask(Command::Members).await?.one().await else {
        return Err(BrainGone.into());
    };
    let found = members.iter().find(|member| member.node == node).map(|member| row(&api, member));
    found.map(Json).ok_or_else(|| Problem::new(Code::NotFound, format!("{node} is no member that this node knows")))
}

/// Who was revoked is out of the table like one that was forgotten, and another matter for people.
fn row(api: &Api, member: &MemberView) -> MemberRow {
    let row = MemberRow::from(member);
    match row.state == FORGOTTEN && api.ports.membership.is_revoked(member.node) {
        true => MemberRow { state: REVOKED.to_string(), ..row },
        false => row,
    }
}

const FORGOTTEN: &str = "forgotten";
const REVOKED: &str = "revoked";

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Forgetting {
    /// Even the network's maker, without whom nobody can be invited. Default false.
    force: Option<bool>,
}

/// Takes a member out for good: one whose machine will not come back. What it held is copied elsewhere.
#[utoipa::path(
    delete, path = "/v1/members/{id}", tag = "mesh", params(Forgetting, ("id" = String, Path, description = "Peer id")),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn forget(
    State(api): State<Api>,
    Path(id): Path<String>,
    Params(forgetting): Params<Forgetting>,
) -> Result<StatusCode, Problem> {
    let node = id.parse().map_err(Problem::malformed)?;
    let force = forgetting.force.unwrap_or(false);
    api.ports.membership.forget(node, force).await.map_err(|error| {
        let code = match error {
            ForgetError::Unknown(_) => Code::NotFound,
            ForgetError::Myself | ForgetError::Maker(_) => Code::Conflict,
            ForgetError::NotAllowed => Code::Forbidden,
            ForgetError::NotYet(_) => return Problem::new(Code::Unavailable, error.to_string()).retry_after_ms(1_000),
            ForgetError::Gone(gone) => return gone.into(),
        };
        Problem::new(code, error.to_string())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// This node's connections.
#[utoipa::path(get, path = "/v1/peers", tag = "mesh", responses((status = 200, body = Vec<PeerView>)))]
pub async fn peers(State(api): State<Api>) -> Json<Vec<PeerView>> {
    Json((api.ports.peers)())
}

fn failure(standpoint: Standpoint) -> &'static str {
    match standpoint {
        Standpoint::Suspected => "suspected",
        Standpoint::Confirmed => "confirmed",
    }
}

impl From<&Found> for MemberEvent {
    fn from(found: &Found) -> Self {
        Self { at: show_date(found.at), by: found.by.to_string(), what: found.what.to_string() }
    }
}

impl From<&MemberView> for MemberRow {
    fn from(member: &MemberView) -> Self {
        // Slots, running, queued: as a heartbeat has them.
        let (slots, running, queued) = match member.load {
            Some((slots, running, queued)) => (Some(slots), Some(running), Some(queued)),
            None => (None, None, None),
        };
        Self {
            node: member.node.to_string(),
            store: member.store.to_string(),
            role: member.role.clone(),
            state: member.state.clone(),
            addresses: member.addresses.clone(),
            name: member.name.clone().map(String::from),
            zone: member.zone.clone().map(String::from),
            capabilities: member.capabilities.texts().collect(),
            slots,
            running,
            queued,
            heard_ms: member.heard_ms,
            failure: member.standpoint.map(|standpoint| failure(standpoint).to_owned()),
            history: member.history.iter().map(MemberEvent::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::lists::member;
    use mesh_membership::Finding;
    use mesh_proto::time::Wall;

    #[test]
    fn a_member_says_who_found_what_of_it_and_when() {
        let (suspect, other) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let found = |at, what| Found { at: Wall(at), by: other, what };
        let history = vec![found(1_000, Finding::Suspected), found(2_500, Finding::Refuted { incarnation: 7 })];
        let view = MemberView { standpoint: Some(Standpoint::Confirmed), history, ..member(suspect) };
        let row = MemberRow::from(&view);
        assert_eq!(row.failure.as_deref(), Some("confirmed"));
        let told: Vec<(&str, &str)> = row.history.iter().map(|line| (&*line.at, &*line.what)).collect();
        assert_eq!(
            told,
            [("1970-01-01T00:00:01Z", "suspected"), ("1970-01-01T00:00:02.5Z", "refuted, by incarnation 7")]
        );
        assert!(row.history.iter().all(|line| line.by == other.to_string()));
    }
}
