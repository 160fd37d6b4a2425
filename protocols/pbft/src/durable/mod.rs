//! What a replica must not forget. It changes by facts alone, live and at a restart.

mod apply;
mod retell;

use crate::{Alarm, table::Table};
use mesh_proto::{
    domain::Epoch,
    id::Digest,
    key::Signature,
    pbft::{
        Batch, ClientEntry, EpochCertificate, EpochConfig, Evidence, NewView, Prepared, ReplicaId, Request, Sequence,
        Summary, View, ViewChange,
    },
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    pub config: Arc<EpochConfig>,
    /// The ends of the epochs since the configured one.
    pub chain: Vec<Arc<EpochCertificate>>,
    pub view: View,
    pub standing: Standing,
    /// How the view, or the one before it that was active, was entered; none for view 0.
    pub entered: Option<Entered>,
    /// The last stable checkpoint that is held.
    pub stable: Option<Arc<EpochCertificate>>,
    /// Held states: the stable one, and own ones above it.
    pub checkpoints: BTreeMap<Sequence, Held>,
    pub log: BTreeMap<Sequence, Entry>,
    pub batches: BTreeMap<Digest, Kept<Batch>>,
    pub bodies: BTreeMap<Digest, Kept<Request>>,
    pub evidence: BTreeMap<(Epoch, ReplicaId), Vec<Arc<Evidence>>>,
    pub amnesia: bool,
    /// Why it has stopped for good.
    pub halted: Option<Alarm>,
}

/// Whether the replica takes part in its view. Section 4.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Active,
    /// It has sent this, and waits for the NEW-VIEW.
    Changing(Arc<ViewChange>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    pub message: Arc<NewView>,
    pub changes: Vec<Arc<ViewChange>>,
}

/// A checkpoint whose state the caller holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub summary: Arc<Summary>,
    pub digest: Digest,
    pub table: Table,
    /// What the table has otherwise than the one before.
    pub clients: Arc<Vec<ClientEntry>>,
    /// Of the own CHECKPOINT, in this epoch.
    pub vote: Option<(Epoch, Signature)>,
}

/// What is on the disk for one number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The last proposal that was accepted.
    pub accepted: Option<Accepted>,
    /// The certificate of the highest view: forgotten for a higher one or a stable checkpoint, never for entering a view.
    pub prepared: Option<Arc<Prepared>>,
    /// Of the own COMMIT for it.
    pub commit: Option<Signature>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub view: View,
    pub digest: Digest,
    pub proposal: Signature,
    pub prepare: Option<Signature>,
}

/// Kept until the checkpoint at or above `last` is stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    pub value: Arc<T>,
    pub last: Sequence,
}

impl Durable {
    pub fn new(config: Arc<EpochConfig>) -> Self {
        Self {
            config,
            chain: Vec::new(),
            view: View::ZERO,
            standing: Standing::Active,
            entered: None,
            stable: None,
            checkpoints: BTreeMap::new(),
            log: BTreeMap::new(),
            batches: BTreeMap::new(),
            bodies: BTreeMap::new(),
            evidence: BTreeMap::new(),
            amnesia: false,
            halted: None,
        }
    }

    /// h: the last stable checkpoint, whether its state is held or not.
    pub fn low(&self) -> Sequence {
        self.stable.as_ref().map_or(Sequence::ZERO, |stable| stable.summary.sequence).max(self.config.start)
    }

    /// H.
    pub fn high(&self) -> Sequence {
        self.low().plus(u64::from(self.config.window))
    }

    /// Up to where the caller's durable state goes.
    pub fn held(&self) -> Sequence {
        self.checkpoints.last_key_value().map_or(Sequence::ZERO, |(sequence, _)| *sequence)
    }

    pub fn is_active(&self) -> bool {
        matches!(self.standing, Standing::Active)
    }
}
