//! Replies to gateways, signed once for all outcomes that go to one of them.

use super::{Replica, Turn};
use mesh_proto::{
    id::NodeId,
    key::Signature,
    pbft::{Answered, Message, Reply, Sequence},
};
use std::sync::Arc;

impl Replica {
    /// Members alone answer: others are not counted. A batch may settle more of one gateway than it has requests.
    pub(super) fn reply(&mut self, turn: &mut Turn<'_>, gateway: NodeId, sequence: Sequence, outcomes: Vec<Answered>) {
        if self.id.is_none() {
            return;
        }
        let config = &self.durable.config;
        let (most, most_bytes) = (config.batch_requests as usize, config.client_bytes as usize);
        let (mut part, mut bytes) = (Vec::new(), 0);
        for answered in outcomes {
            let size = answered.outcome.len();
            if part.len() >= most || bytes + size > most_bytes && !part.is_empty() {
                self.send_reply(turn, gateway, sequence, std::mem::take(&mut part));
                bytes = 0;
            }
            bytes += size;
            part.push(answered);
        }
        self.send_reply(turn, gateway, sequence, part);
    }

    fn send_reply(&mut self, turn: &mut Turn<'_>, gateway: NodeId, sequence: Sequence, outcomes: Vec<Answered>) {
        let Some(replica) = self.id else { return };
        let (epoch, view) = (self.durable.config.epoch, self.durable.view);
        let signature = Signature::from_bytes([0; 64]);
        let reply = Reply { epoch, view, gateway, sequence, outcomes, replica, signature };
        let reply = reply.signed(&self.key, &self.network);
        self.counters.answered += 1;
        // A gateway may be on this node: its client is told as any other is.
        let message = Arc::new(Message::Reply(Arc::new(reply)));
        turn.effects.push(crate::Effect::Send { to: crate::Recipient::Node(gateway), message });
    }
}
