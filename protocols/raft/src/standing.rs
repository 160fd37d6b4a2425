use crate::types::{Member, Metrics};
use mesh_proto::id::NodeId;
use openraft::ServerState;

/// Where an engine stands, as it knows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub term: u64,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
    /// It has a vote, in the configuration that it knows.
    pub is_voter: bool,
    /// The configuration that it knows has this node, with or without a vote.
    pub is_in: bool,
    /// The last entry of its log.
    pub last: u64,
    /// The last entry that it executed.
    pub applied: u64,
    /// What its last snapshot covers.
    pub snapshot: u64,
    /// Why it has ended.
    pub ended: Option<String>,
}

impl Standing {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let membership = metrics.membership_config.membership();
        let me = metrics.id;
        // Who leads and hears nobody does not, as far as others can tell.
        let is_deaf = metrics.state == ServerState::Leader
            && membership.voter_ids().count() > 1
            && metrics.millis_since_quorum_ack.is_none_or(|millis| millis > DEAF_MS);
        Self {
            term: metrics.current_term,
            leader: metrics.current_leader.filter(|_| !is_deaf).map(|Member(leader)| leader),
            is_voter: membership.voter_ids().any(|voter| voter == me),
            is_in: membership.get_node(&me).is_some(),
            last: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.map_or(0, |applied| applied.index),
            snapshot: metrics.snapshot.map_or(0, |snapshot| snapshot.index),
            ended: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }
}

/// A leader that no quorum has answered for so long.
const DEAF_MS: u64 = 2_000;
