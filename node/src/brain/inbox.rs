//! What reaches the brain: a bounded queue for control messages, which never wait behind tasks or the disk; one for what
//! users ask and one for all else that comes from outside, which take turns; and one for what the brain has itself set going.

use mesh_coordinator::Input;
use mesh_proto::time::Mono;
use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc};

/// Inputs from peers that wait for the brain; whoever has more waits, and with it the peer's writer.
const WAITING: usize = 4096;

/// What users ask that waits. A peer's frame may take milliseconds, and thousands of them may be there: no user waits for them all.
pub(super) const USERS_WAITING: usize = 1024;

/// Verified messages of the ordering protocol that wait.
const CONSENSUS_WAITING: usize = 4096;

/// Control messages that wait; heartbeats for the most part, of which there are few.
const CONTROL_WAITING: usize = 1024;

/// The way in.
#[derive(Clone)]
pub struct Inbox {
    control: mpsc::Sender<Input>,
    consensus: mpsc::Sender<Input>,
    users: mpsc::Sender<Input>,
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

    /// For what a user asks, in the order in which it is asked; waits while the queue is full.
    pub async fn ask(&self, input: Input) -> Result<(), Gone> {
        self.users.send(input).await.map_err(|_| Gone)
    }

    /// For control messages. They keep no order with what else comes, and need none.
    pub async fn control(&self, input: Input) -> Result<(), Gone> {
        self.control.send(input).await.map_err(|_| Gone)
    }

    /// For what an engine in the body has ordered; waits while the queue is full.
    pub async fn ordered(&self, input: Input) -> Result<(), Gone> {
        self.consensus.send(input).await.map_err(|_| Gone)
    }

    /// For what the verifiers' threads have checked; waits while the queue is full.
    pub fn consensus(&self, input: Input) -> Result<(), Gone> {
        self.consensus.blocking_send(input).map_err(|_| Gone)
    }

