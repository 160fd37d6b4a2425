//! Threads that check what members of the committee and gateways sign, so that the brain does not.

use super::{
    Metrics,
    judge::Judging,
    lanes::{Lanes, Side},
    rate::Rate,
};
use crate::brain::Inbox;
use bytes::Bytes;
use mesh_coordinator::Input;
use mesh_pbft::{Snapshot, Verifier};
use mesh_proto::{genesis::Genesis, id::NodeId, pbft::Kind};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// Peers whose rate is looked after, before those are forgotten that have not asked for anything of late.
const RATES: usize = 1024;

/// Where messages go to be checked. A peer's requests keep their order, and so does what it says besides.
#[derive(Clone)]
pub struct Verifiers(Arc<Shared>);

struct Shared {
    threads: Vec<Arc<Lanes>>,
    latest: Arc<Latest>,
    rates: Mutex<HashMap<NodeId, Rate>>,
    metrics: Metrics,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.threads.iter().for_each(|lanes| lanes.close());
    }
}

/// What the verifiers go by, numbered: most looks find that it is the one they have.
struct Latest {
    number: AtomicU64,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

impl Verifiers {
    /// Starts the threads, which end when the last of this is dropped. Until [`Verifiers::update`] nothing is taken.
    pub fn start(genesis: Arc<Genesis>, inbox: &Inbox, metrics: &Metrics) -> io::Result<Self> {
        let judging = Judging::start(genesis, inbox)?;
        let latest = Arc::new(Latest { number: AtomicU64::new(0), snapshot: Mutex::new(None) });
        let mut shared = Shared { threads: Vec::new(), latest, rates: Mutex::default(), metrics: metrics.clone() };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..(cores / 2).clamp(1, 4) {
            let lanes = Arc::new(Lanes::default());
            let latest = Arc::clone(&shared.latest);
            let thread = Thread { inbox: inbox.clone(), judging: judging.clone(), metrics: metrics.clone(), latest };
            let waiting = Arc::clone(&lanes);
            // Those that run already end where one cannot be started.
            shared.threads.push(lanes);
            thread::Builder::new().name("verify".into()).spawn(move || {
                thread.run(&waiting);
                waiting.close();
            })?;
        }
        Ok(Self(Arc::new(shared)))
    }

    pub fn update(&self, snapshot: Arc<Snapshot>) {
        *self.0.latest.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
        self.0.latest.number.fetch_add(1, Ordering::Release);
    }

    /// Waits while the peer has enough waiting, or hands in requests too often: that is back-pressure.
    pub async fn take(&self, from: NodeId, kind: Kind, frame: Bytes) {
        let is_member = self.is_member(&from);
        // A member also relays what others ask for: it is held to its turn, which comes as often as that of another.
        if kind == Kind::Request && !is_member {
            self.keep_rate(from).await;
        }
        let side = if is_member && kind != Kind::Request { Side::Member } else { Side::Client };
        let mut hasher = DefaultHasher::new();
        from.hash(&mut hasher);
        let place = hasher.finish() as usize % self.0.threads.len().max(1);
        if let Some(lanes) = self.0.threads.get(place)
            && lanes.push(side, from, frame).await.is_err()
        {
            tracing::debug!("the verifiers have ended");
        }
    }

    /// Of the committee, as this node knows it.
    fn is_member(&self, node: &NodeId) -> bool {
        let snapshot = self.0.latest.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        snapshot.as_ref().is_some_and(|snapshot| snapshot.config().replica_of(node).is_some())
    }

    /// For admission alone: what is ordered is executed, and what others pass on of it is read.
    async fn keep_rate(&self, from: NodeId) {
        let wait = {
            let mut rates = self.0.rates.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if rates.len() >= RATES && !rates.contains_key(&from) {
                rates.retain(|_, rate| !rate.is_idle(now));
            }
            rates.entry(from).or_default().pass(now)
        };
        if !wait.is_zero() {
            self.0.metrics.held_back.inc();
            tokio::time::sleep(wait).await;
        }
    }
}

struct Thread {
    inbox: Inbox,
    judging: Judging,
    metrics: Metrics,
    latest: Arc<Latest>,
}

impl Thread {
    fn run(self, waiting: &Lanes) {
        let mut verifier: Option<Verifier> = None;
        let mut known = 0;
        let mut frames = Vec::new();
        while waiting.take(&mut frames) {
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
            for (from, frame) in frames.drain(..) {
                let Some(verifier) = &mut verifier else {
                    self.metrics.refuse_unready();
                    continue;
                };
                match verifier.decode(from, &frame) {
                    Ok(verified) => {
                        self.metrics.verified.inc();
                        self.judging.offer(&verified);
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
}
