use crate::{Effect, Fact, Input};
use mesh_membership::Member;
use mesh_proto::{
    id::{LogPosition, NetworkId, NodeId, StoreId},
    time::{Mono, Now},
};

/// What a brain is made with.
#[derive(Clone, Debug)]
pub struct Config {
    pub network: NetworkId,
    /// Of the one generator that all machines draw from.
    pub seed: u64,
    /// This node as a member: its id, its store, its role.
    pub me: Member,
    pub membership: mesh_membership::Config,
    pub tasks: mesh_tasks::Config,
}

/// The brain. Holds machines and wires; no rules of its own.
pub struct Coordinator {
    config: Config,
    position: LogPosition,
}

impl Coordinator {
    pub fn new(config: Config) -> Self {
        Self { config, position: LogPosition::START }
    }

    /// One entry of the store, in any order, before the log.
    pub fn load(&mut self, _key: &[u8], _value: &[u8]) -> Result<(), mesh_proto::codec::DecodeError> {
        Ok(())
    }

    /// The store is at this position: the facts that follow are numbered from the next.
    pub fn loaded(&mut self, position: LogPosition) {
        self.position = position;
    }

    /// One fact of the log, in order: reads no time, draws nothing, emits nothing.
    pub fn apply(&mut self, _fact: Fact) {
        self.position = self.position.next();
    }

    pub fn handle(&mut self, _now: Now, _input: Input, _effects: &mut Vec<Effect>) {}

    /// Due timers.
    pub fn handle_deadline(&mut self, _now: Now, _effects: &mut Vec<Effect>) {}

    /// When to call [`Self::handle_deadline`] next.
    pub fn deadline(&self) -> Option<Mono> {
        None
    }

    /// What the last events had to say, one frame a destination.
    pub fn flush(&mut self, _now: Now, _effects: &mut Vec<Effect>) {}

    /// The entries of the store that changed since the last call, for position [`Self::position`]: `None` is a removal.
    pub fn take_changes(&mut self) -> (LogPosition, Vec<(Vec<u8>, Option<Vec<u8>>)>) {
        (self.position, Vec::new())
    }

    /// Of the last fact persisted or applied.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// Whether a record that this node holds, or an execution here, needs the blob.
    pub fn refers_to(&self, _blob: &mesh_proto::id::BlobId) -> bool {
        false
    }

    pub fn node(&self) -> NodeId {
        self.config.me.node
    }

    pub fn store(&self) -> StoreId {
        self.config.me.store
    }
}
