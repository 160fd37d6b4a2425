//! The API against a scripted brain, by requests as a client would send them.

mod access;
mod aggregate;
pub mod agreement;
mod brain;
mod count;
mod decided;
mod jobs;
pub(super) mod lists;
mod server;
mod tasks;
mod workers;

use super::{
    Access, Api, Hosts, KeySigner, Limits, Meters, Ports, Pulse, Tokens,
    blobs::{BlobError, Blobs, Opened, Stored},
    brain::{Brain, BrainGone},
    drain::Draining,
    logs::{Chunk, Logs, LogsError, Offsets},
    members::{ForgetError, Membership},
};
use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use brain::Scripted;
use bytes::Bytes;
use futures::{
    FutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use mesh_proto::{
    id::{BlobId, NetworkId, NodeId, TaskId},
    key::SecretKey,
    task::BlobRef,
    time::Wall,
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::ServiceExt;

pub const NETWORK: NetworkId = NetworkId::from_bytes([9; 32]);
pub const NODE: NodeId = NodeId::from_bytes([1; 32]);

/// An API with everything behind it made up.
pub fn api(brain: impl Brain, limits: Limits) -> Api {
    api_with(brain, limits, |_| {})
}

pub fn api_with(brain: impl Brain, limits: Limits, change: impl FnOnce(&mut Ports)) -> Api {
    api_of(NETWORK, brain, limits, change)
}

pub fn api_of(network: NetworkId, brain: impl Brain, limits: Limits, change: impl FnOnce(&mut Ports)) -> Api {
    let mut ports = Ports {
        brain: Arc::new(brain),
        blobs: Arc::new(Shelf::default()),
        logs: Arc::new(NoLogs),
        membership: Arc::new(NoMembership),
        draining: Arc::new(NoDraining),
        signer: Arc::new(KeySigner { key: SecretKey::from_bytes(&[1; 32]), network: NETWORK }),
        credential: Arc::new(|_| None),
        peers: Arc::new(Vec::new),
        gauge: crate::gauge::Gauge::default(),
        metrics: Arc::new(|| "# EOF\n".to_string()),
        unready: Arc::new(Vec::new),
        last_status: Arc::new(|| None),
        workers: crate::executor::Workers::off(),
        containment: Arc::new(|| None),
        config: Arc::new(serde_json::json!({})),
        pulse: Pulse::new(),
    };
    change(&mut ports);
    let access =
        Access { tokens: Tokens::default().with("default", "secret"), hosts: Hosts::new([127, 0, 0, 1].into(), []) };
    Api::new(network, ports, access, limits, Meters::new(&mut prometheus_client::registry::Registry::default()))
}

pub fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1:7441")
        .header(header::AUTHORIZATION, "Bearer secret")
        .body(body.into())
        .unwrap()
}

pub async fn send(api: &Api, request: Request<Body>) -> Response<Body> {
    super::router(api).oneshot(request).await.unwrap()
}

pub async fn bytes(response: Response<Body>) -> Bytes {
    to_bytes(response.into_body(), usize::MAX).await.unwrap()
}

/// The status and the JSON of an answer.
pub async fn ask(api: &Api, request: Request<Body>) -> (StatusCode, serde_json::Value) {
    let response = send(api, request).await;
    let status = response.status();
    let bytes = bytes(response).await;
    (status, serde_json::from_slice(&bytes).unwrap_or(serde_json::Value::Null))
}

/// Blobs in memory.
#[derive(Default)]
struct Shelf(Mutex<BTreeMap<BlobId, Bytes>>);

impl Blobs for Shelf {
    fn put(
        &self,
        bytes: BoxStream<'static, io::Result<Bytes>>,
        size: Option<u64>,
        _: bool,
    ) -> BoxFuture<'_, Result<BlobRef, BlobError>> {
        async move {
            let chunks: Vec<Bytes> = bytes.try_collect().await.map_err(|error| BlobError::Upload(error.to_string()))?;
            let all = Bytes::from(chunks.concat());
            let id = BlobId::from_bytes(*blake3::hash(&all).as_bytes());
            assert!(size.is_none_or(|size| size == all.len() as u64));
            let size = all.len() as u64;
            self.0.lock().unwrap().insert(id, all);
            Ok(BlobRef { id, size, nodes: vec![NODE] })
        }
        .boxed()
    }

    fn assure(&self, blob: BlobRef) -> BoxFuture<'_, Result<BlobRef, BlobError>> {
        let is_here = self.0.lock().unwrap().contains_key(&blob.id);
        let found = if is_here { Ok(BlobRef { nodes: vec![NODE], ..blob }) } else { Err(BlobError::NotFound(blob.id)) };
        futures::future::ready(found).boxed()
    }

    fn get(&self, id: BlobId, _: Vec<NodeId>) -> BoxFuture<'_, Result<Opened, BlobError>> {
        let found = self.0.lock().unwrap().get(&id).cloned().ok_or(BlobError::NotFound(id));
        let opened = found.map(|bytes| Opened {
            size: bytes.len() as u64,
            read: Box::new(move |start, length| {
                stream::iter([Ok(bytes.slice(start as usize..(start + length) as usize))]).boxed()
            }),
        });
        futures::future::ready(opened).boxed()
    }

    fn list(&self, after: Option<BlobId>, limit: usize) -> BoxFuture<'_, Result<Vec<Stored>, BlobError>> {
        let blobs = self.0.lock().unwrap();
        let behind = blobs.iter().filter(|(id, _)| after.is_none_or(|after| **id > after)).take(limit);
        let stored = behind.map(|(id, bytes)| Stored {
            id: *id,
            size: bytes.len() as u64,
            added: Wall(0),
            lease: None,
            kept_by: None,
        });
        futures::future::ready(Ok(stored.collect())).boxed()
    }

    fn remove(&self, id: BlobId) -> BoxFuture<'_, Result<(), BlobError>> {
        let removed = self.0.lock().unwrap().remove(&id).map(drop).ok_or(BlobError::NotFound(id));
        futures::future::ready(removed).boxed()
    }
}

struct NoLogs;

impl Logs for NoLogs {
    fn read(
        &self,
        _: TaskId,
        _: Offsets,
        _: bool,
    ) -> BoxFuture<'_, Result<BoxStream<'static, Result<Chunk, LogsError>>, LogsError>> {
        futures::future::ready(Err(LogsError::NotRunning)).boxed()
    }
}

/// Says nothing of itself.
struct NoDraining;

impl Draining for NoDraining {
    fn say(&self, _: bool) -> BoxFuture<'_, Result<(), BrainGone>> {
        futures::future::ready(Ok(())).boxed()
    }

    fn stop_running_in(&self, _: Duration) {}

    fn leave(&self) -> BoxFuture<'_, Result<(), BrainGone>> {
        futures::future::ready(Ok(())).boxed()
    }
}

/// Only [`NODE`] is a member, and made the network.
struct NoMembership;

impl Membership for NoMembership {
    fn forget(&self, node: NodeId, force: bool) -> BoxFuture<'_, Result<(), ForgetError>> {
        let forgotten = match (node, force) {
            (NODE, true) => Ok(()),
            (NODE, false) => Err(ForgetError::Maker(node)),
            _ => Err(ForgetError::Unknown(node)),
        };
        futures::future::ready(forgotten).boxed()
    }

    fn is_revoked(&self, _: NodeId) -> bool {
        false
    }

    fn is_maker(&self, node: NodeId) -> bool {
        node == NODE
    }
}
