//! Carries effects out. Dull: one short arm each.

use super::{Inbox, answers::Waiting};
use crate::{
    consensus::Verifiers,
    directory,
    gauge::Gauge,
    network::{Class, CommandError, NetworkHandle, SendError},
    raft,
    work::Work,
};
use bytes::Bytes;
use libp2p::Multiaddr;
use mesh_coordinator::{Accused, ControlMessage, Effect, Input, Message};
use mesh_ledger::Map;
use mesh_proto::{
    aggregate::AggregateId,
    codec,
    id::NodeId,
    pbft::{self, Sequence},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{runtime::Handle, sync::watch};

/// Everything that an effect may need.
pub struct Hands {
    pub network: NetworkHandle,
    pub waiting: Waiting,
    pub work: Work,
    pub inbox: Inbox,
    pub runtime: Handle,
    /// The incarnation above which this node must speak of itself.
    pub speak: watch::Sender<u64>,
    /// Cancellations that wait behind records: what is to run in their place must not overtake them.
    pub cancels: AtomicUsize,
    pub verifiers: Verifiers,
    pub raft: raft::Port,
    pub gauge: Gauge,
}

/// The message of the ordering protocol that was encoded last: what goes to several members goes to one behind the other.
#[derive(Default)]
pub struct Encoded(Option<(Arc<pbft::Message>, Bytes)>);

impl Encoded {
    fn of(&mut self, message: &Arc<pbft::Message>) -> Bytes {
        match &self.0 {
            Some((last, bytes)) if Arc::ptr_eq(last, message) => bytes.clone(),
            Some(_) | None => {
                let bytes = Bytes::from(message.encode());
                self.0 = Some((Arc::clone(message), bytes.clone()));
                bytes
            }
        }
    }
}

impl Hands {
    /// The caller has seen to it that what the effect rests on is on disk.
    pub fn carry_out(&self, effect: Effect, encoded: &mut Encoded) {
        match effect {
            // Appended by the commit thread before anything that rests on it.
            Effect::Persist(_) => {}
            Effect::Send { to, message, .. } => self.send(to, &message, encoded),
            Effect::Answer { request, answers, .. } => self.waiting.say(request, answers, &self.runtime),
            Effect::Execute { birth, attempt, .. } => self.work.execute(&birth, attempt),
            Effect::Cancel { task, attempt } => {
                self.work.cancel(task, attempt);
                self.cancels.fetch_sub(1, Ordering::AcqRel);
            }
            Effect::Measure { id, name } => self.measure(id, name),
            Effect::Dial { node, addresses } => self.dial(node, &addresses),
            Effect::Disconnect { node } => note(self.network.disconnect(node)),
            Effect::Announce { member, .. } => {
                note(self.network.publish(directory::TOPIC, Bytes::copy_from_slice(&member.entry)));
            }
            Effect::SumUp { sequence, state } => self.sum_up(sequence, state),
            Effect::Verify(snapshot) => self.verifiers.update(snapshot),
            Effect::Port(effect) => self.raft.carry_out(effect),
            Effect::Halted(why) => {
                tracing::error!(why, "this node takes no part in agreement any more; all else goes on");
            }
            Effect::Accused { accused, how: Accused::Caught { kind } } => {
                tracing::warn!(%accused, kind, "a member of the committee has contradicted itself; the ledger is to keep the proof");
            }
            Effect::Accused { accused, how: Accused::Kept { index } } => {
                tracing::warn!(%accused, batch = index.0, "the ledger keeps proof that a member of the committee has contradicted itself");
            }
            Effect::Speak { above } => {
                self.speak.send_if_modified(|highest| above > std::mem::replace(highest, above.max(*highest)));
            }
        }
    }

    fn send(&self, to: NodeId, message: &Message, encoded: &mut Encoded) {
        let (class, bytes): (Class, Bytes) = match message {
            Message::Task(frame) => (Class::Task, codec::encode_into(Vec::with_capacity(4096), frame).into()),
            // A reply may be large, and heartbeats must not wait behind it.
            Message::Control(reply @ ControlMessage::Reply { .. }) => (Class::Bulk, codec::encode(reply).into()),
            Message::Control(message) => (Class::Control, codec::encode(message).into()),
            Message::Consensus(message) => (Class::Consensus, encoded.of(message)),
        };
        match self.network.send(to, class, bytes) {
            Ok(()) => {}
            // Its `Down` is on its way to the brain, or has been there: what matters is said again on `Up`.
            Err(SendError::NotConnected) => {}
            Err(SendError::Full) if class == Class::Task => self.say(Input::Full { node: to }),
            // Heartbeats, entries and replies come again, or are asked for again.
            Err(SendError::Full) => tracing::debug!(%to, %class, "not sent: its queue is full"),
            Err(error @ SendError::TooLarge) => tracing::error!(%to, %class, %error, "not sent: a bug"),
        }
    }

    /// Half a million keys take a tenth of a second: beside the brain.
    fn sum_up(&self, sequence: Sequence, state: Map) {
        let inbox = self.inbox.clone();
        self.runtime.spawn_blocking(move || {
            let root = state.root();
            if inbox.answer(Input::SummedUp { sequence, root }).is_err() {
                tracing::debug!("the brain has ended");
            }
        });
    }

    /// A scrape takes some milliseconds: beside the brain. Of more at once than the brain takes part in some are of nothing any
    /// more, whoever makes others begin and end so many: this node has no value for them.
    fn measure(&self, id: AggregateId, name: String) {
        let Some(turn) = self.gauge.turn() else { return self.say(Input::Measured { id, values: None }) };
        let (inbox, gauge) = (self.inbox.clone(), self.gauge.clone());
        self.runtime.spawn_blocking(move || {
            let values = gauge.measure(&name);
            drop(turn);
            if inbox.answer(Input::Measured { id, values }).is_err() {
                tracing::debug!("the brain has ended");
            }
        });
    }

    fn dial(&self, node: NodeId, addresses: &[String]) {
        let addresses: Vec<Multiaddr> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
        if !addresses.is_empty() {
            note(self.network.dial(node, addresses));
        }
    }

    fn say(&self, input: Input) {
        if self.inbox.answer(input).is_err() {
            tracing::debug!("the brain has ended");
        }
    }
}

/// A network that is too busy for a command now is asked again by the brain's own timers.
fn note(result: Result<(), CommandError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "the network did not take a command");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::{domain::Epoch, pbft::View};

    #[test]
    fn a_message_is_encoded_once_for_all_its_receivers() {
        let status = |view| {
            Arc::new(pbft::Message::Status(pbft::Status {
                epoch: Epoch(1),
                view: View::new(view),
                active: true,
                leaves: false,
                stable: Sequence::ZERO,
                executed: Sequence::ZERO,
                wants: false,
                changes: Vec::new(),
            }))
        };
        let (one, other) = (status(1), status(2));
        let mut encoded = Encoded::default();
        let [first, second] = [&one, &one].map(|message| encoded.of(message));
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!((&first[..], &encoded.of(&other)[..]), (&one.encode()[..], &other.encode()[..]));
        assert_eq!(encoded.of(&one)[..], one.encode());
    }
}
