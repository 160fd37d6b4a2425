use crate::api::{
    Api, Problem,
    extract::{JsonBody, Params, resolve_node},
    order::{Asker, Errand, PATIENCE},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mesh_proto::{
    ledger::{Body, Done, Electorate, Propose, Threshold},
    limits,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Ordering {
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
    /// The `index` of an answer that was had before the key of the request was drawn. Default now.
    born: Option<u64>,
}

/// What is to be decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalRequest {
    pub title: String,
    /// An object that says something.
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
    #[serde(default)]
    pub electorate: Voters,
    /// The share of the electorate that must approve, above 0 and up to 1. Default 0.67.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// How long a round lasts, in agreed time. Default 60,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_ms: Option<u64>,
    /// How many rounds there are at most. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u16>,
}

/// Who may vote, frozen when the proposal is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Voters {
    Group(Group),
    /// These nodes: peer ids, or unique ends of them of at least 8 characters.
    Ids(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    Committee,
    /// The members that the ledger knows.
    All,
}

impl Default for Voters {
    fn default() -> Self {
        Self::Group(Group::Committee)
    }
}

/// A proposal that the mesh has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposed {
    pub proposal: String,
    /// The batch in which it was put to the vote.
    pub index: u64,
}

/// Puts something to the vote.
///
/// A repeat under the same `Idempotency-Key`, through any node, is the same proposal.
#[utoipa::path(
    post, path = "/v1/proposals", tag = "proposals", params(Ordering, ("Idempotency-Key" = Option<String>, Header)),
    request_body = ProposalRequest,
    responses(
        (status = 201, body = Proposed), (status = 400, description = "Not a proposal", body = Problem),
        (status = 503, description = "No quorum", body = Problem), (status = 507, description = "Full", body = Problem)
    )
)]
pub async fn propose(
    State(api): State<Api>,
    asker: Asker,
    Params(ordering): Params<Ordering>,
    JsonBody(request): JsonBody<ProposalRequest>,
) -> Result<Response, Problem> {
    let errand = Errand::new(&api, asker, ordering.wait.as_deref(), PATIENCE)?.born(ordering.born);
    let propose = Propose {
        title: request.title.parse().map_err(Problem::malformed)?,
        body: request.body.to_string(),
        electorate: electorate(&api, request.electorate).await?,
        threshold: request.threshold.map_or(Ok(Threshold::DEFAULT), threshold)?,
        round_ms: request.round_ms.unwrap_or(60_000),
        rounds: request.rounds.unwrap_or(1),
    };
    match errand.command(Body::Propose(propose)).await? {
        (Done::Proposed(id), at) => {
            let location = HeaderValue::try_from(format!("/v1/proposals/{id}")).map_err(Problem::malformed)?;
            let proposed = Proposed { proposal: id.to_string(), index: at.0 };
            Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(proposed)).into_response())
        }
        _ => Err(Problem::unforeseen()),
    }
}

async fn electorate(api: &Api, voters: Voters) -> Result<Electorate, Problem> {
    match voters {
        Voters::Group(Group::Committee) => Ok(Electorate::Committee),
        Voters::Group(Group::All) => Ok(Electorate::All),
        // Before each is looked up.
        Voters::Ids(ids) if ids.len() > limits::ELECTORATE => {
            let message = format_args!("an electorate of {}: at most {}", ids.len(), limits::ELECTORATE);
            Err(Problem::malformed(message))
        }
        Voters::Ids(ids) => {
            let mut nodes = Vec::with_capacity(ids.len());
            for id in ids {
                nodes.push(resolve_node(api, &id).await?);
            }
            Ok(Electorate::Ids(nodes))
        }
    }
}

/// A share as people write it, in 1/10,000.
fn threshold(share: f64) -> Result<Threshold, Problem> {
    let whole = f64::from(Threshold::WHOLE);
    match share > 0.0 && share <= 1.0 {
        // In range; a share below 1/10,000 is refused as 0.
        true => Threshold::new((share * whole).round() as u16).map_err(Problem::malformed),
        false => Err(Problem::malformed("a threshold is above 0 and at most 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_share_of_the_electorate() {
        assert_eq!(threshold(0.67).map(Threshold::get), Ok(6_700));
        assert_eq!(threshold(1.0).map(Threshold::get), Ok(10_000));
        for share in [0.0, -0.5, 1.01, 0.000_01, f64::NAN, f64::INFINITY] {
            assert!(threshold(share).is_err(), "{share}");
        }
    }

    #[test]
    fn an_electorate_is_a_group_or_a_list() {
        let read = |json: &str| serde_json::from_str::<Voters>(json);
        assert_eq!(read("\"all\"").unwrap(), Voters::Group(Group::All));
        assert_eq!(read("[\"a\"]").unwrap(), Voters::Ids(vec!["a".into()]));
        assert!(read("\"everybody\"").is_err());
    }
}
