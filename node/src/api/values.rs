//! Values that users give this node, to be computed with over all nodes.

use super::{
    Api, Code, Problem,
    extract::{JsonBody, Params, parse_span},
};
use crate::gauge::{BadValue, Value};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// How long it stays, such as `1h`. Default: until it is taken back, or the node stops.
    ttl: Option<String>,
}

/// A value that this node has of users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValueRow {
    pub name: String,
    pub value: Value,
    /// How long it stays; for as long as the node runs where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

/// The values that users gave this node. They are in its memory alone.
#[utoipa::path(get, path = "/v1/values", tag = "aggregation", responses((status = 200, body = Vec<ValueRow>)))]
pub async fn list(State(api): State<Api>) -> Json<Vec<ValueRow>> {
    let rows = api.ports.gauge.values.all().into_iter().map(|(name, value, left)| {
        let left_ms = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        ValueRow { name, value, left_ms }
    });
    Json(rows.collect())
}

/// Gives this node a value of that name, in the place of what it was. It is lost when the node stops.
#[utoipa::path(
    put, path = "/v1/values/{name}", tag = "aggregation", params(Setting, ("name" = String, Path)), request_body = Value,
    responses((status = 204), (status = 507, description = "As many as there may be", body = Problem))
)]
pub async fn set(
    State(api): State<Api>,
    Path(name): Path<String>,
    Params(setting): Params<Setting>,
    JsonBody(value): JsonBody<Value>,
) -> Result<StatusCode, Problem> {
    let ttl = setting.ttl.as_deref().map(parse_span).transpose()?;
    api.ports.gauge.values.set(&name, value, ttl)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a value back.
#[utoipa::path(
    delete, path = "/v1/values/{name}", tag = "aggregation", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub async fn remove(State(api): State<Api>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    match api.ports.gauge.values.remove(&name) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(Code::NotFound, "nobody gave this node a value of that name")),
    }
}

impl From<BadValue> for Problem {
    fn from(why: BadValue) -> Self {
        match why {
            BadValue::Name | BadValue::Value => Self::malformed(why),
            BadValue::Full => Self::new(Code::Full, why.to_string()),
        }
    }
}
