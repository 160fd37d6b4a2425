//! Who waits for which answers.

use super::{Inbox, inbox::Gone};
use crate::api::brain::{ANSWER_QUEUE, Answers, Brain, BrainGone};
use futures::future::BoxFuture;
use mesh_coordinator::{
    Answer, Command, Input, RequestId,
    agreement::{Verdict, judge},
};
use mesh_proto::genesis::Genesis;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::{runtime::Handle, sync::mpsc};

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
    pub fn say(&self, request: RequestId, answers: Vec<Answer>, runtime: &Handle) {
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
    runtime: Handle,
    next: Arc<AtomicU64>,
    /// By which signatures in what is to be ordered are checked, before the brain has it.
    genesis: Option<Arc<Genesis>>,
}

impl BrainHandle {
    pub fn new(inbox: Inbox, waiting: Waiting, runtime: Handle) -> Self {
        Self { inbox, waiting, runtime, next: Arc::new(AtomicU64::new(1)), genesis: None }
    }

    /// Signatures in what is to be ordered are checked on the asker's thread; without this the brain does it.
    #[must_use]
    pub fn judging(self, genesis: Arc<Genesis>) -> Self {
        Self { genesis: Some(genesis), ..self }
    }

    fn judge(&self, command: &Command) -> Vec<Verdict> {
        match (command, &self.genesis) {
            (Command::Order { operations }, Some(genesis)) => judge(genesis, operations),
            _ => Vec::new(),
        }
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
            let (inbox, waiting, runtime) = (self.inbox.clone(), self.waiting.clone(), self.runtime.clone());
            let is_sent = Arc::new(AtomicBool::new(false));
            let was_sent = Arc::clone(&is_sent);
            // Made before the command is sent: who gives up while the queue is full leaves nothing behind. The leave goes
            // the same way as the command, which it must not overtake: a follow that nobody reads would stay for ever.
            let answers = Answers::new(batches, move || {
                waiting.leave(request);
                if was_sent.load(Ordering::Relaxed) {
                    inbox.ask_behind(Input::Command { request, command: Command::Leave { request } }, &runtime);
                }
            });
            let verdicts = self.judge(&command);
            if !verdicts.is_empty() && self.inbox.ask(Input::Judged(verdicts)).await.is_err() {
                return Err(BrainGone);
            }
            match self.inbox.ask(Input::Command { request, command }).await {
                Ok(()) => {
                    is_sent.store(true, Ordering::Relaxed);
                    Ok(answers)
                }
                Err(Gone) => Err(BrainGone),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::inbox::{Take, USERS_WAITING, inbox};
    use super::*;
    use mesh_proto::{
        agreement::Operation,
        genesis::{Engine, Founders},
        key::SecretKey,
        ledger::{self, Body, CommandId, Index, SignedSupport, Support},
        time::Wall,
    };
    use std::time::Duration;

    /// What reaches the brain, once the queue has room again.
    async fn taken(outbox: &mut super::super::inbox::Outbox, count: usize) -> Vec<Input> {
        let mut inputs = Vec::new();
        while inputs.len() < count {
            match outbox.take(Take::All) {
                Some(input) => inputs.push(input),
                None => tokio::task::yield_now().await,
            }
        }
        inputs
    }

    #[tokio::test]
    async fn a_user_that_leaves_does_so_behind_its_command() {
        let (inbox, mut outbox) = inbox();
        let brain = BrainHandle::new(inbox.clone(), Waiting::default(), Handle::current());
        for _ in 1..USERS_WAITING {
            inbox.ask(Input::Disk { room: true }).await.unwrap();
        }
        // The last that fits.
        let answers = brain.ask(Command::Follow { tasks: Vec::new() }).await.unwrap();
        drop(answers);
        let inputs = taken(&mut outbox, USERS_WAITING + 1).await;
        let [.., Input::Command { request, command: Command::Follow { .. } }, last] = inputs.as_slice() else {
            panic!("{:?}", inputs.last())
        };
        assert!(matches!(last, Input::Command { command: Command::Leave { request: left }, .. } if left == request));
    }

    #[tokio::test]
    async fn signatures_are_judged_before_the_brain_hears_of_the_command() {
        let (inbox, mut outbox) = inbox();
        let key = SecretKey::from_bytes(&[1; 32]);
        let genesis = Genesis {
            name: "judged".parse().unwrap(),
            nonce: [7; 32],
            maker: key.node_id(),
            engine: Engine::Pbft,
            open: false,
            created: Wall(1),
            committee: Founders::alone(key.node_id()),
        };
        let support = Support { version: 1, store: mesh_proto::id::StoreId(1), at: Index::GENESIS };
        let signed = Body::Support(SignedSupport::report(&key, &genesis.network_id(), support));
        let order = |body| {
            let id =
                CommandId { principal: "user".parse().unwrap(), key: b"k".as_slice().into(), born: Index::GENESIS };
            Command::Order { operations: vec![Operation::Command(Box::new(ledger::Command { id, body }))] }
        };
        let brain = BrainHandle::new(inbox, Waiting::default(), Handle::current()).judging(Arc::new(genesis));
        let _unsigned = brain.ask(order(Body::Tick)).await.unwrap();
        let _signed = brain.ask(order(signed)).await.unwrap();
        let inputs = taken(&mut outbox, 3).await;
        let [Input::Command { .. }, Input::Judged(verdicts), Input::Command { .. }] = inputs.as_slice() else {
            panic!("{inputs:?}")
        };
        assert_eq!(verdicts.len(), 1);
    }

    #[tokio::test]
    async fn a_user_that_gives_up_before_its_command_is_taken_leaves_nothing_behind() {
        let (inbox, mut outbox) = inbox();
        let waiting = Waiting::default();
        let brain = BrainHandle::new(inbox.clone(), waiting.clone(), Handle::current());
        for _ in 0..USERS_WAITING {
            inbox.ask(Input::Disk { room: true }).await.unwrap();
        }
        let asked = tokio::time::timeout(Duration::from_millis(1), brain.ask(Command::Status)).await;
        assert!(asked.is_err(), "the queue is full");
        assert!(waiting.lock().is_empty());
        // Nor in the queue, which many of those would fill.
        taken(&mut outbox, USERS_WAITING).await;
        tokio::task::yield_now().await;
        assert!(outbox.take(Take::All).is_none());
    }
}
