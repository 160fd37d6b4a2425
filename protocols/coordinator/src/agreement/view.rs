use super::{Agreement, Latencies, Seat, first_epoch};
use crate::Side;
use mesh_proto::{
    agreement::Standing,
    codec,
    genesis::Engine,
    id::{Digest, NodeId},
    ledger::{Index, Query, Row},
    limits,
    pbft::{EpochConfig, Evidence, Sequence, View},
    time::Wall,
};
use std::sync::Arc;

/// How agreement stands, as one node knows it; also while nothing can be agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementView {
    pub engine: Engine,
    pub epoch: Arc<EpochConfig>,
    /// Of the committee, how many may lie or be down while it goes on; under Raft, how many may be down.
    pub faults_tolerated: u32,
    /// Members of the committee that this node can talk to, itself included where it may vote.
    pub reachable: u32,
    /// What needs agreement is refused here, and why.
    pub read_only: Option<Side>,
    /// The last batch that is known to be executed.
    pub index: Index,
    /// Operations of this node's users without an outcome.
    pub under_way: u64,
    /// Of the requests of this node.
    pub latencies: Latencies,
    pub replica: Option<ReplicaView>,
    /// Whom this node's replica has caught at contradicting itself, with the proof, as far as its ledger does not keep it:
    /// not yet, for want of a quorum or of time; or never, as it is too long for that or the committee is another by now.
    pub caught: Vec<(NodeId, Arc<Evidence>)>,
    /// Where the members of the committee say that they stand; none from who did not answer.
    pub members: Vec<(NodeId, Option<Standing>)>,
    pub counters: Vec<(String, u64)>,
}

/// The replica of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    pub view: View,
    /// Under Raft there is none until one is elected.
    pub primary: Option<NodeId>,
    pub is_active: bool,
    pub is_voting: bool,
    pub low: Sequence,
    pub high: Sequence,
    pub executed: Sequence,
    /// The last checkpoint that is held, and the digest of the state there.
    pub checkpoint: Option<(Sequence, Digest)>,
    pub waiting: u64,
    pub halted: Option<String>,
    /// Agreed time.
    pub time: Wall,
    pub state_bytes: u64,
    pub state_entries: u64,
}

impl AgreementView {
    /// Of those that can be talked to, how many more may fail before nothing can be agreed on.
    #[must_use]
    pub fn faults_left(&self) -> u32 {
        let needed = mesh_ledger::needed(self.engine, self.epoch.members.len());
        self.reachable.saturating_sub(u32::try_from(needed).unwrap_or(u32::MAX))
    }
}

impl Agreement {
    pub fn engine(&self) -> Engine {
        self.setup.genesis.engine
    }

    /// Without what the others say, and whether they can be talked to.
    pub fn view(&self) -> AgreementView {
        let epoch = Arc::clone(self.gateway.epoch());
        let engine = self.setup.genesis.engine;
        let faults = mesh_ledger::tolerated(engine, epoch.members.len());
        let seat = self.seat.as_ref().map(|seat| {
            let standing = seat.replica.standing();
            let ledger = seat.keeper.ledger();
            let state = ledger.snapshot();
            ReplicaView {
                view: standing.view,
                primary: Some(standing.primary),
                is_active: standing.is_active,
                is_voting: standing.is_voting,
                low: standing.low,
                high: standing.high,
                executed: standing.executed,
                checkpoint: seat.replica.held().map(|(sequence, state)| (sequence, state.root)),
                waiting: standing.waiting as u64,
                halted: seat.halted(),
                time: ledger.time(),
                state_bytes: state.weight(),
                state_entries: state.len(),
            }
        });
        let (replica, under_way, latencies) = match &self.port {
            Some(port) => (port.view(), port.under_way(), port.latencies()),
            None => (seat, self.gateway.under_way(), self.gateway.latencies()),
        };
        AgreementView {
            engine,
            faults_tolerated: u32::try_from(faults).unwrap_or(u32::MAX),
            reachable: 0,
            read_only: None,
            index: self.index(),
            under_way: under_way as u64,
            latencies: latencies.clone(),
            replica,
            caught: self.seat.as_ref().map(|seat| self.caught(seat)).unwrap_or_default(),
            members: Vec::new(),
            counters: self.counters(),
            epoch,
        }
    }

    /// A bounded number for each member of this epoch and the one before.
    fn caught(&self, seat: &Seat) -> Vec<(NodeId, Arc<Evidence>)> {
        let ledger = seat.keeper.ledger();
        let is_kept = |accused: NodeId, evidence: &Evidence| {
            ledger.answer(&Query::Evidence(accused)).rows.iter().any(|row| match row {
                Row::Evidence(kept) => codec::decode::<Evidence>(&kept.proof, limits::EVIDENCE_BYTES)
                    .is_ok_and(|kept| kept.is_about_the_same(evidence)),
                _ => false,
            })
        };
        let caught = seat.replica.evidence().filter_map(|evidence| {
            let accused = self.committee_of(seat, evidence)?.member(evidence.replica)?;
            (!is_kept(accused, evidence)).then(|| (accused, Arc::clone(evidence)))
        });
        caught.collect()
    }

    /// Of the epoch that it is from: a member has another number in another one.
    fn committee_of(&self, seat: &Seat, evidence: &Evidence) -> Option<EpochConfig> {
        let mut since = seat.replica.chain().iter().map(|end| &end.summary.config);
        let of_it = since.find(|config| config.epoch == evidence.epoch);
        of_it.cloned().or_else(|| first_epoch(&self.setup).ok().filter(|first| first.epoch == evidence.epoch))
    }

    /// Counters since the start, by name.
    pub fn counters(&self) -> Vec<(String, u64)> {
        let replica = self.seat.as_ref().map(|seat| seat.replica.counters());
        replica.into_iter().flat_map(|counters| counters.iter().map(|(name, count)| (name.to_owned(), count))).collect()
    }
}
