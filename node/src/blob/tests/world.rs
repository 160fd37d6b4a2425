//! Providers, honest and otherwise.

use super::{super::wire, *};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// What a provider does to the bytes that it sends, and how often it was asked.
#[derive(Clone, Copy)]
pub enum Manner {
    Honest,
    /// Flips a bit of the n-th byte of its stream.
    Flips(u64),
    /// Ends the stream after n bytes.
    Cuts(u64),
    /// Sends nothing more after n bytes.
    Hangs(u64),
    /// Claims another size.
    Claims(u64),
    Unreachable,
}

pub struct World {
    pub _dirs: Vec<tempfile::TempDir>,
    pub providers: BTreeMap<NodeId, (BlobStore, Manner)>,
    pub opened: AtomicUsize,
    pub carried: Arc<AtomicU64>,
}

impl World {
    pub async fn new(data: &[u8], manners: &[Manner]) -> (Self, BlobId, Vec<NodeId>) {
        let id = BlobId::from_bytes(*blake3::hash(data).as_bytes());
        let (mut dirs, mut providers) = (Vec::new(), BTreeMap::new());
        for (n, manner) in manners.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir, config());
            store.ingest(data, None).await.unwrap();
            providers.insert(node(n as u8 + 1), (store, *manner));
            dirs.push(dir);
        }
        let nodes = providers.keys().copied().collect();
        (Self { _dirs: dirs, providers, opened: AtomicUsize::new(0), carried: Arc::default() }, id, nodes)
    }

    pub async fn open(&self, who: NodeId) -> io::Result<DuplexStream> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let (store, manner) = &self.providers[&who];
        if matches!(manner, Manner::Unreachable) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, relay_near) = tokio::io::duplex(64 << 10);
        let (relay_far, far) = tokio::io::duplex(64 << 10);
        let (store, manner) = (store.clone(), *manner);
        tokio::spawn(async move { store.serve(far, node(99)).await });
        tokio::spawn(relay(relay_near, relay_far, manner, Arc::clone(&self.carried)));
        Ok(near)
    }
}

/// Carries bytes both ways, and spoils those from the provider. The first 4 + n bytes are its reply.
async fn relay(near: DuplexStream, far: DuplexStream, manner: Manner, carried: Arc<AtomicU64>) {
    let (mut from_near, mut to_near) = tokio::io::split(near);
    let (mut from_far, mut to_far) = tokio::io::split(far);
    let requests = tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
    let mut reply: Vec<u8> = Vec::new();
    wire::write(&mut reply, &wire::read::<Reply>(&mut from_far).await.unwrap()).await.unwrap();
    if let Manner::Claims(size) = manner {
        reply.clear();
        wire::write(&mut reply, &Reply::Blob { size }).await.unwrap();
    }
    to_near.write_all(&reply).await.unwrap();
    let (mut sent, mut buffer) = (0u64, vec![0; 8 << 10]);
    while let Ok(n @ 1..) = from_far.read(&mut buffer).await {
        let mut n = n as u64;
        match manner {
            Manner::Flips(at) if (sent..sent + n).contains(&at) => buffer[(at - sent) as usize] ^= 1,
            Manner::Cuts(at) | Manner::Hangs(at) => n = n.min(at.saturating_sub(sent)),
            _ => {}
        }
        if n == 0 || to_near.write_all(&buffer[..n as usize]).await.is_err() {
            break;
        }
        sent += n;
        carried.fetch_add(n, Ordering::Relaxed);
    }
    if matches!(manner, Manner::Hangs(_)) {
        std::future::pending::<()>().await;
    }
    requests.abort();
}
