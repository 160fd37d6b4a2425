//! Two machines with one key: each is a correct coordinator on a disk of its own, and both speak for one member of the
//! committee. What is said to that member reaches both, where the network lets it; to the rest of the mesh the second one
//! does not exist.

use super::{
    count::Count,
    event::Event,
    node::{Node, Place},
    storage::Medium,
    world::World,
};
use mesh_coordinator::{ControlMessage, Fact, Message, Query, QueryReply, agreement};
use mesh_membership::Member;
use mesh_proto::{
    id::{LogPosition, StoreId},
    pbft,
};
use std::sync::Arc;

/// Between two times that a twin looks for those it is not connected to.
const LOOKS: u64 = 1_000_000;

impl World {
    /// The second machines of this world, behind all others.
    pub(super) fn make_twins(&mut self) {
        let Some(council) = &self.options.council else { return };
        for original in council.twins().collect::<Vec<_>>() {
            let index = self.nodes.len();
            let one = &self.nodes[original];
            let mut twin = Node {
                claims: None,
                index,
                id: one.id,
                key: Arc::clone(&one.key),
                me: Member { store: StoreId(self.fate.next()), ..one.me.clone() },
                clock: super::storage::draw_clock(&mut self.fate, &self.options),
                medium: Medium::new(&self.options),
                life: 0,
                durable: LogPosition::START,
                body: None,
                frozen: None,
                slow_disk: 1,
                full_disk: 0,
                place: Place::Twin,
                slots: one.slots,
            };
            let fact = Fact::Agreement(agreement::Fact::Follows);
            twin.durable = twin.medium.begin(twin.me.store, &fact).expect("an empty disk takes a record");
            self.nodes.push(twin);
            self.twins.insert(index, original);
            let at = self.fate.range(0..=5_000_000);
            self.queue.push(at, Event::Start { node: index as u16, life: 0 });
        }
    }

    pub(super) fn is_twin(&self, node: usize) -> bool {
        self.twins.contains_key(&node)
    }

    /// The machine that the mesh knows.
    pub(super) fn original(&self, node: usize) -> usize {
        self.twins.get(&node).copied().unwrap_or(node)
    }

    /// The second machine of a node that is two.
    pub(super) fn twin_of(&self, node: usize) -> Option<usize> {
        self.twins.iter().find(|(_, original)| **original == node).map(|(twin, _)| *twin)
    }

    /// A twin connects to whom it is not connected to.
    pub(super) fn look_for_others(&mut self, twin: usize, life: u32) {
        if self.nodes[twin].life != life || self.nodes[twin].body.is_none() {
            return;
        }
        let original = self.original(twin);
        for peer in self.running() {
            if peer != original && !self.is_twin(peer) && !self.network.is_open(twin, peer) {
                self.dial(twin, peer);
            }
        }
        self.queue.push(self.at + LOOKS, Event::Bootstrap { node: twin as u16, to: 0, life });
    }

    /// Whether a twin may send this: it takes part in nothing but agreement.
    pub(super) fn is_of_agreement(message: &Message) -> bool {
        match message {
            Message::Consensus(_) => true,
            Message::Control(control) => matches!(control, ControlMessage::Query { query: Query::Agreement(_), .. }),
            Message::Task(_) => false,
        }
    }

    /// Whether what is sent to a member reaches its second machine as well.
    pub(super) fn reaches_twins(message: &Message) -> bool {
        match message {
            Message::Consensus(_) => true,
            Message::Control(control) => matches!(
                control,
                ControlMessage::Heartbeat(_) | ControlMessage::Reply { reply: QueryReply::Agreement(_), .. }
            ),
            Message::Task(_) => false,
        }
    }

    /// One of the machines with one key says this.
    pub(super) fn note_twin(&mut self, node: usize, said: &pbft::Message) {
        let original = self.original(node);
        if self.twin_of(original).is_none() {
            return;
        }
        if node != original {
            match said {
                pbft::Message::PrePrepare(_) => self.count(Count::TwinProposed),
                pbft::Message::Prepare(_) | pbft::Message::Commit(_) => self.count(Count::TwinVoted),
                pbft::Message::ViewChange(_) => self.count(Count::TwinLeftView),
                _ => {}
            }
        }
        if self.double_words.said(self.nodes[node].id, said).is_err() {
            self.count(Count::TwinsApart);
        }
        self.count(Count::LieTwins);
    }
}
