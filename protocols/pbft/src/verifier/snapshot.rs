use super::Refusal;
use crate::quorum::Quorums;
use mesh_proto::{
    domain::Epoch,
    id::{NetworkId, NodeId},
    pbft::{EpochConfig, ReplicaId, Sequence, Sizes, View},
};
use std::sync::Arc;

/// What a replica stood at when it was made. An old one refuses a little that is good, which is sent again, and lets pass
/// a little that the replica refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(crate) network: NetworkId,
    pub(crate) config: Arc<EpochConfig>,
    pub(crate) quorums: Quorums,
    pub(crate) sizes: Sizes,
    pub(crate) view: View,
    /// h.
    pub(crate) low: Sequence,
    /// H.
    pub(crate) high: Sequence,
}

impl Snapshot {
    /// For a gateway that is no replica: it takes replies alone.
    #[must_use]
    pub fn of_epoch(network: NetworkId, config: Arc<EpochConfig>) -> Self {
        let (view, low) = (View::ZERO, config.start);
        Self::new(network, config, view, low)
    }

    pub(crate) fn new(network: NetworkId, config: Arc<EpochConfig>, view: View, low: Sequence) -> Self {
        let quorums = Quorums::of(config.members.len());
        let sizes = Sizes::of(&config);
        let high = low.plus(u64::from(config.window));
        Self { network, config, quorums, sizes, view, low, high }
    }

    /// How many bytes a message of each kind may have.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    #[must_use]
    pub fn config(&self) -> &Arc<EpochConfig> {
        &self.config
    }

    /// Of all members, for every number of a window.
    pub(crate) fn signatures_in_flight(&self) -> usize {
        (self.config.window as usize * (2 * self.config.members.len() + 2)).clamp(1024, 64 * 1024)
    }

    pub(crate) fn in_epoch(&self, found: Epoch) -> Result<(), Refusal> {
        match found == self.config.epoch {
            true => Ok(()),
            false => Err(Refusal::Epoch { found, own: self.config.epoch }),
        }
    }

    /// Later views as well: a vote of one may come before its NEW-VIEW.
    pub(crate) fn in_view(&self, found: View) -> Result<(), Refusal> {
        match found >= self.view {
            true => Ok(()),
            false => Err(Refusal::View { found, own: self.view }),
        }
    }

    pub(crate) fn in_window(&self, sequence: Sequence) -> Result<(), Refusal> {
        match self.low < sequence && sequence <= self.high {
            true => Ok(()),
            false => Err(Refusal::Window(sequence)),
        }
    }

    pub(crate) fn is_of(&self, from: NodeId, replica: ReplicaId) -> Result<(), Refusal> {
        match self.config.member(replica) == Some(from) {
            true => Ok(()),
            false => Err(Refusal::Member(from)),
        }
    }
}
