//! `/v1/blobs`: bytes too large for a record, by their hash.

use super::{
    Api, Code, Problem,
    content::BlobLink,
    extract::{Params, check_prefix, only_one},
    submission::show_date,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
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
use std::io;
use utoipa::{IntoParams, ToSchema};

/// What the API needs of the node's blobs.
pub trait Blobs: Send + Sync + 'static {
    /// Stores what is streamed, under an upload lease, on `blob_copies` nodes or as many as there are; the reference
    /// names them.
    fn put(&self, bytes: BoxStream<'static, io::Result<Bytes>>) -> BoxFuture<'_, Result<BlobRef, BlobError>>;
    /// Opens a blob: from this disk, else from one of `nodes`, else from whom Kademlia names. What is streamed is
    /// verified; an error in the middle means that no provider was left.
    fn get(&self, id: BlobId, nodes: Vec<NodeId>) -> BoxFuture<'_, Result<Opened, BlobError>>;
    /// What is on this node's disk, in the order of ids.
    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, Result<Vec<Stored>, BlobError>>;
    /// Gives up the pin and the lease of this node; what is referred to otherwise stays.
    fn remove(&self, id: BlobId) -> BoxFuture<'_, Result<(), BlobError>>;
}

/// An opened blob.
pub struct Opened {
    /// Bytes.
    pub size: u64,
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

/// A blob on this node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: BlobId,
    /// Bytes.
    pub size: u64,
    pub added: Wall,
    /// A record, a lease, a pin or a running task needs it: not collected.
    pub referenced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    #[error("no node in reach has blob {0}")]
    NotFound(BlobId),
    #[error("the quota of {quota} bytes is full of blobs that are needed")]
    QuotaFull { quota: u64 },
    #[error("blob {0} is needed by tasks that have not ended or are kept")]
    InUse(BlobId),
    #[error("stored on {copies} of the {wanted} disks it must be on; try again in {retry_ms} ms")]
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
            BlobError::QuotaFull { .. } => Self::new(Code::Busy, detail).retry_after_ms(60_000),
            BlobError::InUse(_) => Self::new(Code::Conflict, detail),
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

/// Stores the body as a blob; the answer names it and the nodes that have it.
#[utoipa::path(
    put, path = "/v1/blobs", tag = "blobs", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = BlobLink), (status = 503, description = "Quota full or too few nodes", body = Problem))
)]
pub async fn put(State(api): State<Api>, request: Request) -> Result<(StatusCode, Json<BlobLink>), Problem> {
    let bytes = request.into_body().into_data_stream().map_err(io::Error::other).boxed();
    let stored = api.ports.blobs.put(bytes).await?;
    Ok((StatusCode::CREATED, Json(BlobLink::from(&stored))))
}

/// The bytes of a blob, verified on their way; an answer that ends early was not complete.
#[utoipa::path(
    get, path = "/v1/blobs/{id}", tag = "blobs", params(("id" = String, Path, description = "BLAKE3, or a unique prefix of one that is here")),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem))
)]
pub async fn get(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = resolve(&api, &id).await?;
    stream_blob(&api, id, &[]).await
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
        referenced: blob.referenced,
    });
    Ok(Json(BlobPage { blobs: blobs.collect(), next }))
}

/// A blob as the body of an answer, in bounded memory.
pub(super) async fn stream_blob(api: &Api, id: BlobId, nodes: &[NodeId]) -> Result<Response, Problem> {
    let opened = api.ports.blobs.get(id, nodes.to_vec()).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(opened.size)),
    ];
    Ok((headers, Body::from_stream(opened.bytes)).into_response())
}

async fn resolve(api: &Api, text: &str) -> Result<BlobId, Problem> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    check_prefix(text)?;
    // Ids are in order: those that begin so follow the prefix filled up with zeros.
    let lowest: BlobId = format!("{text:0<64}").parse().map_err(Problem::malformed)?;
    let listed = api.ports.blobs.list(predecessor(lowest), 2).await?;
    let found: Vec<_> = listed.into_iter().map(|blob| blob.id).filter(|id| id.to_string().starts_with(text)).collect();
    only_one(text, &found, "blob")
}

/// The id before this one, to begin a list with this one itself.
fn predecessor(id: BlobId) -> Option<BlobId> {
    let mut bytes = *id.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            return Some(BlobId::from_bytes(bytes));
        }
    }
    None
}
