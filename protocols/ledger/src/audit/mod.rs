//! Whether a bundle proves what it says, to somebody who knows the network's id and trusts nobody.
//!
//! Each step rests on the one before: the id names the genesis, the genesis the first committee; each committee signed
//! the checkpoint that names the next; the last one signed a checkpoint that covers the state's root; and a path under
//! that root leads to a decision, which the votes beside it agree with. Reads no clock: how old all this is, the
//! checkpoint's [`time`](Audit::time) says to who has one. A node that hides what came later cannot be told from one
//! that does not know it.

mod bench;

pub use bench::LinkError;

use bench::Bench;
use mesh_proto::{
    domain::Epoch,
    genesis::{Engine, Genesis, NetworkName},
    id::{Digest, NetworkId, NodeId},
    ledger::{Bundle, Decision, Index, ProofError, ProposalId},
    merkle::Tree,
    pbft::{EpochCertificate, Roots, state_leaf},
    time::Wall,
};

/// What a bundle proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub network: NetworkId,
    pub name: NetworkName,
    /// Of the committee that goes on behind the checkpoint.
    pub epoch: Epoch,
    /// In order.
    pub members: Vec<NodeId>,
    /// The checkpoint: the last batch that the state holds.
    pub index: Index,
    /// Agreed time, as of it.
    pub time: Wall,
    /// Of the state.
    pub root: Digest,
    /// Signatures under the ends of epochs, and under the checkpoint.
    pub end_signatures: usize,
    pub checkpoint_signatures: usize,
    /// What was decided, if the bundle is about a decision.
    pub decision: Option<(ProposalId, Decision)>,
}

/// Why a bundle proves nothing, by the step that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    #[error("it is of network {found}, and {expected} was expected")]
    Network { found: NetworkId, expected: NetworkId },
    #[error("the members of a network under Raft trust each other: none of them certifies anything")]
    Engine,
    #[error("the end of epoch {epoch}: {why}", epoch = epoch.0)]
    End { epoch: Epoch, why: LinkError },
    #[error("the checkpoint at batch {index}: {why}")]
    Checkpoint { index: Index, why: LinkError },
    #[error("the checkpoint covers another state than the one with root {root}")]
    State { root: Digest },
    #[error(transparent)]
    Decision(#[from] ProofError),
}

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Genesis,
    Epochs,
    Checkpoint,
    State,
    Decision,
}

impl Audit {
    /// Checks all of it. One signature costs 41 µs.
    pub fn of(bundle: &Bundle, network: &NetworkId) -> Result<Self, AuditError> {
        let genesis = &bundle.genesis;
        let found = genesis.network_id();
        if found != *network {
            return Err(AuditError::Network { found, expected: *network });
        }
        if genesis.engine != Engine::Pbft {
            return Err(AuditError::Engine);
        }
        let (bench, end_signatures) = follow(genesis, network, bundle)?;
        let checkpoint = &bundle.certified.checkpoint;
        let index = Index(checkpoint.summary.sequence.get());
        let step = bench.step(network, checkpoint);
        let next = step.map_err(|why| AuditError::Checkpoint { index, why })?;
        let root = bundle.certified.root;
        if roots(&root) != checkpoint.summary.state {
            return Err(AuditError::State { root });
        }
        let proof = bundle.certified.proof.as_deref();
        Ok(Self {
            network: *network,
            name: genesis.name.clone(),
            epoch: next.epoch,
            members: next.members,
            index,
            time: checkpoint.summary.time,
            root,
            end_signatures,
            checkpoint_signatures: signatures(checkpoint),
            decision: proof.map(|proof| proof.verify_recorded(network, &root)).transpose()?,
        })
    }
}

impl AuditError {
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Self::Network { .. } | Self::Engine => Step::Genesis,
            Self::End { .. } => Step::Epochs,
            Self::Checkpoint { .. } => Step::Checkpoint,
            Self::State { .. } => Step::State,
            Self::Decision(_) => Step::Decision,
        }
    }
}

impl Step {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Epochs => "epochs",
            Self::Checkpoint => "checkpoint",
            Self::State => "state",
            Self::Decision => "decision",
        }
    }
}

/// The state as a checkpoint covers it: one piece, the ledger's root.
#[must_use]
pub fn roots(root: &Digest) -> Roots {
    let tree = tree(root);
    Roots { root: tree.root(), count: tree.count() }
}

/// The tree of that one piece.
#[must_use]
pub fn tree(root: &Digest) -> Tree {
    Tree::new(&[state_leaf(root.as_bytes())]).expect("one leaf is neither none nor too many")
}

/// The committee that certified the checkpoint, and the signatures that led to it.
fn follow(genesis: &Genesis, network: &NetworkId, bundle: &Bundle) -> Result<(Bench, usize), AuditError> {
    let (mut bench, mut count) = (Bench::of_founders(&genesis.committee), 0);
    for end in &bundle.ends {
        let epoch = bench.epoch;
        let next = bench.step(network, end).map_err(|why| AuditError::End { epoch, why })?;
        if next.epoch == epoch {
            return Err(AuditError::End { epoch, why: LinkError::NoEnd });
        }
        bench = next;
        count += signatures(end);
    }
    Ok((bench, count))
}

fn signatures(end: &EpochCertificate) -> usize {
    end.certificate.votes.len()
}
