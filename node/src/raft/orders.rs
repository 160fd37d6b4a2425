//! Carries requests of this node's gateway to whoever leads, until one is answered. Asked twice, a command runs once: the
//! ledger knows its id, and a question changes nothing.

use super::{Slot, wire::Wire};
use crate::brain::Inbox;
use mesh_coordinator::{Input, agreement::PortInput};
use mesh_proto::{id::NodeId, ledger::Index, pbft::Operations, task::Octets};
use mesh_raft::{CallError, Engine, OrderError, Request, Transport as _};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::runtime::Handle;

/// How long a leader that is connected may take. One that is gone is noticed at once, by its connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries: doubling.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// Cheap to clone.
#[derive(Clone)]
pub struct Orders(Arc<Shared>);

struct Shared {
    me: NodeId,
    slot: Slot,
    wire: Wire,
    inbox: Inbox,
    runtime: Handle,
    known: Mutex<Known>,
}

/// Whom to ask.
#[derive(Default)]
struct Known {
    committee: Vec<NodeId>,
    /// Who led when it was last heard of.
    leader: Option<NodeId>,
}

impl Orders {
    pub fn new(me: NodeId, slot: Slot, wire: Wire, inbox: Inbox, runtime: Handle) -> Self {
        Self(Arc::new(Shared { me, slot, wire, inbox, runtime, known: Mutex::default() }))
    }

    pub fn seat(&self, committee: &[NodeId]) {
        self.known().committee = committee.to_vec();
    }

    /// As many at once as the brain has under way, which is few.
    pub fn take(&self, ticket: u64, operations: Operations) {
        let orders = self.clone();
        self.0.runtime.spawn(async move {
            let ((index, outcome), is_repeat) = orders.carry(operations).await;
            let answered = PortInput::Answered { ticket, index: Index(index), outcome, is_repeat };
            if orders.0.inbox.answer(Input::Port(answered)).is_err() {
                tracing::debug!("the brain has ended");
            }
        });
    }

    /// With what came of it, whether it was sent more than once.
    async fn carry(&self, operations: Operations) -> ((u64, Octets), bool) {
        let (mut pause, mut attempt, mut tries) = (PAUSE.0, 0usize, 0u32);
        loop {
            let asked = self.whom(attempt);
            tries = tries.saturating_add(u32::from(asked.is_some()));
            let hint = match asked {
                Some(node) => match self.ask(node, operations.clone()).await {
                    Ok(ordered) => {
                        self.known().leader = Some(node);
                        return (ordered, tries > 1);
                    }
                    Err(hint) => hint,
                },
                None => None,
            };
            let is_news = hint.is_some() && hint != asked;
            self.known().leader = hint.filter(|_| is_news);
            // Who leads is named by who does not; two that name each other are asked no faster.
            if !is_news || attempt % 4 == 3 {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
            attempt = attempt.wrapping_add(1);
        }
    }

    /// Who leads, as far as this node knows, else one of the committee after the other.
    fn whom(&self, attempt: usize) -> Option<NodeId> {
        if let Some(leader) = self.0.slot.engine().and_then(|engine| engine.standing().leader) {
            return Some(leader);
        }
        let known = self.known();
        let place = attempt.checked_rem(known.committee.len());
        known.leader.or_else(|| place.and_then(|place| known.committee.get(place).copied()))
    }

    /// Has it ordered there; or who leads instead, if that was said.
    async fn ask(&self, node: NodeId, operations: Operations) -> Result<(u64, Octets), Option<NodeId>> {
        let engine = self.0.slot.engine();
        if node == self.0.me {
            return match engine.ok_or(None)?.order(operations).await {
                Ok(ordered) => Ok(ordered),
                Err(OrderError::Elsewhere(leader)) => Err(leader),
                Err(OrderError::Busy | OrderError::TooLarge | OrderError::Ended) => Err(None),
            };
        }
        let call = self.0.wire.call(node, Request::order(operations), PATIENCE);
        let answer = match engine {
            Some(engine) => tokio::select! {
                answer = call => answer,
                () = no_longer_led_by(&engine, node) => Err(CallError::Lost),
            },
            None => call.await,
        };
        answer.map_err(|_| None)?.into_ordered()
    }

    /// Nothing that can panic happens under the lock.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This node's own engine has found another leader: the one that was asked may be stuck for long.
async fn no_longer_led_by(engine: &Engine, node: NodeId) {
    loop {
        if engine.standing().leader.is_some_and(|leader| leader != node) {
            return;
        }
        if !engine.changed().await {
            return std::future::pending().await;
        }
    }
}
