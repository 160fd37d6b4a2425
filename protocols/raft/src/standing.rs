use crate::types::{Member, Metrics};
use mesh_proto::id::NodeId;
use openraft::ServerState;
use std::time::Duration;

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
    pub(crate) fn of(metrics: &Metrics, heartbeat: Duration) -> Self {
        let membership = metrics.membership_config.membership();
        let me = metrics.id;
        let deaf = DEAF.max(heartbeat * DEAF_HEARTBEATS);
        // Who leads and hears nobody does not, as far as others can tell.
        let is_deaf = metrics.state == ServerState::Leader
            && membership.voter_ids().count() > 1
            && metrics.millis_since_quorum_ack.is_none_or(|millis| u128::from(millis) > deaf.as_millis());
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
const DEAF: Duration = Duration::from_secs(2);
/// And for so many heartbeats, as one that has nothing to say is answered once in one and a half.
const DEAF_HEARTBEATS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Membership;
    use std::{collections::BTreeSet, sync::Arc};

    #[test]
    fn a_leader_with_nothing_to_say_is_not_deaf_between_two_heartbeats() {
        let [me, other] = [1, 2].map(Member::from);
        let voters = openraft::Membership::new(vec![BTreeSet::from([me, other])], ());
        let mut metrics = Metrics::new_initial(me);
        (metrics.state, metrics.current_leader) = (ServerState::Leader, Some(me));
        metrics.membership_config = Arc::new(Membership::new(None, voters));
        for (unheard_ms, heartbeat_ms, leads) in [
            (Some(2_000), 200, true),
            (Some(2_001), 200, false),
            (Some(7_500), 5_000, true),
            (Some(25_001), 5_000, false),
            (None, 200, false),
        ] {
            metrics.millis_since_quorum_ack = unheard_ms;
            let standing = Standing::of(&metrics, Duration::from_millis(heartbeat_ms));
            assert_eq!(standing.leader.is_some(), leads, "{unheard_ms:?} and {heartbeat_ms}");
        }
    }
}
