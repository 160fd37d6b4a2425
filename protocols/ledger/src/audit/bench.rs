use crate::quorum;
use mesh_proto::{
    domain::Epoch,
    id::{NetworkId, NodeId},
    key::{self, BadSignature},
    pbft::{Checkpoint, EpochCertificate, EpochConfig, EpochConfigError, ReplicaId, Sequence},
};

/// Who may sign for an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bench {
    pub epoch: Epoch,
    /// The checkpoint that the epoch begins behind.
    start: Sequence,
    /// Ascending; a signer's number is its place here.
    pub members: Vec<NodeId>,
}

/// Why a certificate is not the next link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("it is signed in epoch {found}, and the committee that is known is that of epoch {known}", found = found.0, known = known.0)]
    Epoch { found: Epoch, known: Epoch },
    #[error(transparent)]
    Config(#[from] EpochConfigError),
    #[error("what is signed is not what it says it covers")]
    Covers,
    #[error("number {0} is no checkpoint of this epoch")]
    Place(Sequence),
    #[error("it names neither the committee that signed it nor the one behind it")]
    Successor,
    #[error("it ends no epoch")]
    NoEnd,
    #[error("{found} of the {members} members signed it, and {needed} must")]
    TooFew { found: usize, needed: usize, members: usize },
    #[error("member number {0} signed it, and there is none")]
    Stranger(ReplicaId),
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl Bench {
    /// The first committee.
    pub fn of_founders(founders: &[NodeId]) -> Self {
        let mut members = founders.to_vec();
        members.sort_unstable();
        Self { epoch: Epoch(0), start: Sequence::ZERO, members }
    }

    fn of(config: &EpochConfig) -> Self {
        Self { epoch: config.epoch, start: config.start, members: config.members.clone() }
    }

    /// Who goes on behind a checkpoint that this committee certified: itself, or at the end of an epoch the next one.
    pub fn step(&self, network: &NetworkId, link: &EpochCertificate) -> Result<Self, LinkError> {
        self.covers(link)?;
        let next = Self::of(&link.summary.config);
        let is_successor = next.epoch.0 == self.epoch.0.saturating_add(1) && next.start == link.summary.sequence;
        if next != *self && !is_successor {
            return Err(LinkError::Successor);
        }
        self.signed(network, link)?;
        Ok(next)
    }

    /// The signatures are said to be this committee's, over this summary, which is lawful.
    fn covers(&self, link: &EpochCertificate) -> Result<(), LinkError> {
        let (summary, stable) = (&link.summary, &link.certificate);
        if stable.epoch != self.epoch {
            return Err(LinkError::Epoch { found: stable.epoch, known: self.epoch });
        }
        summary.config.check()?;
        if summary.digest() != stable.digest || summary.sequence != stable.sequence {
            return Err(LinkError::Covers);
        }
        match summary.sequence > self.start && summary.config.is_checkpoint(summary.sequence) {
            true => Ok(()),
            false => Err(LinkError::Place(summary.sequence)),
        }
    }

    /// Each signature counts, also those beyond a quorum: one that is false was put there by somebody.
    fn signed(&self, network: &NetworkId, link: &EpochCertificate) -> Result<(), LinkError> {
        let stable = &link.certificate;
        let (found, members) = (stable.votes.len(), self.members.len());
        let needed = quorum::strong(members);
        if found < needed {
            return Err(LinkError::TooFew { found, needed, members });
        }
        let statement = Checkpoint::statement(network, stable.epoch, stable.sequence, &stable.digest);
        // `Ballots` are of distinct members by their type.
        for (replica, signature) in stable.votes.iter() {
            let member = self.members.get(replica.index()).ok_or(LinkError::Stranger(*replica))?;
            key::verify(*member, &statement, signature)?;
        }
        Ok(())
    }
}
