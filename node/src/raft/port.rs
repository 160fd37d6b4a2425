use super::{
    Slot,
    ledger::{Answer, Ledger},
    orders::Orders,
    service::Wish,
    wire::Wire,
};
use crate::{brain::Inbox, network::NetworkHandle};
use mesh_coordinator::agreement::PortEffect;
use mesh_proto::id::NodeId;
use std::{collections::BTreeSet, sync::Arc};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

/// Where the brain's effects go that are for the engine.
#[derive(Clone)]
pub struct Port {
    executed: mpsc::UnboundedSender<Answer>,
    orders: Orders,
    wishes: mpsc::UnboundedSender<Wish>,
    seats: watch::Sender<BTreeSet<NodeId>>,
}

/// What the service is made of.
pub struct Parts {
    pub slot: Slot,
    pub wire: Wire,
    pub ledger: Arc<Ledger>,
    pub(super) wishes: mpsc::UnboundedReceiver<Wish>,
    /// Whom the ledger seats: of what was answered last, or later.
    pub(super) seats: watch::Receiver<BTreeSet<NodeId>>,
    pub inbox: Inbox,
}

impl Port {
    pub fn new(network: NetworkHandle, inbox: Inbox, runtime: Handle) -> (Self, Parts) {
        let (slot, me) = (Slot::default(), network.node());
        let wire = Wire::new(network);
        // Bounded by what the engine asks of the brain, which is one thing at a time.
        let (executed, answers) = mpsc::unbounded_channel();
        // Changes of the committee, and of what this node is in it.
        let (wishes, wanted) = mpsc::unbounded_channel();
        let orders = Orders::new(me, slot.clone(), wire.clone(), inbox.clone(), runtime);
        let ledger = Arc::new(Ledger::new(inbox.clone(), answers));
        let (seats, seated) = watch::channel(BTreeSet::new());
        (Self { executed, orders, wishes, seats }, Parts { slot, wire, ledger, wishes: wanted, seats: seated, inbox })
    }

    pub fn carry_out(&self, effect: PortEffect) {
        let is_heard = match effect {
            PortEffect::Executed(answer) => self.executed.send(answer).is_ok(),
            PortEffect::Order { ticket, operations } => {
                self.orders.take(ticket, operations);
                true
            }
            PortEffect::Run(begin) => self.wishes.send(Wish::Run(begin)).is_ok(),
            PortEffect::Seat { members, .. } => {
                // At once, and not when the service comes to it: the brain says this before it answers what seated them.
                self.seats.send_replace(members.iter().copied().collect());
                self.orders.seat(&members);
                self.wishes.send(Wish::Seat(members)).is_ok()
            }
        };
        if !is_heard {
            tracing::debug!("the service of Raft has ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain;
    use mesh_coordinator::agreement::Executed;
    use mesh_ledger::Map;
    use mesh_proto::{domain::Epoch, time::Wall};
    use mesh_raft::Machine as _;

    /// Whoever hears that a batch is executed finds whom it seats, wherever the service may be. By the queue of that, behind the
    /// answer, a leader that had just started took all others out of its committee (siege under Raft, seed
    /// 12264660168975586787).
    #[tokio::test]
    async fn whom_a_batch_seats_is_there_when_it_is_answered() {
        let (network, (inbox, _outbox)) = (NetworkHandle::of_nothing(NodeId::from_bytes([1; 32])), brain::inbox());
        let (port, parts) = Port::new(network, inbox, Handle::current());
        let members: Vec<NodeId> = (1..=3).map(|n| NodeId::from_bytes([n; 32])).collect();
        // What the brain says of one batch, in its order; nobody is there to take the wishes.
        port.carry_out(PortEffect::Seat { epoch: Epoch(1), members: members.clone() });
        port.carry_out(PortEffect::Executed(Ok(Executed { outcomes: vec![Vec::new()], state: Map::new() })));
        let batch = mesh_raft::Ordered { index: 1, time: Wall(1), requests: Vec::new() };
        assert_eq!(parts.ledger.execute(vec![batch]).await.expect("it was answered").len(), 1);
        assert_eq!(*parts.seats.borrow(), members.into_iter().collect());
    }
}
