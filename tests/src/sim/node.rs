//! A simulated machine: the body around a brain, as `meshd` has it, without threads.

use super::{
    check::{Blame, Turns},
    clock::Clock,
    event::Event,
    execution::Running,
    signatures::Shared,
    storage::{Medium, Storage},
};
use mesh_coordinator::{Coordinator, Effect, Fact, Input, agreement::Judge};
use mesh_membership::Member;
use mesh_pbft::Verifier;
use mesh_proto::{
    capability::Capabilities,
    id::{Digest, LogPosition, NodeId, StoreId},
    key::SecretKey,
    ledger::Index,
};
use std::{collections::VecDeque, sync::Arc};

/// One machine, running or not.
pub struct Node {
    pub index: usize,
    pub id: NodeId,
    pub key: Arc<SecretKey>,
    /// What it says of itself: the store changes with a lost disk, the incarnation with every word.
    pub me: Member,
    pub clock: Clock,
    pub medium: Medium,
    /// Raised with every start and stop: events of another life are void.
    pub life: u32,
    /// What was durable when it last ran.
    pub durable: LogPosition,
    pub body: Option<Body>,
    /// Stopped, as by SIGSTOP, since then.
    pub frozen: Option<u64>,
    /// Factor on the time of a commit.
    pub slow_disk: u64,
    /// Faults that leave no room on its disk.
    pub full_disk: u32,
    pub place: Place,
    pub slots: u32,
    /// What it says that it has, if that is a lie.
    pub claims: Option<Capabilities>,
}

/// Whether a machine counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not part of the world yet.
    Spare,
    Member,
    /// Its member was told to leave; it still helps to move what it holds.
    Leaving,
    /// Gone for good.
    Gone,
    /// Another machine with the key of a member that lies. It takes part in agreement and in nothing else.
    Twin,
}

/// A running process.
pub struct Body {
    pub brain: Coordinator,
    pub storage: Storage,
    /// What has arrived and was not looked at.
    pub inbox: VecDeque<Input>,
    /// A wake-up is on its way.
    pub waking: bool,
    /// The timer that is on its way.
    pub timer: Option<u64>,
    /// Turns in a row behind which something was still due.
    pub in_vain: u32,
    pub durable: LogPosition,
    /// The number of the last fact persisted.
    pub persisted: LogPosition,
    /// Being written.
    pub committing: Vec<Fact>,
    /// To be written when that is done.
    pub waiting: Vec<Fact>,
    /// What must not happen before its facts are on disk, in order.
    pub gated: VecDeque<(LogPosition, Effect)>,
    pub executions: Vec<Running>,
    /// What its brain knows that it has.
    pub told: Capabilities,
    pub turns: Turns,
    pub blame: Blame,
    /// Carries out so many more effects and then crashes.
    pub effects_left: Option<u32>,
    /// The store has its turn when everything is on disk.
    pub wants_to_absorb: bool,
    /// Checks what is said for agreement, once it was told what to go by.
    pub verifier: Option<Verifier<Shared>>,
    /// Checks signatures inside commands, beside the brain.
    pub judge: Option<Judge>,
    /// Where the ledger was seen last, and what it rests on the disk for.
    pub ledger_seen: Index,
    pub ledgers: VecDeque<(LogPosition, Index, Digest)>,
    /// While frozen: what would have happened.
    pub postponed: Vec<Event>,
}

/// Inputs that one turn of the brain's thread takes at most.
pub const TURN: usize = 1024;

/// What is due may bring about what is due at once, in so many turns in a row. A body takes turns without a pause until nothing
/// is due.
pub const IN_VAIN: u32 = 3;

/// Inputs that may wait: more means that the machine is overrun, which nothing here should cause.
pub const INBOX: usize = 100_000;

impl Node {
    pub fn store(&self) -> StoreId {
        self.me.store
    }

    /// What it says of itself: its capabilities may be a lie.
    pub fn word(&self) -> Member {
        let capabilities = self.claims.clone().unwrap_or_else(|| self.me.capabilities.clone());
        Member { capabilities, ..self.me.clone() }
    }

    pub fn is_running(&self) -> bool {
        self.body.is_some()
    }

    /// Whether it is a joined member's machine, up or not.
    pub fn counts(&self) -> bool {
        self.place == Place::Member
    }
}
