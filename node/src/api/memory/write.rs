use super::expect::expected;
use crate::api::{
    Api, Code, Problem,
    extract::{Params, parse_span},
    order::{Asker, Errand, PATIENCE},
};
use axum::{
    Json,
    body::{Body as Bytes, to_bytes},
    extract::{Path, Request, State},
    http::HeaderMap,
};
use mesh_proto::{
    ledger::{Body, Done, MemoryKey, Namespace},
    limits,
    task::Octets,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Putting {
    /// How long it stays, such as `1h`. Default: until it is deleted.
    ttl: Option<String>,
    /// Write only where this is: `absent`, a version, or the BLAKE3 hash of a value. Or `If-Match` with an `ETag`, or
    /// `If-None-Match: *`. Default: whatever is there.
    expect: Option<String>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
    /// The `index` of an answer that was had before the key of the request was drawn. Default now.
    born: Option<u64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Deleting {
    /// Delete only this, as with `PUT`. Default: whatever is there.
    expect: Option<String>,
    /// How long the committee is waited for. Default 30s.
    wait: Option<String>,
    /// The `index` of an answer that was had before the key of the request was drawn. Default now.
    born: Option<u64>,
}

/// A value that the mesh has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// Higher than that of any write of the key before.
    pub version: u64,
    /// The batch in which it was written.
    pub index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Whether there was something.
    pub found: bool,
    pub index: u64,
}

/// Writes the body to a key: at most 64 KiB; what is larger is a blob.
///
/// A repeat under the same `Idempotency-Key`, through any node, is the same write.
#[utoipa::path(
    put, path = "/v1/memory/{namespace}/{key}", tag = "memory",
    params(
        Putting, ("namespace" = String, Path), ("key" = String, Path), ("Idempotency-Key" = Option<String>, Header),
        ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Written), (status = 409, description = "Another version is there", body = Problem),
        (status = 503, description = "No quorum", body = Problem), (status = 507, description = "Full", body = Problem)
    )
)]
pub async fn put(
    State(api): State<Api>,
    Path((namespace, key)): Path<(String, String)>,
    asker: Asker,
    Params(putting): Params<Putting>,
    request: Request,
) -> Result<Json<Written>, Problem> {
    let namespace: Namespace = namespace.parse().map_err(Problem::malformed)?;
    let key: MemoryKey = key.parse().map_err(Problem::malformed)?;
    let ttl = putting.ttl.as_deref().map(parse_span).transpose()?;
    let ttl_ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
    let expect = expected(request.headers(), putting.expect.as_deref())?;
    let value = value(request.into_body()).await?;
    let errand = Errand::new(&api, asker, putting.wait.as_deref(), PATIENCE)?.born(putting.born);
    let body = match expect {
        None => Body::MemoryPut { namespace, key, value, ttl_ms },
        Some(expect) => Body::MemoryCompareAndSwap { namespace, key, expect, value: Some(value), ttl_ms },
    };
    match errand.command(body).await? {
        (Done::Written { version }, at) => Ok(Json(Written { version, index: at.0 })),
        _ => Err(Problem::unforeseen()),
    }
}

/// Deletes what is at a key.
#[utoipa::path(
    delete, path = "/v1/memory/{namespace}/{key}", tag = "memory",
    params(
        Deleting, ("namespace" = String, Path), ("key" = String, Path), ("Idempotency-Key" = Option<String>, Header),
        ("If-Match" = Option<String>, Header)
    ),
    responses(
        (status = 200, body = Deleted), (status = 409, description = "Another version is there", body = Problem),
        (status = 503, description = "No quorum", body = Problem)
    )
)]
pub async fn delete(
    State(api): State<Api>,
    Path((namespace, key)): Path<(String, String)>,
    asker: Asker,
    Params(deleting): Params<Deleting>,
    headers: HeaderMap,
) -> Result<Json<Deleted>, Problem> {
    let namespace: Namespace = namespace.parse().map_err(Problem::malformed)?;
    let key: MemoryKey = key.parse().map_err(Problem::malformed)?;
    let errand = Errand::new(&api, asker, deleting.wait.as_deref(), PATIENCE)?.born(deleting.born);
    let body = match expected(&headers, deleting.expect.as_deref())? {
        None => Body::MemoryDelete { namespace, key },
        Some(expect) => Body::MemoryCompareAndSwap { namespace, key, expect, value: None, ttl_ms: None },
    };
    match errand.command(body).await? {
        (Done::Deleted { found }, at) => Ok(Json(Deleted { found, index: at.0 })),
        _ => Err(Problem::unforeseen()),
    }
}

async fn value(body: Bytes) -> Result<Octets, Problem> {
    let most = limits::MEMORY_VALUE_BYTES;
    // One more than may be tells that there are more.
    match to_bytes(body, most).await {
        Ok(bytes) => Ok(bytes[..].into()),
        Err(error) if std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("limit")) => {
            Err(Problem::new(
                Code::TooLarge,
                format!("a value of more than {most} bytes: put it as a blob, and its id here"),
            ))
        }
        Err(error) => Err(Problem::malformed(format_args!("the body ended early: {error}"))),
    }
}
