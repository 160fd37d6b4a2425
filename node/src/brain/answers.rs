//! Who waits for which answers.

use super::Inbox;
use crate::api::brain::{ANSWER_QUEUE, Answers, Brain, BrainGone};
use futures::future::BoxFuture;
use mesh_coordinator::{Answer, Command, Input, RequestId};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc;

/// Open requests, by their number. Asked twice a request and once a batch of answers: a lock is cheap enough.
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<HashMap<RequestId, Listener>>>);

struct Listener {
    batches: mpsc::Sender<Vec<Answer>>,
    /// What did not fit: merged into one batch. A request of n items has at most 2n + 1 answers in all.
    held_back: Vec<Answer>,
    /// Somebody waits for room to pass it on.
    is_flushing: bool,
}

impl Waiting {
    fn listen(&self, request: RequestId) -> mpsc::Receiver<Vec<Answer>> {
        let (batches, receiver) = mpsc::channel(ANSWER_QUEUE);
        self.lock().insert(request, Listener { batches, held_back: Vec::new(), is_flushing: false });
        receiver
    }

    fn leave(&self, request: RequestId) {
        self.lock().remove(&request);
    }

    /// Never waits: what does not fit is passed on when there is room, and a listener that is gone is forgotten.
    pub fn say(&self, request: RequestId, answers: Vec<Answer>, runtime: &tokio::runtime::Handle) {
        let mut open = self.lock();
        let Some(listener) = open.get_mut(&request) else { return };
        listener.held_back.extend(answers);
        if listener.is_flushing {
            return;
        }
        let batch = std::mem::take(&mut listener.held_back);
        let is_last = matches!(batch.last(), Some(Answer::Finished));
        match listener.batches.try_send(batch) {
            Ok(()) if !is_last => {}
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => drop(open.remove(&request)),
            Err(mpsc::error::TrySendError::Full(batch)) => {
                listener.held_back = batch;
                listener.is_flushing = true;
                runtime.spawn(self.clone().flush(request, listener.batches.clone()));
            }
        }
    }

    async fn flush(self, request: RequestId, batches: mpsc::Sender<Vec<Answer>>) {
        let room = batches.reserve().await;
        let mut open = self.lock();
        let (Some(listener), Ok(room)) = (open.get_mut(&request), room) else {
            open.remove(&request);
            return;
        };
        listener.is_flushing = false;
        let batch = std::mem::take(&mut listener.held_back);
        if matches!(batch.last(), Some(Answer::Finished)) {
            open.remove(&request);
        }
        room.send(batch);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RequestId, Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The brain, for whoever asks it something.
#[derive(Clone)]
pub struct BrainHandle {
    inbox: Inbox,
    waiting: Waiting,
    next: Arc<AtomicU64>,
}

impl BrainHandle {
    pub fn new(inbox: Inbox, waiting: Waiting) -> Self {
        Self { inbox, waiting, next: Arc::new(AtomicU64::new(1)) }
    }

    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }
}

impl Brain for BrainHandle {
    fn ask(&self, command: Command) -> BoxFuture<'_, Result<Answers, BrainGone>> {
        Box::pin(async move {
            let request = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
            let batches = self.waiting.listen(request);
            let (inbox, waiting) = (self.inbox.clone(), self.waiting.clone());
            // Before the brain is told: whoever gives up while its queue is full leaves nothing behind either.
            let answers = Answers::new(batches, move || {
                waiting.leave(request);
                if inbox.answer(Input::Command { request, command: Command::Leave { request } }).is_err() {
                    tracing::debug!("a user left a node that is ending");
                }
            });
            match self.inbox.send(Input::Command { request, command }).await {
                Ok(()) => Ok(answers),
                Err(_) => Err(BrainGone),
            }
        })
    }
}
