//! Executions from their grant to their end, and the one place where starting and cancelling meet.

use crate::blob::Hold;
use mesh_proto::id::TaskId;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::oneshot, task::AbortHandle};

/// A task's attempt.
pub type Key = (TaskId, u32);

/// What is being prepared, or has inputs that must stay. **Cancelling wins**: what was cancelled before it started does
/// not start, since both are decided under one lock.
#[derive(Default)]
pub struct RunningSet(Mutex<HashMap<Key, Running>>);

#[derive(Default)]
struct Running {
    /// Inputs that are not collected meanwhile.
    holds: Vec<Hold>,
    /// Fetching, or waiting for a slot.
    preparing: Option<AbortHandle>,
    /// Who waits for the end. Dropped with this, which is what they hear.
    awaited: Vec<oneshot::Sender<Infallible>>,
    /// Its processes are gone, and what they left is being kept.
    finished: bool,
    /// Why it was stopped, where its award was lost.
    lost: Option<String>,
}

/// What is to be done where the award of an execution is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It waited for a slot, and does not start any more.
    Unstarted,
    /// It is being stopped: its end says that it was for this.
    Stopping,
    /// It ended while it had the award: what came of it counts.
    Finished,
}

impl RunningSet {
    /// It will be started when it is ready. Whether that is new.
    pub fn expect(&self, key: Key) -> bool {
        let mut running = self.lock();
        let is_new = !running.contains_key(&key);
        running.entry(key).or_default();
        is_new
    }

    /// This makes it ready. Nothing if it was cancelled or has ended meanwhile.
    pub fn prepared_by(&self, key: Key, preparing: AbortHandle) {
        match self.lock().get_mut(&key) {
            Some(running) => running.preparing = Some(preparing),
            None => preparing.abort(),
        }
    }

    /// Its inputs are here.
    pub fn keep(&self, key: Key, holds: Vec<Hold>) {
        if let Some(running) = self.lock().get_mut(&key) {
            running.holds = holds;
        }
    }

    /// Starts what is expected still; `None` if it was cancelled. `start` must not wait.
    pub fn start<R>(&self, key: Key, start: impl FnOnce() -> R) -> Option<R> {
        let running = self.lock();
        running.contains_key(&key).then(start)
    }

    /// `stop` ends it if it was started, and says so; otherwise it will not be.
    pub fn cancel(&self, key: Key, stop: impl FnOnce() -> bool) {
        let mut running = self.lock();
        if stop() {
            return;
        }
        if let Some(Running { preparing: Some(preparing), .. }) = running.remove(&key) {
            preparing.abort();
        }
    }

    /// Its processes are gone; why it was stopped, if its award was lost.
    pub fn finished(&self, key: Key) -> Option<String> {
        let mut all = self.lock();
        let running = all.get_mut(&key)?;
        running.finished = true;
        running.lost.clone()
    }

    /// Its award is lost: `stop` ends it if it runs, and says so.
    pub fn lose(&self, key: Key, why: &str, stop: impl FnOnce() -> bool) -> Loss {
        let mut all = self.lock();
        let Some(running) = all.get_mut(&key).filter(|running| !running.finished) else { return Loss::Finished };
        running.lost = Some(why.to_owned());
        if stop() {
            return Loss::Stopping;
        }
        match running.preparing.as_ref().filter(|preparing| !preparing.is_finished()) {
            Some(preparing) => {
                preparing.abort();
                all.remove(&key);
                Loss::Unstarted
            }
            // Its end is on its way here.
            None => Loss::Finished,
        }
    }

    /// Until it is over, or was cancelled before it started.
    pub fn over(&self, key: Key) -> impl Future<Output = ()> + Send + 'static {
        let waits = self.lock().get_mut(&key).map(|running| {
            let (awaited, waits) = oneshot::channel::<Infallible>();
            running.awaited.push(awaited);
            waits
        });
        async move {
            if let Some(waits) = waits
                && let Ok(never) = waits.await
            {
                match never {}
            }
        }
    }

    /// It is over.
    pub fn ended(&self, key: Key) {
        self.lock().remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (TaskId::from_bytes([1; 32]), 1);

    #[test]
    fn what_is_cancelled_before_it_started_does_not_start() {
        let set = RunningSet::default();
        set.expect(KEY);
        set.cancel(KEY, || false);
        assert_eq!(set.start(KEY, || panic!("started")), None::<()>);
        // Whatever else comes of its preparation.
        set.keep(KEY, Vec::new());
        assert_eq!(set.start(KEY, || panic!("started")), None::<()>);
    }

    #[tokio::test]
    async fn a_preparation_that_is_heard_of_after_the_cancellation_ends() {
        let set = RunningSet::default();
        set.expect(KEY);
        set.cancel(KEY, || false);
        let preparing = tokio::spawn(std::future::pending::<()>());
        set.prepared_by(KEY, preparing.abort_handle());
        assert!(preparing.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn who_waits_for_the_end_hears_of_it_however_it_comes() {
        let set = RunningSet::default();
        set.over(KEY).await;
        set.expect(KEY);
        let (ends, cancelled) = (set.over(KEY), set.over(KEY));
        assert!(futures::poll!(std::pin::pin!(set.over(KEY))).is_pending());
        set.ended(KEY);
        ends.await;
        set.expect(KEY);
        set.cancel(KEY, || false);
        cancelled.await;
    }

    #[test]
    fn what_ended_under_its_award_is_not_stopped_when_the_award_is_lost_while_it_is_kept() {
        let set = RunningSet::default();
        set.expect(KEY);
        assert_eq!(set.start(KEY, || ()), Some(()));
        assert_eq!(set.finished(KEY), None);
        assert_eq!(set.lose(KEY, "it is lost", || panic!("stopped")), Loss::Finished);
        assert_eq!(set.finished(KEY), None, "nothing is held against it");
        // Whatever its end is when it was stopped for that.
        set.ended(KEY);
        set.expect(KEY);
        assert_eq!(set.lose(KEY, "it is lost", || true), Loss::Stopping);
        assert_eq!(set.finished(KEY).as_deref(), Some("it is lost"));
        // Between its end and the word of it.
        set.ended(KEY);
        set.expect(KEY);
        assert_eq!(set.lose(KEY, "it is lost", || false), Loss::Finished);
    }

    #[tokio::test]
    async fn what_waits_for_a_slot_does_not_start_without_its_award() {
        let set = RunningSet::default();
        set.expect(KEY);
        let waiting = tokio::spawn(std::future::pending::<()>());
        set.prepared_by(KEY, waiting.abort_handle());
        assert_eq!(set.lose(KEY, "it is lost", || false), Loss::Unstarted);
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(set.start(KEY, || panic!("started")), None::<()>);
    }

    #[test]
    fn what_started_is_stopped_and_its_inputs_stay_until_it_ended() {
        let set = RunningSet::default();
        set.expect(KEY);
        assert_eq!(set.start(KEY, || 7), Some(7));
        let mut stopped = false;
        set.cancel(KEY, || {
            stopped = true;
            true
        });
        assert!(stopped && set.lock().contains_key(&KEY));
        set.ended(KEY);
        assert!(set.lock().is_empty());
    }
}
