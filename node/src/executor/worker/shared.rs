//! What all handles share: the registry, and what is told when it changes.

use super::{Job, WorkerMetrics, ending::End, metrics::EndLabels, registry::Registry};
use crate::executor::outcome::{Failure, Outcome, Status};
use crate::executor::pool::Desk;
use mesh_proto::capability::Capabilities;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};

pub(super) struct Shared {
    /// `None` where they are off.
    pub runtime: Option<Handle>,
    pub registry: Mutex<Registry>,
    /// There is something to take, or a place for it.
    pub offered: Notify,
    /// When something is due may have changed.
    pub changed: Arc<Notify>,
    pub has: watch::Sender<Arc<Capabilities>>,
    pub desk: Arc<Desk>,
    pub directory: PathBuf,
    pub metrics: WorkerMetrics,
}

impl Shared {
    /// Whatever changes is told.
    pub fn with<R>(&self, change: impl FnOnce(&mut Registry, Instant) -> R) -> R {
        let mut registry = self.lock();
        let now = Instant::now();
        let changed = change(&mut registry, now);
        self.tell(&registry, now);
        changed
    }

    fn tell(&self, registry: &Registry, now: Instant) {
        match registry.merged(now) {
            Ok(has) => {
                self.has.send_if_modified(|told| {
                    let is_news = **told != has;
                    if is_news {
                        *told = Arc::new(has);
                    }
                    is_news
                });
            }
            // Refused when they came.
            Err(error) => tracing::warn!("this node does not tell the mesh of its workers: {error}"),
        }
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let places = registry.workers().map(|(_, worker)| i64::from(worker.registration.concurrency)).sum();
        self.metrics.attached.set(gauge(registry.workers().count()));
        self.metrics.places.set(places);
        self.metrics.tasks.set(gauge(registry.workers().map(|(_, worker)| worker.held.len()).sum()));
        self.metrics.offered.set(gauge(registry.offered()));
        self.changed.notify_one();
    }

    pub fn settle(self: &Arc<Self>, ends: Vec<End>) {
        if ends.is_empty() {
            return;
        }
        for End { job, had, ending } in ends {
            let label = ending.label();
            tracing::debug!(task = %job.run.task, attempt = job.run.attempt, kind = %job.kind, "{label}");
            let failure = ending.failure(&job, self.lock().config.untaken);
            self.finish(job, label, move || match had {
                Some((output, taken)) => output.end(Status::Failed(failure), 0, micros(taken.elapsed())),
                None => Outcome::failed(failure),
            });
        }
        // A place may be free.
        self.offered.notify_waiters();
    }

    /// What came of it is put together beside, and told. Not waited for: it has no end that could be lost on the way.
    pub fn finish(
        self: &Arc<Self>,
        job: Arc<Job>,
        label: &'static str,
        outcome: impl FnOnce() -> Outcome + Send + 'static,
    ) {
        self.metrics.ends.get_or_create(&EndLabels { end: label }).inc();
        self.offered.notify_waiters();
        let shared = Arc::clone(self);
        let Some(runtime) = &self.runtime else { return };
        runtime.spawn(async move {
            let (task, attempt) = (job.run.task, job.run.attempt);
            let outcome = tokio::task::spawn_blocking(outcome).await.unwrap_or_else(|error| {
                tracing::error!(%task, %error, "what came of a worker's task was not put together");
                Outcome::failed(Failure::Prepare { what: "outputs".into(), error: error.to_string() })
            });
            shared.desk.finish(task, attempt, outcome).await;
        });
    }

    fn sweep(self: &Arc<Self>) {
        let before = self.lock().workers().count();
        let (ends, after) = self.with(|registry, now| (registry.sweep(now), registry.workers().count()));
        let expired = before.saturating_sub(after);
        if expired > 0 {
            tracing::warn!(expired, "workers were not heard of for longer than their lease");
            self.metrics.expired.inc_by(expired as u64);
        }
        self.settle(ends);
    }

    /// Nothing that can panic happens under the lock.
    pub fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// What is due is done when it is, for as long as there is a handle.
pub(super) async fn watch_time(shared: Weak<Shared>, changed: Arc<Notify>) {
    loop {
        let Some(due) = shared.upgrade().map(|shared| shared.lock().deadline()) else { return };
        let elapses = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed.notified() => {}
            () = elapses => match shared.upgrade() {
                Some(shared) => shared.sweep(),
                None => return,
            },
        }
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
