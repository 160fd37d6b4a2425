//! `/v1/blobs`: bytes too large for a record, by their hash.

use super::{
    Api, Code, Problem,
    content::BlobLink,
    extract::{Params, check_prefix, only_one},
    range::{self, Part},
    submission::show_date,
};
use axum::{
    Json,
    body::{Body, HttpBody as _},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use mesh_proto::{
    id::{BlobId, NodeId},
    task::BlobRef,
    time::Wall,
};
use serde::{Deserialize, Serialize};
use std::{io, time::Duration};
use utoipa::{IntoParams, ToSchema};

/// What the API needs of the node's blobs.
pub trait Blobs: Send + Sync + 'static {
    /// Stores what is streamed, under an upload lease, on `blob_copies` nodes or as many as there are; the reference
    /// names them. `size`: what was announced, in bytes; other content is refused. `pin`: keep it on this node until it
    /// is removed.
    fn put(
        &self,
        bytes: BoxStream<'static, io::Result<Bytes>>,
        size: Option<u64>,
        pin: bool,
    ) -> BoxFuture<'_, Result<BlobRef, BlobError>>;
    /// Makes sure that a blob that a task names is on `blob_copies` disks, and names them. A task is acknowledged after
    /// that, and not before.
    fn assure(&self, blob: BlobRef) -> BoxFuture<'_, Result<BlobRef, BlobError>>;
    /// Opens a blob: from this disk, else from one of `nodes`, else from whom Kademlia names. What is streamed is
    /// verified; an error in the middle means that no provider was left.
    fn get(&self, id: BlobId, nodes: Vec<NodeId>) -> BoxFuture<'_, Result<Opened, BlobError>>;
    /// What is on this node's disk, in the order of ids.
    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, Result<Vec<Stored>, BlobError>>;
    /// Gives up the pin and the lease of this node, and the blob with them, unless something else needs it.
    fn remove(&self, id: BlobId) -> BoxFuture<'_, Result<(), BlobError>>;
}

/// An opened blob.
pub struct Opened {
    /// Bytes.
    pub size: u64,
    /// So many bytes from there on.
    pub read: Box<dyn FnOnce(u64, u64) -> BoxStream<'static, io::Result<Bytes>> + Send>,
}

/// A blob on this node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: BlobId,
    /// Bytes.
    pub size: u64,
    pub added: Wall,
    /// What is left of its upload lease.
    pub lease: Option<Duration>,
    /// What keeps it from being collected: `pin`, `record`, `use`, `lease`, `record elsewhere`.
    pub kept_by: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    #[error("no node in reach has blob {0}: put it again")]
    NotFound(BlobId),
    /// Of blobs that are needed, or of other things: nothing here may go.
    #[error("{0}; raise `blob.quota`, free space, or use another node")]
    Full(String),
    #[error("{size} bytes, above the limit of {limit} for one blob (`blob.quota`)")]
    TooLarge { size: u64, limit: u64 },
    #[error("blob {id} stays: {why}. It has no pin and no lease any more, and goes when nothing needs it")]
    InUse { id: BlobId, why: String },
    #[error(
        "stored on {copies} of the {wanted} disks it must be on: too few members are in reach; try again in {retry_ms} ms, and forget those that will not come back (`meshd member list`, `meshd member forget`)"
    )]
    TooFewCopies { copies: u32, wanted: u32, retry_ms: u32 },
    #[error("the upload ended early: {0}")]
    Upload(String),
    #[error("the disk: {0}")]
    Disk(String),
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        let detail = error.to_string();
        match error {
            BlobError::NotFound(_) => Self::new(Code::NotFound, detail),
            BlobError::Full(_) => Self::new(Code::Busy, detail).retry_after_ms(60_000),
            BlobError::TooLarge { .. } => Self::new(Code::TooLarge, detail),
            BlobError::InUse { .. } => Self::new(Code::Conflict, detail),
            BlobError::TooFewCopies { retry_ms, .. } => Self::new(Code::Unavailable, detail).retry_after_ms(retry_ms),
            BlobError::Upload(_) => Self::malformed(detail),
            BlobError::Disk(_) => Self::new(Code::Internal, detail),
        }
    }
}

/// A line of the list of blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobRow {
    pub id: String,
    /// Bytes.
    pub size: u64,
    pub added: String,
    /// Something needs it: it is not collected.
    pub referenced: bool,
    /// What that is: `pin`, `record` (of a task, held here), `use` (a running task or transfer), `lease` (of its upload),
    /// `record elsewhere` (or that is not yet known, a while after a start).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<String>,
    /// What is left of the lease of its upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobPage {
    pub blobs: Vec<BlobRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// From the `next` of the page before.
    cursor: Option<String>,
    /// Default 100, at most 1,000.
    limit: Option<u32>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Putting {
    /// Keep it on this node until it is removed. Default false: for `blob.upload_lease`, and for as long as tasks need it.
    pin: Option<bool>,
}

