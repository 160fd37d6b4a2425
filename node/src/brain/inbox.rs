//! What reaches the brain: one bounded queue from outside, and one for what it has itself set going.

use mesh_coordinator::Input;
use mesh_proto::time::Mono;
use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc};

/// Inputs from peers and users that wait for the brain; whoever has more waits, and with it the peer's writer.
pub(super) const WAITING: usize = 4096;

/// The way in.
#[derive(Clone)]
pub struct Inbox {
    outside: mpsc::Sender<Input>,
    inside: mpsc::UnboundedSender<Input>,
}

/// The brain is gone, and the process is ending.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the brain has ended")]
pub struct Gone;

impl Inbox {
    /// Waits while the queue is full: that is back-pressure.
    pub async fn send(&self, input: Input) -> Result<(), Gone> {
        self.outside.send(input).await.map_err(|_| Gone)
    }

    /// Behind all that this thread sent before, without waiting: where the queue is full, a task waits for room.
    pub fn send_behind(&self, input: Input, runtime: &Handle) {
        match self.outside.try_send(input) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(input)) => {
                let inbox = self.clone();
                runtime.spawn(async move {
                    if inbox.send(input).await.is_err() {
                        tracing::debug!("the brain has ended");
                    }
                });
            }
            Err(mpsc::error::TrySendError::Closed(_)) => tracing::debug!("the brain has ended"),
        }
    }

    /// For what answers the brain's own effects: ends of executions, full queues. Bounded by what the brain asked for,
    /// and never waits, since the brain may be waiting for the sender.
    pub fn answer(&self, input: Input) -> Result<(), Gone> {
        self.inside.send(input).map_err(|_| Gone)
    }
}

/// The brain's end.
pub struct Outbox {
    outside: mpsc::Receiver<Input>,
    inside: mpsc::UnboundedReceiver<Input>,
    waker: Waker,
}

/// What waiting came to.
pub enum Waited {
    Input(Input),
    /// The deadline, or the limit of idling, came first.
    Time,
    /// All senders are gone.
    Closed,
}

/// Both ends. The receiving one is to be used by the thread that calls [`Outbox::bind`].
pub fn inbox() -> (Inbox, Outbox) {
    let (outside, from_outside) = mpsc::channel(WAITING);
    let (inside, from_inside) = mpsc::unbounded_channel();
    (Inbox { outside, inside }, Outbox { outside: from_outside, inside: from_inside, waker: Waker::noop().clone() })
}

impl Outbox {
    /// This thread is the one to wake.
    pub fn bind(&mut self) {
        self.waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    }

    /// What is there, without waiting. The brain's own first: it frees slots.
    pub fn take(&mut self) -> Option<Input> {
        self.inside.try_recv().ok().or_else(|| self.outside.try_recv().ok())
    }

    /// Waits until there is an input, or until `until`, but no longer than `limit`.
    pub fn wait(&mut self, until: Option<Mono>, limit: Duration, now: impl Fn() -> Mono) -> Waited {
        let end = now() + limit;
        let end = until.map_or(end, |until| until.min(end));
        loop {
            let mut context = Context::from_waker(&self.waker);
            match self.inside.poll_recv(&mut context) {
                Poll::Ready(Some(input)) => return Waited::Input(input),
                Poll::Ready(None) => return Waited::Closed,
                Poll::Pending => {}
            }
            match self.outside.poll_recv(&mut context) {
                Poll::Ready(Some(input)) => return Waited::Input(input),
                Poll::Ready(None) => return Waited::Closed,
                Poll::Pending => {}
            }
            let left = end.since(now());
            if left.is_zero() {
                return Waited::Time;
            }
            std::thread::park_timeout(left);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
