//! One download a blob: who wants what is being fetched waits for it, and shares its end, good or bad.

use super::fetch::{FetchError, Progress};
use mesh_proto::id::{BlobId, NodeId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::{OwnedMutexGuard, watch};

#[derive(Debug, Default)]
pub(super) struct Flights {
    by_id: Mutex<BTreeMap<BlobId, Weak<Flight>>>,
}

/// The download of one blob, as long as anybody wants it. Who has the turn fetches, in its own future: if that is
/// dropped, the next in line goes on from what is on the disk.
#[derive(Debug)]
pub(super) struct Flight {
    turn: Arc<tokio::sync::Mutex<()>>,
    pub(super) progress: watch::Sender<Progress>,
    failed: Mutex<Failed>,
}

#[derive(Debug, Default)]
struct Failed {
    times: u64,
    asked: BTreeSet<NodeId>,
    error: Option<FetchError>,
}

/// The right to write the partial files of one blob; it ends with its last clone.
pub(super) type Turn = Arc<OwnedMutexGuard<()>>;

impl Flights {
    pub(super) fn join(&self, id: BlobId) -> Arc<Flight> {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&id).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight {
            turn: Arc::default(),
            progress: watch::Sender::new(Progress::default()),
            failed: Mutex::default(),
        });
        flights.insert(id, Arc::downgrade(&flight));
        flight
    }

    /// The turn of a download that nobody is at.
    pub(super) fn idle(&self, id: BlobId) -> Option<(Arc<Flight>, Turn)> {
        let flight = self.join(id);
        let turn = Arc::clone(&flight.turn).try_lock_owned().ok()?;
        Some((flight, Arc::new(turn)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BlobId, Weak<Flight>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    pub(super) async fn turn(&self) -> Turn {
        Arc::new(Arc::clone(&self.turn).lock_owned().await)
    }

    pub(super) fn times_failed(&self) -> u64 {
        self.failed().times
    }

    pub(super) fn fail(&self, asked: &[NodeId], error: &FetchError) {
        let mut failed = self.failed();
        failed.times += 1;
        failed.asked = asked.iter().copied().collect();
        failed.error = Some(error.clone());
    }

    /// The failure of a download that ended while the caller waited, if it asked everybody that the caller would ask.
    pub(super) fn failed_since(&self, times: u64, providers: &[NodeId]) -> Option<FetchError> {
        let failed = self.failed();
        let same = failed.times > times && providers.iter().all(|provider| failed.asked.contains(provider));
        same.then(|| failed.error.clone()).flatten()
    }

    fn failed(&self) -> MutexGuard<'_, Failed> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
