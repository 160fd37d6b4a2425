use crate::{
    batching::{self, Outcome, Waiting},
    compaction,
    config::Config,
    journal::Journal,
    log::LogStore,
    machine::{Adapter, Machine},
    message::{Answer, Ask, Place, Request, Response},
    network::{Links, Transport},
    seating,
    snapshot::Snapshots,
    standing::Standing,
    types::{LogId, Member, Raft},
};
use mesh_proto::{id::NodeId, pbft::Operations};
use openraft::{
    EmptyNode, ServerState, SnapshotPolicy,
    error::{ClientWriteError, InitializeError, InstallSnapshotError, RaftError},
};
use std::{collections::BTreeSet, io, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

pub use batching::OrderError;

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("what Raft keeps on the disk: {0}")]
    Disk(#[from] io::Error),
    #[error("the times of Raft do not fit together: {0}")]
    Config(#[from] openraft::ConfigError),
    #[error("Raft does not go on: {0}")]
    Storage(String),
}

/// A running engine. Ends with [`Engine::stop`].
pub struct Engine {
    me: NodeId,
    raft: Raft,
    config: Config,
    log: LogStore,
    waiting: mpsc::Sender<Waiting>,
    journal: JoinHandle<()>,
}

impl Engine {
    /// Goes on from what is on the disk: the journal, and the snapshot in `dir`. Must be called on a tokio runtime.
    ///
    /// `seats` is whom the machine's state seats, and is to be there before the answer to what changes it: who leads would
    /// else bring the configuration to a state of long ago, as after a restart, when the log is executed anew.
    pub async fn start<J: Journal, M: Machine, T: Transport>(
        me: NodeId,
        config: Config,
        journal: J,
        dir: PathBuf,
        machine: Arc<M>,
        transport: T,
        seats: watch::Receiver<BTreeSet<NodeId>>,
    ) -> Result<Self, StartError> {
        let snapshots = Snapshots::open(dir)?;
        let (log, thread) = LogStore::open(journal, snapshots.covers())?;
        let machine = Adapter::open(machine, snapshots).await?;
        let times = Arc::new(times(&config).validate()?);
        let raft = Raft::new(Member(me), times, Links(transport), log.clone(), machine).await;
        let raft = raft.map_err(|fatal| StartError::Storage(fatal.to_string()))?;
        let (waiting, received) = mpsc::channel(config.waiting.max(1));
        tokio::spawn(batching::run(raft.clone(), config.clone(), received));
        tokio::spawn(compaction::run(raft.clone(), config.clone(), log.clone()));
        tokio::spawn(seating::run(raft.clone(), config.clone(), seats));
        Ok(Self { me, raft, config, log, waiting, journal: thread })
    }

    /// Nothing was ever voted or written on this disk.
    pub fn is_pristine(&self) -> bool {
        self.log.is_pristine()
    }

    /// The first of its network, alone. Nothing where it is that already.
    pub async fn found(&self) -> Result<(), StartError> {
        match self.raft.initialize(BTreeSet::from([Member(self.me)])).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(StartError::Storage(error.to_string())),
        }
    }

    /// Asks one of these, or whom they name, to have this node learn. Whether somebody does.
    pub async fn join(&self, transport: &impl Transport, of: &[NodeId]) -> bool {
        for node in of.iter().filter(|node| **node != self.me) {
            let asked = async |node| transport.call(node, Request(Ask::Follow), JOIN).await.map(|answer| answer.0);
            match asked(*node).await {
                Ok(Answer::Follows) => return true,
                Ok(Answer::Elsewhere(Some(leader))) if leader != *node && leader != self.me => {
                    if matches!(asked(leader).await, Ok(Answer::Follows)) {
                        return true;
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
        false
    }

    /// Whether one of these leads and says that this node is in no configuration any more. A node that is not about to be
    /// taken in believes its own log, too. What is not decided does not count: for that this node's vote may be needed.
    pub async fn is_out(&self, transport: &impl Transport, of: &[NodeId], believes_own: bool) -> bool {
        let Some(own) = self.decided().await else { return false };
        if believes_own && own.at.is_some() && !own.is_joint && !own.nodes.contains(&self.me) {
            return true;
        }
        for node in of.iter().filter(|node| **node != self.me) {
            let answer = transport.call(*node, Request(Ask::AmIIn), JOIN).await;
            if let Ok(Response(Answer::Nodes(at, nodes))) = answer
                && at >= own.at
                && !nodes.contains(&self.me)
            {
                return true;
            }
        }
        false
    }

    /// Whether it stands for elections: who is on its way out does not disturb those who stay.
    pub fn stand(&self, stands: bool) {
        self.raft.runtime_config().elect(stands);
    }

    /// Has operations ordered, where this node leads.
    pub async fn order(&self, operations: Operations) -> Outcome {
        let leader = self.raft.metrics().borrow().current_leader;
        if leader != Some(Member(self.me)) {
            return Err(OrderError::Elsewhere(leader.map(|Member(leader)| leader)));
        }
        if operations.as_bytes().len() > self.config.request_bytes {
            return Err(OrderError::TooLarge);
        }
        let (answer, outcome) = oneshot::channel();
        match self.waiting.try_send(Waiting { operations, answer }) {
            Ok(()) => outcome.await.unwrap_or(Err(OrderError::Ended)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(OrderError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(OrderError::Ended),
        }
    }

    pub fn standing(&self) -> Standing {
        Standing::of(&self.raft.metrics().borrow(), self.config.heartbeat)
    }

    /// Waits until [`Engine::standing`] may say something else; `false` when it never will.
    pub async fn changed(&self) -> bool {
        let mut metrics = self.raft.metrics();
        metrics.mark_unchanged();
        metrics.changed().await.is_ok()
    }

    /// Answers another node.
    pub async fn answer(&self, from: NodeId, request: Request) -> Response {
        Response(match request.0 {
            Ask::Append(append) => self.raft.append_entries(append).await.map_or(Answer::NotRunning, Answer::Append),
            Ask::Vote(vote) => self.raft.vote(vote).await.map_or(Answer::NotRunning, Answer::Vote),
            Ask::Install(piece) => match self.raft.install_snapshot(piece.into()).await {
                Ok(installed) => Answer::Installed(installed.vote),
                Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => {
                    let place = |segment: openraft::SnapshotSegmentId| Place(segment.id, segment.offset);
                    Answer::Restart(place(mismatch.expect), place(mismatch.got))
                }
                Err(RaftError::Fatal(_)) => Answer::NotRunning,
            },
            Ask::Order(operations) => match self.order(operations).await {
                Ok((index, outcome)) => Answer::Ordered(index, outcome),
                Err(OrderError::Elsewhere(leader)) => Answer::Elsewhere(leader),
                Err(OrderError::Busy | OrderError::TooLarge) => Answer::Busy,
                Err(OrderError::Ended) => Answer::NotRunning,
            },
            Ask::Follow => self.teach(Member(from)).await,
            Ask::AmIIn => self.nodes().await,
        })
    }

    /// Ends. What is under way may have been ordered all the same. Behind it nothing more is said; with [`Engine::close`]
    /// the disk is let go of.
    pub async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(%error, "Raft ended by a panic");
        }
    }

    /// Waits until the journal is closed, or for a while.
    pub async fn close(self) {
        let Self { raft, log, waiting, journal, .. } = self;
        drop((raft, log, waiting));
        let until = tokio::time::Instant::now() + Duration::from_secs(2);
        // The last task that reads the log lets go of it.
        while !journal.is_finished() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn teach(&self, node: Member) -> Answer {
        let (leader, known, learners) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            let membership = metrics.membership_config.membership();
            let learners = membership.learner_ids().count();
            (metrics.current_leader, membership.get_node(&node).is_some(), learners)
        };
        if leader != Some(Member(self.me)) {
            return Answer::Elsewhere(leader.map(|Member(leader)| leader));
        }
        if known {
            return Answer::Follows;
        }
        if learners >= self.config.learners {
            return Answer::Busy;
        }
        let taught = self.raft.add_learner(node, EmptyNode::new(), false);
        match tokio::time::timeout(JOIN, taught).await {
            Ok(Ok(_)) => Answer::Follows,
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
                Answer::Elsewhere(forward.leader_id.map(|Member(leader)| leader))
            }
            Ok(Err(RaftError::Fatal(_))) => Answer::NotRunning,
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_)))) | Err(_) => Answer::Busy,
        }
    }

    /// Of a leader, who asks may end upon it.
    async fn nodes(&self) -> Answer {
        let leads = self.raft.metrics().borrow().state == ServerState::Leader;
        match self.decided().await {
            Some(decided) if leads && !decided.is_joint => Answer::Nodes(decided.at, decided.nodes),
            Some(_) => Answer::Elsewhere(self.standing().leader),
            None => Answer::NotRunning,
        }
    }

    async fn decided(&self) -> Option<Decided> {
        let known = self.raft.with_raft_state(|state| {
            let committed = state.membership_state.committed();
            Decided {
                at: *committed.log_id(),
                nodes: committed.nodes().map(|(Member(node), _)| *node).collect(),
                is_joint: committed.membership().get_joint_config().len() > 1,
            }
        });
        known.await.ok()
    }
}

/// The last configuration that is known to be decided.
struct Decided {
    at: Option<LogId>,
    nodes: BTreeSet<NodeId>,
    is_joint: bool,
}

/// How long another node may take to have this one learn.
const JOIN: Duration = Duration::from_secs(3);

fn times(config: &Config) -> openraft::Config {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    openraft::Config {
        cluster_name: "meshd".to_owned(),
        heartbeat_interval: millis(config.heartbeat),
        election_timeout_min: millis(config.election.0),
        election_timeout_max: millis(config.election.1),
        install_snapshot_timeout: millis(config.install),
        snapshot_max_chunk_size: config.piece_bytes as u64,
        // Made and purged by their bytes: see `compaction`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        // A follower that is behind what is kept gets a snapshot for that; one that is not, entries.
        replication_lag_threshold: u64::MAX,
        ..openraft::Config::default()
    }
}