/// Stores the body as a blob; the answer names it and the nodes that have it.
#[utoipa::path(
    put, path = "/v1/blobs", tag = "blobs", params(Putting), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = BlobLink), (status = 503, description = "Quota full or too few nodes", body = Problem))
)]
pub async fn put(
    State(api): State<Api>,
    Params(putting): Params<Putting>,
    request: Request,
) -> Result<(StatusCode, Json<BlobLink>), Problem> {
    // Announced, it is refused before it is sent, and room is set aside at once.
    let size = request.body().size_hint().exact();
    let bytes = request.into_body().into_data_stream().map_err(io::Error::other).boxed();
    let stored = api.ports.blobs.put(bytes, size, putting.pin.unwrap_or(false)).await?;
    Ok((StatusCode::CREATED, Json(BlobLink::from(&stored))))
}

/// As `PUT`: for clients that cannot.
#[utoipa::path(
    post, path = "/v1/blobs", tag = "blobs", params(Putting), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = BlobLink), (status = 503, description = "Quota full or too few nodes", body = Problem))
)]
pub async fn post(
    State(api): State<Api>,
    Params(putting): Params<Putting>,
    request: Request,
) -> Result<(StatusCode, Json<BlobLink>), Problem> {
    put(State(api), Params(putting), request).await
}

/// The bytes of a blob, verified on their way; an answer that ends early was not complete.
#[utoipa::path(
    get, path = "/v1/blobs/{id}", tag = "blobs", params(("id" = String, Path, description = "BLAKE3, or a unique prefix of one that is here")),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 206, description = "One `Range` of bytes", content_type = "application/octet-stream"),
        (status = 404, body = Problem), (status = 416, description = "The range is behind its end", body = Problem)
    )
)]
pub async fn get(State(api): State<Api>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let id = resolve(&api, &id).await?;
    stream_blob(&api, id, &[], headers.get(header::RANGE)).await
}

/// Lets go of a blob on this node.
#[utoipa::path(
    delete, path = "/v1/blobs/{id}", tag = "blobs", params(("id" = String, Path, description = "BLAKE3, or a unique prefix")),
    responses((status = 204), (status = 404, body = Problem), (status = 409, description = "Something needs it", body = Problem))
)]
pub async fn remove(State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let id = resolve(&api, &id).await?;
    api.ports.blobs.remove(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the blobs on this node's disk, in the order of their ids.
#[utoipa::path(get, path = "/v1/blobs", tag = "blobs", params(Paging), responses((status = 200, body = BlobPage)))]
pub async fn list(State(api): State<Api>, Params(paging): Params<Paging>) -> Result<Json<BlobPage>, Problem> {
    let limit = paging.limit.unwrap_or(100).clamp(1, 1_000) as usize;
    let after = paging.cursor.map(|cursor| cursor.parse()).transpose().map_err(Problem::malformed)?;
    let stored = api.ports.blobs.list(after, limit).await?;
    let next = (stored.len() >= limit).then(|| stored.last().map(|blob| blob.id.to_string())).flatten();
    let blobs = stored.iter().map(|blob| BlobRow {
        id: blob.id.to_string(),
        size: blob.size,
        added: show_date(blob.added),
        referenced: blob.kept_by.is_some(),
        kept_by: blob.kept_by.map(str::to_string),
        lease_ms: blob.lease.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
    });
    Ok(Json(BlobPage { blobs: blobs.collect(), next }))
}

/// A blob, or a range of it, as the body of an answer, in bounded memory.
pub(super) async fn stream_blob(
    api: &Api,
    id: BlobId,
    nodes: &[NodeId],
    range: Option<&HeaderValue>,
) -> Result<Response, Problem> {
    let Opened { size, read } = api.ports.blobs.get(id, nodes.to_vec()).await?;
    let part = range.and_then(|range| range::parse(range, size));
    let (start, length) = match part {
        None => (0, size),
        Some(Part::Bytes { first, last }) => (first, last - first + 1),
        Some(Part::Unsatisfiable) => {
            let status = StatusCode::RANGE_NOT_SATISFIABLE.as_u16();
            let problem =
                Problem { status, ..Problem::malformed(format_args!("the range is behind its {size} bytes")) };
            return Ok(([(header::CONTENT_RANGE, format!("bytes */{size}"))], problem).into_response());
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_string()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_string()),
        // The content of an id never changes.
        (header::ETAG, format!("\"{id}\"")),
    ];
    let mut response = (headers, Body::from_stream(read(start, length))).into_response();
    if let Some(Part::Bytes { first, last }) = part {
        let range = HeaderValue::try_from(format!("bytes {first}-{last}/{size}")).map_err(Problem::malformed)?;
        response.headers_mut().insert(header::CONTENT_RANGE, range);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

async fn resolve(api: &Api, text: &str) -> Result<BlobId, Problem> {
    let text = &*text.to_ascii_lowercase();
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    check_prefix(text)?;
    // Ids are in order: those that begin so follow the prefix filled up with zeros.
    let lowest: BlobId = format!("{text:0<64}").parse().map_err(Problem::malformed)?;
    let after = predecessor(*lowest.as_bytes()).map(BlobId::from_bytes);
    let listed = api.ports.blobs.list(after, 2).await?;
    let found: Vec<_> = listed.into_iter().map(|blob| blob.id).filter(|id| id.to_string().starts_with(text)).collect();
    only_one(text, &found, "blob")
}

/// The id before this one, to begin a list with this one itself.
pub(super) fn predecessor(mut id: [u8; 32]) -> Option<[u8; 32]> {
    for byte in id.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(id);
        }
    }
    None
}
