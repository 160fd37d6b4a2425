//! What the API needs of the brain: ask, and read the answers.

use futures::future::BoxFuture;
use mesh_coordinator::{Answer, Command};
use tokio::sync::mpsc;

/// Answers that may wait between the brain and one request. The brain's side counts: a request of n items has at most
/// 2n + 1 answers, and they come in batches, so a queue of this many batches is never the reason to stall a brain that
/// sends with `try_send` and keeps what did not fit.
pub const ANSWER_QUEUE: usize = 64;

/// The brain's thread has ended or is ending; so is this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node is shutting down")]
pub struct BrainGone;

/// A node's brain, as the API sees it.
pub trait Brain: Send + Sync + 'static {
    /// Hands the command over, waiting while the brain's queue is full. Fails only when the brain is gone.
    fn ask(&self, command: Command) -> BoxFuture<'_, Result<Answers, BrainGone>>;
}

/// The answers to one request, in batches as the brain gave them.
///
/// Dropped before [`Answer::Finished`] was read, it calls its `leave`, upon which the node sends `Command::Leave`:
/// tasks go on, nobody is told of them any more.
pub struct Answers {
    batches: mpsc::Receiver<Vec<Answer>>,
    leave: Option<Box<dyn FnOnce() + Send>>,
    finished: bool,
}

impl Answers {
    pub fn new(batches: mpsc::Receiver<Vec<Answer>>, leave: impl FnOnce() + Send + 'static) -> Self {
        Self { batches, leave: Some(Box::new(leave)), finished: false }
    }

    /// The next batch, never empty; `None` after the last.
    pub async fn next(&mut self) -> Option<Vec<Answer>> {
        loop {
            self.leave.as_ref()?;
            let Some(mut batch) = self.batches.recv().await else {
                // The brain is gone: nobody is left to tell.
                self.leave = None;
                return None;
            };
            if matches!(batch.last(), Some(Answer::Finished)) {
                batch.pop();
                self.leave = None;
                self.finished = true;
            }
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Whether the last answer was read; if not and there is no next one, the brain is gone.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// The first answer, for commands that have one.
    pub async fn one(mut self) -> Option<Answer> {
        self.next().await.and_then(|batch| batch.into_iter().next())
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if let Some(leave) = self.leave.take() {
            leave();
        }
    }
}
