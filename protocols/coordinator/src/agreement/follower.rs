use mesh_pbft::{Snapshot, Verifier};
use mesh_proto::{
    domain::Epoch,
    id::{NetworkId, NodeId},
    limits,
    pbft::{EpochCertificate, EpochConfig, Message},
};
use std::sync::Arc;

/// Knows who the committee is without being of it: each epoch is proved by the one before, from the genesis on.
pub struct Follower {
    network: NetworkId,
    epoch: Arc<EpochConfig>,
    ends: Vec<Arc<EpochCertificate>>,
}

impl Follower {
    pub fn new(network: NetworkId, epoch: Arc<EpochConfig>) -> Self {
        Self { network, epoch, ends: Vec::new() }
    }

    /// Takes what proves itself; the new epoch, if there is one.
    pub fn learn(&mut self, from: NodeId, ends: &[Arc<EpochCertificate>]) -> Option<Arc<EpochConfig>> {
        let own = self.epoch.epoch;
        let news: Vec<_> = ends.iter().filter(|end| end.certificate.epoch >= own).cloned().collect();
        let mut verifier = Verifier::new(Arc::new(Snapshot::of_epoch(self.network, Arc::clone(&self.epoch))));
        verifier.verify(from, Message::Epochs(news.clone())).ok()?;
        self.epoch = Arc::new(news.last()?.summary.config.clone());
        self.ends.extend(news);
        Some(Arc::clone(&self.epoch))
    }

    /// The ends of all epochs that are over.
    pub fn chain(&self) -> &[Arc<EpochCertificate>] {
        &self.ends
    }

    /// Ends of epochs from this one on.
    pub fn ends(&self, from: Epoch) -> Vec<Arc<EpochCertificate>> {
        let ends = self.ends.iter().filter(|end| end.certificate.epoch >= from);
        ends.take(limits::PBFT_EPOCHS).cloned().collect()
    }
}
