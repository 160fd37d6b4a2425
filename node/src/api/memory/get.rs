use crate::api::{
    Api, Code, Problem,
    extract::Params,
    order::{Asker, Errand, PATIENCE},
    submission::show_date,
};
use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use mesh_proto::ledger::{Index, MemoryItem, MemoryKey, Namespace, Query, Row};
use serde::Deserialize;
use utoipa::IntoParams;

/// When the value was written, in agreed time.
pub const WRITTEN: HeaderName = HeaderName::from_static("mesh-written");
/// From when on it is absent, in agreed time; missing where it stays.
pub const EXPIRES: HeaderName = HeaderName::from_static("mesh-expires");
/// The batch behind which the value was so.
pub const INDEX: HeaderName = HeaderName::from_static("mesh-index");

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Ask a ledger in reach, which may be behind. Default false: the committee orders the read.
    stale: Option<bool>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
}

/// The value at a key, as it is; its version is the `ETag`.
#[utoipa::path(
    get, path = "/v1/memory/{namespace}/{key}", tag = "memory",
    params(Reading, ("namespace" = String, Path), ("key" = String, Path)),
    responses(
        (status = 200, description = "With `Mesh-Written`, `Mesh-Expires` and `Mesh-Index`", content_type = "application/octet-stream"),
        (status = 404, description = "Nothing is there", body = Problem), (status = 503, body = Problem)
    )
)]
pub async fn get(
    State(api): State<Api>,
    Path((namespace, key)): Path<(String, String)>,
    asker: Asker,
    Params(reading): Params<Reading>,
) -> Result<Response, Problem> {
    let namespace: Namespace = namespace.parse().map_err(Problem::malformed)?;
    let key: MemoryKey = key.parse().map_err(Problem::malformed)?;
    let errand = Errand::new(&api, asker, reading.wait.as_deref(), PATIENCE)?;
    let answer = errand.read(Query::Get { namespace: namespace.clone(), key: key.clone() }, reading.stale).await?;
    match answer.rows.into_iter().next() {
        Some(Row::Memory { item, .. }) => respond(answer.index, item),
        _ => Err(Problem::new(Code::NotFound, format!("nothing is at {key} in {namespace}"))),
    }
}

fn respond(index: Index, item: MemoryItem) -> Result<Response, Problem> {
    let header = |text: String| HeaderValue::try_from(text).map_err(Problem::malformed);
    let mut response = item.value.to_vec().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ETAG, header(format!("\"{}\"", item.version))?);
    headers.insert(WRITTEN, header(show_date(item.written))?);
    headers.insert(INDEX, header(index.to_string())?);
    if let Some(expires) = item.expires {
        headers.insert(EXPIRES, header(show_date(expires))?);
    }
    Ok(response)
}
