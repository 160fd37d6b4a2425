//! Whoever leads brings the configuration to what the ledger seats. A configuration that is half changed, by a leader
//! that died, is brought on by the next; so the two differ for a while and never for good.

use crate::{
    config::Config,
    types::{Member, Metrics, Raft},
};
use mesh_proto::id::NodeId;
use openraft::{EmptyNode, ServerState};
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// A step that is not made within this is tried again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries, and two looks at a newcomer that is not near.
const PERIOD: Duration = Duration::from_millis(100);
/// A learner that nobody seated for so long is let go of. It may ask again.
const UNSEATED: Duration = Duration::from_secs(300);

/// One step.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Entries are to reach it, so that it comes near.
    Learn(Member),
    Vote(BTreeSet<Member>),
    Forget(BTreeSet<Member>),
}

/// Until the engine ends.
pub async fn run(raft: Raft, config: Config, mut seats: watch::Receiver<BTreeSet<NodeId>>) {
    let mut metrics = raft.metrics();
    let mut learners = Learners::default();
    loop {
        let desired: BTreeSet<Member> = seats.borrow_and_update().iter().copied().map(Member).collect();
        let (step, is_settled) = {
            let metrics = metrics.borrow_and_update();
            if metrics.running_state.is_err() {
                return;
            }
            let stale = learners.stale(&metrics, &desired);
            (next(&metrics, &desired, stale, config.near), is_settled(&metrics, &desired))
        };
        if let Some(step) = step {
            take(&raft, step).await;
        }
        let again = async {
            match is_settled {
                true => sleep(UNSEATED).await,
                false => sleep(PERIOD).await,
            }
        };
        tokio::select! {
            () = again => {}
            changed = metrics.changed(), if is_settled => if changed.is_err() { return },
            changed = seats.changed() => if changed.is_err() { return },
        }
    }
}

async fn take(raft: &Raft, step: Step) {
    tracing::info!(?step, "the configuration of Raft is changed");
    let made = match step {
        Step::Learn(node) => timeout(PATIENCE, raft.add_learner(node, EmptyNode::new(), false)).await,
        Step::Vote(voters) => timeout(PATIENCE, raft.change_membership(voters, false)).await,
        Step::Forget(nodes) => {
            let change = openraft::ChangeMembers::RemoveNodes(nodes);
            timeout(PATIENCE, raft.change_membership(change, false)).await
        }
    };
    match made {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::info!(%error, "not changed; it is tried again"),
        Err(_) => tracing::info!("not changed in time; it is tried again"),
    }
}

/// There is nothing to do for this node until something changes.
fn is_settled(metrics: &Metrics, desired: &BTreeSet<Member>) -> bool {
    let membership = metrics.membership_config.membership();
    let is_there = membership.get_joint_config().len() == 1 && voters(metrics) == *desired;
    metrics.state != ServerState::Leader || is_there
}

fn next(metrics: &Metrics, desired: &BTreeSet<Member>, stale: BTreeSet<Member>, near: u64) -> Option<Step> {
    // Who leads has executed all that was decided before only with an entry of its own: until then it may be behind what
    // the ledger seats.
    let is_up = metrics.last_applied.is_some_and(|applied| applied.leader_id.term == metrics.current_term);
    if metrics.state != ServerState::Leader || !is_up || desired.is_empty() {
        return None;
    }
    let membership = metrics.membership_config.membership();
    if let Some(newcomer) = desired.iter().find(|node| membership.get_node(node).is_none()) {
        return Some(Step::Learn(*newcomer));
    }
    let voters = voters(metrics);
    let last = metrics.last_log_index.unwrap_or(0);
    let is_near = |node: &Member| {
        let matched = metrics.replication.as_ref().and_then(|all| all.get(node).copied().flatten());
        *node == metrics.id || matched.is_some_and(|matched| matched.index + near >= last)
    };
    let seated = desired.iter().copied().filter(|node| voters.contains(node) || is_near(node));
    let seated: BTreeSet<Member> = seated.collect();
    let is_joint = membership.get_joint_config().len() > 1;
    if !seated.is_empty() && (is_joint || seated != voters) {
        return Some(Step::Vote(seated));
    }
    (!stale.is_empty()).then_some(Step::Forget(stale))
}

/// Of the configuration that is aimed at.
fn voters(metrics: &Metrics) -> BTreeSet<Member> {
    let configs = metrics.membership_config.membership().get_joint_config();
    configs.last().cloned().unwrap_or_default()
}

/// Learners that are seated nowhere, and since when this leader sees them so.
#[derive(Default)]
struct Learners(std::collections::BTreeMap<Member, Instant>);

impl Learners {
    fn stale(&mut self, metrics: &Metrics, desired: &BTreeSet<Member>) -> BTreeSet<Member> {
        let now = Instant::now();
        let membership = metrics.membership_config.membership();
        let unseated: BTreeSet<Member> =
            membership.learner_ids().filter(|learner| !desired.contains(learner)).collect();
        self.0.retain(|learner, _| metrics.state == ServerState::Leader && unseated.contains(learner));
        if metrics.state == ServerState::Leader {
            for learner in unseated {
                self.0.entry(learner).or_insert(now);
            }
        }
        self.0.iter().filter(|(_, since)| now - **since >= UNSEATED).map(|(learner, _)| *learner).collect()
    }
}
