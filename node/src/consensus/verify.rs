//! Threads that check what members of the committee and gateways sign, so that the brain does not.

use super::Metrics;
use crate::brain::Inbox;
use bytes::Bytes;
use mesh_coordinator::Input;
use mesh_pbft::{Snapshot, Verifier};
use mesh_proto::id::NodeId;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use tokio::sync::mpsc;

/// Frames that wait for a thread; whoever has more waits, and with it the peer's writer.
const WAITING: usize = 1024;

/// Where messages go to be checked. One peer's keep their order.
#[derive(Clone)]
pub struct Verifiers {
    threads: Vec<mpsc::Sender<(NodeId, Bytes)>>,
    latest: Arc<Latest>,
}

/// What the verifiers go by, numbered: most looks find that it is the one they have.
struct Latest {
    number: AtomicU64,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

impl Verifiers {
    /// Starts the threads, which end when this is dropped. Until [`Verifiers::update`] nothing is taken.
    pub fn start(inbox: &Inbox, metrics: &Metrics) -> io::Result<Self> {
        let latest = Arc::new(Latest { number: AtomicU64::new(0), snapshot: Mutex::new(None) });
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..(cores / 2).clamp(1, 4)).map(|_| {
            let (frames, waiting) = mpsc::channel(WAITING);
            let thread = Thread { inbox: inbox.clone(), metrics: metrics.clone(), latest: Arc::clone(&latest) };
            thread::Builder::new().name("verify".into()).spawn(move || thread.run(waiting))?;
            Ok(frames)
        });
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Self { threads, latest })
    }

    pub fn update(&self, snapshot: Arc<Snapshot>) {
        *self.latest.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
        self.latest.number.fetch_add(1, Ordering::Release);
    }

    /// Waits while the thread has enough: that is back-pressure.
    pub async fn take(&self, from: NodeId, frame: Bytes) {
        let mut hasher = DefaultHasher::new();
        from.hash(&mut hasher);
        let place = hasher.finish() as usize % self.threads.len().max(1);
        if let Some(thread) = self.threads.get(place)
            && thread.send((from, frame)).await.is_err()
        {
            tracing::debug!("the verifiers have ended");
        }
    }
}

struct Thread {
    inbox: Inbox,
    metrics: Metrics,
    latest: Arc<Latest>,
}

impl Thread {
    fn run(self, mut waiting: mpsc::Receiver<(NodeId, Bytes)>) {
        let mut verifier: Option<Verifier> = None;
        let mut known = 0;
        while let Some((from, frame)) = waiting.blocking_recv() {
            let number = self.latest.number.load(Ordering::Acquire);
            if number != known {
                known = number;
                let latest = self.latest.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match (&mut verifier, latest) {
                    (Some(verifier), Some(snapshot)) => verifier.update(snapshot),
                    (none, Some(snapshot)) => *none = Some(Verifier::new(snapshot)),
                    (_, None) => {}
                }
            }
            let Some(verifier) = &mut verifier else { continue };
            match verifier.decode(from, &frame) {
                Ok(verified) => {
                    self.metrics.verified.inc();
                    if self.inbox.consensus(Input::Consensus(Box::new(verified))).is_err() {
                        return;
                    }
                }
                Err(refusal) => {
                    tracing::trace!(%from, %refusal, "a consensus message was dropped");
                    self.metrics.refuse(&refusal);
                }
            }
        }
    }
}
