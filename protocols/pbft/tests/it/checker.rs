//! What must hold, seen from outside and across restarts.

use mesh_pbft::Execution;
use mesh_proto::{
    id::{Digest, NodeId},
    pbft::{Message, Sequence},
    time::Wall,
};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Checker {
    /// What was executed under each number, by whichever correct replica came there first.
    slots: BTreeMap<Sequence, (Wall, Vec<Digest>)>,
    /// What each correct member has said, and about what.
    said: BTreeMap<(NodeId, u8, u64, u64, u64), Digest>,
    /// Outcomes that gateways were given.
    pub acknowledged: BTreeMap<Vec<u8>, Sequence>,
}

impl Checker {
    /// One order: every correct replica executes the same under one number.
    pub fn executed(&mut self, execution: &Execution) {
        let requests = execution.requests.iter().map(|body| body.digest).collect();
        let what = (execution.time, requests);
        let first = self.slots.entry(execution.sequence).or_insert_with(|| what.clone());
        assert_eq!(*first, what, "two executions of number {}", execution.sequence);
    }

    /// Nobody correct contradicts itself, whatever it forgot in a crash.
    pub fn said(&mut self, from: NodeId, message: &Message) {
        let (kind, epoch, view, sequence, digest) = match message {
            Message::PrePrepare(m) => (0, m.epoch.0, m.view.get(), m.sequence.get(), m.batch.digest()),
            Message::Prepare(m) => (1, m.epoch.0, m.view.get(), m.sequence.get(), m.digest),
            Message::Commit(m) => (2, m.epoch.0, m.view.get(), m.sequence.get(), m.digest),
            Message::Checkpoint(m) => (3, m.epoch.0, 0, m.sequence.get(), m.digest),
            // Those of others are passed on as well: they are checked under who signed them.
            Message::ViewChange(_) | Message::NewView(_) => return,
            _ => return,
        };
        let before = self.said.entry((from, kind, epoch, view, sequence)).or_insert(digest);
        assert_eq!(*before, digest, "{from:?} contradicts its {kind} in view {view} for {sequence}");
    }

    /// Own view changes and new views: one of each for a view.
    pub fn said_of_views(&mut self, from: NodeId, kind: u8, epoch: u64, view: u64, digest: Digest) {
        let before = self.said.entry((from, kind, epoch, view, 0)).or_insert(digest);
        assert_eq!(*before, digest, "{from:?} contradicts its {kind} for view {view}");
    }

    pub fn slots(&self) -> usize {
        self.slots.len()
    }
}