    /// Behind all that this thread asked before, without waiting: where the queue is full, a task waits for room.
    pub fn ask_behind(&self, input: Input, runtime: &Handle) {
        match self.users.try_send(input) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(input)) => {
                let inbox = self.clone();
                runtime.spawn(async move {
                    if inbox.ask(input).await.is_err() {
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
    control: mpsc::Receiver<Input>,
    consensus: mpsc::Receiver<Input>,
    users: mpsc::Receiver<Input>,
    outside: mpsc::Receiver<Input>,
    inside: mpsc::UnboundedReceiver<Input>,
    /// Of users and all else outside, whose turn was the last.
    is_users_turn: bool,
    waker: Waker,
}

/// Which inputs the brain's thread takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Everything, control messages first.
    All,
    /// Only control messages: the disk is slow, and what rests on it has to wait.
    Control,
    /// Nothing: too much waits for the disk already.
    Nothing,
}

/// What waiting came to.
#[expect(clippy::large_enum_variant, reason = "nearly all that is waited for is an input")]
pub enum Waited {
    Input(Input),
    /// The deadline, the limit of idling, or what was also waited for came first.
    Time,
    /// All senders are gone.
    Closed,
}

/// Both ends. The receiving one is to be used by the thread that calls [`Outbox::bind`].
pub fn inbox() -> (Inbox, Outbox) {
    let (control, from_control) = mpsc::channel(CONTROL_WAITING);
    let (consensus, from_consensus) = mpsc::channel(CONSENSUS_WAITING);
    let (users, from_users) = mpsc::channel(USERS_WAITING);
    let (outside, from_outside) = mpsc::channel(WAITING);
    let (inside, from_inside) = mpsc::unbounded_channel();
    let outbox = Outbox {
        control: from_control,
        consensus: from_consensus,
        users: from_users,
        outside: from_outside,
        inside: from_inside,
        is_users_turn: false,
        waker: Waker::noop().clone(),
    };
    (Inbox { control, consensus, users, outside, inside }, outbox)
}

impl Outbox {
    /// This thread is the one to wake.
    pub fn bind(&mut self) {
        self.waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    }

    /// What is there, without waiting. Control messages first, then the brain's own, which frees slots, then consensus, then
    /// users and all else by turns.
    pub fn take(&mut self, take: Take) -> Option<Input> {
        let control = if take == Take::Nothing { None } else { self.control.try_recv().ok() };
        match take {
            Take::All => control
                .or_else(|| self.inside.try_recv().ok())
                .or_else(|| self.consensus.try_recv().ok())
                .or_else(|| self.take_by_turns()),
            Take::Control | Take::Nothing => control,
        }
    }

    /// Users and all else outside, whose turn it is first.
    fn by_turns(&mut self) -> (&mut mpsc::Receiver<Input>, &mut mpsc::Receiver<Input>) {
        self.is_users_turn = !self.is_users_turn;
        match self.is_users_turn {
            true => (&mut self.users, &mut self.outside),
            false => (&mut self.outside, &mut self.users),
        }
    }

    fn take_by_turns(&mut self) -> Option<Input> {
        let (first, second) = self.by_turns();
        first.try_recv().or_else(|_| second.try_recv()).ok()
    }

    /// Waits until there is an input to take, or until `until`, or until the thread is unparked and `or` holds, but no
    /// longer than `limit`.
    pub fn wait(
        &mut self,
        take: Take,
        until: Option<Mono>,
        limit: Duration,
        now: impl Fn() -> Mono,
        or: impl Fn() -> bool,
    ) -> Waited {
        let end = now() + limit;
        let end = until.map_or(end, |until| until.min(end));
        loop {
            match self.poll(take) {
                Poll::Ready(Some(input)) => return Waited::Input(input),
                Poll::Ready(None) => return Waited::Closed,
                Poll::Pending => {}
            }
            let left = end.since(now());
            if left.is_zero() || or() {
                return Waited::Time;
            }
            std::thread::park_timeout(left);
        }
    }

    fn poll(&mut self, take: Take) -> Poll<Option<Input>> {
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        if take != Take::Nothing
            && let ready @ Poll::Ready(_) = self.control.poll_recv(&mut context)
        {
            return ready;
        }
        if take != Take::All {
            return Poll::Pending;
        }
        // The verifiers may have ended, and the node with them: the others tell.
        if let Poll::Ready(Some(input)) = self.consensus.poll_recv(&mut context) {
            return Poll::Ready(Some(input));
        }
        if let ready @ Poll::Ready(_) = self.inside.poll_recv(&mut context) {
            return ready;
        }
        let (first, second) = self.by_turns();
        match first.poll_recv(&mut context) {
            Poll::Pending => second.poll_recv(&mut context),
            ready => ready,
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_coordinator::{Command, RequestId};

    #[tokio::test]
    async fn what_a_user_asks_and_what_peers_send_wait_for_one_of_the_other_each() {
        let (inbox, mut outbox) = inbox();
        for at in 0..3 {
            inbox.send(Input::Disk { room: true }).await.unwrap();
            inbox.ask(Input::Command { request: RequestId(at), command: Command::Status }).await.unwrap();
        }
        let by_turns = |outbox: &mut Outbox| -> Vec<bool> {
            std::iter::from_fn(|| outbox.take(Take::All)).map(|input| matches!(input, Input::Command { .. })).collect()
        };
        assert_eq!(by_turns(&mut outbox), [true, false, true, false, true, false]);
        // Where the one has nothing the other does not wait.
        for _ in 0..WAITING {
            inbox.send(Input::Disk { room: true }).await.unwrap();
        }
        inbox.ask(Input::Command { request: RequestId(3), command: Command::Status }).await.unwrap();
        let taken = by_turns(&mut outbox);
        assert!(taken[..2].contains(&true));
        assert_eq!(taken.len(), WAITING + 1);
    }
}
