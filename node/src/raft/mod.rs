//! Raft in the body, on a network whose members trust each other: the engine of `mesh-raft` between the brain, which
//! holds the ledger, the disk and the other nodes.
//!
//! ```text
//! DIR/raft/log/       segments of the engine's own log
//!          snapshot   the state that it goes on from
//!          resigned   this node was in the committee and is not any more: nothing is started
//! ```

mod journal;
mod ledger;
mod orders;
mod port;
mod serve;
mod service;
mod wire;

pub use port::{Parts, Port};
pub use serve::{PROTOCOL, serve};
pub use service::Service;

use mesh_raft::Engine;
use std::sync::{Arc, PoisonError, RwLock};

/// The engine that runs, if one does. Clones are the same place.
#[derive(Clone, Default)]
pub struct Slot(Arc<RwLock<Option<Arc<Engine>>>>);

impl Slot {
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, engine: Option<Arc<Engine>>) -> Option<Arc<Engine>> {
        std::mem::replace(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), engine)
    }
}
