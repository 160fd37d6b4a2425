use super::{
    Slot,
    ledger::{Answer, Ledger},
    orders::Orders,
    service::Wish,
    wire::Wire,
};
use crate::{brain::Inbox, network::NetworkHandle};
use mesh_coordinator::agreement::PortEffect;
use std::sync::Arc;
use tokio::{runtime::Handle, sync::mpsc};

/// Where the brain's effects go that are for the engine.
#[derive(Clone)]
pub struct Port {
    executed: mpsc::UnboundedSender<Answer>,
    orders: Orders,
    wishes: mpsc::UnboundedSender<Wish>,
}

/// What the service is made of.
pub struct Parts {
    pub slot: Slot,
    pub wire: Wire,
    pub ledger: Arc<Ledger>,
    pub(super) wishes: mpsc::UnboundedReceiver<Wish>,
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
        (Self { executed, orders, wishes }, Parts { slot, wire, ledger, wishes: wanted, inbox })
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
                self.orders.seat(&members);
                self.wishes.send(Wish::Seat(members)).is_ok()
            }
        };
        if !is_heard {
            tracing::debug!("the service of Raft has ended");
        }
    }
}
